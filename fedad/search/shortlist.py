"""The rows that may be nearest, by bfloat16 products, and of those the nearest in float32.

On the list is every row that rounding cannot prove to be farther than another, so that the answer
is float32's own. With x = x' + dx and c = c' + dc, the product x c is off x' c' by at most
|dx| |c| + |x'| |dc|, and rounding x' c' itself by `HALF` of |x'| |c'|.
"""

from __future__ import annotations

import torch

LONG = 8192  # rows in a block of bfloat16 products, pairs in a block of float32 ones
MOST = 2**20  # pairs of a point and a row that a list may hold
HALF = 2.0**-9  # the most by which bfloat16 rounds a number, relative to it
SLACK = 2.0**-10  # float32 sums of up to 8,192 products, relative to what bfloat16 is off


class ShortList:
    """Rows (M, D) float32, centred, with what their rounding to bfloat16 costs."""

    def __init__(self, centres: torch.Tensor) -> None:
        self.centres = centres
        self.norms = centres.square().sum(1)
        self.rounded = centres.to(torch.bfloat16)
        self.longest = self.norms.max().sqrt() * (1 + HALF)
        self.lost = (centres - self.rounded.float()).norm(dim=1).max()

    def nearest(self, points: torch.Tensor) -> torch.Tensor | None:
        """The nearest row of each of the points (P, D); None where the list would be too long."""
        near = points.to(torch.bfloat16)
        margin = 2 * self._off(points, near.float())[:, None]
        least = torch.full((len(points), 1), torch.inf, device=points.device)
        lists, long = [], 0
        for at in range(0, len(self.centres), LONG):
            some = slice(at, at + LONG)
            gaps = torch.add(self.norms[some], _products(near, self.rounded[some]), alpha=-2)
            least = torch.minimum(least, gaps.amin(1, keepdim=True))
            point, row = torch.nonzero(gaps <= least + margin, as_tuple=True)
            lists.append((point, row + at, gaps[point, row]))
            if (long := long + len(point)) > MOST:
                return None
        point, row, gap = (torch.cat(column) for column in zip(*lists, strict=True))
        listed = gap <= (least + margin)[point, 0]
        return self._nearest_of(points, point[listed], row[listed])

    def _off(self, points: torch.Tensor, near: torch.Tensor) -> torch.Tensor:
        """The most by which the gap |c|^2 - 2xc to any row is wrong, for each point."""
        product = near.norm(dim=1) * (self.lost + HALF * self.longest)
        return (2 + SLACK) * ((points - near).norm(dim=1) * self.longest + product)

    def _nearest_of(
        self, points: torch.Tensor, point: torch.Tensor, row: torch.Tensor
    ) -> torch.Tensor:
        """Of the listed pairs the nearest row of each point in float32, of equals the lowest."""
        gap = torch.cat(
            [
                self.norms[r] - 2 * torch.einsum("nd,nd->n", points[p], self.centres[r])
                for p, r in zip(point.split(LONG), row.split(LONG), strict=True)
            ]
        )
        least = torch.full((len(points),), torch.inf, device=gap.device)
        least.scatter_reduce_(0, point, gap, "amin")
        best = gap <= least[point]
        lowest = torch.full((len(points),), len(self.centres), device=gap.device)
        return lowest.scatter_reduce_(0, point[best], row[best], "amin")


def _products(points: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """(P, M); summed in float32, which CUDA does for bfloat16 only where the result is float32."""
    if points.is_cuda:
        return torch.mm(points, rows.T, out_dtype=torch.float32)
    return points @ rows.T
