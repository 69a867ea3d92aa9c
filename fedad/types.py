"""What travels between the stages: frozen, checked once where it is made.

Sizes are named once, here: B images of H x W pixels, a grid of h x w patches an image, D features
a patch, M rows a bank, C categories (products), S sites.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fedad.errors import MismatchError
from fedad.faults import Fault

GOOD = "good"  # the folder and label of images without a defect


@dataclass(frozen=True)
class Saturation:
    """How much of a defect must be found to have found all of it.

    `threshold` is a share of the region's pixels where `relative`, else a number of pixels.
    """

    threshold: float
    relative: bool

    def area(self, pixels: int) -> int:
        """The pixels, 1 to `pixels`, at which a region of `pixels` pixels counts as found."""
        wanted = math.floor(self.threshold * pixels) if self.relative else int(self.threshold)
        return max(1, min(wanted, pixels))


@dataclass(frozen=True, eq=False)
class Channel:
    """A ground-truth mask file: one reading of a defect, and what its pixel values mean."""

    path: Path
    saturation: Mapping[int, Saturation]


@dataclass(frozen=True, eq=False)
class Region:
    """A ground-truth mask (H, W) bool and the pixels of it that saturate its sPRO."""

    mask: np.ndarray
    saturation: int

    def __post_init__(self) -> None:
        pixels = int(np.count_nonzero(self.mask))
        if self.mask.ndim != 2 or self.mask.dtype != np.bool_ or not 1 <= self.saturation <= pixels:
            raise ValueError(
                f"a region is an (H, W) bool mask and a saturation of 1 to its {pixels} pixels, "
                f"got {self.mask.shape} {self.mask.dtype} and {self.saturation}"
            )


@dataclass(frozen=True, eq=False)
class Sample:
    """One image file of a data set.

    `masks` is None where the data set says nothing of where the defect is, and empty for a good
    image. `kind` is "structural" or "logical" where the data set says so.
    """

    category: str
    split: str  # "train" or "test"
    defect: str  # GOOD, or the name of the defect
    path: Path
    masks: tuple[Channel, ...] | None = ()
    kind: str = ""

    @property
    def name(self) -> str:
        """Unique within a data set, such as `pipe_clip/test/unclipped/0003`."""
        return f"{self.category}/{self.split}/{self.defect}/{self.path.stem}"

    @property
    def is_good(self) -> bool:
        return self.defect == GOOD


@dataclass(frozen=True, eq=False)
class Dataset:
    """The samples below `root` in the order of their names, and what may be done with them."""

    name: str
    root: Path
    licence: str
    samples: tuple[Sample, ...]
    faults: tuple[Fault, ...] = ()  # of folders; what is wrong with a file is found by reading it

    @property
    def categories(self) -> tuple[str, ...]:
        return tuple(sorted({sample.category for sample in self.samples}))

    @property
    def warnings(self) -> tuple[str, ...]:
        """The faults as sentences."""
        return tuple(fault.text for fault in self.faults)


@dataclass(frozen=True, eq=False)
class Site:
    """One plant: its name, its good images to learn from, its images to judge.

    `held` are good images that nothing is learned from: thresholds come from them.
    """

    name: str
    train: tuple[Sample, ...]
    test: tuple[Sample, ...]
    held: tuple[Sample, ...] = ()


@dataclass(frozen=True)
class Fingerprint:
    """How features were made. Two banks mix only if all but `threads` and `batch` agree:
    those change the last bits of a feature, the others change what it means."""

    backbone: str
    weights: str  # sha256 of the tensors
    layers: str
    grid: str
    pool: int
    size: int
    transform: str
    precision: str = "float32"
    patches: int = 0  # of an image: height times width of its grid
    threads: int = 0
    batch: int = 0

    def differences(self, other: Fingerprint) -> list[str]:
        """`field: ours and theirs` for each field that keeps two banks from mixing."""
        ours, theirs = vars(self), vars(other)
        return [
            f"{name}: {ours[name]} and {theirs[name]}"
            for name in ours
            if name not in ("threads", "batch") and ours[name] != theirs[name]
        ]


@dataclass(frozen=True, eq=False)
class Features:
    """Patch features of B images: `grid` (B, h, w, D) float32, and each image's category, name."""

    grid: np.ndarray
    categories: tuple[str, ...]  # (B,)
    images: tuple[str, ...]  # (B,)
    fingerprint: Fingerprint

    def __post_init__(self) -> None:
        if self.grid.ndim != 4 or self.grid.dtype != np.float32:
            raise ValueError(f"features are (B, h, w, D) float32, got {self.grid.shape}")
        if not len(self.grid) == len(self.categories) == len(self.images):
            raise ValueError(
                f"{len(self.grid)} grids, {len(self.categories)} categories and "
                f"{len(self.images)} names do not belong together"
            )

    @property
    def patches(self) -> np.ndarray:
        """(B h w, D): the patches of all images, one below the other."""
        return self.grid.reshape(-1, self.grid.shape[-1])

    @property
    def patches_per_image(self) -> int:
        return self.grid.shape[1] * self.grid.shape[2]

    def parts(self, category: str | None = None) -> Iterator[np.ndarray]:
        """The patches (n, D) of a category, or all, in as many arrays as memory asks for: one."""
        if category is None or set(self.categories) == {category}:
            yield self.patches
            return
        images = [name == category for name in self.categories]
        yield self.grid[images].reshape(-1, self.grid.shape[-1])

    def take(self, images: Sequence[int]) -> Features:
        """The features of these images, in this order."""
        return Features(
            grid=self.grid[list(images)],
            categories=tuple(self.categories[k] for k in images),
            images=tuple(self.images[k] for k in images),
            fingerprint=self.fingerprint,
        )


def _column() -> np.ndarray:
    return np.empty(0, np.int32)


@dataclass(frozen=True, eq=False)
class Bank:
    """Patch features that stand for what is normal, and where each of them came from.

    Rows keep the order in which they were selected, farthest first, so that a prefix of a site's
    rows is a smaller coreset. `images` and `patches` (S, C) say what the rows stand for: how many
    good images and patches each site had of each category.
    """

    rows: np.ndarray  # (M, D) float32
    category: np.ndarray  # (M,) int32: number of the row's category in `categories`
    site: np.ndarray  # (M,) int32: number of the row's site in `sites`
    row: np.ndarray  # (M,) int32: the row's place in that site's upload
    categories: tuple[str, ...]  # (C,) in order
    sites: tuple[str, ...]  # (S,) in order
    images: np.ndarray  # (S, C) int64
    patches: np.ndarray  # (S, C) int64
    fingerprint: Fingerprint
    dtype: str = "float32"  # what the rows were rounded to when they were sealed
    scope: str = "category"  # whether a patch is compared with its category's rows, or "mixed"
    # Two private fields, which never leave the site: of what patch of its images each row is, and
    # within what distance of a row every patch lies, where that was found in parts.
    source: np.ndarray = field(default_factory=_column)  # (M,) or (0,)
    radius: float = math.nan

    def __post_init__(self) -> None:
        m, table = len(self.rows), (len(self.sites), len(self.categories))
        if self.rows.ndim != 2 or self.rows.dtype != np.float32:
            raise ValueError(
                f"a bank's rows are (M, D) float32, got {self.rows.shape} {self.rows.dtype}"
            )
        if not len(self.category) == len(self.site) == len(self.row) == m:
            raise ValueError(f"{m} rows need as many categories, sites and row numbers")
        if self.images.shape != table or self.patches.shape != table:
            raise ValueError(
                f"{table[0]} sites and {table[1]} categories need tables of that shape, "
                f"got {self.images.shape} and {self.patches.shape}"
            )

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, rows: np.ndarray) -> Bank:
        """The bank of these rows, in this order; what it stands for stays the same."""
        return self.replace(
            rows=np.ascontiguousarray(self.rows[rows]),
            category=self.category[rows],
            site=self.site[rows],
            row=self.row[rows],
            source=self.source[rows] if len(self.source) else self.source,
        )

    def of_category(self, category: str) -> Bank:
        """The rows of one category, and of all that the bank stands for only that category."""
        number = self.categories.index(category)
        rows = np.flatnonzero(self.category == number)
        part = self if len(rows) == len(self) else self.take(rows)  # a copy only if it is needed
        return part.replace(
            category=np.zeros(len(rows), np.int32),
            categories=(category,),
            images=self.images[:, [number]],
            patches=self.patches[:, [number]],
        )

    def replace(self, **fields: object) -> Bank:
        """A copy with these fields changed."""
        return Bank(**{**vars(self), **fields})

    def sealed(self, site: str, dtype: str) -> Bank:
        """One site's bank as it may travel: values rounded once to `dtype`, no private column."""
        largest = float(np.abs(self.rows).max(initial=0))
        if not largest <= float(np.finfo(dtype).max):
            raise ValueError(
                f"a feature is not finite in {dtype}: the largest is {largest:.3g}, and {dtype} "
                f"ends at {float(np.finfo(dtype).max):.6g}"
            )
        rows = self.rows.astype(dtype).astype(np.float32)
        return self.replace(
            rows=rows, sites=(site,), dtype=dtype, source=_column(), radius=math.nan
        )


def join(banks: Sequence[Bank]) -> Bank:
    """One bank with the rows of all `banks`, in that order, and all that they stand for.

    Joining is associative. Images that two banks stand for would count twice, and are refused.

    Raises:
        MismatchError: banks of two backbones, layers or sizes, or two of one site and category.
    """
    first = banks[0]
    for bank in banks[1:]:
        if differing := first.fingerprint.differences(bank.fingerprint):
            raise MismatchError(
                f"banks of {first.sites[0]} and {bank.sites[0]} do not mix ({'; '.join(differing)})"
                ": was one embedded by another backbone, or with other weights or layers?"
            )
        for what, ours, theirs in (
            ("features", first.rows.shape[1], bank.rows.shape[1]),
            ("wire.dtype", first.dtype, bank.dtype),
            ("bank.scope", first.scope, bank.scope),
        ):
            if ours != theirs:
                raise MismatchError(
                    f"banks of {first.sites[0]} and {bank.sites[0]} do not mix "
                    f"({what}: {ours} and {theirs}): do both sites use one configuration?"
                )
    sites = _numbers(name for bank in banks for name in bank.sites)
    categories = _numbers(name for bank in banks for name in bank.categories)
    images = np.zeros((len(sites), len(categories)), np.int64)
    patches = np.zeros_like(images)
    category, site = [], []
    for bank in banks:
        at_site = np.array([sites[name] for name in bank.sites], np.int32)
        at_category = np.array([categories[name] for name in bank.categories], np.int32)
        cells = np.ix_(at_site, at_category)
        if np.any((images[cells] > 0) & (bank.images > 0)):
            raise MismatchError(f"site {bank.sites[0]!r} comes twice: a site uploads once")
        images[cells] += bank.images
        patches[cells] += bank.patches
        category.append(at_category[bank.category])
        site.append(at_site[bank.site])
    return first.replace(
        rows=np.concatenate([bank.rows for bank in banks]),
        category=np.concatenate(category),
        site=np.concatenate(site),
        row=np.concatenate([bank.row for bank in banks]),
        categories=tuple(categories),
        sites=tuple(sites),
        images=images,
        patches=patches,
        source=_column(),
        radius=math.nan,
    )


def _numbers(names: Iterable[str]) -> dict[str, int]:
    """Each name's number in the order of all names."""
    return {name: number for number, name in enumerate(sorted(set(names)))}
