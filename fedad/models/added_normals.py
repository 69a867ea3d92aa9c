"""Pictures that an operator called good, as rows beside a model: what is kept of them, and where.

extras.safetensors     the rows of all of them, which never leave
extras.json            which picture each row is of, in the order that rows number them by
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from fedad.banks.bank import Bank
from fedad.banks.beside import appended, following
from fedad.errors import DataError
from fedad.messages.file import load, save
from fedad.models.site_images import OwnImage
from fedad.plumbing.files import read_json, write_json

ROWS, LISTED = "extras.safetensors", "extras.json"


@dataclass(frozen=True)
class Normal:
    """One picture that was called good: its name, digest and product, when it was added (ISO, UTC),
    how many rows it has, and where it was then."""

    name: str
    sha256: str
    product: str
    added: str
    rows: int
    path: str

    @property
    def image(self) -> OwnImage:
        """It as one of the site's own images, for whoever looks for the most alike one."""
        name = f"{self.product}/added/good/{self.name}"
        path = Path(self.path)
        return OwnImage("train", name, path, self.product, "train", "good", "", "", self.name, "")


@dataclass(frozen=True, eq=False)
class Extras:
    """Added normals, and their rows: a bank of the site alone whose `image` is the number of each
    row's picture; None of none."""

    pictures: tuple[Normal, ...] = ()
    bank: Bank | None = None

    def __len__(self) -> int:
        return 0 if self.bank is None else len(self.bank)

    @property
    def products(self) -> tuple[str, ...]:
        """Those that rows are of."""
        return tuple(sorted({one.product for one in self.pictures}))

    def plus(self, picture: Normal, rows: Bank) -> Extras:
        """With one more."""
        if self.bank is None:
            return Extras((picture,), rows)
        more = following(rows, self.bank, None, len(self.pictures))
        return Extras((*self.pictures, picture), appended(self.bank, more, counted=True))

    def less(self, number: int) -> Extras:
        """Without one of them; the others keep their order."""
        pictures = (*self.pictures[:number], *self.pictures[number + 1 :])
        if self.bank is None or not pictures:
            return Extras()
        left = self.bank.take(np.flatnonzero(self.bank.image != number))
        behind = (left.image > number) * left.fingerprint.patches
        return Extras(pictures, left.replace(source=left.source - behind))

    def of_product(self, product: str) -> Bank | None:
        """The rows of one product; None of none."""
        if self.bank is None or product not in self.products:
            return None
        number = self.bank.categories.index(product)
        return self.bank.take(np.flatnonzero(self.bank.category == number))


def write_extras(folder: Path, extras: Extras) -> None:
    """Write added normals; nothing where there are none."""
    if extras.bank is None:
        return
    save(folder / ROWS, extras.bank, private=True)
    write_json(folder / LISTED, {"normals": [asdict(one) for one in extras.pictures]})


def read_extras(folder: Path) -> Extras:
    """The added normals of a model; none where nothing was written.

    Raises:
        DataError: files that are not what `write_extras` wrote.
    """
    if not (folder / ROWS).exists():
        return Extras()
    told = read_json(folder / LISTED, "the added normals of a model")
    try:
        pictures = tuple(Normal(**one) for one in told["normals"])
    except (KeyError, TypeError) as error:
        raise DataError(f"{folder / LISTED}: no list of added normals ({error!r})") from error
    bank = load(folder / ROWS, Bank)
    if len(bank.source) != len(bank) or {*bank.image.tolist()} != {*range(len(pictures))}:
        raise DataError(
            f"{folder / ROWS}: its rows are not of the {len(pictures)} pictures in {LISTED}: was "
            "one of the files changed?"
        )
    return Extras(pictures, bank)


def numbered(pictures: tuple[Normal, ...], sha256: str) -> Iterator[int]:
    """The numbers of the pictures whose digest begins so."""
    return (number for number, one in enumerate(pictures) if one.sha256.startswith(sha256))
