"""`fedad data check`: what a folder holds, and what is wrong with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fedad.commands.options import Layout

if TYPE_CHECKING:
    from rich.table import Table

    from fedad.types import Dataset


def data_check(
    folder: Annotated[Path, typer.Argument(help="The data set's root.")],
    dataset: Layout = "autovi",
) -> None:
    """Count what a folder holds, read every file, and say what is wrong."""
    from fedad.plugins import plugin
    from fedad.plumbing.console import say, show
    from fedad.plumbing.progress import Bars, shown_by

    opened = plugin("datasets", dataset)(folder)
    show(_counts_table(opened))
    say(f"licence: {opened.licence}")
    with shown_by(Bars()):
        unusable, odd = _problems(opened)
    say(*unusable, *odd)
    say(f"{len(unusable)} problems" if unusable else "nothing is wrong with it")
    if unusable:
        raise typer.Exit(1)


def _counts_table(dataset: Dataset) -> Table:
    """How many images of what, by category."""
    from fedad.plumbing.console import add_row, table

    columns = ("category", "train good", "test good", "test defective", "defects")
    made = table(f"{dataset.name}: {dataset.root}", columns, words=(0, 4))
    for category in dataset.categories:
        samples = [sample for sample in dataset.samples if sample.category == category]
        split = Counter((sample.split, sample.is_good) for sample in samples)
        defects = Counter(sample.defect for sample in samples if not sample.is_good)
        named = ", ".join(f"{name} {count}" for name, count in sorted(defects.items()))
        numbers = (split["train", True], split["test", True], split["test", False])
        add_row(made, category, *numbers, named)
    return made


def _problems(dataset: Dataset) -> tuple[list[str], list[str]]:
    """Read every file: what cannot be used, and what is used with a warning, a line each."""
    from fedad.config import Config
    from fedad.images.pixels import shown
    from fedad.images.usable import survey
    from fedad.messages.faults import lines
    from fedad.types import Site

    train = tuple(sample for sample in dataset.samples if sample.split == "train")
    test = tuple(sample for sample in dataset.samples if sample.split == "test")
    faults = survey(Config(), Site("", train, test)).faults
    unusable = [*_of_categories(dataset), *(fault.text for fault in faults if fault.skipped)]
    unusable += [
        f"{shown(sample.path)}: a defective image without a mask counts for no pixel figure"
        for sample in dataset.samples
        if sample.masks is None
    ]
    odd = lines([fault for fault in faults if not fault.skipped])
    return unusable, odd + [fault.text for fault in dataset.faults if fault.reason != "no-mask"]


def _of_categories(dataset: Dataset) -> Iterator[str]:
    """Categories without a good image to learn from, and names that two files of one have."""
    for category in dataset.categories:
        samples = [sample for sample in dataset.samples if sample.category == category]
        if not any(sample.split == "train" for sample in samples):
            yield f"{category}: no good training image: expected {category}/train/good/*.png"
        names = Counter(sample.name for sample in samples)
        for name, count in names.items():
            if count > 1:
                yield f"{name}: {count} files have this name with different endings"
