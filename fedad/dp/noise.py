"""Standard normal numbers for releases, from the operating system's entropy."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from scipy.special import ndtri

BITS = 53  # of a uniform number: the tails end at 8.2 standard deviations
WORD = 8  # bytes


class Noise(Protocol):
    """Where a release draws from."""

    @property
    def private(self) -> bool:
        """Whether nobody can draw the same again."""
        ...

    def normal(self, shape: tuple[int, ...]) -> np.ndarray:
        """Standard normal numbers, float64, each drawn once."""
        ...


@dataclass(frozen=True)
class OsNoise:
    """The operating system's entropy, which no seed reproduces: the only noise that is private."""

    private: bool = field(default=True, init=False)

    def normal(self, shape: tuple[int, ...]) -> np.ndarray:
        """See `Noise`; by the inverse of the distribution function, of 53 bits a number."""
        count = int(np.prod(shape, dtype=np.int64))
        words = np.frombuffer(os.urandom(WORD * count), np.uint64) >> np.uint64(64 - BITS)
        return ndtri((words + 0.5) / 2.0**BITS).reshape(shape)


class SeededNoise:
    """Noise that a seed reproduces, for tests and comparisons: what it makes is not private."""

    private = False

    def __init__(self, seed: int | np.random.Generator) -> None:
        self.rng = np.random.default_rng(seed)

    def normal(self, shape: tuple[int, ...]) -> np.ndarray:
        """See `Noise`."""
        return self.rng.standard_normal(shape)
