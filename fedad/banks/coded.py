"""A bank in a twelfth of its bits: turned to its rows' principal axes, in whole steps, packed.

Along its principal axes most of a row's coordinates are small. All are rounded to whole multiples
of one step, which is as large as `loss`, the share of the rows' variance that goes, permits; that
spends bits where the variance is (reverse water-filling). The whole numbers are compressed without
loss, an axis at a time. Step, mean and axes of each site travel with them, and count;
the axes are coded as `messages/coded.py` does, a byte a value.

Where rows end with x and y these are coded as the site counts them, in the spread of its own
features, so that as much of them is lost as of a feature that matters as much.

Rows that were decoded are float32 as any other bank's. What a server keeps of several sites' rows
it sends on in the very numbers that they came in: no row is rounded twice.
"""

from __future__ import annotations

import lzma
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, Literal

import numpy as np

from fedad.banks.bank import MOST_ROWS, SUMS, Bank, Places, Squares, no_places, no_squares
from fedad.descriptors.position import COLUMNS
from fedad.descriptors.settings import ALL, settings_of, table_of
from fedad.errors import UploadError
from fedad.messages.coded import CODED, SCALE, packed, rounded, unpacked
from fedad.messages.payload import Payload
from fedad.messages.schema import COUNTS, LARGEST, Array, Names, Number
from fedad.types import Fingerprint

MOST = 127  # the largest whole number of a coordinate, of either sign
# Raw, so that nobody else chooses how much memory unpacking takes.
FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 6, "lc": 0, "lp": 0, "pb": 0}]
LONGEST = 1.01  # the largest value of an axis, whose length is 1 before it is coded
TINY = 2.0**-60  # a value closer to 0 is 0: a processor takes 100 times as long for its square
LARGEST_ROWS = 2**32  # bytes of decoded rows; what is packed in a few kilobytes may ask for more
TRIES = 40  # halvings of the range in which the step is looked for
# The columns and names of a `Bank` that a `CodedBank` has as they are.
SHARED = ("row", "categories", "sites", "images", "patches", "fingerprint", "scope", *SUMS)


@dataclass(frozen=True, eq=False, kw_only=True)
class Codes:
    """The rows of one site: whole numbers (M, P) int8 of `step`, along `axes` (D, P), off `mean`
    (D,)."""

    numbers: np.ndarray
    axes: np.ndarray  # float32, as they are once they were coded themselves
    mean: np.ndarray  # float32
    step: float

    @property
    def rows(self) -> np.ndarray:
        """(M, D) float32."""
        along = self.numbers.astype(np.float64) * self.step
        found = np.asarray(along @ self.axes.astype(np.float64).T + self.mean, np.float32)
        found[np.abs(found) < TINY] = 0
        return found


def encoded(rows: np.ndarray, loss: float) -> Codes:
    """The codes of rows (M, D) float32, of whose variance about `loss` is lost.

    A site that has a single row, or equal ones, loses nothing but the mean's rounding.
    """
    mean = rows.mean(0, dtype=np.float64).astype(np.float32)
    off = rows - mean.astype(np.float64)
    _, vectors = np.linalg.eigh(off.T @ off)
    axes = vectors[:, ::-1]
    largest = axes[np.abs(axes).argmax(0), np.arange(axes.shape[1])]
    axes = rounded((axes * np.where(largest < 0, -1.0, 1.0)).T.astype(np.float32), CODED).T
    along = off @ axes.astype(np.float64)
    step = _step(along, loss)
    numbers = np.clip(np.rint(along / step), -MOST, MOST).astype(np.int8)
    used = numbers.any(0)
    return Codes(numbers=numbers[:, used], axes=axes[:, used], mean=mean, step=step)


def _step(along: np.ndarray, loss: float) -> float:
    """The largest step (a float32) by which coordinates (M, P) lose at most `loss` of their sum of
    squares, and that no coordinate has more than `MOST` of."""
    power = float(np.square(along).sum())
    if not power:
        return 1.0
    low, high = 0.0, float(np.abs(along).max()) * 2
    for _ in range(TRIES):
        step = (low + high) / 2
        lost = float(np.square(np.rint(along / step) * step - along).sum())
        low, high = (step, high) if lost <= loss * power else (low, step)
    return float(np.float32(max(low, float(np.abs(along).max()) / MOST)))


@dataclass(frozen=True, eq=False, kw_only=True)
class CodedBank(Payload):
    """M rows of S sites as `Codes`; its columns are those of a `Bank`.

    `packed` holds the whole numbers of one site after the other, P axes for each, so rows come in
    the order of their sites. Beside them stay a site's own rows as they were, which are judged by.
    """

    packed: Annotated[np.ndarray, Array("Z", ("uint8",), least=0, most=255)]
    axes: Annotated[np.ndarray, Array("S P E", ("int8",), least=-128, most=127)]  # E = D + 4
    mean: Annotated[np.ndarray, Array("S D", ("float32",))]
    step: Annotated[np.ndarray, Array("S", ("float32",), least=0)]
    category: Annotated[np.ndarray, Array("M", ("uint16",), into="categories")]
    site: Annotated[np.ndarray, Array("M", ("uint16",), into="sites")]
    row: Annotated[np.ndarray, Array("M", ("int32",), least=0, most=MOST_ROWS)]  # its rank
    categories: Annotated[tuple[str, ...], Names("C")]
    sites: Annotated[tuple[str, ...], Names("S")]
    images: Annotated[np.ndarray, Array("S C", ("int64",), least=0, most=COUNTS)]
    patches: Annotated[np.ndarray, Array("S C", ("int64",), least=0, most=COUNTS)]
    fingerprint: Fingerprint
    scope: Literal["category", "mixed"] = "category"
    squares: Squares = field(default_factory=no_squares)
    placed: Places = field(default_factory=no_places)
    looked: Places = field(default_factory=no_places)
    rows: Annotated[np.ndarray, Array("M D", ("float32",), stays=True)] = field(
        default_factory=lambda: np.empty((0, 0), np.float32)
    )
    source: Annotated[np.ndarray, Array("M", ("int64",), least=0, most=COUNTS, stays=True)] = field(
        default_factory=lambda: np.empty(0, np.int64)
    )
    radius: Annotated[float, Number(least=0, stays=True)] = float("nan")

    def __len__(self) -> int:
        return len(self.row)

    def stands_for(self) -> set[tuple[str, str]]:
        """The (site, category) pairs that it has images of."""
        return {
            (self.sites[s], self.categories[c])
            for s, c in np.argwhere((self.images > 0) | (self.patches > 0)).tolist()
        }

    def check(self) -> None:
        """Refuse what no rows are coded as; nothing is unpacked here.

        Raises:
            UploadError: no row, or more axes than features (`shape`), rows not in the order of
                their sites (`column`), or more than are decoded (`size`).
        """
        features, (axes, width) = self.mean.shape[1], self.axes.shape[1:]
        if not len(self) or not features:
            raise UploadError(f"a bank of {len(self)} rows of {features}", "shape")
        if axes > features or width != features + SCALE:
            raise UploadError(
                f"{axes} axes in {width} bytes, expected up to {features} in {features + SCALE}",
                "shape",
            )
        if (size := self.decoded_bytes) > LARGEST_ROWS:
            raise UploadError(
                f"rows of {size:,} bytes when decoded, expected at most {LARGEST_ROWS:,}", "size"
            )
        if self.categories != tuple(sorted(self.categories)):
            raise UploadError("a bank whose categories are not in order", "names")
        if len({getattr(self, name).size > 0 for name in SUMS}) > 1:
            raise UploadError(f"a bank with some of {', '.join(SUMS)} alone", "fields")
        if self.squares.size and features <= COLUMNS:
            raise UploadError(f"rows of {features}, of which {COLUMNS} are places", "shape")
        if (np.diff(self.site.astype(np.int64)) < 0).any():
            raise UploadError("a bank whose rows are not in the order of their sites", "column")

    @property
    def decoded_bytes(self) -> int:
        """How large its rows are as float32."""
        return len(self) * self.mean.shape[1] * 4

    @cached_property
    def codes(self) -> list[Codes]:
        """The codes of each site.

        Raises:
            UploadError: bytes that do not unpack to the rows that are there, or to no axes.
        """
        width, counts = self.axes.shape[1], np.bincount(self.site, minlength=len(self.sites))
        axes = unpacked(f"{self.record()}/axes", self.axes)
        if not np.abs(axes).max(initial=0) <= LONGEST:
            raise UploadError("axes with values above 1", "range")
        numbers = _decompressed(self.packed, int(counts.sum()) * width)
        parts = np.split(numbers, np.cumsum(counts * width)[:-1])
        return [
            Codes(
                numbers=np.ascontiguousarray(part.reshape(width, -1).T),
                axes=axes[k].T,
                mean=self.mean[k],
                step=float(self.step[k]),
            )
            for k, part in enumerate(parts)
        ]

    @cached_property
    def bank(self) -> Bank:
        """The bank that travelled, decoded.

        Raises:
            UploadError: bytes that do not unpack to the rows that are there (`size`), or rows with
                values beyond the `range` of features.
        """
        rows = np.concatenate([one.rows for one in self.codes])
        if self.squares.size:
            where = rows[:, -COLUMNS:] / _reaches(self)
            rows[:, -COLUMNS:] = where.clip(-1, 1)
        if not np.abs(rows).max(initial=0) <= LARGEST:
            raise UploadError(f"rows that decode to values beyond {LARGEST:g}", "range")
        return self._bank(rows)

    @cached_property
    def exact(self) -> Bank:
        """A site's own bank, as it was before it was coded; `bank` of what travelled."""
        if not len(self.rows):
            return self.bank
        return self._bank(self.rows).replace(source=self.source, radius=self.radius)

    def _bank(self, rows: np.ndarray) -> Bank:
        return Bank(
            rows=rows,
            category=self.category.astype(np.int32),
            site=self.site.astype(np.int32),
            **_shared(self),
        )


def coded_bank(bank: Bank, loss: float) -> CodedBank:
    """A site's own bank in codes, sorted as it is when it is sealed, and its rows beside them."""
    own = bank.with_own(bank.sealed(bank.sites[0], "float32"))
    rows = own.rows
    if own.squares.size:
        rows = rows.copy()
        rows[:, -COLUMNS:] *= _reaches(own)
    made = encoded(rows, loss)
    return _joined(own, [made], rows=own.rows, source=own.source, radius=own.radius)


def chosen(bank: Bank, uploads: Sequence[CodedBank]) -> CodedBank:
    """The bank that was merged from the decoded `uploads`, in the numbers that its rows came in.

    Args:
        uploads: each of one site, whose ranks are different.
    """
    by_site = {upload.sites[0]: upload for upload in uploads}
    order = np.argsort(bank.site, kind="stable")
    bank = bank.take(order)
    parts = []
    for number, name in enumerate(bank.sites):
        upload, ranks = by_site[name], bank.row[bank.site == number]
        sorter = np.argsort(upload.row, kind="stable")
        at = sorter[np.searchsorted(upload.row[sorter], ranks)]
        (codes,) = upload.codes
        parts.append(
            Codes(numbers=codes.numbers[at], axes=codes.axes, mean=codes.mean, step=codes.step)
        )
    return _joined(bank, parts)


def _joined(bank: Bank, parts: Sequence[Codes], **own: Any) -> CodedBank:
    """The codes of each site of a bank, whose rows are in the order of their sites, as one."""
    width = max(part.axes.shape[1] for part in parts)
    numbers = [_wider(part.numbers, width).T.ravel() for part in parts]
    return CodedBank(
        packed=_compressed(np.concatenate(numbers)),
        axes=np.stack([packed(_wider(part.axes, width).T, CODED) for part in parts]),
        mean=np.stack([part.mean for part in parts]),
        step=np.array([part.step for part in parts], np.float32),
        category=bank.category.astype(np.uint16),
        site=bank.site.astype(np.uint16),
        **_shared(bank),
        **own,
    )


def _reaches(one: Bank | CodedBank) -> np.ndarray:
    """(M, 1) float32: what x and y of each row count at the site that it is of, whether or not
    its patches find their place; 1 where nothing varies."""
    table = table_of(one.fingerprint)
    weights = np.array([settings_of(table, name).position for name in one.categories])
    patches, squares = one.patches.astype(np.float64), one.squares
    if one.scope == "mixed":
        patches, squares = patches.sum(1, keepdims=True), squares.sum(1, keepdims=True)
        weights = np.full(len(weights), settings_of(table, ALL).position)
    reach = weights * np.sqrt(squares / np.maximum(patches, 1))
    found = np.where(reach > 0, reach, 1.0)[one.site, one.category, None]
    return np.asarray(found, np.float32)


def _shared(one: Bank | CodedBank) -> dict[str, Any]:
    return {name: getattr(one, name) for name in SHARED}


def _wider(values: np.ndarray, width: int) -> np.ndarray:
    """(n, width): with zeros beyond the columns that are there."""
    return np.pad(values, ((0, 0), (0, width - values.shape[1])))


def _compressed(numbers: np.ndarray) -> np.ndarray:
    made = lzma.compress(numbers.tobytes(), format=lzma.FORMAT_RAW, filters=FILTERS)
    return np.frombuffer(made, np.uint8).copy()


def _decompressed(compressed: np.ndarray, count: int) -> np.ndarray:
    """(count,) int8; no more than that is ever unpacked.

    Raises:
        UploadError: other bytes than of so many numbers.
    """
    machine = lzma.LZMADecompressor(format=lzma.FORMAT_RAW, filters=FILTERS)
    try:
        found = machine.decompress(compressed.tobytes(), max_length=count + 1)
        if not machine.eof and len(found) == count:  # at its end mark
            found += machine.decompress(b"", max_length=1)
    except (lzma.LZMAError, EOFError) as error:
        raise UploadError(f"codes that do not unpack ({error!s:.80})", "size") from error
    if len(found) != count or not machine.eof or machine.unused_data:
        raise UploadError(
            f"codes that do not unpack to {count:,} numbers: were they cut short?", "size"
        )
    return np.frombuffer(found, np.int8)
