"""Orthogonal axes in a byte for each pair of features: reflections, whatever they are rounded to.

P axes of D features are the first columns of H_1 H_2 ... H_P, where H_k = 1 - 2 v v^T / v^T v
(Householder), and v has zeros before its k-th value, which is 1, and values from -1 to 1 after it.
These are rounded to whole multiples of 1/63. Axes of any such numbers are orthonormal, so that
they neither stretch a row nor lose anything of it. Each reflection is worked out from what the
rounded ones before it leave, so that errors do not add up.
"""

from __future__ import annotations

import numpy as np

STEPS = 63  # whole numbers from 0 to 1: of 127 the bytes were no fewer, of 31 rows took more


def length(features: int, axes: int) -> int:
    """How many numbers `axes` axes of so many features are."""
    return axes * features - axes * (axes + 1) // 2


def reflections(axes: np.ndarray) -> np.ndarray:
    """(L,) int8: the numbers of orthonormal axes (D, P), one reflection after the other.

    O(D P^2) time.
    """
    left, found = axes.T.astype(np.float64), [np.empty(0, np.int8)]
    for k in range(len(left)):
        one = left[k, k:]
        first = one[0] + np.copysign(np.linalg.norm(one), one[0])
        numbers = np.rint(one[1:] / first * STEPS) if first else np.zeros(len(one) - 1)
        found.append(numbers.astype(np.int8))
        v = np.append(1.0, numbers / STEPS)
        left[k + 1 :, k:] -= np.outer(left[k + 1 :, k:] @ v, 2 / (v @ v) * v)
    return np.concatenate(found)


def axes_of(numbers: np.ndarray, features: int, axes: int) -> np.ndarray:
    """(D, P) float64: orthonormal axes, from the numbers (L,) of their reflections.

    All reflections at once: 1 - V T V^T, where T^-1 is the upper triangle of V^T V, with half its
    diagonal (Joffrain et al., 2006).
    """
    below = np.tri(features, axes, -1, dtype=np.bool_).T
    v = np.eye(axes, features)
    v[below] = numbers / STEPS
    inner = v @ v.T
    triangle = np.triu(inner, 1) + np.diag(np.diag(inner) / 2)
    return np.asarray(np.eye(features, axes) - v.T @ np.linalg.solve(triangle, v[:, :axes]))
