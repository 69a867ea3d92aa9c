"""Centres of many images' patches with differential privacy: noisy sums over ever finer cells.

What is added or removed is a unit: an image, or all images of a part. At each level a unit's p
patches x_j fall into cells k with references c_k, n_k of them in each, and it gives

    b_k = sqrt(n_k / p)                             of length 1 over all cells
    a_k = sum_j (x_j - c_k) / sqrt(n_k p) / R       clipped to length 1 over all cells and axes

to the sums A and B, to which Gaussian noise is added. A cell that is seen to hold something then
has the centre c_k + R A_k / B_k, and these are the references of the next level. Since the noisy
sums are all that a level takes from the images, those of all levels are adaptive Gaussian
mechanisms, and everything after a sum costs nothing.

Sums are whole numbers. What a unit gives is rounded towards zero to multiples of 2^-20, and its
exact length as whole numbers is at most 2^20, or it gives nothing: so the sensitivity is 1 in the
very arithmetic that is used, and the order in which units are added changes nothing. Noise is
rounded to the same multiples. As the sums are whole, that is the rounding of sum and noise
together: what the exact Gaussian mechanism gives, processed further.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from fedad.dp.levels import BLOCKS, KEPT, Level
from fedad.dp.noise import Noise
from fedad.dp.public import Public

GRID = 2**20  # the sensitivity, in whole numbers
SLACK = 1 - 2.0**-30  # a length in float64 is exact to far less
BLOCK = 1024  # patches of a unit whose cells are looked for at a time


class Unit(NamedTuple):
    """The patches of what is added or removed: where they are in feature space, and in images."""

    points: np.ndarray  # (p, d) float32; one that is not finite counts as not there
    blocks: np.ndarray  # (p,) int: number of the block of positions, below BLOCKS^2


class Given(NamedTuple):
    """What one unit gives: of u cells, in which it has patches, whole numbers of length <= GRID."""

    cells: np.ndarray  # (u,) int
    residuals: np.ndarray  # (u, d) int64
    masses: np.ndarray  # (u,) int64


class Centres(NamedTuple):
    """K noisy centres (K, d) float64, and how much lies in the cell of each (K,)."""

    points: np.ndarray
    mass: np.ndarray


CellsOf = Callable[[Unit], np.ndarray]  # the cell (p,) int of each patch of a unit


def release(
    units: Sequence[Unit], public: Public, levels: Sequence[Level], mu: float, noise: Noise
) -> Centres:
    """The centres that the last level leaves, most massive first; one at least.

    Together all sums cost `mu` in Gaussian differential privacy, by add/remove of one unit.
    Nothing that a unit holds raises an error.

    Args:
        units: read once a level; may be none.
        mu: 1 / z where z is the noise multiplier of one Gaussian mechanism of the same epsilon.
    """
    centres = public.centres.astype(np.float64)
    for level in levels:
        cells_of, reference = cut(level, centres)
        radius = level.radius * public.radius
        a, b = sums(units, cells_of, reference, radius)
        sigma_a, sigma_b = level.noise(mu)
        told = (noisy(a, sigma_a, noise), noisy(b, sigma_b, noise))
        found = refined(*told, reference, radius, (sigma_a, sigma_b))
        centres = found.points
    order = np.argsort(-found.mass, kind="stable")
    return Centres(found.points[order], found.mass[order])


def cut(level: Level, centres: np.ndarray) -> tuple[CellsOf, np.ndarray]:
    """How a level finds the cell of a patch, and the reference (K, d) of each cell."""
    size = centres.shape[1]
    if level.kind == "positions":
        return lambda unit: unit.blocks, np.zeros((BLOCKS * BLOCKS, size))
    table, axes = centres.astype(np.float32), min(level.axes, size)

    def cells_of(unit: Unit) -> np.ndarray:
        nearest = _nearest(unit.points, table)
        sides = unit.points[:, :axes] > table[nearest, :axes]
        return (nearest << axes) + sides @ (1 << np.arange(axes))

    return cells_of, np.repeat(centres, 1 << axes, axis=0)


def sums(
    units: Sequence[Unit], cells_of: CellsOf, reference: np.ndarray, radius: float
) -> tuple[np.ndarray, np.ndarray]:
    """A (K, d) and B (K,) int64 over all units, in 1 / GRID of their sensitivity, without noise."""
    a = np.zeros(reference.shape, np.int64)
    b = np.zeros(len(reference), np.int64)
    for unit in units:
        given = contribution(unit, cells_of(unit), reference, radius)
        a[given.cells] += given.residuals
        b[given.cells] += given.masses
    return a, b


def contribution(unit: Unit, cells: np.ndarray, reference: np.ndarray, radius: float) -> Given:
    """What one unit gives to the sums; it depends on no other unit but by the references.

    Args:
        cells: (p,) int, of each patch, below K.
        reference: (K, d) float64, of each cell.
        radius: R, above 0.
    """
    there = np.isfinite(unit.points).all(1)
    order = np.argsort(cells[there], kind="stable")
    points, cells = unit.points[there][order].astype(np.float64), cells[there][order]
    if not len(points):
        size = reference.shape[1]
        return Given(np.zeros(0, np.intp), np.zeros((0, size), np.int64), np.zeros(0, np.int64))
    which, first, count = np.unique(cells, return_index=True, return_counts=True)
    residuals = np.add.reduceat(points - reference[cells], first, axis=0)
    residuals /= np.sqrt(count * float(len(points)))[:, None]
    length = np.sqrt((residuals * residuals).sum())
    residuals /= max(radius, length)  # of length 1 at most, over all cells together
    return Given(which, _whole(residuals), _whole(np.sqrt(count / len(points))))


def noisy(whole: np.ndarray, sigma: float, noise: Noise) -> np.ndarray:
    """Sums in units of their sensitivity, float64, each with its own noise of `sigma` of these."""
    drawn = np.rint(noise.normal(whole.shape) * (sigma * GRID)).astype(np.int64)
    return (whole + drawn) / GRID


def refined(
    a: np.ndarray,
    b: np.ndarray,
    reference: np.ndarray,
    radius: float,
    noise: tuple[float, float],
) -> Centres:
    """The centres of the cells that hold more than noise, or of the one that holds most.

    Residuals are shrunk towards their reference by James and Stein's rule (its positive part), by
    as much as their length is noise.

    Args:
        a, b: noisy (K, d) and (K,).
        noise: the standard deviations of both.
    """
    kept = b > KEPT * noise[1]
    if not kept.any():
        kept[b.argmax()] = True
    a, b, reference = a[kept], b[kept], reference[kept]
    power = np.maximum((a * a).sum(1), np.finfo(float).tiny)
    shrunk = np.maximum(0, 1 - a.shape[1] * noise[0] ** 2 / power)
    means = a * (radius * shrunk / np.maximum(b, noise[1]))[:, None]
    return Centres(reference + means, b)


def padded(centres: Centres, rows: int, longest: float) -> np.ndarray:
    """(rows, d) float32 that float16 holds: the first centres, no longer than `longest`, and zeros
    below them."""
    points = centres.points[:rows]
    most = longest * (1 - 2.0**-10)  # rounding to float16 adds 2^-11 of a coordinate at most
    shorter = most / np.maximum(most, np.linalg.norm(points, axis=1))
    found = np.zeros((rows, points.shape[1]), np.float32)
    found[: len(points)] = (points * shorter[:, None]).astype(np.float16)
    return found


def _whole(values: np.ndarray) -> np.ndarray:
    """Values of length 1 at most -> whole numbers of length GRID at most, which is checked."""
    steps = np.trunc(values * (GRID * SLACK)).astype(np.int64)
    return steps if int((steps * steps).sum()) <= GRID * GRID else np.zeros_like(steps)


def _nearest(points: np.ndarray, table: np.ndarray) -> np.ndarray:
    """(p,) int64: the row of `table` (K, d) nearest to each point; any, of one that overflows."""
    lengths, found = (table * table).sum(1), np.empty(len(points), np.int64)
    with np.errstate(over="ignore", invalid="ignore"):
        for at in range(0, len(points), BLOCK):
            some = points[at : at + BLOCK]
            found[at : at + BLOCK] = (lengths - 2 * (some @ table.T)).argmin(1)
    return found
