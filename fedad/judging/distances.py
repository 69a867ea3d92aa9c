"""How far a site's good images are from a bank: what `merge.weighting = coverage` asks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from fedad.banks.bank import Bank
from fedad.config import NEAREST, Config
from fedad.judging.thresholds import good_scores
from fedad.types import Site

if TYPE_CHECKING:  # who only merges needs no network in memory
    from fedad.embedders.embedder import Embed


DIGITS = 2  # of a distance: more would tell how an image moved it


def distances(
    config: Config, site: Site, embed: Embed, bank: Bank, own: Bank, *, smallest: int = 1
) -> dict[str, float]:
    """At a site: the mean score of its good images of each category, by the bank without them, to
    two digits. The bank alone scores: with the site's own rows, which no merge changes, it would
    seem near whatever it has.

    Args:
        smallest: parts that a category must have for its distance to be told.
    """
    by_bank = replace(config, score=replace(config.score, scoring=NEAREST))
    scores = good_scores(by_bank, site, embed, bank, own)
    return {
        name: float(f"{np.mean([good.score for good in found]):.{DIGITS}g}")
        for name, found in sorted(scores.items())
        if len({good.part for good in found}) >= smallest
    }
