"""How far a site's good images are from a bank: what `merge.weighting = coverage` asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fedad.banks.bank import Bank
from fedad.config import Config
from fedad.judging.thresholds import good_scores
from fedad.types import Site

if TYPE_CHECKING:  # who only merges needs no network in memory
    from fedad.embedders.embedder import Embed


def distances(config: Config, site: Site, embed: Embed, bank: Bank, own: Bank) -> dict[str, float]:
    """At a site: the mean score of its good images of each category, by the bank without them."""
    scores = good_scores(config, site, embed, bank, own)
    return {name: float(np.mean(found)) for name, found in sorted(scores.items())}
