"""How many rows images give: at a site, and over all sites before a run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from fedad.config import Config


def kept_rows(config: Config, patches: int) -> int:
    """How many of so many patches a site keeps: `coreset.local-ratio` of them, at least one."""
    return max(1, math.floor(config.coreset.local_ratio * patches + 1e-9))


def uploadable(config: Config, images: Iterable[Mapping[str, int]], patches_per_image: int) -> int:
    """The rows that all sites together can upload.

    Args:
        images: of each site, how many good images it has of each category.
    """
    rows = 0
    for counts in images:
        groups = counts.values() if config.bank.scope == "category" else [sum(counts.values())]
        rows += sum(kept_rows(config, count * patches_per_image) for count in groups if count)
    return rows
