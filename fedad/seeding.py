"""One seed a run; from it one independent random stream for each site and purpose."""

import zlib

import numpy as np


def stream(seed: int, *path: str) -> np.random.Generator:
    """The generator for `path`, such as `stream(7, "lyon", "fit")`.

    A stream depends on the seed and the path alone: not on how many streams were drawn before it,
    nor on the order in which sites answer, nor on the process that draws it.
    """
    return np.random.default_rng([seed, *(zlib.crc32(part.encode()) for part in path)])
