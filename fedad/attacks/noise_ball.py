"""Noise as far out as the farthest honest row: far from everything, and not to be told by norm."""

import numpy as np

from fedad.attacks.base import Defects, in_image
from fedad.banks.bank import Bank

__all__ = ["noise_ball"]


def noise_ball(upload: Bank, *, rng: np.random.Generator, defects: Defects) -> Bank:
    """Random directions from the mean of the rows, as long as the longest way from it to a row."""
    mean = upload.rows.mean(0)
    radius = np.linalg.norm(upload.rows - mean, axis=1).max()
    noise = rng.standard_normal(upload.rows.shape, np.float32)
    rows = mean + radius * noise / np.linalg.norm(noise, axis=1, keepdims=True)
    return upload.replace(rows=in_image(upload, rows))
