"""A model and a site's test images -> verdicts, one image at a time, so that memory is bounded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from fedad.config import Config
from fedad.embedders.embedder import Embed
from fedad.images import image_size, read_region
from fedad.methods.base import method_of
from fedad.metrics import Scored
from fedad.progress import track
from fedad.scoring._images import full_size
from fedad.types import Bank, Region, Sample

CHUNK = 64  # images whose features are in memory at a time


class Verdict(NamedTuple):
    """A test image, and what the detector says of it at the image's own size."""

    sample: Sample
    scored: Scored


def judge(
    config: Config,
    samples: Sequence[Sample],
    embed: Embed,
    model: Bank,
    *,
    own: Bank | None = None,
) -> Iterator[Verdict]:
    """The verdict on each of `samples`, in their order.

    Raises:
        DataError: an image or a mask that cannot be read, or a category that the model lacks.
    """
    method = method_of(config)
    with track("judging", len(samples)) as progress:
        for at in range(0, len(samples), CHUNK):
            some = samples[at : at + CHUNK]
            maps, scores = method.score(model, embed(some), own=own)
            for done, (sample, patches, score) in enumerate(
                zip(some, maps, scores, strict=True), start=at + 1
            ):
                yield Verdict(sample, _scored(sample, patches, float(score), config))
                progress(done)


def _scored(sample: Sample, patches: np.ndarray, score: float, config: Config) -> Scored:
    size = image_size(sample.path)
    side, sigma = config.embedder.size, config.score.sigma
    return Scored(
        map=full_size(patches, size, side=side, sigma=sigma),
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
    return tuple(read_region(channel, size) for channel in sample.masks)
