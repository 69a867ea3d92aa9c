"""Near-duplicates: one part photographed twice, or one picture saved twice, among the images of a
product.

Nothing absolute tells them: two parts under a fixed camera differ by less than two shots under a
moved lamp. So a pair is held against its own set. Two images are near-duplicates if they are at
most `ratio` times as far apart as each is from its `SHOTS`-th nearest other image (of fewer than 32
images the second to seventh), which is the usual distance of its neighbours. The rule has no unit,
and finds up to `SHOTS` shots of one part. More shots than that are missed, and a variant of no more
than `SHOTS` images, far from all others, may be taken for shots of one part.

Images are compared by patch features (for thresholds), or by a small grey picture (for a look at
files, where there is no network). Ratios and ranks were
chosen on good training images: every second one of MPDD's metal plates, and the plants that the
demo draws. No two different parts of theirs are a pair at these ratios; by features the first are
at .6. `benchmarks/near_duplicates.py` prints what either finds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image

SHOTS = 8  # of one part, at most; the neighbour that tells the usual distance
FEW = 4  # times that many images, below which a nearer neighbour tells it
BY_FEATURES, BY_THUMBNAIL = 0.5, 0.4  # ratios
CELLS = 8  # a side: features are compared by their means over so many parts of the image
THUMBNAIL = 16  # pixels a side
FINER = 4  # times: the thumbnail is made from one so much larger, so that it is no 8 bits coarse
ENOUGH = 2000  # images that tell the usual spread
BLOCK = 2**21  # distances at a time
ROUNDING = 1e-6  # of two squared lengths: a smaller squared distance is none


def groups_by_features(grids: np.ndarray) -> np.ndarray:
    """Which images show one part: a group's number for each, by the images' patch features.

    Args:
        grids: (B, h, w, D) float32, of one product at one site.

    Returns:
        (B,) int, numbered in the order of the groups' first images; B groups where nothing is a
        near-duplicate.
    """
    return groups_by_cells(cell_means(grids))


def groups_by_cells(cells: np.ndarray) -> np.ndarray:
    """As `groups_by_features`, by what `cell_means` keeps of the images, joined (B, y, x, D)."""
    return _groups(len(cells), near_pairs(_by_cells(cells), BY_FEATURES))


def groups_by_thumbnail(thumbnails: np.ndarray) -> np.ndarray:
    """As `groups_by_features`, by thumbnails (B, s, s) as `thumbnail` makes them."""
    return _groups(len(thumbnails), near_pairs(_by_differences(thumbnails), BY_THUMBNAIL))


def thumbnail(image: Image.Image) -> np.ndarray:
    """The image's brightness (s, s) uint16 from 0 to 4080, whatever its shape."""
    side = THUMBNAIL * FINER
    fine = np.asarray(image.convert("L").resize((side, side), Image.Resampling.BOX), np.uint16)
    return fine.reshape(THUMBNAIL, FINER, THUMBNAIL, FINER).sum((1, 3), dtype=np.uint16)


def near_pairs(vectors: np.ndarray, ratio: float) -> list[tuple[int, int]]:
    """The pairs of rows (B, N) that are near-duplicates by the rule above, smaller number first.

    O(B B N) time, and memory for a block of the distances at a time.
    """
    count = len(vectors)
    usual = np.zeros(count)
    found: list[tuple[int, int, float]] = []
    for first, distances in _blocks(vectors):
        rows = np.arange(len(distances))
        distances[rows, first + rows] = np.inf
        rank = min(max(2, min(SHOTS, count // FEW)), count - 1) - 1
        usual[first + rows] = np.partition(distances, rank, axis=1)[:, rank]
        near = distances <= ratio * usual[first + rows, None]
        found += [(first + i, j, distances[i, j]) for i, j in np.argwhere(near).tolist()]
    return sorted({(min(i, j), max(i, j)) for i, j, gap in found if gap <= ratio * usual[j]})


def _blocks(vectors: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Distances (b, B) of some rows to all, with the number of the first of them."""
    count = len(vectors)
    lengths = np.einsum("ij,ij->i", vectors, vectors)
    size = max(1, BLOCK // max(1, count))
    for first in range(0, count if count > 1 else 0, size):
        some = slice(first, first + size)
        sums = lengths[some, None] + lengths
        squared = sums - 2 * (vectors[some] @ vectors.T)
        squared[squared < ROUNDING * sums] = 0
        yield first, np.sqrt(squared)


def _groups(count: int, pairs: Sequence[tuple[int, int]]) -> np.ndarray:
    """The connected parts of a graph on `count` nodes, as numbers in the order of first nodes."""
    first = list(range(count))

    def root(node: int) -> int:
        while first[node] != node:
            first[node] = first[first[node]]
            node = first[node]
        return node

    for one, other in pairs:
        low, high = sorted((root(one), root(other)))
        first[high] = low
    roots = [root(node) for node in range(count)]
    numbers = {node: number for number, node in enumerate(dict.fromkeys(roots))}
    return np.array([numbers[node] for node in roots], np.intp)


def cell_means(grids: np.ndarray) -> np.ndarray:
    """What is kept of images to tell near-duplicates by, some images at a time where not all fit in
    memory: means (B, y, x, D) over at most `CELLS` x `CELLS` cells, less the image's mean.

    Noise, compression and light change all patches of an image alike, which the image's mean takes
    out.
    """
    count, height, width, features = grids.shape
    down, across = (min(CELLS, side) for side in (height, width))
    cells = np.empty((count, down, across, features), np.float32)
    rows, columns = (
        np.arange(parts + 1) * side // parts for parts, side in ((down, height), (across, width))
    )
    for y in range(down):
        for x in range(across):
            patch = grids[:, rows[y] : rows[y + 1], columns[x] : columns[x + 1]]
            cells[:, y, x] = patch.mean((1, 2))
    return cells - cells.mean((1, 2), keepdims=True)


def _by_cells(cells: np.ndarray) -> np.ndarray:
    """(B, y x D): each cell by its usual spread: one in which all parts differ much tells no more
    than one in which they hardly do."""
    count, down, across, features = cells.shape
    flat = cells.reshape(count, down * across, features)
    return (flat / _spread(flat)[..., None]).reshape(count, down * across * features)


def _by_differences(thumbnails: np.ndarray) -> np.ndarray:
    """Differences of neighbouring pixels, of pictures of one mean and contrast, each difference by
    its usual spread: (B, 2 s (s - 1)) float32."""
    light = thumbnails.astype(np.float32)
    light -= light.mean((1, 2), keepdims=True)
    light /= light.std((1, 2), keepdims=True) + 1e-3
    count, side, _ = light.shape
    steps = np.concatenate(
        [np.diff(light, axis=axis).reshape(count, side * (side - 1)) for axis in (1, 2)], axis=1
    )
    return steps / _spread(steps[..., None])


def _spread(cells: np.ndarray) -> np.ndarray:
    """(n,) how far images (B, n, D) usually are apart in each cell; nowhere near 0 of the rest."""
    cells = cells[:: 1 + len(cells) // ENOUGH]
    count = len(cells)
    apart = sorted({max(1, count * part // 7) for part in (1, 2, 3)})
    squared = [((cells - np.roll(cells, step, axis=0)) ** 2).sum(2) for step in apart]
    usual = np.median(np.concatenate(squared), axis=0) if count else np.ones(cells.shape[1])
    return np.sqrt(usual + max(1e-3 * float(usual.mean()), 1e-12)).astype(np.float32)
