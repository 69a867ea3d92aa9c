"""A process that watches a folder by a stand-in for a model, until a file called `stop` is there.

    python -m tests.inspection.watching FOLDER

All but the verdict is real. A picture's content is its number, and that decides the verdict:
`verdict_of`. What has no number is no picture yet.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from fedad.errors import BadFileError
from fedad.inspection import hot_folder
from fedad.inspection.hot_folder import HotFolder
from fedad.inspection.inspection import Inspection
from fedad.judging.verdict_words import AGAIN, NOK, OK

SETTLE, PATIENCE = 0.05, 2.0


def verdict_of(number: int) -> str:
    """One in a hundred is NOK, one is to be taken again."""
    return {1: NOK, 2: AGAIN}.get(number % 100, OK)


class StandIn:
    """Judges by what is written in the file; its score is the number."""

    def product_of(self, product: str) -> str:
        return product

    def inspect(self, path: Path, product: str, name: str, /) -> Inspection:
        began, content = time.perf_counter(), path.read_text()
        if not content.endswith(";"):
            raise BadFileError(f"{path}: cut short", "cut")
        number = int(content[:-1])
        return Inspection(
            name=name,
            product=product,
            verdict=verdict_of(number),
            score=float(number),
            threshold=0.0,
            p_value=1.0,
            good_parts=1,
            scale=(0.0, 1.0),
            seconds=time.perf_counter() - began,
            model="",
            heat=np.zeros((8, 8), np.float32),
            picture=np.zeros((8, 8, 3), np.uint8),
        )


def main(folder: Path) -> None:
    hot_folder.POLL = 0.02
    hot = HotFolder(folder, StandIn(), "part", settle=SETTLE, patience=PATIENCE)
    for _ in hot.watch((folder / "stop").exists):
        pass


if __name__ == "__main__":
    main(Path(sys.argv[1]))
