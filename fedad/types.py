"""What travels between the stages: frozen, checked once where it is made.

Sizes are named once, here: B images of H x W pixels, a grid of h x w patches an image, D features
a patch, M rows a bank, C categories (products), S sites.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from fedad.messages.faults import Fault

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


class Pixels(Protocol):
    """The images behind some features, read from the site's disk when they are asked for.

    Only a method that says `needs_pixels` gets them, and only at the site.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, image: int) -> np.ndarray:
        """(H, W, 3) uint8 RGB, of the image's own size."""
        ...

    def embed(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Features (n, h, w, D) float32 of other images (H, W, 3) uint8, by the same network."""
        ...


@dataclass(frozen=True, eq=False)
class Features:
    """Patch features of B images: `grid` (B, h, w, D) float32, and each image's category, name."""

    grid: np.ndarray
    categories: tuple[str, ...]  # (B,)
    images: tuple[str, ...]  # (B,)
    fingerprint: Fingerprint
    pixels: Pixels | None = None

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

    @property
    def shape(self) -> tuple[int, int, int]:
        """(h, w, D) of an image's features."""
        return self.grid.shape[1:]

    def parts(self, category: str | None = None) -> Iterator[np.ndarray]:
        """The patches (n, D) of a category, or all, of whole images: in one array, since they are
        in memory."""
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
            pixels=None if self.pixels is None else Some(self.pixels, tuple(images)),
        )


@dataclass(frozen=True)
class Some:
    """Some of the images of other pixels, by their numbers."""

    pixels: Pixels
    numbers: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, image: int) -> np.ndarray:
        return self.pixels[self.numbers[image]]

    def embed(self, images: Sequence[np.ndarray]) -> np.ndarray:
        return self.pixels.embed(images)


class Enrolled(NamedTuple):
    """What a site said of itself before it was asked for anything."""

    site: str
    train: Mapping[str, int]  # category -> good images to learn from
    test: Mapping[str, int]
    fingerprint: Fingerprint
    features: int  # D
    longest: float  # length of a patch in its probe
