"""Good images -> the score above which a part is stopped, for a site and a product.

Held-out images (`data.holdout`) are scored as they are. A product without any has its training
images scored against the bank less each image's own rows: the site alone knows which those are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fedad.config import Config
from fedad.errors import ConfigError
from fedad.evaluation import threshold
from fedad.judging.verdicts import CHUNK, features_for, half_of
from fedad.messages.payload import Payload
from fedad.methods.base import (
    Dividing,
    Forgetting,
    LeavingOut,
    LeftOut,
    Method,
    forgotten,
    method_of,
)
from fedad.plumbing.progress import track
from fedad.types import Sample, Site

if TYPE_CHECKING:  # who only merges needs no network in memory
    from fedad.embedders.embedder import Embed


@dataclass(frozen=True)
class Threshold:
    """The score of one category above which a part is stopped, and how many images it rests on.

    `alone` is that of the scores by the site's own rows alone, and `half` that of the scores by the
    rows of a random half of its training images, at the same wished rate: scores by fewer rows are
    higher. NaN where images are too few for the rate, or a method cannot tell.
    """

    score: float
    images: int
    alone: float = math.nan
    half: float = math.nan


def calibrate(
    config: Config, site: Site, embed: Embed, model: Payload, own: Payload | None
) -> dict[str, Threshold]:
    """A threshold of each of a site's categories at the rate `score.false-rejects`.

    It is NaN, on no image, of a category that the site has no good image to judge by: none was held
    out and the method cannot forget one, or the site has no `own`, which says of what image each of
    its rows is. There are none at all where no site can set one; see `can_calibrate`.
    """
    if not can_calibrate(config):
        return {}
    names = sorted({sample.category for sample in (*site.train, *site.held, *site.test)})
    if own is None:
        return {name: _threshold([], config.score.false_rejects) for name in names}
    parts = parts_of(config, model, own, site.name)
    first, *rest = _scores_by(config, site, embed, [(model, own), *parts])
    rate = config.score.false_rejects
    return {
        name: _threshold(first.get(name, []), rate, *(one.get(name, []) for one in rest))
        for name in names
    }


def parts_of(
    config: Config, model: Payload, own: Payload, site: str
) -> list[tuple[Payload, Payload]]:
    """`model` and `own` with the site's own rows alone, and with those of a random half of its
    training images; nothing of a method that cannot tell."""
    method, half = method_of(config), half_of(config, model, own, site)
    if half is None or not isinstance(method, Dividing):
        return []
    return [method.part(model, own, site), half]


def can_calibrate(config: Config) -> bool:
    """Whether sites that have good images can set thresholds."""
    return config.data.holdout > 0 or isinstance(method_of(config), Forgetting)


def _threshold(scores: Sequence[float], rate: float, *parts: Sequence[float]) -> Threshold:
    return Threshold(_score(scores, rate), len(scores), *(_score(part, rate) for part in parts))


def _score(scores: Sequence[float], rate: float) -> float:
    try:
        return threshold(np.array(scores), rate)
    except ConfigError:  # too few for the rate: the run goes on, and says so
        return math.nan


def good_scores(
    config: Config, site: Site, embed: Embed, model: Payload, own: Payload
) -> dict[str, list[float]]:
    """By category, the score of each held-out image; of a category without any, of each training
    image by a model without its rows.

    An image whose rows are all that the model knows of its category has none.
    """
    (found,) = _scores_by(config, site, embed, [(model, own)])
    return found


def _scores_by(
    config: Config, site: Site, embed: Embed, models: Sequence[tuple[Payload, Payload]]
) -> list[dict[str, list[float]]]:
    """What `good_scores` says of each of several models and what the site has of it; every image
    is embedded once."""
    method, found = method_of(config), [dict[str, list[float]]() for _ in models]
    images = _calibrating(site, isinstance(method, Forgetting))
    left_out = [_left_out(method, model, own, site.name) for model, own in models]
    with track("calibrating", len(images)) as progress:
        for at in range(0, len(images), CHUNK):
            some = images[at : at + CHUNK]
            features = features_for(method, embed, [sample for sample, _ in some])
            for k, (sample, number) in enumerate(some):
                one = features.take([k])
                for of, (model, own), without in zip(found, models, left_out, strict=True):
                    score = None
                    if number is not None:
                        score = without(one, number)
                    elif method.judges(model, sample.category):
                        score = float(method.score(model, one, own=own)[1][0])
                    if score is not None:
                        of.setdefault(sample.category, []).append(score)
                progress(at + k + 1)
    return found


def _left_out(method: Method, model: Payload, own: Payload, site: str) -> LeftOut:
    """What scores a training image by a model without it."""
    if isinstance(method, LeavingOut):
        return method.leaving_out(model, own, site)
    return forgotten(method, model, own, site)


def _calibrating(site: Site, forgets: bool) -> list[tuple[Sample, int | None]]:
    """The images that thresholds rest on; of a training image, its number too.

    It is settled a category: one whose held-out images are all lost, or that had too few for
    `data.holdout` to leave one, has its training images, where the method can forget.
    """
    held = {sample.category for sample in site.held}
    train = [(s, k) for k, s in enumerate(site.train) if forgets and s.category not in held]
    return [*((sample, None) for sample in site.held), *train]
