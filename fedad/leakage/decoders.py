"""Decoders from patch features to pixels, and how well they draw."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from fedad.plumbing.progress import track

Decode = Callable[[np.ndarray], np.ndarray]
AXES = 384  # of public crops, in which decoders draw; less than 1 % of their variance is left out
RIDGES = (1e-4, 1e-3, 1e-2, 0.1, 1.0)  # times the variance of a feature
HIDDEN, EPOCHS, BATCH = 512, 12, 128


class Scores(NamedTuple):
    """PSNR in dB of decoded crops and of the mean crop; `benchmarks/decoder.py` shows them."""

    psnr: float  # the mean over rows
    base: float  # the mean crop's
    gain: float
    best: float  # of the row that is decoded best
    best_base: float  # of the row that is most like the mean crop
    above3: float  # share of rows that are decoded 3 dB better than the mean crop shows them
    seen: float  # correlation of decoded and true pixels, both less the mean crop


class Drawn(NamedTuple):
    """Public crops (n, P) in fewer numbers: (n, K) along axes (P, K) from their mean."""

    values: np.ndarray
    axes: np.ndarray
    mean: np.ndarray


def scores_of(drawn: np.ndarray, crops: np.ndarray) -> Scores:
    """Of crops (n, P) as decoded and as they are."""
    drawn, middle = drawn.clip(0, 1), crops.mean(0)
    ours, base = psnr(drawn, crops), psnr(middle[None], crops)
    seen = np.corrcoef((drawn - middle).ravel(), (crops - middle).ravel())[0, 1]
    return Scores(
        psnr=float(ours.mean()),
        base=float(base.mean()),
        gain=float(ours.mean() - base.mean()),
        best=float(ours.max()),
        best_base=float(base.max()),
        above3=float((ours > base + 3).mean()),
        seen=float(seen),
    )


def psnr(drawn: np.ndarray, crops: np.ndarray) -> np.ndarray:
    """(n,) dB, of pixels from 0 to 1; at most 60."""
    return -10 * np.log10(np.maximum(np.square(drawn - crops).mean(1), 1e-6))


def drawable(crops: np.ndarray) -> Drawn:
    """Crops (n, P) along their principal axes; the same at every call."""
    mean = crops.mean(0)
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        _, _, axes = torch.pca_lowrank(
            torch.from_numpy(crops - mean), q=min(AXES, *crops.shape), center=False, niter=2
        )
    found = axes.numpy()
    return Drawn((crops - mean) @ found, found, mean)


def linear(rows: np.ndarray, known: Drawn) -> Decode:
    """Ridge regression; its strength is the best one on a tenth of the public patches."""
    points, scaled = _standardised(rows)
    held = _held(len(rows))

    def fitted(some: np.ndarray, ridge: float) -> np.ndarray:
        x = points[some].astype(np.float64)
        square = x.T @ x + ridge * len(x) * np.eye(x.shape[1])
        found: np.ndarray = np.linalg.solve(square, x.T @ known.values[some])
        return found

    errors = [
        np.square(points[held] @ fitted(~held, ridge) - known.values[held]).mean()
        for ridge in RIDGES
    ]
    weights = fitted(np.ones(len(rows), bool), RIDGES[int(np.argmin(errors))]) @ known.axes.T
    return lambda given: (scaled(given) @ weights + known.mean).astype(np.float32)


def mlp(rows: np.ndarray, known: Drawn) -> Decode:
    """Two hidden layers, by AdamW and a falling rate; of its epochs the best one on a tenth of the
    public patches."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        return _trained(rows, known)


def _trained(rows: np.ndarray, known: Drawn) -> Decode:
    points, scaled = _standardised(rows)
    x, y = torch.from_numpy(points), torch.from_numpy(known.values)
    held = torch.from_numpy(_held(len(rows)))
    sizes = (x.shape[1], HIDDEN, HIDDEN)
    hidden = [m for a, b in itertools.pairwise(sizes) for m in (nn.Linear(a, b), nn.GELU())]
    net = nn.Sequential(*hidden, nn.Dropout(0.1), nn.Linear(HIDDEN, y.shape[1]))
    learned = torch.nonzero(~held).flatten()
    adam = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.01)
    steps = EPOCHS * -(-len(learned) // BATCH)
    rate = torch.optim.lr_scheduler.OneCycleLR(adam, 2e-3, steps, pct_start=0.1)
    best, least = dict[str, torch.Tensor](), float("inf")
    with track("training the decoder", EPOCHS) as progress:
        for epoch in range(EPOCHS):
            net.train()
            for some in learned[torch.randperm(len(learned))].split(BATCH):
                adam.zero_grad()
                nn.functional.mse_loss(net(x[some]), y[some]).backward()
                adam.step()
                rate.step()
            net.eval()
            with torch.inference_mode():
                error = float(nn.functional.mse_loss(net(x[held]), y[held]))
            if error < least:
                least, best = error, {k: v.clone() for k, v in net.state_dict().items()}
            progress(epoch + 1)
    net.load_state_dict(best)

    def decoded(given: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            found = net(torch.from_numpy(scaled(given))).numpy()
        drawn: np.ndarray = found @ known.axes.T + known.mean
        return drawn

    return decoded


def _standardised(rows: np.ndarray) -> tuple[np.ndarray, Decode]:
    middle, spread = rows.mean(0), rows.std(0) + 1e-6
    return ((rows - middle) / spread).astype(np.float32), lambda given: (
        (given - middle) / spread
    ).astype(np.float32)


def _held(count: int) -> np.ndarray:
    return np.random.default_rng(0).random(count) < 0.1
