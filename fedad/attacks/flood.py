"""Five times as many rows as the images give, and counts to match."""

import numpy as np

from fedad.attacks.base import Defects, in_image
from fedad.banks.bank import Bank

__all__ = ["flood"]

TIMES = 5


def flood(upload: Bank, *, rng: np.random.Generator, defects: Defects) -> Bank:
    """The honest rows five times over, each copy with noise of a tenth of their spread."""
    many = upload.take(np.tile(np.arange(len(upload)), TIMES))
    noise = 0.1 * upload.rows.std() * rng.standard_normal(many.rows.shape, np.float32)
    return many.replace(
        rows=in_image(many, many.rows + noise),
        row=np.arange(len(many), dtype=np.int32),
        images=TIMES * upload.images,
        patches=TIMES * upload.patches,
    )
