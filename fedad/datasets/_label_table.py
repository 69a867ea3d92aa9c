"""A table that says what is wrong with each image of a product, as VisA's `image_anno.csv` does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fedad.datasets._place import tree_error
from fedad.datasets._words import says_good
from fedad.plumbing.table import read_table

IMAGE, LABEL = ("image", "file", "path"), ("label", "defect", "class")
MOST_KINDS = 40  # of a product: above it, those of several defects are one kind
LONGEST = 120  # letters
SEVERAL = "several defects"


def read_labels(path: Path, folder: Path) -> Mapping[str, str]:
    """A defective image's place below the product's folder -> what is wrong with it.

    Of an image with several labels, a list in one cell, they are joined by `, `. A good image has
    no entry, nor has one whose label could not name a folder of maps.

    Raises:
        DataError: no such table.
    """
    try:
        table = read_table(path)
    except (OSError, ValueError) as error:
        raise tree_error(f"{path}: cannot be read as a table ({error})") from error
    image, label = table.column(IMAGE), table.column(LABEL)
    if image is None or label is None:
        raise tree_error(
            f"{path}: expected the columns image and label, got {list(table.columns)[:9]!a:.200}"
        )
    found = {}
    for row in table.rows:
        place = row.cells[image].strip().replace("\\", "/").removeprefix("./")
        labels = [part.strip(" \"'[]") for part in row.cells[label].split(",")]
        told = ", ".join(dict.fromkeys(part for part in labels if part))
        if told and says_good(told) is None and _may_name_a_folder(told):
            found[place.removeprefix(f"{folder.name}/")] = told
    if len({*found.values()}) > MOST_KINDS:
        found = {place: SEVERAL if ", " in told else told for place, told in found.items()}
    return found


def _may_name_a_folder(label: str) -> bool:
    return (
        label.isprintable()
        and len(label) <= LONGEST
        and label[0] != "."
        and not {"/", "\\"} & {*label}
    )
