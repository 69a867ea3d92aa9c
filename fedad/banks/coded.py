"""A bank in an eighth of its bytes: turned to its rows' principal axes, in whole steps, packed.

Along its principal axes most of a row's coordinates are small. All are rounded to whole multiples
of one step, which is as large as `loss`, the share of the rows' variance that goes, permits; that
spends bits where the variance is (reverse water-filling). The whole numbers are compressed without
loss, an axis at a time. Step, mean and axes of each site travel with them, and count; the axes are
coded as `axes.py` does, half a byte a value, and compressed too.

Rows come in the order of their sites, products and ranks, so that a table of how many there are of
each says whose they are. Where no rank is left out, as in an upload, none travels.

Where rows end with x and y these are coded as the site counts them, in the spread of its own
features, so that as much of them is lost as of a feature that matters as much.

Rows that were decoded are float32 as any other bank's. What a server keeps of several sites' rows
it sends on in the very numbers that they came in: no row is rounded twice.
"""

from __future__ import annotations

import lzma
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from fedad.banks.axes import axes_of, length, reflections
from fedad.banks.bank import MOST_ROWS, SUMS, Bank, Places, Squares, no_places, no_squares
from fedad.descriptors.position import COLUMNS
from fedad.descriptors.settings import ALL, settings_of, table_of
from fedad.errors import UploadError
from fedad.messages.payload import Payload
from fedad.messages.schema import COUNTS, LARGEST, Array, Names, Number
from fedad.types import Fingerprint

MOST = 127  # the largest whole number of a coordinate, of either sign
# Raw, so that nobody else chooses how much memory unpacking takes.
FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 6, "lc": 0, "lp": 0, "pb": 0}]
TINY = 2.0**-60  # a value closer to 0 is 0: a processor takes 100 times as long for its square
LARGEST_ROWS = 2**32  # bytes of decoded rows; what is packed in a few kilobytes may ask for more
MOST_AXES = 2**16
TRIES = 40  # halvings of the range in which the step is looked for
# The columns and names of a `Bank` that a `CodedBank` has as they are.
SHARED = ("categories", "sites", "images", "patches", "fingerprint", "scope", *SUMS)


@dataclass(frozen=True, eq=False, kw_only=True)
class Codes:
    """The rows of one site: whole numbers (M, P) int8 of `step`, along P axes, off `mean` (D,)."""

    numbers: np.ndarray
    reflections: np.ndarray  # (L,) int8: the axes, see `axes.py`
    mean: np.ndarray  # float32
    step: float

    @property
    def rows(self) -> np.ndarray:
        """(M, D) float32."""
        axes = axes_of(self.reflections, len(self.mean), self.numbers.shape[1])
        along = self.numbers.astype(np.float64) * self.step
        found = np.asarray(along @ axes.T + self.mean, np.float32)
        found[np.abs(found) < TINY] = 0
        return found

    def take(self, rows: np.ndarray) -> Codes:
        """The codes of these rows, in this order."""
        return replace(self, numbers=self.numbers[rows])

    def wider(self, axes: int) -> Codes:
        """The same rows along so many axes: along those beyond its own all numbers are 0."""
        more = length(len(self.mean), axes) - len(self.reflections)
        return replace(
            self,
            numbers=np.pad(self.numbers, ((0, 0), (0, axes - self.numbers.shape[1]))),
            reflections=np.pad(self.reflections, (0, more)),
        )


def encoded(rows: np.ndarray, loss: float) -> Codes:
    """The codes of rows (M, D) float32, of whose variance about `loss` is lost.

    A site that has a single row, or equal ones, loses nothing but the mean's rounding.
    """
    mean = rows.mean(0, dtype=np.float64).astype(np.float32)
    off, width = rows - mean.astype(np.float64), len(mean)
    power = float(np.square(off).sum())
    _, vectors = np.linalg.eigh(off.T @ off)
    axes = vectors[:, ::-1]
    numbers, _ = _numbers(off @ axes, power, loss)
    found = reflections(axes[:, : numbers.shape[1]])
    numbers, step = _numbers(off @ axes_of(found, width, numbers.shape[1]), power, loss)
    found = found[: length(width, numbers.shape[1])]
    return Codes(numbers=numbers, reflections=found, mean=mean, step=step)


def _numbers(along: np.ndarray, power: float, loss: float) -> tuple[np.ndarray, float]:
    """(M, P) int8: coordinates (M, N) in whole steps, up to the last axis that has any; the step.

    Args:
        power: the sum of squares of rows, of which the coordinates may lack some.
    """
    step = _step(along, power, loss)
    numbers = np.clip(np.rint(along / step), -MOST, MOST).astype(np.int8)
    used = np.flatnonzero(numbers.any(0)).max(initial=-1) + 1
    return numbers[:, :used], step


def _step(along: np.ndarray, power: float, loss: float) -> float:
    """The largest step (a float32) by which coordinates (M, P) lose at most `loss` of the sum of
    squares, and that no coordinate has more than `MOST` of."""
    if not power:
        return 1.0
    rest = power - float(np.square(along).sum())
    low, high = 0.0, float(np.abs(along).max()) * 2
    for _ in range(TRIES):
        step = (low + high) / 2
        lost = rest + float(np.square(np.rint(along / step) * step - along).sum())
        low, high = (step, high) if lost <= loss * power else (low, step)
    return float(np.float32(max(low, float(np.abs(along).max()) / MOST)))


@dataclass(frozen=True, eq=False, kw_only=True)
class CodedBank(Payload):
    """M rows of S sites as `Codes`, in the order of their sites, products and ranks.

    `packed` holds the reflections of each site, then the whole numbers of one site after the other,
    P axes for each. Beside them stay a site's own rows as they were, which are judged by.
    """

    SCHEMA: ClassVar[str] = "2"  # 1 had columns of sites and products, and axes as rows of int8

    packed: Annotated[np.ndarray, Array("Z", ("uint8",), least=0, most=255)]
    axes: Annotated[int, Number(least=0, most=MOST_AXES)]  # P
    mean: Annotated[np.ndarray, Array("S D", ("float32",))]
    step: Annotated[np.ndarray, Array("S", ("float32",), least=0)]
    held: Annotated[np.ndarray, Array("S C", ("int64",), least=0, most=MOST_ROWS)]  # rows
    categories: Annotated[tuple[str, ...], Names("C")]
    sites: Annotated[tuple[str, ...], Names("S")]
    images: Annotated[np.ndarray, Array("S C", ("int64",), least=0, most=COUNTS)]
    patches: Annotated[np.ndarray, Array("S C", ("int64",), least=0, most=COUNTS)]
    fingerprint: Fingerprint
    scope: Literal["category", "mixed"] = "category"
    squares: Squares = field(default_factory=no_squares)
    placed: Places = field(default_factory=no_places)
    looked: Places = field(default_factory=no_places)
    ranks: Annotated[  # left out where those of each site are 0, 1 and so on
        np.ndarray, Array("M", ("int32",), least=0, most=MOST_ROWS, optional=True)
    ] = field(default_factory=lambda: np.empty(0, np.int32))
    rows: Annotated[np.ndarray, Array("M D", ("float32",), stays=True)] = field(
        default_factory=lambda: np.empty((0, 0), np.float32)
    )
    source: Annotated[np.ndarray, Array("M", ("int64",), least=0, most=COUNTS, stays=True)] = field(
        default_factory=lambda: np.empty(0, np.int64)
    )
    radius: Annotated[float, Number(least=0, stays=True)] = float("nan")

    def __len__(self) -> int:
        return int(self.held.sum())

    @cached_property
    def site(self) -> np.ndarray:
        """(M,) int32: the number of each row's site."""
        return self._whose // np.int32(len(self.categories))

    @cached_property
    def category(self) -> np.ndarray:
        """(M,) int32: the number of each row's product."""
        return self._whose % np.int32(len(self.categories))

    @cached_property
    def row(self) -> np.ndarray:
        """(M,) int32: the rank of each row in its site's selection."""
        return self.ranks if self.ranks.size else _counted(self.held)

    @property
    def _whose(self) -> np.ndarray:
        return np.repeat(np.arange(self.held.size, dtype=np.int32), self.held.ravel())

    def stands_for(self) -> set[tuple[str, str]]:
        """The (site, category) pairs that it has images of."""
        return {
            (self.sites[s], self.categories[c])
            for s, c in np.argwhere((self.images > 0) | (self.patches > 0)).tolist()
        }

    def check(self) -> None:
        """Refuse what no rows are coded as; nothing is unpacked here.

        Raises:
            UploadError: no row, more axes than features, or other ranks or own rows than rows
                (`shape`), or more than are decoded (`size`).
        """
        features, rows = self.mean.shape[1], len(self)
        if not rows or not features:
            raise UploadError(f"a bank of {rows} rows of {features}", "shape")
        if self.axes > features:
            raise UploadError(f"{self.axes} axes of {features} features", "shape")
        if (size := self.decoded_bytes) > LARGEST_ROWS:
            raise UploadError(
                f"rows of {size:,} bytes when decoded, expected at most {LARGEST_ROWS:,}", "size"
            )
        if {len(self.ranks), len(self.rows), len(self.source)} - {0, rows}:
            raise UploadError(f"a bank of {rows} rows, and columns of others", "shape")
        if self.categories != tuple(sorted(self.categories)):
            raise UploadError("a bank whose categories are not in order", "names")
        if len({getattr(self, name).size > 0 for name in SUMS}) > 1:
            raise UploadError(f"a bank with some of {', '.join(SUMS)} alone", "fields")
        if self.squares.size and features <= COLUMNS:
            raise UploadError(f"rows of {features}, of which {COLUMNS} are places", "shape")

    @property
    def decoded_bytes(self) -> int:
        """How large its rows and axes are as float32."""
        return (len(self) + len(self.sites) * self.axes) * self.mean.shape[1] * 4

    @cached_property
    def codes(self) -> list[Codes]:
        """The codes of each site.

        Raises:
            UploadError: bytes that do not unpack to the axes and rows that are there.
        """
        sites, features = self.mean.shape
        shapes = [(self.axes, rows) for rows in self.held.sum(1).tolist()]
        sizes = [length(features, self.axes)] * sites + [axes * rows for axes, rows in shapes]
        found = np.split(_decompressed(self.packed, sum(sizes)), np.cumsum(sizes)[:-1])
        return [
            Codes(
                numbers=np.ascontiguousarray(found[sites + k].reshape(shape).T),
                reflections=found[k],
                mean=self.mean[k],
                step=float(self.step[k]),
            )
            for k, shape in enumerate(shapes)
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
            category=self.category,
            site=self.site,
            row=self.row,
            **_shared(self),
        )


def coded_bank(bank: Bank, loss: float) -> CodedBank:
    """A site's own bank in codes, and its rows beside them."""
    own = _in_order(bank.with_own(bank.sealed(bank.sites[0], "float32")))
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
    bank, parts = _in_order(bank), []
    for number, name in enumerate(bank.sites):
        upload, ranks = by_site[name], bank.row[bank.site == number]
        sorter = np.argsort(upload.row, kind="stable")
        (codes,) = upload.codes
        parts.append(codes.take(sorter[np.searchsorted(upload.row[sorter], ranks)]))
    return _joined(bank, parts)


def _joined(bank: Bank, parts: Sequence[Codes], **own: Any) -> CodedBank:
    """The codes of each site of a bank, whose rows are in order, as one."""
    axes = max(part.numbers.shape[1] for part in parts)
    parts = [part.wider(axes) for part in parts]
    held = np.zeros(bank.images.shape, np.int64)
    np.add.at(held, (bank.site, bank.category), 1)
    in_turn = np.array_equal(bank.row, _counted(held))
    return CodedBank(
        packed=_compressed([p.reflections for p in parts] + [p.numbers.T for p in parts]),
        axes=axes,
        mean=np.stack([part.mean for part in parts]),
        step=np.array([part.step for part in parts], np.float32),
        held=held,
        ranks=np.empty(0, np.int32) if in_turn else bank.row,
        **_shared(bank),
        **own,
    )


def _in_order(bank: Bank) -> Bank:
    """Its rows in the order of their sites, products and ranks."""
    return bank.take(np.lexsort((bank.row, bank.category, bank.site)))


def _counted(held: np.ndarray) -> np.ndarray:
    """(M,) int32: the ranks of rows (S, C), where each site's are 0, 1 and so on."""
    return np.concatenate([np.arange(rows, dtype=np.int32) for rows in held.sum(1).tolist()])


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


def _compressed(parts: Sequence[np.ndarray]) -> np.ndarray:
    numbers = b"".join(part.tobytes() for part in parts)
    made = lzma.compress(numbers, format=lzma.FORMAT_RAW, filters=FILTERS)
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
