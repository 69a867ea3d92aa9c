"""Figures by how large the defects of an image are, where images were judged on this machine."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from fedad.evaluation import Counts, summarise
from fedad.reporting.per_image import exactly_scored, read_per_image

# The share of an image's pixels that are marked, up to which a defect has a size.
SIZES = {"below 0.2 %": 0.002, "0.2 % to 2 %": 0.02, "above 2 %": 1.0}
Row = tuple[str, str, dict[str, int], dict[str, Any]]  # product, size, images, figures


def by_size(sites: Iterable[Path]) -> list[Row]:
    """A row a product and size that an image has; images without a marked pixel have none.

    Args:
        sites: folders of sites, each with what it keeps of every test image.
    """
    good: dict[str, list[Counts]] = defaultdict(list)
    bad: dict[tuple[str, str], list[Counts]] = defaultdict(list)
    kept = [read_per_image(folder) for folder in sites]
    images = [counts for one in kept for counts in one.images()]
    scores = np.concatenate([one.score for one in kept]) if kept else np.empty(0)
    for counts in exactly_scored(images, scores) if images else ():
        (cell,) = counts.cells
        if cell.is_good():
            good[cell.category].append(counts)
        elif size := size_of(counts):
            bad[cell.category, size].append(counts)
    rows = []
    for category in sorted({category for category, _ in bad}):
        for size in SIZES:
            if some := bad.get((category, size)):
                told = summarise(sum([*good[category], *some], Counts()))["categories"][category]
                rows.append((category, size, told["sizes"], told["figures"]))
    return rows


def size_of(counts: Counts) -> str:
    """The size of what is marked in one image; none of an image without a mask."""
    sizes = counts.sizes()
    marked, rest = sizes["positive_pixels"], sizes["negative_pixels"]
    if not marked:
        return ""
    share = marked / (marked + rest)
    return next(size for size, most in SIZES.items() if share <= most)
