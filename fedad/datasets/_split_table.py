"""A table that says which image is of which split, as VisA's `split_csv/1cls.csv` does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fedad.datasets._place import tree_error
from fedad.errors import DataError
from fedad.plumbing.table import Table, read_table

IMAGE, SPLIT = ("image", "file", "path"), ("split", "set", "subset")


def read_split(path: Path) -> Mapping[str, str]:
    """An image's place below the data set's root -> "train" or "test".

    Raises:
        DataError: no such file, or no such table.
    """
    if not path.is_file():
        raise tree_error(
            f"{path}: there is no such file, and nothing else says which image is of which split: "
            "was it left in the archive?"
        )
    table = _table(path)
    image, split = table.column(IMAGE), table.column(SPLIT)
    if image is None or split is None:
        raise tree_error(
            f"{path}: expected the columns image and split, got {list(table.columns)[:9]!a:.200}"
        )
    found = {}
    for row in table.rows:
        word = row.cells[split].strip().casefold()
        if word not in ("train", "test"):
            raise tree_error(f"{path}: line {row.line}: a split is train or test, got {word!a:.80}")
        found[row.cells[image].strip().replace("\\", "/").removeprefix("./")] = word
    return found


def _table(path: Path) -> Table:
    try:
        return read_table(path)
    except ValueError as error:
        raise DataError(f"{path}: cannot be read as a table ({error})", reason="tree") from error
