"""What a site keeps of every test image in its own folder: `images.safetensors`. It never travels.

Sums over images are enough for figures; two runs over the same images compare more sharply image
by image, in whatever sites the images were.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from fedad.errors import DataError, UploadError
from fedad.evaluation import Cell, Counts, pack, unpack
from fedad.judging.verdicts import Verdict
from fedad.plumbing.files import write_atomic

FILE = "images.safetensors"
_ALL = Cell("", "good", "")  # the one cell that the counts of all images are packed in, as a batch


@dataclass(frozen=True, eq=False)
class PerImage:
    """n test images, as judged: what each is, its score, and its counts in 256 bins."""

    names: tuple[str, ...]
    cells: tuple[Cell, ...]
    score: np.ndarray  # (n,) float64
    alone: np.ndarray  # (n,) float64: by the site's own rows alone; NaN where it has none
    counts: Counts  # one cell, with the images as its batch: (n, 5, bins)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def tables(self) -> np.ndarray:
        """(n, 5, bins) int64: the table of each image, see `Counts`."""
        return self.counts.cells[_ALL]


@dataclass
class Collector:
    """Sees every verdict once."""

    names: list[str] = field(default_factory=list)
    cells: list[Cell] = field(default_factory=list)
    numbers: list[tuple[float, float]] = field(default_factory=list)
    counts: list[Counts] = field(default_factory=list)

    def see(self, verdict: Verdict) -> None:
        alone = verdict.trace.alone if verdict.trace else float("nan")
        self.names.append(verdict.sample.name)
        self.cells.append(verdict.scored.cell)
        self.numbers.append((verdict.scored.image_score, alone))
        self.counts.append(Counts.coarse(verdict.scored))

    def write(self, folder: Path) -> None:
        """`images.safetensors`, if there was an image."""
        if not self.names:
            return
        tables = np.stack([table for one in self.counts for table in one.cells.values()])
        header, arrays = pack(Counts({_ALL: tables}, self.counts[0].binning))
        score, alone = np.array(self.numbers).T
        about = {"names": self.names, "cells": self.cells, "counts": header}
        tensors = {**arrays, "score": score, "alone": alone}
        plain = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
        write_atomic(folder / FILE, save(plain, {"json": json.dumps(about)}))


def read_per_image(folder: Path) -> PerImage:
    """What `Collector.write` left in a site's folder.

    Raises:
        DataError: there is no such file, or not all of it.
    """
    path = folder / FILE
    try:
        with safe_open(path, framework="numpy") as file:
            about = json.loads((file.metadata() or {})["json"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        packed = {name: tensors[name] for name in ("columns", "values")}
        return PerImage(
            names=tuple(about["names"]),
            cells=tuple(Cell(*cell) for cell in about["cells"]),
            score=tensors["score"],
            alone=tensors["alone"],
            counts=unpack(about["counts"], packed),
        )
    except (OSError, SafetensorError, KeyError, ValueError, UploadError) as error:
        raise DataError(f"{path}: not what a site keeps of its test images ({error})") from error
