"""What travels between the stages: frozen, checked once where it is made.

Sizes are named once, here: B images of H x W pixels, a grid of h x w patches an image, D features
a patch, M rows a bank, C categories (products), S sites.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from fedad.messages.faults import Fault

GOOD = "good"  # the folder and label of images without a defect
VALIDATION = "validation"  # the split of good images that thresholds come from, nothing else


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


@dataclass(frozen=True)
class Reading:
    """How a site's image files are read: what it knows of its cameras, and what of what they wrote
    about a picture is followed. See `data.bits`, `.white`, `.orientation`, `.profile` and
    `.most-megapixels`.

    No fingerprint has it: it says what a file means, so that features of two cameras agree, and
    sites with other cameras set it otherwise.
    """

    white: float | None = None  # which value of more than 8 bits is white; None: the largest
    bits: bool = False  # whether what a file says of its bits comes first
    orientation: bool = False  # whether a tag that says to turn the picture is followed
    profile: bool = False  # whether colours are converted by the file's profile
    most_pixels: int = 40_000_000  # a camera of 7,680 x 4,320 has 33 million
    turn: int = 0  # degrees that a copy of the picture is turned by, see `embedders/turns.py`

    @property
    def mark(self) -> str:
        """What tells features and facts of files read otherwise than usual apart; empty: as
        usual."""
        usual = Reading(most_pixels=self.most_pixels)
        told = (self.white, self.bits, self.orientation, self.profile)
        turned = (self.turn,) if self.turn else ()
        return "" if self == usual else repr(told + turned)


@dataclass(frozen=True, eq=False)
class Channel:
    """A ground-truth mask file: one reading of a defect, and what its pixel values mean.

    `values` is "listed" where a mask has one value and `saturation` says what saturates such a
    region, and "any" where all that is not background is the defect, all of which must be found;
    "classes" where each value is a defect of its own, all of which must be found.
    """

    path: Path
    saturation: Mapping[int, Saturation]
    values: Literal["listed", "any", "classes"] = "listed"
    reading: Reading = Reading()


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
    split: str  # "train", "test", or "validation": good images that nothing is learned from
    defect: str  # GOOD, or the name of the defect
    path: Path
    masks: tuple[Channel, ...] | None = ()
    kind: str = ""
    group: str = ""  # images of one group are of one part; empty: of a part of its own
    label: str = ""  # what its name ends with where a file's stem would not tell it from others
    reading: Reading = Reading()  # of its file; its masks have the same
    roi: Path | None = None  # mask of the region of interest; outside it nothing is looked at

    @property
    def part(self) -> str:
        """Of which part of its category the image is; see `data.group`."""
        return f"{self.category}: {self.group}" if self.group else self.name

    @property
    def name(self) -> str:
        """Unique within a data set, such as `pipe_clip/test/unclipped/0003`."""
        return f"{self.category}/{self.split}/{self.defect}/{self.file}"

    @property
    def file(self) -> str:
        """The file's part of the name: its stem, with its ending where two files share a stem, and
        with the folders above it where a data set has them deeper."""
        return self.label or self.path.stem

    @property
    def is_good(self) -> bool:
        return self.defect == GOOD


def parts_shown(samples: Sequence[Sample]) -> tuple[str, ...]:
    """(B,): the part that each image shows; empty where `data.group` says nothing of any."""
    return tuple(sample.part for sample in samples) if any(s.group for s in samples) else ()


class Unused(NamedTuple):
    """A file or folder that a data set's reader found and does not use, and why in a few words."""

    path: Path
    why: str


@dataclass(frozen=True, eq=False)
class Dataset:
    """The samples below `root` in the order of their names, and what may be done with them.

    `unused` is all else that was found there, `notes` say how the folders were understood, and
    `folders` has each category's own folder, where its `sites.csv` and configuration are.
    """

    name: str
    root: Path
    licence: str
    samples: tuple[Sample, ...]
    faults: tuple[Fault, ...] = ()  # of folders; what is wrong with a file is found by reading it
    unused: tuple[Unused, ...] = ()
    notes: tuple[str, ...] = ()
    folders: Mapping[str, Path] = field(default_factory=dict)

    @property
    def categories(self) -> tuple[str, ...]:
        return tuple(sorted({sample.category for sample in self.samples}))

    def folder(self, sample: Sample) -> Path:
        """The folder of a sample's category."""
        return self.folders.get(sample.category) or sample.path.parents[2]

    @property
    def warnings(self) -> tuple[str, ...]:
        """The faults as sentences."""
        return tuple(fault.text for fault in self.faults)


@dataclass(frozen=True, eq=False)
class Site:
    """One plant: its name, its good images to learn from, its images to judge.

    `held` are good images that nothing is learned from, held out or of a validation split:
    thresholds come from them.
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
    size: int | str  # a square's side, or how else images are brought to the network
    transform: str
    precision: str = "float32"
    patches: int = 0  # of an image: height times width of its grid
    projection: str = ""  # sha256 of the public projection that features went through; empty: none
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


class Turned(NamedTuple):
    """Training images at other turns, which are no images: further patches of those that they are
    copies of; see `embedders/turns.py`."""

    features: Any  # `Features`, or `InParts`
    source: np.ndarray  # of each patch of all copies: which patch of the images it shows


@dataclass(frozen=True, eq=False)
class Features:
    """Patch features of B images: `grid` (B, h, w, D) float32, and each image's category, name."""

    grid: np.ndarray
    categories: tuple[str, ...]  # (B,)
    images: tuple[str, ...]  # (B,)
    fingerprint: Fingerprint
    pixels: Pixels | None = None
    # (B, h, w) bool: False for padding and outside the region of interest, which nothing is learned
    # from and whose score is 0; None: all are valid.
    valid: np.ndarray | None = None
    shown: tuple[str, ...] = ()  # (B,): the part that each image shows; empty: nobody says
    turned: Turned | None = None  # of training images alone, for a method that has `turns`

    def __post_init__(self) -> None:
        if self.grid.ndim != 4 or self.grid.dtype != np.float32:
            raise ValueError(f"features are (B, h, w, D) float32, got {self.grid.shape}")
        if not len(self.grid) == len(self.categories) == len(self.images):
            raise ValueError(
                f"{len(self.grid)} grids, {len(self.categories)} categories and "
                f"{len(self.images)} names do not belong together"
            )
        if self.valid is not None and self.valid.shape != self.grid.shape[:3]:
            raise ValueError(f"{self.valid.shape} valid patches, of {self.grid.shape}")

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
        """The patches (n, D) of a category, or all, that are valid: in one array, since they are in
        memory."""
        wanted = np.array([category in (None, name) for name in self.categories], bool)
        if self.valid is not None:
            yield self.grid[self.valid & wanted[:, None, None]]
        elif wanted.all():
            yield self.patches
        else:
            yield self.grid[wanted].reshape(-1, self.grid.shape[-1])

    def take(self, images: Sequence[int]) -> Features:
        """The features of these images, in this order."""
        return Features(
            grid=self.grid[list(images)],
            categories=tuple(self.categories[k] for k in images),
            images=tuple(self.images[k] for k in images),
            fingerprint=self.fingerprint,
            pixels=None if self.pixels is None else Some(self.pixels, tuple(images)),
            valid=None if self.valid is None else self.valid[list(images)],
            shown=tuple(self.shown[k] for k in images) if self.shown else (),
        )

    def in_memory(self, images: Sequence[int]) -> Features:
        """As `take`: all are in memory already."""
        return self.take(images)


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
    validation: Mapping[str, int] = MappingProxyType({})  # good images for thresholds alone
