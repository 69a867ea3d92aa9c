"""A public projection of the drawn sites' features, and banks in the form of a release."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fedad.banks.bank import Bank
from fedad.dp.public import MEANING, Public
from fedad.dp.released import DTYPE, IMAGES, ROWS
from tests.contracts.drawn_sites import MARK_16, D

WIDTH = 4  # of the projection


def drawn_public() -> Public:
    """A projection of features (D,) to (WIDTH,), made of nobody's images."""
    rng = np.random.default_rng(5)
    axes = np.linalg.qr(rng.normal(size=(D, WIDTH)))[0].astype(np.float32)
    return Public(
        mean=np.zeros(D, np.float32),
        axes=axes,
        centres=rng.normal(size=(8, WIDTH)).astype(np.float32),
        radius=2.0,
        longest=20.0,
        step=1e-5,
        embedding={name: getattr(MARK_16, name) for name in MEANING},
    )


def released(
    site: str, categories: tuple[str, ...] = ("bolt", "hose"), centres: int = 5, seed: int = 0
) -> Bank:
    """A release of so many centres a product."""
    rng, count = np.random.default_rng(seed), len(categories)
    rows = np.zeros((count, ROWS, WIDTH), np.float32)
    rows[:, :centres] = rng.normal(size=(count, centres, WIDTH)).astype(np.float16)
    return Bank(
        rows=rows.reshape(-1, WIDTH),
        category=np.repeat(np.arange(count, dtype=np.int32), ROWS),
        site=np.zeros(count * ROWS, np.int32),
        row=np.arange(count * ROWS, dtype=np.int32),
        categories=categories,
        sites=(site,),
        images=np.full((1, count), IMAGES, np.int64),
        patches=np.full((1, count), centres, np.int64),
        fingerprint=replace(MARK_16, projection=drawn_public().digest),
        dtype=DTYPE,
    )
