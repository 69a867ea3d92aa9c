"""A projection of signatures that is learned, so that images of one sub-class come close together.

g(s) = W s / |W s| of a signature s (F,), with W (P, F). An image of the sub-class y costs

    |g - c_y|^2 - log(softmax_k(cos(g, c_k) / TEMPERATURE))_y

the centre loss (Wen et al., ECCV 2016), which draws images to the centre of their own sub-class,
and cross-entropy over the experts of their product, which drives the centres apart. As in
Adapted-MoE (arXiv 2409.05611), an image then goes to the centre of the largest cosine. W and
centres of length 1 are trained together by Adam, with all of a site's images in each step, since
there are tens; the server averages both over the sites. All sites start alike, from where images go
as the nearest centroid says.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fedad.methods._router import nearest_of, unit
from fedad.seeding import stream

TEMPERATURE = 0.1
RATE = 1e-3  # of Adam
B1, B2, TINY = 0.9, 0.999, 1e-8  # of Adam, its usual ones


class Learned(NamedTuple):
    """W (P, F), and the centres (K, P) of length 1 of a product's experts, float64."""

    matrix: np.ndarray
    targets: np.ndarray


def begun(centroids: np.ndarray, size: int, product: str, seed: int) -> Learned:
    """What all sites start from: P orthogonal axes, at most F, the first ones those of the experts'
    centroids (K, F), the others random, so that images go where the nearest centroid says."""
    features = centroids.shape[1]
    rng = stream(seed, "experts", "axes", product)
    columns = np.concatenate([unit(centroids).T, rng.normal(size=(features, size))], 1)
    axes, upper = np.linalg.qr(columns)
    signs = np.where(np.diag(upper) < 0, -1.0, 1.0)
    matrix = (axes * signs)[:, : min(size, features)].T.astype(np.float32).astype(np.float64)
    return Learned(np.ascontiguousarray(matrix), unit(unit(centroids) @ matrix.T))


def trained(start: Learned, points: np.ndarray, labels: np.ndarray, steps: int) -> Learned:
    """After so many steps of Adam on signatures (n, F), n at least 1, whose experts are `labels`
    (n,), numbers below K."""
    found, first = (
        [start.matrix, unit(start.targets)],
        [np.zeros_like(start.matrix), np.zeros_like(start.targets)],
    )
    second = [np.zeros_like(one) for one in first]
    for step in range(1, steps + 1):
        _, slopes = loss_of(Learned(*found), points, labels)
        for k, slope in enumerate(slopes):
            first[k] = B1 * first[k] + (1 - B1) * slope
            second[k] = B2 * second[k] + (1 - B2) * np.square(slope)
            up, down = first[k] / (1 - B1**step), second[k] / (1 - B2**step)
            found[k] = found[k] - RATE * up / (np.sqrt(down) + TINY)
        found[1] = unit(found[1])
    return Learned(*found)


def loss_of(known: Learned, points: np.ndarray, labels: np.ndarray) -> tuple[float, Learned]:
    """The mean cost of signatures (n, F), and its slopes; see the module."""
    across = points @ known.matrix.T
    lengths = np.maximum(np.linalg.norm(across, axis=1, keepdims=True), TINY)
    far = np.maximum(np.linalg.norm(known.targets, axis=1, keepdims=True), TINY)
    shown, centres, rows = across / lengths, known.targets / far, np.arange(len(points))
    cosines = shown @ centres.T
    logits = cosines / TEMPERATURE
    logs = logits - logits.max(1, keepdims=True)
    logs = logs - np.log(np.exp(logs).sum(1, keepdims=True))
    own = np.zeros_like(cosines)
    own[rows, labels] = 1.0
    cost = 2 - 2 * cosines[rows, labels] - logs[rows, labels]  # of length 1: |g - c|^2 = 2 - 2 cos
    slope = ((np.exp(logs) - own) / TEMPERATURE - 2 * own) / len(points)
    on_shown, on_centres = slope @ centres, slope.T @ shown
    on_across = (on_shown - (on_shown * shown).sum(1, keepdims=True) * shown) / lengths
    on_targets = (on_centres - (on_centres * centres).sum(1, keepdims=True) * centres) / far
    return float(cost.mean()), Learned(on_across.T @ points, on_targets)


def routed_by(known: Learned, points: np.ndarray) -> np.ndarray:
    """(n,) int64: the expert of a product that each signature (n, F) goes to, each looked at
    alone."""
    across = np.empty((len(points), len(known.matrix)))
    for number, point in enumerate(points):
        across[number] = known.matrix @ point
    return nearest_of(across, unit(known.targets))
