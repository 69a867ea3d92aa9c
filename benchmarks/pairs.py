"""Patches of a data set, and the pixels around each: what a decoder learns from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fedad.datasets.autovi import autovi
from fedad.datasets.synthetic import synthetic
from fedad.embedders.embedder import Embedder
from fedad.leakage.crops import Described, Pairs, crops_of, joined, sampled, spread
from fedad.plumbing.files import cache_root
from fedad.types import Sample

__all__ = ["IMAGES", "Pairs", "crops_of", "good", "joined", "of", "public_pairs"]

IMAGES, PUBLIC = 12, 12  # private images, public ones a product
TRAINED = 2400  # patches of each public product that decoders are trained on


def good(samples: Sequence[Sample], most: int) -> list[Sample]:
    """Good training images, spread over all there are."""
    return spread([one for one in samples if one.is_good and one.split == "train"], most)


def of(samples: Sequence[Sample], category: str) -> list[Sample]:
    return [one for one in samples if one.category == category]


def public_pairs(embed: Embedder | Described, folder: Path, quick: bool) -> dict[str, Pairs]:
    """Patches of every product of DIR, and of the drawn ones."""
    drawn, parts = synthetic(cache_root() / "plants"), autovi(folder)
    samples = {n: of(s.samples, n) for s in (drawn, parts) for n in s.categories}
    images, count = (4, TRAINED // 4) if quick else (PUBLIC, TRAINED)
    return {name: sampled(embed, good(some, images), count) for name, some in samples.items()}
