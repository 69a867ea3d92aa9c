"""How `draem` is trained: pictures with and without a synthetic defect, and its loss."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch.nn.functional import avg_pool2d, mse_loss

from fedad.defects.base import draw
from fedad.members._images import batches_of
from fedad.members._unet import Draem

CLEAN = 0.5  # of the images of a step have no defect
KIND = "perlin"
WINDOW = 11  # pixels of a side, over which structure is compared
C1, C2 = 0.01**2, 0.03**2  # of structural similarity, for values from 0 to 1
FOCUS = 2.0  # gamma of the focal loss
SMOOTH = 21 / 256  # of an image's side: over which its mask is averaged
SHOWN = 4  # pixels of a side, that a patch of the activations stands for


class Batch(NamedTuple):
    """Pictures (n, side, side, 3) uint8, the same with defects, and where these are, bool."""

    good: np.ndarray
    seen: np.ndarray
    masks: np.ndarray


def corrupted(
    pictures: np.ndarray, size: int, epochs: int, rng: np.random.Generator
) -> Iterator[Batch]:
    """Each picture once an epoch, in a random order, at most `size` at a time; one in two with a
    blot of another picture's texture (`defects/perlin.py`)."""
    for _ in range(epochs):
        for numbers in batches_of(len(pictures), size, rng):
            good = pictures[numbers]
            seen, masks = good.copy(), np.zeros(good.shape[:3], np.bool_)
            for k in range(len(numbers)):
                if rng.random() >= CLEAN:
                    other = pictures[rng.integers(len(pictures))]
                    drawn = draw(good[k], other, KIND, rng=rng)
                    seen[k], masks[k] = drawn.image, drawn.mask
            yield Batch(good, seen, masks)


def loss_of(network: Draem, batch: Batch, device: str) -> torch.Tensor:
    """How far the reconstruction is from the good pictures, by squares and by structure, and how
    wrong the mask is, mostly where it is not sure (Lin et al., focal loss, ICCV 2017)."""
    good = tensor_of(batch.good, device)
    restored, logits = network(tensor_of(batch.seen, device))
    masks = torch.from_numpy(batch.masks).to(device).long()
    logs = logits.log_softmax(1).gather(1, masks[:, None])
    focal = (-((1 - logs.exp()) ** FOCUS) * logs).mean()
    found: torch.Tensor = mse_loss(restored, good) + unlike(restored, good) + focal
    return found


def unlike(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """1 less the structural similarity (Wang et al., 2004) of images (B, C, H, W) from 0 to 1, in
    square windows."""

    def mean(values: torch.Tensor) -> torch.Tensor:
        return avg_pool2d(values, WINDOW, 1)

    a, b = mean(one), mean(other)
    aa, bb, ab = mean(one * one) - a * a, mean(other * other) - b * b, mean(one * other) - a * b
    alike = (2 * a * b + C1) * (2 * ab + C2) / ((a * a + b * b + C1) * (aa + bb + C2))
    return 1 - alike.mean()


def tapped(network: Draem, picture: np.ndarray, device: str) -> tuple[np.ndarray, np.ndarray]:
    """What the network makes of a picture (side, side, 3): the activations (h, w, D) that its mask
    is made of, and the mask's probabilities (h, w), averaged around each place.

    h and w are a quarter of the side.
    """
    with torch.inference_mode():
        _, logits, inside = network.all(tensor_of(picture[None], device))
        window = odd(SMOOTH * len(picture))
        sure = avg_pool2d(logits.softmax(1)[:, 1:], window, 1, window // 2, count_include_pad=False)
        sure = avg_pool2d(sure, SHOWN)
    channels = inside[0].permute(1, 2, 0).contiguous().cpu().numpy()
    return channels, sure[0, 0].cpu().numpy()


def tensor_of(pictures: np.ndarray, device: str) -> torch.Tensor:
    """(n, 3, H, W), from 0 to 1."""
    found = torch.tensor(pictures, device=device)
    return found.permute(0, 3, 1, 2).float().div(255)


def odd(size: float) -> int:
    """The nearest odd number, 1 at least."""
    return 2 * int(max(0.0, size - 1) / 2 + 0.5) + 1
