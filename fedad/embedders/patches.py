"""Feature maps of several layers -> one vector a patch (Roth et al., CVPR 2022, section 3.1)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional


def patch_features(maps: Sequence[torch.Tensor], *, grid: int, pool: int) -> torch.Tensor:
    """The maps (B, C_i, h_i, w_i) of each layer as one grid (B, h, w, sum C_i).

    Args:
        grid: the number of the map whose h x w the others are brought to, bilinearly.
        pool: side of the neighbourhood whose mean a patch is; zeros stand beyond the border.
    """
    pooled = [functional.avg_pool2d(m, pool, 1, pool // 2) for m in maps]
    size = pooled[grid].shape[-2:]
    joined = [
        m
        if m.shape[-2:] == size
        else functional.interpolate(m, size=size, mode="bilinear", align_corners=False)
        for m in pooled
    ]
    return torch.cat(joined, dim=1).permute(0, 2, 3, 1).contiguous()
