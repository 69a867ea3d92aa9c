"""Good images -> the score above which a part is stopped, for a site and a product.

Held-out images (`data.holdout`) are scored as they are. Without them every training image is scored
against the bank less that image's own rows: the site alone knows which those are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fedad.config import Config
from fedad.errors import ConfigError
from fedad.evaluation import threshold
from fedad.judging.verdicts import CHUNK, features_for
from fedad.messages.payload import Payload
from fedad.methods.base import Forgetting, method_of
from fedad.plumbing.progress import track
from fedad.types import Sample, Site

if TYPE_CHECKING:  # who only merges needs no network in memory
    from fedad.embedders.embedder import Embed


@dataclass(frozen=True)
class Threshold:
    """The score of one category above which a part is stopped, and how many images it rests on.

    NaN where those are too few for the wished rate.
    """

    score: float
    images: int


def calibrate(
    config: Config, site: Site, embed: Embed, model: Payload, own: Payload | None
) -> dict[str, Threshold]:
    """The thresholds of a site's categories at the rate `score.false-rejects`.

    There are none where nothing was held out and the method cannot forget an image, nor without the
    site's `own`, which says of what image each of its rows is; see `can_calibrate`.
    """
    if own is None or not (site.held or isinstance(method_of(config), Forgetting)):
        return {}
    scores = good_scores(config, site, embed, model, own)
    return {name: _threshold(found, config.score.false_rejects) for name, found in scores.items()}


def can_calibrate(config: Config) -> bool:
    """Whether sites that have good images can set thresholds."""
    return config.data.holdout > 0 or isinstance(method_of(config), Forgetting)


def _threshold(scores: Sequence[float], rate: float) -> Threshold:
    try:
        return Threshold(threshold(np.array(scores), rate), len(scores))
    except ConfigError:  # too few for the rate: the run goes on, and says so
        return Threshold(float("nan"), len(scores))


def good_scores(
    config: Config, site: Site, embed: Embed, model: Payload, own: Payload
) -> dict[str, list[float]]:
    """By category, what `_scores` says of a site's good images."""
    found: dict[str, list[float]] = {}
    for sample, score in _scores(config, site, embed, model, own):
        found.setdefault(sample.category, []).append(score)
    return found


def _scores(
    config: Config, site: Site, embed: Embed, model: Payload, own: Payload
) -> Iterator[tuple[Sample, float]]:
    """The score of each held-out image, or of each training image by a model without its rows.

    An image whose rows are all that the model knows of its category has none.
    """
    method, images = method_of(config), site.held or site.train
    with track("calibrating", len(images)) as progress:
        for at in range(0, len(images), CHUNK):
            features = features_for(method, embed, images[at : at + CHUNK])
            for k, sample in enumerate(images[at : at + CHUNK]):
                rest, mine = model, own
                if not site.held and isinstance(method, Forgetting):
                    rest, mine = method.without_image(model, own, site.name, at + k)
                if method.judges(rest, sample.category):
                    _, scores = method.score(rest, features.take([k]), own=mine)
                    yield sample, float(scores[0])
                progress(at + k + 1)
