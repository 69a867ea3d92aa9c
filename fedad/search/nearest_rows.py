"""Ways of finding the nearest row of each patch: `score.search`.

- `torch`: float32 matrix products in blocks, after centring so that they do not cancel.
- `bfloat16`: bfloat16 products for a short list that is proved to hold the nearest row, whose
  distances are then taken in float32. Pays where a processor has units for bfloat16.
- `faiss`: faiss' flat index (faiss-cpu or faiss-gpu), where it is installed.

All are exact to float32's rounding: rows that are nearer than another by less may change places.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np
import torch

from fedad.errors import ConfigError
from fedad.plumbing.progress import Advance
from fedad.search.shortlist import ShortList

PATCHES = 4096  # patches that are centred at a time: an image of 384 pixels has 2,304
ROWS = 1024  # rows of the bank in a block of distances,
SUB = 256  # and patches: 1 MiB, which stays in a processor's cache

Search = Callable[[np.ndarray, np.ndarray, str, Advance], np.ndarray]
"""Rows (M, D), patches (N, D), device, progress -> the nearest row (N,) int64 of each patch."""


def by_torch(rows: np.ndarray, patches: np.ndarray, device: str, progress: Advance) -> np.ndarray:
    """Of equally near rows the lowest."""
    table = _table(rows, device)
    mean = table.mean(0)
    return _joined([_plain(points, table, mean) for points in _blocks(patches, mean, progress)])


def by_factors(
    rows: np.ndarray, factors: np.ndarray, patches: np.ndarray, device: str, progress: Advance
) -> np.ndarray:
    """The row whose distance times its factor (M,) is least; of equal ones the lowest."""
    table = _table(rows, device)
    mean, weights = table.mean(0), _table(np.square(factors, dtype=np.float32), device)
    blocks = _blocks(patches, mean, progress)
    return _joined([_plain(points, table, mean, weights=weights) for points in blocks])


def again(
    rows: np.ndarray, patches: np.ndarray, among: Mapping[int, np.ndarray], device: str
) -> dict[int, int]:
    """The row that `by_torch` finds for some of the patches, by the very same products.

    Args:
        among: of each patch that is asked about, the rows (n,) int of which it can find one.
    """
    table = _table(rows, device)
    mean = table.mean(0)
    found = {}
    for number, some in among.items():
        first = number - number % PATCHES
        points = torch.from_numpy(patches[first : first + PATCHES]).to(device) - mean
        start = (number - first) - (number - first) % SUB
        blocks = sorted({int(row) - int(row) % ROWS for row in some})
        nearest = _plain(points[start : start + SUB], table, mean, blocks)
        found[number] = int(nearest[number - first - start])
    return found


def _plain(
    points: torch.Tensor,
    table: torch.Tensor,
    mean: torch.Tensor,
    blocks: Iterable[int] = (),
    weights: torch.Tensor | None = None,
) -> torch.Tensor:
    """The nearest row of each of the centred points (P, D), in the blocks that begin there, if any
    are named; squared distances count `weights` (M,) times, if there are any."""
    least = torch.full((len(points),), torch.inf, device=points.device)
    row = torch.zeros(len(points), dtype=torch.int64, device=points.device)
    for at in blocks or range(0, len(table), ROWS):
        centres = table[at : at + ROWS] - mean
        norms = centres.square().sum(1)
        for start in range(0, len(points), SUB):
            some = slice(start, start + SUB)
            squares = torch.addmm(norms, points[some], centres.T, alpha=-2)
            if weights is not None:
                squares += points[some].square().sum(1, keepdim=True)
                squares = squares.clamp_min_(0).mul_(weights[at : at + ROWS])
            value, number = _smallest(squares)
            closer = value < least[some]
            least[some] = torch.where(closer, value, least[some])
            row[some] = torch.where(closer, number + at, row[some])
    return row


def _smallest(table: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Of each row of a table (P, M) its smallest value and where that is; of equals the first.
    NumPy looks at eight times as many values in a second as torch, on a processor."""
    if table.is_cuda:
        found = table.min(1)
        return found.values, found.indices
    number = torch.from_numpy(table.numpy().argmin(1))
    return table.gather(1, number[:, None])[:, 0], number


def by_bfloat16(
    rows: np.ndarray, patches: np.ndarray, device: str, progress: Advance
) -> np.ndarray:
    """By `ShortList`; patches whose list would be too long are searched by `torch`."""
    table = _table(rows, device)
    mean = table.mean(0)
    known = ShortList(table - mean)
    found = []
    for points in _blocks(patches, mean, progress):
        for some in points.split(SUB):
            row = known.nearest(some)
            found.append(_plain(some, table, mean) if row is None else row)
    return _joined(found)


def by_faiss(rows: np.ndarray, patches: np.ndarray, device: str, progress: Advance) -> np.ndarray:
    """faiss' own search of all rows; on the GPU where `device` is one and faiss knows it."""
    try:
        import faiss
    except ImportError as error:
        raise ConfigError(
            "score.search = 'faiss': faiss is not installed: pip install 'fedad[cpu]' or "
            "'fedad[gpu]', or set score.search to torch"
        ) from error
    mean = rows.mean(axis=0)
    index = faiss.IndexFlatL2(rows.shape[1])
    if device == "cuda" and hasattr(faiss, "index_cpu_to_all_gpus"):
        index = faiss.index_cpu_to_all_gpus(index)
    index.add(rows - mean)
    found = []
    for at in range(0, len(patches), PATCHES):
        _, nearest = index.search(patches[at : at + PATCHES] - mean, 1)
        found.append(nearest[:, 0])
        progress(min(at + PATCHES, len(patches)))
    return np.concatenate(found) if found else np.empty(0, np.int64)


SEARCHES: dict[str, Search] = {"torch": by_torch, "bfloat16": by_bfloat16, "faiss": by_faiss}


def _table(rows: np.ndarray, device: str) -> torch.Tensor:
    """The rows on a device; those of a message are read-only, and torch warns of such."""
    return torch.from_numpy(rows if rows.flags.writeable else rows.copy()).to(device)


def _blocks(patches: np.ndarray, mean: torch.Tensor, progress: Advance) -> Iterator[torch.Tensor]:
    """The patches, centred, some at a time."""
    for at in range(0, len(patches), PATCHES):
        block = torch.from_numpy(patches[at : at + PATCHES]).to(mean.device)
        yield block - mean
        progress(at + len(block))


def _joined(found: list[torch.Tensor]) -> np.ndarray:
    return torch.cat(found).cpu().numpy() if found else np.empty(0, np.int64)
