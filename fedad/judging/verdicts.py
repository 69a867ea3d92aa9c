"""A model and a site's test images -> verdicts, one image at a time, so that memory is bounded."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fedad.config import Config
from fedad.embedders.box import box_of
from fedad.evaluation import Scored
from fedad.images.pixels import image_size
from fedad.images.regions import regions_of
from fedad.images.roi import region_of
from fedad.messages.payload import Payload
from fedad.methods.base import Dividing, Method, Tracing, method_of, scores_where_judged
from fedad.plumbing.progress import track
from fedad.seeding import stream
from fedad.types import Features, Region, Sample

if TYPE_CHECKING:  # who only merges needs no network in memory
    from fedad.embedders.embedder import Embed

CHUNK = 64  # images whose features are in memory at a time, at most,
MOST_BYTES = 2**29  # and what they may take; one that takes more is alone


class Trace(NamedTuple):
    """By whose normal rows a test image was judged.

    `alone` is the image's score by the judging site's own rows of the bank, `half` that by the rows
    of a random half of its training images; NaN where it has none.
    """

    sites: tuple[str, ...]
    nearest: np.ndarray  # (h, w) int32: number in `sites` of whose row is nearest to each patch
    distance: np.ndarray  # (h, w) float32: to that row
    alone: float
    half: float = math.nan

    @property
    def oddest(self) -> str:
        """Whose row is nearest to the patch that is farthest from all."""
        return oddest(self.sites, self.nearest, self.distance)


def oddest(sites: Sequence[str], nearest: np.ndarray, distance: np.ndarray) -> str:
    """Of the sites numbered in `nearest` (h, w), that of the patch with the largest `distance`."""
    number = int(nearest.ravel()[int(distance.argmax())])
    return sites[number] if number >= 0 else ""  # of an image that is all background


class Verdict(NamedTuple):
    """A test image, and what the detector says of it at the image's own size."""

    sample: Sample
    scored: Scored
    trace: Trace | None = None  # of a site's own images, by a method that can tell


def judge(
    config: Config,
    samples: Sequence[Sample],
    embed: Embed,
    model: Payload,
    *,
    own: Payload | None = None,
    site: str = "",
    traced: bool = False,
) -> Iterator[Verdict]:
    """The verdict on each of `samples`, in their order; traced where they are of a `site`, or asked
    for.

    Raises:
        DataError: an image or a mask that cannot be read, or a category that the model lacks.
    """
    method = method_of(config)
    half = half_of(config, model, own, site) if site and own is not None else None
    with track("judging", len(samples)) as progress:
        at_once = chunk_of(embed)
        for at in range(0, len(samples), at_once):
            some = samples[at : at + at_once]
            features = features_for(method, embed, some)
            asked = site if site or traced else None
            maps, scores, traces = _judged(method, model, features, own, asked, half=half)
            valid = [None] * len(some) if features.valid is None else [*features.valid]
            del features  # of one large image they may be half a gigabyte, and so may be its map
            for done, (sample, patches, score, trace, shown) in enumerate(
                zip(some, maps, scores, traces, valid, strict=True), start=at + 1
            ):
                scored = _scored(sample, patches, float(score), config, shown)
                yield Verdict(sample, scored, trace)
                progress(done)


def chunk_of(embed: Embed) -> int:
    """Images whose features are in memory at a time: fewer where one takes more than usual."""
    bytes_ = 4 * math.prod(getattr(embed, "shape", (0,)))
    return max(1, min(CHUNK, MOST_BYTES // max(1, bytes_)))


def features_for(method: Method, embed: Embed, samples: Sequence[Sample]) -> Features:
    """The features of samples, with their images where the method needs them."""
    features = embed(samples)
    if method.needs_pixels:
        from fedad.embedders.pixels import with_pixels

        return with_pixels(features, embed, samples)
    return features


def half_of(
    config: Config, model: Payload, own: Payload, site: str
) -> tuple[Payload, Payload] | None:
    """`model` and `own` with what a random half of a site's training images gave; None of a method
    that cannot tell. Thresholds and verdicts take the same half."""
    method = method_of(config)
    if not isinstance(method, Dividing):
        return None
    return method.part(model, own, site, rng=stream(config.round.seed, site, "halves"))


def _judged(
    method: Method,
    model: Payload,
    features: Features,
    own: Payload | None,
    site: str | None,
    *,
    half: tuple[Payload, Payload] | None,
) -> tuple[np.ndarray, np.ndarray, list[Trace | None]]:
    """Patch maps, image scores and traces."""
    if site is None or not isinstance(method, Tracing):
        maps, scores = method.score(model, features, own=own)
        return maps, scores, [None] * len(maps)
    found = method.trace(model, features, own=own, site=site)
    names = [found.sites] * len(found.maps)
    halves = np.full(len(names), np.nan)
    if half is not None:
        halves = scores_where_judged(method, half[0], features, half[1])
    traces = map(Trace, names, found.nearest, found.maps, found.alone.tolist(), halves.tolist())
    return found.maps, found.scores, list(traces)


def _scored(
    sample: Sample, patches: np.ndarray, score: float, config: Config, valid: np.ndarray | None
) -> Scored:
    from fedad.judging.full_size import full_size

    size = image_size(sample.path, sample.reading)
    box, sigma = box_of(config.embedder), config.score.sigma
    filled = box.filled(size)
    map_ = full_size(patches, size, side=box.canvas, sigma=sigma, filled=filled, valid=valid)
    if (region := region_of(sample, size)) is not None:
        map_ = np.where(region, map_, np.float32(0))
    return Scored(
        map=map_,
        regions=_regions(sample, size),
        category=sample.category,
        defect=sample.defect,
        kind=sample.kind,
        score=score,
        name=str(sample.path),
    )


def _regions(sample: Sample, size: tuple[int, int]) -> tuple[Region, ...] | None:
    if sample.masks is None:
        return None
    return regions_of(sample.masks, size)
