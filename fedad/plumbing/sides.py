"""The sides of images and tiles, as knobs name them."""

from __future__ import annotations

import re
from typing import Any

SMALLEST = 32  # side of what a network is given
MOST = 4  # sizes that may be joined to `embedder.size`
STEP = 32  # pixels that tiles begin apart by a multiple of: the stride of a network's deepest layer


def sides_of(size: int | str) -> tuple[int, int]:
    """(H, W) of `embedder.size`: `256` is a square, `"5000x200"` is 5,000 wide and 200 high.

    Raises:
        ValueError: neither.
    """
    if isinstance(size, int):
        return size, size
    if not (found := re.fullmatch(r"(\d{1,6})x(\d{1,6})", size)):
        raise ValueError("expected a number, or width x height such as 5000x200")
    return int(found[2]), int(found[1])


def as_size(size: Any) -> int | str:
    """A size as it is kept: a square as its side.

    Raises:
        ValueError: it is none, or has a side that is too short.
    """
    if type(size) not in (int, str):
        raise ValueError("expected a number, or width x height such as 5000x200")
    height, width = sides_of(size)
    if min(height, width) < SMALLEST:
        raise ValueError(f"expected a side greater than or equal to {SMALLEST}")
    return width if height == width else str(size)


def also_of(text: str) -> tuple[int | str, ...]:
    """`embedder.also`, a comma list of further sizes: `"384, 512x256"` -> `(384, "512x256")`.

    Raises:
        ValueError: one of them is none, or has a side that is too short.
    """
    named = [word.strip() for word in text.split(",") if word.strip()]
    return tuple(as_size(int(word) if word.isdecimal() else word) for word in named)


def as_also(text: Any) -> str:
    """Further sizes as they are kept: a square as its side, with commas alone between.

    Raises:
        ValueError: they are none, or one is there twice.
    """
    if type(text) not in (int, str):
        raise ValueError("expected a comma list of sizes such as '384', or '' for none")
    sizes = also_of(str(text))
    if len(sizes) > MOST:
        raise ValueError(f"expected at most {MOST} sizes")
    if len({*sizes}) < len(sizes):
        raise ValueError("expected each size once")
    return ",".join(map(str, sizes))


def as_tile(side: int) -> int:
    """A side of a tile, or of what two tiles share.

    Raises:
        ValueError: it is no multiple of `STEP`.
    """
    if side % STEP:
        raise ValueError(f"expected a multiple of {STEP}")
    return side
