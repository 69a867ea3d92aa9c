"""FedDyMem's local training: a metric loss moves the generator, and what comes out the memory.

    attract = mean over the K nearest rows m of z   of max(0, |z - m|^2 - r^2)
    repel   = mean over the J next rows             of max(0, r^2 - |z - m|^2 - a)
    loss    = attract + repel + ANCHOR * |generator - the broadcast one|^2
    m      <- unit((1 - eta) m + eta * mean of the z that m is nearest to), once a batch

A row that no patch of an epoch was nearest to is dead: it becomes one of the patches that were
farthest from all rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn.functional import layer_norm, normalize

from fedad.methods._generator import EPSILON, Layers

if TYPE_CHECKING:  # feddymem imports this file when it trains
    from fedad.methods.feddymem import Knobs

ATTRACTED = REPELLED = 3  # K and J, where there are so many rows
ANCHOR = 1e-3
FAR = 64  # patches of a batch that may become rows when its epoch ends

Tensors = dict[str, torch.Tensor]


def updated(
    epochs: Iterable[Iterable[np.ndarray]],
    start: Layers,
    memory: np.ndarray,
    *,
    knobs: Knobs,
    metric: bool,
    device: str,
) -> tuple[Layers, np.ndarray]:
    """The generator and the memory (M, P) after `epochs` of batches of patches (n, D).

    Args:
        metric: whether the generator is trained.
    """
    layers = {
        name: torch.tensor(array, device=device, requires_grad=metric)
        for name, array in start.items()
    }
    anchor = {name: torch.tensor(array, device=device) for name, array in start.items()}
    rows, adam = torch.tensor(memory, device=device), None
    if metric:
        adam = torch.optim.Adam(layers.values(), lr=knobs.rate)
    for batches in epochs:
        seen = Seen(len(rows), device)
        for batch in batches:
            points = output(layers, torch.from_numpy(batch).to(device))
            squares = (2 - 2 * points @ rows.T).clamp_min(0)
            if adam:
                adam.zero_grad()
                (loss(squares, knobs) + ANCHOR * apart(layers, anchor)).backward()
                adam.step()
            if knobs.dynamic:
                rows = seen.moved(rows, points.detach(), squares.detach(), knobs.momentum)
        if knobs.dynamic:
            rows = seen.revived(rows)
    found = {name: tensor.detach().cpu().numpy().copy() for name, tensor in layers.items()}
    return found, rows.cpu().numpy()


def output(layers: Tensors, points: torch.Tensor) -> torch.Tensor:
    """(n, P): as `_generator.generated`."""
    inside = points @ layers["linear"].T + layers["shift"]
    normed = layer_norm(inside, inside.shape[-1:], layers["gain"], layers["bias"], EPSILON)
    return normalize(normed, dim=1)


def loss(squares: torch.Tensor, knobs: Knobs) -> torch.Tensor:
    """Attraction and repulsion of patches, by their squared distances (n, M) to the rows."""
    near = squares.topk(min(ATTRACTED + REPELLED, squares.shape[1]), largest=False).values
    attract = (near[:, :ATTRACTED] - knobs.radius**2).clamp_min(0).mean()
    if near.shape[1] <= ATTRACTED:
        return attract
    repel = (knobs.radius**2 - near[:, ATTRACTED:] - knobs.margin).clamp_min(0).mean()
    return attract + repel


def apart(layers: Tensors, others: Tensors) -> torch.Tensor:
    """The squared distance between two generators."""
    squares = [(layers[name] - others[name]).square().sum() for name in others]
    return torch.stack(squares).sum()


class Seen:
    """What an epoch has shown so far: which of M rows live, and patches far from all of them."""

    def __init__(self, rows: int, device: str) -> None:
        self.alive = torch.zeros(rows, dtype=torch.bool, device=device)
        self.far: list[tuple[torch.Tensor, torch.Tensor]] = []

    def moved(
        self, rows: torch.Tensor, points: torch.Tensor, squares: torch.Tensor, momentum: float
    ) -> torch.Tensor:
        """The rows (M, P), each moved towards the mean of the points (n, P) nearest to it."""
        least, nearest = squares.min(1)
        self._remember(points, least)
        whose = torch.zeros(squares.shape, device=rows.device)
        whose[torch.arange(len(points)), nearest] = 1
        counts = whose.sum(0)
        hit = counts > 0
        self.alive |= hit
        means = (whose.T @ points) / counts.clamp_min(1)[:, None]
        towards = normalize((1 - momentum) * rows + momentum * means, dim=1)
        return torch.where(hit[:, None], towards, rows)

    def revived(self, rows: torch.Tensor) -> torch.Tensor:
        """The rows, of which the dead ones are the farthest patches, as many as were remembered."""
        dead = torch.nonzero(~self.alive).flatten()
        if not len(dead) or not self.far:
            return rows
        points, least = (torch.cat(parts) for parts in zip(*self.far, strict=True))
        order = torch.sort(least, descending=True, stable=True).indices[: len(dead)]
        rows = rows.clone()
        rows[dead[: len(order)]] = points[order]
        return rows

    def _remember(self, points: torch.Tensor, least: torch.Tensor) -> None:
        order = torch.sort(least, descending=True, stable=True).indices[:FAR]
        self.far.append((points[order], least[order]))
