"""One seed a run; from it one independent random stream for each site and purpose."""

import hashlib

import numpy as np


def stream(seed: int, *path: str) -> np.random.Generator:
    """The generator for `path`, such as `stream(7, "lyon", "fit")`.

    A stream depends on the seed and the path alone: not on how many streams were drawn before it,
    nor on the order in which sites answer, nor on the process that draws it. Paths are told apart
    by 128 bits, so that no two names share a stream.
    """
    parts = (part.encode() for part in path)
    told = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    digest = hashlib.blake2b(told, digest_size=16).digest()
    return np.random.default_rng([seed, *np.frombuffer(digest, "<u4").tolist()])
