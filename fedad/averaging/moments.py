"""Moments of points: how many, their sum and the sum of their outer products. They add.

What two sites send, added, is what one site with the points of both would have sent, but for the
order in which float64 adds. Only the upper triangle of a symmetric matrix is kept, row by row.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

BLOCK = 4096  # points whose products are in memory at a time


class Moments(NamedTuple):
    """Of n points (n, D): `number` n, `sums` (D,) and `products` (D (D + 1) / 2,), float64."""

    number: int
    sums: np.ndarray
    products: np.ndarray

    def plus(self, other: Moments) -> Moments:
        """The moments of the points of both."""
        return Moments(
            self.number + other.number, self.sums + other.sums, self.products + other.products
        )


def moments_of(parts: Iterable[np.ndarray], features: int) -> Moments:
    """The moments of all points in `parts`, each (n, D) of any float type."""
    count, sums = 0, np.zeros(features)
    products = np.zeros((features, features))
    for part in parts:
        for at in range(0, len(part), BLOCK):
            points = part[at : at + BLOCK].astype(np.float64)
            count += len(points)
            sums += points.sum(0)
            products += points.T @ points
    return Moments(count, sums, triangle(products))


def mean_and_covariance(moments: Moments) -> tuple[np.ndarray, np.ndarray]:
    """The mean (D,) and the covariance (D, D) of the points, of which there is at least one."""
    mean = moments.sums / moments.number
    covariance = square(moments.products) / moments.number - np.outer(mean, mean)
    return mean, covariance


def components(moments: Moments) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The mean (D,), the axes (D, D) of largest variance, largest first, and the variances (D,).

    An axis points to where its largest component is positive, so that the axes of the same moments
    are the same. No variance is below 0.
    """
    mean, covariance = mean_and_covariance(moments)
    values, vectors = np.linalg.eigh(covariance)
    axes = vectors[:, ::-1]
    largest = axes[np.abs(axes).argmax(0), np.arange(axes.shape[1])]
    return mean, axes * np.where(largest < 0, -1.0, 1.0), np.maximum(values[::-1], 0)


def principal_axes(moments: Moments, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The mean (D,) and the `size` axes (D, size) of largest variance, largest first.

    They point as those of `components` do. D is at least `size`.
    """
    mean, axes, _ = components(moments)
    return mean, axes[:, :size]


def random_axes(features: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """(D, P): orthogonal axes in random directions."""
    axes, upper = np.linalg.qr(rng.normal(size=(features, features)))
    return (axes * np.sign(np.diag(upper)))[:, :size]


def triangle(matrix: np.ndarray) -> np.ndarray:
    """The upper triangle (D (D + 1) / 2,) of a symmetric matrix (D, D)."""
    return matrix[np.triu_indices(len(matrix))]


def square(values: np.ndarray) -> np.ndarray:
    """The symmetric matrix (D, D) whose upper triangle is `values`.

    Raises:
        ValueError: no D has so many values.
    """
    size = side_of(len(values))
    matrix = np.zeros((size, size))
    matrix[np.triu_indices(size)] = values
    return matrix + np.triu(matrix, 1).T


def side_of(values: int) -> int:
    """D, where a triangle has `values` values.

    Raises:
        ValueError: there is none.
    """
    size = (math.isqrt(8 * values + 1) - 1) // 2
    if size * (size + 1) // 2 != values:
        raise ValueError(f"{values} values are no triangle of a matrix")
    return size
