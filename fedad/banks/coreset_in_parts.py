"""A coreset of more points than memory holds: select in each part, gather, select again.

Of every part about twice as many points are kept as its share of the result, so that the last
selection has a choice; when what is gathered outgrows its share of memory, it is thinned to half.
Radii add up along the way: a point is within the radius of its part's selection of a kept point,
which is within the radius of the next selection of one that is kept then, and so on.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from fedad.coresets.kcenter import WORKSPACE, central, cover

OVERSAMPLE = 2.0  # points gathered of a part, in shares of the result


class Cover(NamedTuple):
    """Points that stand for many more, which they are all within `radius` of."""

    points: np.ndarray  # (K, D)
    numbers: np.ndarray  # (K,) int64, of the points in the order in which parts came
    radius: float


def cover_in_parts(
    parts: Iterable[np.ndarray],
    size: int,
    total: int,
    *,
    rng: np.random.Generator,
    memory: int,
    device: str = "cpu",
) -> Cover:
    """`size` of the `total` points that come in `parts` (n_i, D), by k-centre, farthest first.

    Args:
        memory: bytes that the gathered points and the selection among them may take; at least
            four times what the result takes.

    The covering bound is `Cover.radius`. With one part it is the selection that `kcenter` makes.

    Raises:
        ValueError: memory too small for the result.
    """
    gathered: Cover | None = None
    seen = 0
    for part in parts:
        if not len(part):  # of an image of which nothing is valid
            continue
        whole = len(part) == total
        keep = size if whole else min(len(part), math.ceil(OVERSAMPLE * size * len(part) / total))
        rows, radius = cover(part, keep, (central(part),), device, _workspace(memory))
        chosen = Cover(part[rows], rows + seen, radius)
        seen += len(part)
        if whole:
            return chosen
        gathered = chosen if gathered is None else _joined(gathered, chosen)
        most = memory // 4 // part[0].nbytes
        if len(gathered.points) > most:
            gathered = _thinned(gathered, max(size, most // 2), memory, device)
    if gathered is None or len(gathered.points) < size:
        raise ValueError(f"{size} of {total} points are wanted, and {seen} came")
    return _thinned(gathered, size, memory, device)


def _joined(one: Cover, other: Cover) -> Cover:
    return Cover(
        np.concatenate([one.points, other.points]),
        np.concatenate([one.numbers, other.numbers]),
        max(one.radius, other.radius),
    )


def _thinned(gathered: Cover, size: int, memory: int, device: str) -> Cover:
    if size >= len(gathered.points):
        return gathered
    rows, radius = cover(gathered.points, size, (0,), device, _workspace(memory))
    return Cover(gathered.points[rows], gathered.numbers[rows], gathered.radius + radius)


def _workspace(memory: int) -> int:
    return min(WORKSPACE, memory // 8)
