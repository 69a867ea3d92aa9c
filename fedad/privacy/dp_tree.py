"""A bank of noisy centres instead of patches: differential privacy for each image, or each part.

The upload's rows are replaced, product by product, by the centres of `fedad/dp/tree.py`. Whoever
holds them learns almost the same whether any one image was there or not: for every set of banks,
its chance with the image is at most exp(epsilon) times its chance without, plus delta, and the
other way round. One upload of one product at one site costs that much; a second one costs more,
and replacing an image about twice as much as adding or removing it.

Of the images nothing else leaves: the bank has the public form of `fedad/dp/released.py`, as many
bytes whatever the images are, and no image's content raises an error. That a product is made at a
site is not hidden. Patches are seen through a public projection (`fedad/dp/public.py`), so that a
bank has its dimensions and names its digest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from fedad.banks.bank import Bank
from fedad.dp.levels import BLOCKS, LEVELS, noises
from fedad.dp.noise import Noise
from fedad.dp.public import Public, public_of
from fedad.dp.released import DTYPE, IMAGES, ROWS
from fedad.dp.tree import Centres, Unit, padded, release
from fedad.errors import ConfigError
from fedad.messages.payload import Payload
from fedad.privacy.base import Gaussians, Receipt
from fedad.types import Features

if TYPE_CHECKING:  # who only merges needs no network in memory
    from fedad.embedders.in_parts import InParts

__all__ = ["dp_tree"]

PRIVATE = True
PROJECTED = True


@dataclass(frozen=True)
class Knobs:
    """`dp_tree.*`: how much may be told of what, and where the tree starts."""

    # Of one upload of one product; delta is well below one in the number of units.
    epsilon: Annotated[float, Field(ge=0.01, le=50)] = 10.0
    delta: Annotated[float, Field(ge=1e-12, le=1e-3)] = 1e-5
    # Where parts lie alike in all images, from blocks of positions; else from public centres.
    start: Literal["positions", "codebook"] = "positions"
    unit: Literal["image", "part"] = "image"  # whose presence is hidden; parts are `data.group`'s
    stride: Annotated[int, Field(ge=1)] = 2  # every so many-th patch in height and width is used


def dp_tree(
    upload: Payload, features: Features | InParts, *, noise: Noise, settings: Knobs = Knobs()
) -> tuple[Payload, Receipt]:
    """`upload` with noisy centres for rows, float16; see the module and `base.Release`.

    Raises:
        ConfigError: the method does not upload a bank of products apart, no public projection of
            this embedding is there, or the unit is a part and nothing says which part an image
            shows.
    """
    if not isinstance(upload, Bank):
        raise ConfigError(
            f"privacy.release = 'dp_tree': it releases the rows of a bank, and this method uploads "
            f"{upload.record()!r}: use round.method = 'patchcore'"
        )
    if upload.scope != "category":
        raise ConfigError(
            f"bank.scope = {upload.scope!r}: expected 'category' with privacy.release = 'dp_tree', "
            "which releases each product by itself"
        )
    from fedad.dp.gaussian import multiplier

    public, start = public_of(features.fingerprint), settings.start
    shown = _shown(features, settings)
    mu = 1 / multiplier(settings.epsilon, settings.delta)
    found = []
    for category in upload.categories:
        units = units_of(features, category, public, shown, settings.stride)
        found.append(release(units, public, LEVELS[start], mu, noise))
    receipt = Gaussians(
        release="dp_tree",
        images=dict(Counter(features.categories)),
        epsilon=settings.epsilon,
        delta=settings.delta,
        unit=settings.unit,
        noise=noises(LEVELS[start], mu),
        private=noise.private,
    )
    return _bank(upload, found, public), receipt


def units_of(
    features: Features | InParts,
    category: str,
    public: Public,
    shown: tuple[str, ...],
    stride: int,
) -> list[Unit]:
    """The units of a category, projected: 264 bytes for each patch that is used stay in memory.

    Args:
        shown: (B,) of which unit each image is.
    """
    found: dict[str, list[Unit]] = {}
    for image, unit in _images(features, category, public, stride):
        found.setdefault(shown[image], []).append(unit)
    return [
        images[0] if len(images) == 1 else Unit(*map(np.concatenate, zip(*images, strict=True)))
        for images in found.values()
    ]


def _images(
    features: Features | InParts, category: str, public: Public, stride: int
) -> Iterator[tuple[int, Unit]]:
    """The number and the valid patches of each image of a category, from features that may come in
    pieces that end anywhere."""
    images = [k for k, name in enumerate(features.categories) if name == category]
    h, w, _ = features.shape
    blocks, used = _blocks(h, w), _used(h, w, stride)
    if features.valid is None:
        patches = [np.arange(h * w)] * len(images)
    else:
        patches = [np.flatnonzero(features.valid[k]) for k in images]
    pieces = _Pieces(iter(_streamed(features, category, images)), features.shape[2])
    for image, at in zip(images, patches, strict=True):
        kept = used[at]
        yield image, Unit(public.project(pieces.next(len(at))[kept]), blocks[at[kept]])


class _Pieces:
    """Patches that come in pieces, taken so many at a time."""

    def __init__(self, pieces: Iterator[np.ndarray], size: int) -> None:
        self.pieces, self.rest = pieces, np.empty((0, size), np.float32)

    def next(self, count: int) -> np.ndarray:
        while len(self.rest) < count:
            piece = next(self.pieces)
            self.rest = np.concatenate([self.rest, piece]) if len(self.rest) else piece
        taken, self.rest = self.rest[:count], self.rest[count:]
        return taken


def _streamed(
    features: Features | InParts, category: str, images: Iterable[int]
) -> Iterable[np.ndarray]:
    if isinstance(features, Features):  # one at a time: all at once would be a copy of all
        return chain.from_iterable(features.take([k]).parts() for k in images)
    return features.parts(category)


def _blocks(h: int, w: int) -> np.ndarray:
    """(h w,) int: in which of BLOCKS x BLOCKS blocks each position lies."""
    y, x = np.divmod(np.arange(h * w), w)
    return y * BLOCKS // h * BLOCKS + x * BLOCKS // w


def _used(h: int, w: int, stride: int) -> np.ndarray:
    """(h w,) bool: every so many-th row and column, the first among them."""
    y, x = np.divmod(np.arange(h * w), w)
    return (y % stride == 0) & (x % stride == 0)


def _shown(features: Features | InParts, settings: Knobs) -> tuple[str, ...]:
    """(B,): of which unit each image is."""
    count = len(features.categories)
    if settings.unit == "image":
        return tuple(map(str, range(count)))
    if len(features.shown) != count:
        raise ConfigError(
            "dp_tree.unit = 'part': nothing says which images are of one part: set data.group, or "
            "dp_tree.unit to image"
        )
    return features.shown


def _bank(upload: Bank, found: Sequence[Centres], public: Public) -> Bank:
    """The bank of these centres, ROWS a category with their padding, and nothing else of `upload`
    but its names."""
    count = len(found)
    rows = np.concatenate([padded(centres, ROWS, public.longest) for centres in found])
    return Bank(
        rows=rows,
        category=np.repeat(np.arange(count, dtype=np.int32), ROWS),
        site=np.zeros(len(rows), np.int32),
        row=np.arange(len(rows), dtype=np.int32),
        categories=upload.categories,
        sites=upload.sites,
        images=np.full((1, count), IMAGES, np.int64),
        patches=np.array([[min(ROWS, len(centres.points)) for centres in found]], np.int64),
        fingerprint=replace(upload.fingerprint, projection=public.digest),
        dtype=DTYPE,
        scope=upload.scope,
    )
