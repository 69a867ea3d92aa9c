"""A table that says of pictures whether they are good: a protocol, as many people keep one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from fedad.datasets._folder import Seen, Sorted
from fedad.datasets._found import Odd
from fedad.datasets._place import tree_error
from fedad.datasets._walk import File
from fedad.datasets._words import role_of, says_good
from fedad.images.pixels import shown
from fedad.plumbing.table import Row, Table, read_table
from fedad.types import GOOD

FILES = (
    "image",
    "file",
    "filename",
    "path",
    "imagepath",
    "filepath",
    "name",
    "img",
    "bild",
    "datei",
)
LABELS = (
    *("label", "class", "defect", "defecttype", "anomaly", "target", "result", "verdict", "ok"),
    *("status", "judgement", "category", "befund", "ergebnis", "quality", "isanomaly"),
)
SPLITS = ("split", "set", "subset", "phase")
ENDINGS = (".csv", ".tsv")


class _Said(NamedTuple):
    """What a row says of one picture."""

    defect: str
    split: str


def apply_tables(
    root: Path, files: Sequence[File], found: Sorted, odd: Odd
) -> tuple[Sorted, list[str]]:
    """What folders say of the pictures, corrected by what tables say, and a note a table.

    Raises:
        DataError: a table that names pictures, and of one of them nothing that can be understood.
    """
    said: dict[str, _Said] = {}
    notes = []
    for file in files:
        if file.path.suffix.lower() not in ENDINGS or file.path.name == "sites.csv":
            continue
        rows = _rows(root, file, found.seen)
        if not rows:
            odd.note(root.name, "", file.path, "no table of these pictures")
            continue
        said |= rows
        odd.note(root.name, "", file.path, "read as the table of labels")
        notes.append(f"{shown(file.path)} says of {len(rows)} images whether they are good")
    if not said:
        return found, []
    unlisted = [one for one in found.seen if one.file.place not in said]
    seen = [_told(one, said[one.file.place]) for one in found.seen if one.file.place in said]
    return found._replace(seen=[*seen, *(one._replace(defect="") for one in unlisted)]), notes


def _told(one: Seen, row: _Said) -> Seen:
    """A picture as its row says; folders that are of neither kind no longer part products."""
    return one._replace(defect=row.defect, split=row.split or one.split)


def _rows(root: Path, file: File, seen: Sequence[Seen]) -> dict[str, _Said]:
    """A picture's place -> what the table says; nothing where it is no table of pictures."""
    try:
        table = read_table(file.path)
    except (OSError, ValueError):
        return {}
    image, label = table.column(FILES), table.column(LABELS)
    if image is None or label is None or image == label:
        return {}
    by_name = _names(seen)
    above = file.place.rpartition("/")[0]
    found = {}
    for row in table.rows:
        place = _picture(row.cells[image], above, by_name)
        if place:
            found[place] = _said(file.path, table, row, label)
    return found


def _names(seen: Sequence[Seen]) -> dict[str, list[str]]:
    """What a picture may be called in a table -> the places of those that are."""
    names: dict[str, list[str]] = defaultdict(list)
    for one in seen:
        parts = one.file.place.split("/")
        for k in range(len(parts)):
            tail = "/".join(parts[k:])
            names[tail.casefold()].append(one.file.place)
            names[tail.rpartition(".")[0].casefold()].append(one.file.place)
    return names


def _picture(cell: str, above: str, names: dict[str, list[str]]) -> str:
    """The place of the picture that a cell names: below the root, beside the table, or the only one
    whose path ends so."""
    text = cell.strip().replace("\\", "/").casefold()
    while text:
        for name in (f"{above}/{text}".strip("/").casefold(), text):
            places = names.get(name, [])
            if len(places) == 1:
                return places[0]
        text = text.partition("/")[2]
    return ""


def _said(path: Path, table: Table, row: Row, column: str) -> _Said:
    label = row.cells[column]
    good = says_good(label)
    if table.column(("ok",)) == column and good is not None:
        good = not good if label.strip() in ("0", "1") else good
    split_column = table.column(SPLITS)
    split = role_of(row.cells[split_column]) if split_column else ""
    if split_column and split not in ("train", "test", "validation"):
        raise tree_error(
            f"{shown(path)}: line {row.line}: a split is train, test or validation, got "
            f"{row.cells[split_column]!a:.80}"
        )
    if label == "" and good:
        raise tree_error(f"{shown(path)}: line {row.line}: no {column} for this image")
    defect = GOOD if good else "defect" if label.strip() in ("1", "1.0") else label.strip()
    return _Said(defect.replace("/", "-"), split)
