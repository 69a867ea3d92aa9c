"""`fedad data check`: what a folder holds, and what is wrong with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial

from rich.table import Table

from fedad.errors import DataError
from fedad.images import image_size, read_image, read_region
from fedad.progress import track
from fedad.types import Dataset, Sample


def counts_table(dataset: Dataset) -> Table:
    """How many images of what, by category."""
    table = Table(title=f"{dataset.name}: {dataset.root}")
    for column in ("category", "train good", "test good", "test defective", "defects"):
        table.add_column(column, justify="left" if column in ("category", "defects") else "right")
    for category in dataset.categories:
        samples = [sample for sample in dataset.samples if sample.category == category]
        split = Counter((sample.split, sample.is_good) for sample in samples)
        defects = Counter(sample.defect for sample in samples if not sample.is_good)
        named = ", ".join(f"{name} {count}" for name, count in sorted(defects.items()))
        numbers = (split["train", True], split["test", True], split["test", False])
        table.add_row(category, *map(str, numbers), named)
    return table


def problems(dataset: Dataset) -> list[str]:
    """All that would stop a run, found by reading every image and every mask."""
    found = [*_by_category(dataset)]
    with track("reading", len(dataset.samples)) as progress:
        for done, sample in enumerate(dataset.samples, start=1):
            found += _of(sample)
            progress(done)
    return found


def _by_category(dataset: Dataset) -> Iterator[str]:
    for category in dataset.categories:
        samples = [sample for sample in dataset.samples if sample.category == category]
        if not any(sample.split == "train" for sample in samples):
            yield f"{category}: no good training image: expected {category}/train/good/*.png"
        names = Counter(sample.name for sample in samples)
        for name, count in names.items():
            if count > 1:
                yield f"{name}: {count} files have this name with different endings"


def _of(sample: Sample) -> list[str]:
    def attempt(read: Callable[[], object]) -> list[str]:
        try:
            read()
        except DataError as error:
            return [str(error)]
        return []

    found = attempt(partial(read_image, sample.path))
    if not found:
        size = image_size(sample.path)
        for channel in sample.masks or ():
            found += attempt(partial(read_region, channel, size))
    if sample.masks is None:
        found.append(f"{sample.path}: a defective image without a mask counts for no pixel figure")
    return found
