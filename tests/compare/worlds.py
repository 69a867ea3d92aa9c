"""Comparisons drawn from a known truth: two treatments on shared test images, over seeds."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import special

from fedad.compare.statistics import over_seeds

REPLICATES = 200


class World(NamedTuple):
    """Products, seeds, good and defective images each, and how far defects lie above good parts.

    `images` and `seeds_sd` scatter a treatment by image and by seed. The first treatment's image
    AUROC is `ahead` of the second's.
    """

    products: int
    seeds: int
    images: int
    auroc: float
    images_sd: float = 0.3
    seeds_sd: float = 0.1
    ahead: float = 0.0


def differences(world: World, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The mean difference in image AUROC (1 + R,) as a comparison makes it, and the one of each
    set of test images (products,)."""
    by_set = [_of_product(world, rng) for _ in range(world.products)]
    means = [over_seeds(drawn, rng) for drawn in by_set]
    return np.mean(means, axis=0), np.array([drawn[:, 0].mean() for drawn in by_set])


def _of_product(world: World, rng: np.random.Generator) -> np.ndarray:
    """(seeds, 1 + R): paired differences on the same images, drawn alike."""
    n, sd = world.images, np.sqrt(2 * (1 + 1.25 * world.images_sd**2) + world.seeds_sd**2)
    above = sd * special.ndtri([world.auroc, world.auroc - world.ahead])  # of normals
    times = [
        np.vstack([np.ones(n), rng.multinomial(n, np.full(n, 1 / n), REPLICATES)]) / n
        for _ in range(2)
    ]
    shared, own = rng.normal(size=(2, n)), rng.normal(size=(2, 2, n))
    figures = np.empty((2, world.seeds, 1 + REPLICATES))
    for a in range(2):
        for s in range(world.seeds):
            noise = world.images_sd * (own[a] + 0.5 * rng.normal(size=(2, n)))
            good, bad = shared + noise
            bad = bad + above[a] + world.seeds_sd * rng.normal()
            figures[a, s] = (times[0] @ (bad[:, None] > good) * times[1]).sum(axis=1)
    return figures[0] - figures[1]
