"""`fedad data check`: what a folder holds, and what is wrong with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from rich.table import Table

from fedad.config import Config
from fedad.images.pixels import shown
from fedad.images.usable import survey
from fedad.messages.faults import lines
from fedad.types import Dataset, Site


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


def problems(dataset: Dataset) -> tuple[list[str], list[str]]:
    """What cannot be used, and what is used with a warning, found by reading every file."""
    train = tuple(sample for sample in dataset.samples if sample.split == "train")
    test = tuple(sample for sample in dataset.samples if sample.split == "test")
    faults = survey(Config(), Site("", train, test)).faults
    wrong = [*_by_category(dataset), *(fault.text for fault in faults if fault.skipped)]
    wrong += [
        f"{shown(sample.path)}: a defective image without a mask counts for no pixel figure"
        for sample in dataset.samples
        if sample.masks is None
    ]
    odd = lines([fault for fault in faults if not fault.skipped])
    return wrong, odd + [fault.text for fault in dataset.faults if fault.reason != "no-mask"]


def _by_category(dataset: Dataset) -> Iterator[str]:
    for category in dataset.categories:
        samples = [sample for sample in dataset.samples if sample.category == category]
        if not any(sample.split == "train" for sample in samples):
            yield f"{category}: no good training image: expected {category}/train/good/*.png"
        names = Counter(sample.name for sample in samples)
        for name, count in names.items():
            if count > 1:
                yield f"{name}: {count} files have this name with different endings"
