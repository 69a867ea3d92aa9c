"""The graph: canvas -> network -> described patches -> nearest rows -> map, score and site.

Squared distances come from products of centred features, as in `search/nearest_rows.py`; the score
is then measured again, by plain differences of the oddest patch to every row, so that no rounding
of large numbers is in it.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from fedad.descriptors.settings import Settings
from fedad.descriptors.standardise import FLOOR, SLIGHT, TINY
from fedad.embedders.backbone import Backbone, feature_maps
from fedad.embedders.patches import patch_features
from fedad.export.plan import Plan

BLOCK = 256  # patches whose distances are in memory at a time


class Graph(torch.nn.Module):
    """uint8 canvas (1, 3, H, W) -> patch map (1, h, w), score (1,), number of the site (1,)."""

    mean: torch.Tensor
    std: torch.Tensor
    where: torch.Tensor  # (P, 2), or nothing
    rows: torch.Tensor  # (M, D) of all groups
    weight: torch.Tensor  # (M,): how often each one's distance counts
    site: torch.Tensor  # (M,)
    centre: torch.Tensor  # (D,)

    def __init__(self, backbone: Backbone, plan: Plan) -> None:
        super().__init__()
        self.network, self.levels = backbone.model, list(backbone.levels)
        self.grid, self.pool = backbone.grid, backbone.knobs.pool
        self.settings: Settings = plan.settings
        self.factors = [one.factor for one in plan.groups]
        rows = np.concatenate([one.rows for one in plan.groups])
        weight = np.repeat(
            np.array(self.factors, np.float32), [len(one.rows) for one in plan.groups]
        )
        self._keep("mean", backbone.mean.cpu()[None])
        self._keep("std", backbone.std.cpu()[None])
        self._keep("where", _tensor(np.empty((0, 2)) if plan.where is None else plan.where))
        self._keep("rows", _tensor(rows))
        self._keep("weight", _tensor(weight))
        site = np.concatenate([one.site for one in plan.groups])
        self._keep("site", torch.from_numpy(site.astype(np.int64)))
        centre = rows.mean(axis=0, dtype=np.float64).astype(np.float32)
        self._keep("centre", _tensor(centre))
        for number, one in enumerate(plan.groups):
            centred = one.rows - centre
            self._keep(f"products_{number}", _tensor(-2 * centred.T))
            self._keep(f"lengths_{number}", _tensor(np.square(centred).sum(axis=1)))

    def forward(self, canvas: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        x = (canvas.float() / 255 - self.mean) / self.std
        maps = feature_maps(self.network, x, self.levels)
        patches = patch_features(maps, grid=self.grid, pool=self.pool)
        _, h, w, size = patches.shape
        points = self._described(patches.reshape(h * w, size))
        distance = self._distances(points)
        score, site = self._oddest(points, distance)
        return distance.reshape(1, h, w), score, site

    def _described(self, points: torch.Tensor) -> torch.Tensor:
        """Patches (P, D) as rows are: see `descriptors/`."""
        if blend := self.settings.standardise:
            exact = points.double()
            mean, squares = exact.mean(0), exact.square().mean(0)
            spread = (squares - mean.square()).clamp_min(0).sqrt()
            usual = squares.mean().sqrt()
            least = torch.maximum(FLOOR * spread.mean(), SLIGHT * usual).clamp_min(TINY)
            points = ((exact - blend * mean) / torch.maximum(spread, least) ** blend).float()
        return torch.cat([points, self.where], dim=1) if len(self.where) else points

    def _distances(self, points: torch.Tensor) -> torch.Tensor:
        """(P,): the least distance of each patch, each group's times its factor."""
        blocks = []
        for some in (points - self.centre).split(BLOCK):
            squares, length = list[torch.Tensor](), some.square().sum(1)
            for number, factor in enumerate(self.factors):
                products = some @ getattr(self, f"products_{number}")
                least = (products + getattr(self, f"lengths_{number}")).amin(1)
                squares.append((least + length).clamp_min(0) * factor**2)
            blocks.append(squares[0] if len(squares) == 1 else torch.stack(squares).amin(0))
        return torch.cat(blocks).sqrt()

    def _oddest(
        self, points: torch.Tensor, distance: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The score, and whose row is nearest to the oddest patch."""
        point = points[distance.argmax(0, keepdim=True)]
        exact = (self.rows - point).square().sum(1).sqrt() * self.weight
        nearest = exact.argmin(0, keepdim=True)
        if share := self.settings.smoothed_maximum:
            count = max(1, math.ceil(share * len(distance)))
            return distance.topk(count).values.mean(0, keepdim=True), self.site[nearest]
        return exact[nearest], self.site[nearest]

    def _keep(self, name: str, value: torch.Tensor) -> None:
        self.register_buffer(name, value)


def _tensor(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, np.float32))
