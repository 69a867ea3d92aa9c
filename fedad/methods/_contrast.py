"""ReConPatch's similarities and relaxed contrastive loss, and the local training by them.

Of N patches with z = g(f(x)), and the same by slow copies of f and g, zs:

    pairwise    P_ij = exp(-|zs_i - zs_j|^2 / (sigma s^2)),  s^2 the mean of |zs_i - zs_j|^2, i != j
    contextual  c_ij = |N_k(i) and N_k(j)| / k  if j is in N_k(i), else 0
                e_ij = mean of c_lj over l in N_(k/2)(i),  C = (e + e^T) / 2
    similarity  w = alpha P + (1 - alpha) C
    distance    delta_ij = |z_i - z_j| / (mean over n of |z_i - z_n|)
    loss        mean over i != j of  w delta^2 + (1 - w) max(0, margin - delta)^2

N_k(i) are the k nearest of zs_i, itself first. The paper sums over j and takes the mean over i: its
loss, and so its rate of learning, grow with N. The mean over pairs does not. s^2 is ours too: a
linear map may have any length, and sigma alone would mean another similarity for each network.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:  # reconpatch imports this file when it trains
    from fedad.methods.reconpatch import Knobs

TINY = 1e-9  # under the root of a squared distance, whose slope at 0 is infinite


def trained(
    steps: Iterable[np.ndarray], maps: tuple[np.ndarray, np.ndarray], *, knobs: Knobs, device: str
) -> tuple[np.ndarray, np.ndarray]:
    """f (K, D) and g (Z, K) after a step of Adam on each batch of patches (N, D), N at least 2."""
    fast = [torch.tensor(one, device=device, requires_grad=True) for one in maps]
    slow = [one.detach().clone() for one in fast]
    adam = torch.optim.Adam(fast, lr=knobs.rate)
    for batch in steps:
        points = torch.from_numpy(batch).to(device)
        with torch.no_grad():
            weights = similarity(embedded(points, slow), knobs)
        adam.zero_grad()
        loss(embedded(points, fast), weights, knobs.margin).backward()
        adam.step()
        with torch.no_grad():
            for copy, one in zip(slow, fast, strict=True):
                copy.mul_(knobs.momentum).add_(one, alpha=1 - knobs.momentum)
    f, g = (one.detach().cpu().numpy() for one in fast)
    return f, g


def loss_of(points: np.ndarray, maps: tuple[np.ndarray, np.ndarray], knobs: Knobs) -> float:
    """The loss of patches (N, D) by f and g that are their own slow copies."""
    with torch.no_grad():
        found = embedded(torch.from_numpy(points), [torch.tensor(one) for one in maps])
        return float(loss(found, similarity(found, knobs), knobs.margin))


def embedded(points: torch.Tensor, maps: list[torch.Tensor]) -> torch.Tensor:
    """(N, Z): g(f(x))."""
    f, g = maps
    return points @ f.T @ g.T


def similarity(points: torch.Tensor, knobs: Knobs) -> torch.Tensor:
    """(N, N): w, from 0 to 1, of the slow embeddings (N, Z)."""
    squares = squared(points)
    return knobs.alpha * pairwise(squares, knobs.sigma) + (1 - knobs.alpha) * contextual(
        squares, knobs.k
    )


def pairwise(squares: torch.Tensor, sigma: float) -> torch.Tensor:
    """(N, N): P, of squared distances (N, N)."""
    count = len(squares)
    usual = squares.sum() / (count * (count - 1))
    return torch.exp(-squares / (sigma * usual.clamp_min(TINY)))


def contextual(squares: torch.Tensor, k: int) -> torch.Tensor:
    """(N, N): C, of squared distances (N, N); k is at most N."""
    k = min(k, len(squares))
    order = nearest(squares, k)
    members, close = among(order), among(order[:, : max(1, k // 2)])
    shared = members @ members.T / k * members
    expanded = close @ shared / close.sum(1, keepdim=True)
    return (expanded + expanded.T) / 2


def loss(points: torch.Tensor, weights: torch.Tensor, margin: float) -> torch.Tensor:
    """The relaxed contrastive loss of embeddings (N, Z) by their similarities (N, N)."""
    far = (squared(points) + TINY).sqrt()
    far = far / far.mean(1, keepdim=True)
    each = weights * far.square() + (1 - weights) * (margin - far).clamp_min(0).square()
    count = len(points)
    return (each.sum() - each.diagonal().sum()) / (count * (count - 1))


def squared(points: torch.Tensor) -> torch.Tensor:
    """(N, N): squared distances of points (N, Z)."""
    centred = points - points.mean(0)
    lengths = centred.square().sum(1)
    return (lengths[:, None] + lengths - 2 * centred @ centred.T).clamp_min(0)


def nearest(squares: torch.Tensor, k: int) -> torch.Tensor:
    """(N, k): the nearest points of each, itself first."""
    apart = squares.clone()
    apart.fill_diagonal_(-1)
    return apart.topk(k, largest=False, sorted=True).indices


def among(order: torch.Tensor) -> torch.Tensor:
    """(N, N): 1 where a point is among the first ones (N, k) of another."""
    found = torch.zeros(len(order), len(order), device=order.device)
    return found.scatter_(1, order, 1.0)
