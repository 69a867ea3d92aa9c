"""The router of `experts`: what an image is known by, and which sub-class it belongs to.

An image is known by one vector of length 1, its signature:

- `pooled`: the mean of its patches. Lamp and lens move it, so sub-classes may be plants.
- `cleaned`: its features less their own mean, over their own spread, and then how alike each
  feature is one patch further along and one further down. A gain or an offset of a feature, which
  is what a lamp does to it, is in neither.

A lens, and what a plant builds, stay in it. So, where signatures are centred, a site takes the mean
of its own good images off its signatures; it does so with what it judges, too.

Sub-classes are the clusters of signatures by spherical k-means; how many there are is decided by
the silhouette of images (Rousseeuw, 1987), whose sums add over sites.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from fedad.averaging.kmeans import plus_plus
from fedad.descriptors.standardise import standardised, sums_of
from fedad.errors import ConfigError, DataError
from fedad.methods._seen import grids_of
from fedad.types import Features

if TYPE_CHECKING:  # who only merges needs no network in memory
    from fedad.embedders.in_parts import InParts

Router = Literal["off", "pooled", "cleaned", "oracle"]
ITERATIONS, RESTARTS = 50, 4
KEYS = 2**62  # of sub-classes whose names are given


class Split(NamedTuple):
    """Centroids (K, F) float64 of length 1, and the number of each point's (N,) int64."""

    centroids: np.ndarray
    labels: np.ndarray


def unit(rows: np.ndarray) -> np.ndarray:
    """(n, F) float64: rows of length 1; one of length 0 becomes the first axis."""
    found = rows.astype(np.float64)
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    found = np.divide(found, lengths, out=np.zeros_like(found), where=lengths > 0)
    found[lengths[:, 0] == 0, 0] = 1.0
    return found


def width_of(router: Router, features: int) -> int:
    """F, of the signatures of images of D features."""
    return {"off": 1, "pooled": features}.get(router, 2 * features)


def signature(grid: np.ndarray, router: Router) -> np.ndarray:
    """(F,) float64 of length 1: what an image of patches (h, w, D) is known by."""
    h, w, size = grid.shape
    patches = grid.reshape(h * w, size)
    if router == "off":
        return np.ones(1)
    if router == "pooled":
        found = patches.mean(0, dtype=np.float64)
    else:
        clean = standardised(patches, sums_of(patches), 1.0).reshape(h, w, size)
        along = np.einsum("hwd,hwd->d", clean[:, 1:], clean[:, :-1]) / max(1, h * (w - 1))
        down = np.einsum("hwd,hwd->d", clean[1:], clean[:-1]) / max(1, (h - 1) * w)
        found = np.concatenate([along, down])
    return unit(found[None])[0]


def signatures(features: Features | InParts, router: Router) -> np.ndarray:
    """(B, F): the signature of each image, each looked at alone."""
    found = np.empty((len(features.categories), width_of(router, features.shape[-1])))
    for number, grid in enumerate(grids_of(features)):
        found[number] = signature(grid, router)
    return found


def centred(
    points: np.ndarray, categories: Sequence[str], usual: Mapping[str, np.ndarray]
) -> np.ndarray:
    """(B, F) of length 1: signatures less what is usual of their product, where that is known."""
    found = points.copy()
    for number, name in enumerate(categories):
        if name in usual:
            found[number] -= usual[name]
    return unit(found)


def split(points: np.ndarray, weights: np.ndarray, size: int, *, rng: np.random.Generator) -> Split:
    """Spherical k-means of points (N, F) of length 1 that each count `weights` (N,): the best of
    some starts, at most `size` clusters, none of them empty."""
    tries = [
        _settled(points, weights, unit(plus_plus(points, weights, size, rng)))
        for _ in range(RESTARTS if size > 1 else 1)
    ]
    return max(tries, key=lambda one: _agreement(points, weights, one))


def _settled(points: np.ndarray, weights: np.ndarray, centroids: np.ndarray) -> Split:
    labels = np.full(len(points), -1)
    for _ in range(ITERATIONS):
        kept, nearest = np.unique(nearest_of(points, centroids), return_inverse=True)
        centroids = centroids[kept]
        if np.array_equal(nearest, labels):
            break
        labels = nearest
        heavy = np.zeros((len(centroids), points.shape[1]))
        np.add.at(heavy, labels, points * weights[:, None])
        centroids = unit(heavy)
    return Split(centroids, labels)


def _agreement(points: np.ndarray, weights: np.ndarray, found: Split) -> float:
    cosines = np.einsum("nf,nf->n", points, found.centroids[found.labels])
    return float(np.average(cosines, weights=weights))


def nearest_of(points: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """(N,) int64: the centroid of the largest cosine; of equal ones the first."""
    return np.array([int((centroids @ point).argmax()) for point in points], np.int64)


def silhouettes(points: np.ndarray, means: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """(N,): the silhouette of each point (N, F) of length 1, from -1 to 1, by cosine distance; 0
    where there is one cluster, or the point is alone in its own.

    Args:
        means: (K, F) of each cluster's points, not brought to length 1: one less the product with
            it is the mean distance to all of them, so that no site needs another's points.
        sizes: (K,) of the clusters.
    """
    if len(means) < 2:
        return np.zeros(len(points))
    near = points @ means.T
    own = nearest_of(points, unit(means))
    at = np.arange(len(points)), own
    others = np.maximum(sizes[own] - 1, 1)
    within = 1 - np.clip((near[at] * sizes[own] - 1) / others, -1, 1)  # without the point itself
    near[at] = -np.inf
    beyond = 1 - near.max(1)
    found = (beyond - within) / np.maximum(np.maximum(within, beyond), 1e-12)
    return np.where(sizes[own] > 1, found, 0.0)


def check_pattern(pattern: str) -> None:
    """Refuse what is no regular expression.

    Raises:
        ConfigError: naming the knob.
    """
    try:
        re.compile(pattern)
    except re.error as error:
        told = f"experts.pattern = {pattern!r}: expected a regular expression ({error})"
        raise ConfigError(told) from error


def key_of(image: str, pattern: str) -> int:
    """The number of the sub-class that an image's name tells, alike at all sites.

    What `pattern` finds in the name; without one the folder of the file, which products have under
    `data.partition = cross_product`. A name that tells nothing is of the sub-class 0.

    Raises:
        DataError: a pattern that finds nothing.
    """
    if pattern:
        found = re.search(pattern, image)
        if found is None:
            raise DataError(f"experts.pattern = {pattern!r}: finds nothing in image {image!r}")
        name = found[1] if found.re.groups else found[0]
    else:
        name = "/".join(image.split("/")[3:-1])
    if not name:
        return 0
    digest = blake2b(name.encode(), digest_size=8).digest()
    return 1 + int.from_bytes(digest, "little") % (KEYS - 1)
