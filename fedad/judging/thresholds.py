"""Good images -> the score above which a part is stopped, for a site and a product.

Held-out images (`data.holdout`) and those of a validation split are scored as they are. A product
of which none was held out also has its training images scored, against the bank less the rows of
each image's part: the site alone knows which those are. Images of one part (`data.group`) count as
one.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fedad.config import NEAREST_SITE, Config, ScoreKnobs
from fedad.errors import ConfigError
from fedad.evaluation import threshold
from fedad.judging.parts import Seen
from fedad.judging.verdicts import chunk_of, features_for, half_of, oddest
from fedad.messages.payload import Payload
from fedad.methods.base import (
    Dividing,
    Forgetting,
    LeavingOut,
    LeftOut,
    Method,
    Tracing,
    forgotten,
    method_of,
)
from fedad.plumbing.progress import track
from fedad.types import Features, Sample, Site

if TYPE_CHECKING:  # who only merges needs no network in memory
    from fedad.embedders.embedder import Embed


@dataclass(frozen=True)
class Threshold:
    """The score of one category above which a part is stopped, and how many parts it rests on.

    `alone` is that of the scores by the site's own rows alone, and `half` that of the scores by the
    rows of a random half of its training images, at the same wished rate: scores by fewer rows are
    higher. NaN where parts are too few for the rate, or a method cannot tell. `by_site` is that of
    parts whose oddest patch is nearest to a row of a site, for each site that enough parts are
    nearest to. `repeated` images show a part that another one shows too, and nothing says so.
    `good` are the scores that it was taken from; they stay at the site.
    """

    score: float
    parts: int
    alone: float = math.nan
    half: float = math.nan
    repeated: int = 0
    by_site: Mapping[str, float] = field(default_factory=dict)
    good: tuple[GoodScore, ...] = ()

    def limit(self, site: str) -> float:
        """The score above which a part is stopped that is nearest to this site's rows."""
        return self.by_site.get(site, self.score)


class GoodScore(NamedTuple):
    """The score of a good image that the model does not know, and of which part it is."""

    score: float
    part: str
    site: str = ""  # whose row is nearest to its oddest patch, where a method can tell
    image: str = ""  # its name, where somebody will ask which it was


def calibrate(
    config: Config, site: Site, embed: Embed, model: Payload, own: Payload | None
) -> dict[str, Threshold]:
    """A threshold of each of a site's categories at the rate `score.false-rejects`.

    Without `own` only images that were held out count: those that a private release was made of are
    in it, and cannot be left out again.

    It is NaN, on no part, of a category that the site has no good image to judge by: none was held
    out and the method cannot forget one, or the site has no `own`, which says of what image each of
    its rows is. There are none at all where the site can set none; see `can_calibrate`.
    """
    if not can_calibrate(config) and not site.held:
        return {}
    names = sorted({sample.category for sample in (*site.train, *site.held, *site.test)})
    parts = parts_of(config, model, own, site.name) if own is not None else []
    seen, see = Seen(), None
    if not config.data.group:  # nothing says which images are of one part: near-duplicates are told
        see = seen.add
    found = _scores_by(config, site, embed, [(model, own), *parts], see=see)
    repeated = seen.repeated()
    rate = config.score.false_rejects
    return {
        name: replace(
            _threshold([one.get(name, []) for one in found], rate),
            repeated=repeated.get(name, 0),
            by_site=limits_by_site(found[0].get(name, []), config.score),
            good=tuple(found[0].get(name, [])),
        )
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
    """Whether sites that have good images, and no validation split, can set thresholds."""
    return config.data.holdout > 0 or isinstance(method_of(config), Forgetting)


def limits_by_site(found: Sequence[GoodScore], knobs: ScoreKnobs) -> dict[str, float]:
    """A threshold for each site that enough of these parts are nearest to; none where all are
    nearest to one, or `score.threshold-by` asks for one a product."""
    sites = sorted({good.site for good in found})
    if knobs.threshold_by != NEAREST_SITE or len(sites) < 2:
        return {}
    limits = {
        site: _score([good for good in found if good.site == site], knobs.false_rejects)
        for site in sites
    }
    return {site: limit for site, limit in limits.items() if not math.isnan(limit)}


def _threshold(found: Sequence[Sequence[GoodScore]], rate: float) -> Threshold:
    """That of the scores by the whole model, with those by parts of it."""
    parts = len({good.part for good in found[0]})
    first, *rest = (_score(some, rate) for some in found)
    alone, half = rest or (math.nan, math.nan)
    return Threshold(first, parts, alone, half)


def _score(found: Sequence[GoodScore], rate: float) -> float:
    try:
        return threshold(np.array([good.score for good in found]), rate, [g.part for g in found])
    except ConfigError:  # too few for the rate: the run goes on, and says so
        return math.nan


def good_scores(
    config: Config, site: Site, embed: Embed, model: Payload, own: Payload
) -> dict[str, list[GoodScore]]:
    """By category, the score of each held-out image; of a category without any, of each training
    image by a model without the rows of its part.

    An image whose part's rows are all that the model knows of its category has none.
    """
    (found,) = _scores_by(config, site, embed, [(model, own)])
    return found


def _scores_by(
    config: Config,
    site: Site,
    embed: Embed,
    models: Sequence[tuple[Payload, Payload | None]],
    see: Callable[[Features], None] | None = None,
) -> list[dict[str, list[GoodScore]]]:
    """What `good_scores` says of each of several models and what the site has of it; every image
    is embedded once, and shown to `see`."""
    method, found = method_of(config), [dict[str, list[GoodScore]]() for _ in models]
    forgets = isinstance(method, Forgetting) and all(own is not None for _, own in models)
    images = _calibrating(site, forgets)
    left_out = [_left_out(method, model, own, site.name) for model, own in models if forgets]
    with track("calibrating", len(images)) as progress:
        at_once = chunk_of(embed)
        for at in range(0, len(images), at_once):
            some = images[at : at + at_once]
            features = features_for(method, embed, [sample for sample, _ in some])
            if see is not None:
                see(features)
            for k, (sample, numbers) in enumerate(some):
                one = features.take([k])
                for number, (of, (model, own)) in enumerate(zip(found, models, strict=True)):
                    score, nearest = None, site.name  # rows of one's own part apart, own rows
                    if numbers:
                        score = left_out[number](one, numbers)
                    elif method.judges(model, sample.category):
                        new = new_scores(method, model, one, own, site.name)
                        score, nearest = new.scores[0], new.sites[0]
                    if score is not None:
                        good = GoodScore(score, sample.part, nearest, sample.name)
                        of.setdefault(sample.category, []).append(good)
                progress(at + k + 1)
    return found


class NewScores(NamedTuple):
    """Of images that a model does not know: maps (B, h, w), scores, and whose row is nearest to the
    oddest patch of each; nobody's where the method cannot tell."""

    maps: np.ndarray
    scores: list[float]
    sites: list[str]


def new_scores(
    method: Method, model: Payload, features: Features, own: Payload | None = None, site: str = ""
) -> NewScores:
    """What a model says of images that it does not know.

    Args:
        own: what the site kept of its own; its rows are nearest in the name of `site`.
    """
    if not isinstance(method, Tracing):
        maps, scores = method.score(model, features, own=own)
        return NewScores(maps, scores.tolist(), [""] * len(maps))
    found = method.trace(model, features, own=own, site="")
    pairs, names = zip(found.nearest, found.maps, strict=True), [n or site for n in found.sites]
    sites = [oddest(names, *pair) for pair in pairs]
    return NewScores(found.maps, found.scores.tolist(), sites)


def _left_out(method: Method, model: Payload, own: Payload | None, site: str) -> LeftOut:
    """What scores a training image by a model without it."""
    if isinstance(method, LeavingOut):
        return method.leaving_out(model, own, site)
    return forgotten(method, model, own, site)


def _calibrating(site: Site, forgets: bool) -> list[tuple[Sample, Sequence[int]]]:
    """The images that thresholds rest on; of a training image, the numbers of all of its part too.

    It is settled a category: one whose held-out images are all lost, or that had too few for
    `data.holdout` to leave one, has its training images, where the method can forget. Images of a
    validation split come to either.
    """
    held, numbers = {s.category for s in site.held if s.split == "train"}, defaultdict(list)
    for number, sample in enumerate(site.train):
        numbers[sample.part].append(number)
    train = [(s, numbers[s.part]) for s in site.train if forgets and s.category not in held]
    return [*((sample, ()) for sample in site.held), *train]
