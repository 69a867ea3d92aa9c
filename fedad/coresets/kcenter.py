"""Greedy k-centre: keep the rows that leave no point far from a kept one, farthest first.

The plain loop compares all points with every new row, one row after the other. Here the same rows
come out in rounds. A point's distance to its nearest kept row only shrinks, so an old distance is
an upper bound; a round refreshes the points with the largest bounds by one matrix product, and
picks among them as long as no other point could be farther.

Bulk work is float32, and its largest possible rounding error is added to every bound. The picks
are decided in float64; what float64 products leave tied is settled by plain differences. So the
rows are those of the plain float64 loop, index by index, whatever the threads or the device.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
import torch

from fedad.coresets._plain import PlainGaps
from fedad.coresets.base import check
from fedad.plumbing.progress import track

__all__ = ["kcenter"]

RANKED = True

ACTIVE = 1024  # points among which one round picks
BATCH = 2048  # points that the first round refreshes; it grows while rounds yield little
BLOCK = 2048  # points in one block
LEAST = 128  # kept rows in a block where there are as many: products of fewer are slow
SHARE = 2  # a block of distances takes one in so many of the points' bytes,
FLOOR = 2 * 2**20  # bytes at the least, since smaller products are slow,
CEILING = 8 * 2**20  # and these at the most
TIES = 8  # times the points' bytes: what comparing those that tie takes at the most
WORKSPACE = 128 * 2**20  # bytes
NOT_FINITE = "the points hold NaN or infinity: was a feature map broken?"
GONE = -np.inf  # the bound of a row that is kept already


def kcenter(
    points: np.ndarray,
    size: int,
    *,
    rng: np.random.Generator,
    kept: Sequence[int] = (),
    device: str = "cpu",
    workspace: int = WORKSPACE,
) -> np.ndarray:
    """`kept` (or the row nearest the mean), then always the point farthest from all kept ones.

    No point ends farther from a kept row than twice the smallest radius that any `size` rows could
    give (Gonzalez, 1985). Of equally far points the lowest row wins. O(N size D) time; beside the
    points, memory holds 24 bytes a point (40 where points tie), a copy of the kept rows and blocks
    to work in: these follow the points' bytes, and take `workspace` at the most.
    Nothing is drawn: who knows `rng` learns nothing of which point is which. See `base.Coreset` for
    arguments and errors.
    """
    check(points, size, kept)
    return _searched(points, size, kept or (central(points),), device, workspace).selected()


def central(points: np.ndarray) -> int:
    """The row of `points` (N, D) nearest their mean, in float64; of equally near ones the lowest.

    Raises:
        ValueError: points that are not finite.
    """
    blocks = range(0, len(points), BLOCK)
    with np.errstate(invalid="ignore", over="ignore"):  # infinities are refused below
        mean = sum(points[at : at + BLOCK].sum(0, dtype=np.float64) for at in blocks) / len(points)
        gaps = [np.square(points[at : at + BLOCK] - mean).sum(1) for at in blocks]
    if not np.isfinite(mean).all():
        raise ValueError(NOT_FINITE)
    return int(np.argmin(np.concatenate(gaps)))


def cover(
    points: np.ndarray, size: int, kept: Sequence[int], device: str, workspace: int = WORKSPACE
) -> tuple[np.ndarray, float]:
    """The rows that `kcenter` keeps, and a radius within which they cover all points.

    The radius is that of the selection, rounded up by what float32 may be off.
    """
    search = _searched(points, size, kept, device, workspace)
    return search.selected(), search.radius()


def _searched(
    points: np.ndarray, size: int, kept: Sequence[int], device: str, workspace: int
) -> _Search:
    search = _Search(points, size, torch.device(device), workspace)
    search.keep(torch.tensor(list(kept)))
    with track("coreset", size) as progress:
        while search.count < size:
            progress(search.count)
            if not search.pick_some():
                search.pick_plainly()
    return search


class _Search:
    """One selection: the rows kept so far, and how far every point is from them at most."""

    def __init__(self, points: np.ndarray, size: int, device: torch.device, workspace: int) -> None:
        n, d = points.shape
        self.points = torch.from_numpy(np.ascontiguousarray(points)).to(device)
        self.workspace = min(workspace, max(FLOOR, TIES * points.nbytes))
        most = workspace // 3  # of distances; the rest is for what is compared
        if device.type == "cpu":  # elsewhere large products cost nothing that is scarce
            most = min(most, CEILING, max(FLOOR, points.nbytes // SHARE))
        self.block = max(1, min(BLOCK, n, math.isqrt(most // 8)))
        self.most_active = min(ACTIVE, self.block)
        self.wide = max(1, min(self.block, most // (20 * d)))  # kept rows, as float64
        self.scratch = torch.empty(self.block**2, dtype=torch.float64, device=device)
        self.device, self.size, self.count = device, size, 0
        # By blocks: torch would copy all points to float64 first.
        self.mean = sum(block.double().sum(0) for block in self.points.split(self.block)) / n
        self.norm = self._squared_norms()
        radius = float(self.norm.max())
        if not np.isfinite(radius):
            raise ValueError(NOT_FINITE)
        # Rounding of |x|^2 + |c|^2 - 2xc after centring, for vectors no longer than the radius.
        self.slack32 = (4 * d + 64) * 2.0**-24 * radius
        self.slack64 = (4 * d + 64) * 2.0**-53 * radius
        self.kept = torch.empty(size, dtype=torch.int64, device=device)
        self.rows = torch.empty(size, d, device=device)  # of what is kept, centred
        self.norms = torch.empty(size, device=device)
        self.bound = torch.full((n,), torch.inf, device=device)
        self.seen = torch.zeros(n, dtype=torch.int32, device=device)  # kept rows in the bound
        self.gap = torch.full((n,), torch.inf, dtype=torch.float64, device=device)
        self.gap_seen = torch.zeros(n, dtype=torch.int32, device=device)  # kept rows in the gap
        self.batch = min(BATCH, n)

    def _centred(self, rows: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        points = self.points[rows]  # a copy
        if dtype == torch.float64:
            return points.double().sub_(self.mean)
        return points.sub_(self.mean.to(points.dtype)).float()

    def _squared_norms(self) -> torch.Tensor:
        every = torch.arange(len(self.points), device=self.device)
        return torch.cat(
            [self._centred(rows, torch.float32).square().sum(1) for rows in every.split(self.block)]
        )

    def keep(self, rows: torch.Tensor) -> None:
        """Add `rows` to the kept ones, in this order."""
        rows = rows.to(self.device)
        new = slice(self.count, self.count + len(rows))
        self.kept[new] = rows
        self.rows[new] = self._centred(rows, torch.float32)
        self.norms[new] = self.rows[new].square().sum(1)
        self.bound[rows] = GONE
        self.count = new.stop

    def selected(self) -> np.ndarray:
        """The rows kept, in the order in which they were."""
        return self.kept.cpu().numpy().astype(np.intp)

    def radius(self) -> float:
        """No point is farther than this from a kept one."""
        left = torch.nonzero(self.bound > GONE).flatten()
        self._refresh(left)
        return float(self.bound[left].clamp(min=0).max().sqrt()) if len(left) else 0.0

    def pick_some(self) -> bool:
        """One round: keep every row that is farthest for certain, in order; False if none is.

        No point outside the active ones can be farther than `rival`, so a pick above it is sure.
        """
        active, rival = self._active()
        if len(active) == 0:
            return False
        self._measure(active)
        rows = self._centred(active, torch.float64)
        norms = rows.square().sum(1)
        between = self._products(rows, rows, norms).add_(norms[:, None]).cpu().numpy()
        gap = self.gap[active].cpu().numpy()
        picks = self._pick_among(active.cpu().numpy(), between, gap, rival)
        if 4 * len(picks) < self.most_active:
            self.batch = min(2 * self.batch, len(self.bound))
        self.keep(active[torch.from_numpy(picks).to(self.device)])
        self._update(active, torch.from_numpy(gap).to(self.device))
        return len(picks) > 0

    def pick_plainly(self) -> None:
        """Keep the farthest row, and more, where products cannot tell it from its rivals.

        The plain loop among the points that may be farthest, as long as it is ahead of all others.
        """
        every = torch.nonzero(self.bound > GONE).flatten()
        self._refresh(every)
        bound = self.bound[every]
        may_be = bound >= bound.max() - 2 * self.slack32
        rival = GONE if may_be.all() else float(bound[~may_be].max())
        close, left = every[may_be].cpu().numpy(), self.size - self.count
        picks = self.plain.farthest(close, self._kept_rows(), left, rival)
        # Where all points lie on kept ones, the lowest rows fill up.
        self.keep(self._index(picks) if len(picks) else every[: self.size - self.count])

    def _active(self) -> tuple[torch.Tensor, float]:
        """The points that may be farthest, by row, and the most that any other can have."""
        if self.batch < len(self.bound):
            top = torch.topk(self.bound, self.batch + 1)
            rows, rival = top.indices[:-1], float(top.values[-1])
            rows = rows[self.bound[rows] > GONE]
        else:
            rows, rival = torch.nonzero(self.bound > GONE).flatten(), GONE
        self._refresh(rows)
        bound = self.bound[rows]
        if len(rows) > self.most_active:
            top = torch.topk(bound, self.most_active + 1)
            rival = max(rival, float(top.values[-1]))
            rows, bound = rows[top.indices[:-1]], top.values[:-1]
        return torch.sort(rows[bound > rival]).values, rival

    def _pick_among(
        self, active: np.ndarray, between: np.ndarray, gap: np.ndarray, rival: float
    ) -> np.ndarray:
        """Picks of the plain loop among `active`, as long as they beat `rival`; updates `gap`.

        From the first tie on, the plain distances of all active points are kept up to date.
        """
        picks: list[int] = []
        ties = False
        while self.count + len(picks) < self.size:
            pick = int(gap.argmax())
            if gap[pick] <= rival + self.slack64 or gap[pick] <= 2 * self.slack64:
                break
            tied = np.flatnonzero(gap >= gap[pick] - 2 * self.slack64)
            if len(tied) > 1:
                if not ties:
                    kept = np.concatenate([self._kept_rows(), active[picks]])
                    self.plain.of(active, kept)
                ties = True
                pick = int(tied[self.plain.gap[active[tied]].argmax()])  # of equals the lowest
            picks.append(pick)
            if ties:
                near = active[between[pick] <= gap + 2 * self.slack64]
                self.plain.lower(near, int(active[pick]), self.count + len(picks))
            np.minimum(gap, between[pick], out=gap)
            gap[pick] = GONE
        if ties:
            self.plain.seen[active] = self.count + len(picks)
        return np.asarray(picks, np.int64)

    def _update(self, active: torch.Tensor, gap: torch.Tensor) -> None:
        """What a round learned of its active points: their distances to all that is kept now."""
        self.gap[active] = gap
        self.gap_seen[active] = self.count
        self.bound[active] = torch.where(gap == GONE, GONE, gap + self.slack32).float()
        self.seen[active] = self.count

    def _refresh(self, rows: torch.Tensor) -> None:
        """Lower the bounds of `rows` to their float32 distances, rounded up."""
        for some, _, least in self._nearest(rows, self.seen, torch.float32):
            bound = least + self.norm[some] + self.slack32
            self.bound[some] = torch.minimum(self.bound[some], bound)
        self.seen[rows] = self.count

    def _measure(self, rows: torch.Tensor) -> None:
        """Bring the float64 distances of `rows` up to date."""
        for some, points, least in self._nearest(rows, self.gap_seen, torch.float64):
            gap = least + points.square().sum(1)
            self.gap[some] = torch.minimum(self.gap[some], gap)
        self.gap_seen[rows] = self.count

    def _nearest(
        self, rows: torch.Tensor, seen: torch.Tensor, dtype: torch.dtype
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Blocks of `rows`, centred, and each with its least |c|^2 - 2xc over the kept rows that it
        has not seen yet."""
        by_age = torch.sort(seen[rows])
        rows, ages = rows[by_age.indices], by_age.values
        most = 2 * self.block if dtype == torch.float32 else self.wide
        size = self._high(self.count - int(ages[0]) if len(ages) else 0, most, dtype)
        for some, age in zip(rows.split(size), ages.split(size), strict=True):
            since = age.tolist()
            points = self._centred(some, dtype)
            least = torch.full((len(some),), torch.inf, dtype=dtype, device=self.device)
            for new in self._unseen(since, most):
                centres, norms = self._kept(new, dtype)
                behind = bisect_left(since, new.stop)  # those that lack some of them
                block = self._products(points[:behind], centres, norms)
                torch.minimum(least[:behind], block.amin(1), out=least[:behind])
            yield some, points, least

    def _high(self, unseen: int, most: int, dtype: torch.dtype) -> int:
        """How many points a block has: more than `block` where they lack few kept rows."""
        numbers = self.scratch.view(dtype).numel()
        return max(self.block, numbers // max(min(unseen, most), 2 * self.points.shape[1]))

    def _unseen(self, since: Sequence[int], most: int) -> Iterator[slice]:
        """The kept rows that points have not seen, block by block: they saw so many, ascending.

        A block begins where the next points have seen no more, unless so few rows are before it.
        """
        at = since[0] if since else self.count
        for end in [*sorted({*since})[1:], self.count]:
            if end - at >= LEAST or end == self.count:
                yield from (slice(k, min(k + most, end)) for k in range(at, end, most))
                at = end

    def _products(
        self, points: torch.Tensor, centres: torch.Tensor, norms: torch.Tensor
    ) -> torch.Tensor:
        """(P, C) |c|^2 - 2xc of points (P, D) and centres (C, D), until it is called again."""
        shape = len(points), len(centres)
        out = self.scratch.view(points.dtype)[: math.prod(shape)].view(shape)
        return torch.addmm(norms, points, centres.T, alpha=-2, out=out)

    def _kept(self, some: slice, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
        """Some of the kept rows, centred, and their squared norms."""
        if dtype == torch.float32:
            return self.rows[some], self.norms[some]
        centres = self._centred(self.kept[some], dtype)
        return centres, centres.square().sum(1)

    @cached_property
    def plain(self) -> PlainGaps:
        """Made where points tie: 16 bytes a point."""
        return PlainGaps(
            self.points.cpu().numpy(),
            self.mean.cpu().numpy(),
            slack=self.slack64,
            workspace=self.workspace,
        )

    def _kept_rows(self) -> np.ndarray:
        return self.kept[: self.count].cpu().numpy()

    def _index(self, rows: Sequence[int] | np.ndarray) -> torch.Tensor:
        return torch.as_tensor(np.asarray(rows, np.int64), device=self.device)
