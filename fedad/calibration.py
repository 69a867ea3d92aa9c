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
from fedad.judging import CHUNK
from fedad.methods.base import Method, method_of
from fedad.metrics import threshold
from fedad.progress import track
from fedad.types import Bank, Features, Sample, Site

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
    config: Config, site: Site, embed: Embed, bank: Bank, own: Bank | None
) -> dict[str, Threshold]:
    """The thresholds of a site's categories at the rate `score.false-rejects`.

    There are none without its `own` bank, which says of what image each of its rows is.
    """
    if own is None:
        return {}
    scores = good_scores(config, site, embed, bank, own)
    return {name: _threshold(found, config.score.false_rejects) for name, found in scores.items()}


def _threshold(scores: Sequence[float], rate: float) -> Threshold:
    try:
        return Threshold(threshold(np.array(scores), rate), len(scores))
    except ConfigError:  # too few for the rate: the run goes on, and says so
        return Threshold(float("nan"), len(scores))


def good_scores(
    config: Config, site: Site, embed: Embed, bank: Bank, own: Bank
) -> dict[str, list[float]]:
    """By category, what `_scores` says of a site's good images."""
    found: dict[str, list[float]] = {}
    for sample, score in _scores(config, site, embed, bank, own):
        found.setdefault(sample.category, []).append(score)
    return found


def _scores(
    config: Config, site: Site, embed: Embed, bank: Bank, own: Bank
) -> Iterator[tuple[Sample, float]]:
    """The score of each held-out image, or of each training image by a bank without its rows.

    An image whose rows are all that the bank knows of its category has none.
    """
    method, images = method_of(config), site.held or site.train
    with track("calibrating", len(images)) as progress:
        for at in range(0, len(images), CHUNK):
            features = embed(images[at : at + CHUNK])
            for k, sample in enumerate(images[at : at + CHUNK]):
                if site.held:
                    rest, mine = bank, own
                else:
                    rest, mine = _without(bank, site.name, own, at + k, features)
                if _knows(rest, sample.category):
                    yield sample, _score(method, rest, features.take([k]), mine)
                progress(at + k + 1)


def _knows(bank: Bank, category: str) -> bool:
    if bank.scope == "mixed":
        return len(bank) > 0
    return bool(np.any(bank.category == bank.categories.index(category)))


def _score(method: Method, bank: Bank, image: Features, own: Bank | None) -> float:
    _, scores = method.score(bank, image, own=own)
    return float(scores[0])


def _without(bank: Bank, name: str, own: Bank, image: int, features: Features) -> tuple[Bank, Bank]:
    """`bank` and `own`, less the rows that the site took from its training image of that number."""
    of_image = own.source // features.patches_per_image == image
    rest = own.take(np.flatnonzero(~of_image))
    if name not in bank.sites:
        return bank, rest
    mine = bank.site == bank.sites.index(name)
    return bank.take(np.flatnonzero(~(mine & of_image[np.where(mine, bank.row, 0)]))), rest
