"""What a site keeps of every test image in its own folder: `images.safetensors`. It never travels.

Sums over images are enough for figures; two runs over the same images compare more sharply image
by image, in whatever sites the images were.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from fedad.errors import DataError
from fedad.evaluation import ARRAYS, Binning, Cell, Counts, pack, stacked, unpack
from fedad.evaluation.bins import EdgeBins
from fedad.evaluation.packing import MOST_PLACES, ROWS
from fedad.evaluation.tally import Tally
from fedad.judging.verdicts import Verdict
from fedad.plumbing.files import write_atomic
from fedad.plumbing.parse import from_json
from fedad.plumbing.tensor_files import check_tensors

FILE = "images.safetensors"
_ALL = Cell("", "good", "")  # the one cell that all images are packed in, each as a replicate
_BINS = len(ROWS) * MOST_PLACES  # of that cell: it holds the scores of all products and defects


@dataclass(frozen=True, eq=False)
class PerImage:
    """n test images, as judged: what each is, its score, and its counts in wide bins."""

    names: tuple[str, ...]
    cells: tuple[Cell, ...]
    score: np.ndarray  # (n,) float64
    alone: np.ndarray  # (n,) float64: by the site's own rows alone; NaN where it has none
    counts: Counts  # one cell, with an image a replicate

    def __len__(self) -> int:
        return len(self.names)

    def images(self) -> list[Counts]:
        """The counts of each image, in its own cell."""
        return [
            replace(self.counts.replicate(k), cells=(cell,)) for k, cell in enumerate(self.cells)
        ]


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
        header, arrays = pack(stacked(self.counts, _ALL))
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
        check_tensors(path)
        with safe_open(path, framework="numpy") as file:
            about = from_json((file.metadata() or {})["json"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        packed = {name: tensors[name] for name in ARRAYS}
        return PerImage(
            names=tuple(about["names"]),
            cells=tuple(Cell(*cell) for cell in about["cells"]),
            score=tensors["score"],
            alone=tensors["alone"],
            counts=unpack(about["counts"], packed, resampled=_BINS),
        )
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        raise DataError(f"{path}: not what a site keeps of its test images ({error})") from error


def exactly_scored(images: Sequence[Counts], scores: np.ndarray) -> list[Counts]:
    """The counts of images with their own `scores` (n,) as bins, so that image figures lose
    nothing; pixels stay in their bins."""
    levels, level = np.unique(scores, return_inverse=True)
    first, one = EdgeBins("scores", levels, lossless=True), np.ones(1, np.int64)
    found = []
    for image, k in zip(images, level, strict=True):
        coarse = image.binning
        binning = coarse and Binning("scores", first, coarse.pixels, coarse.unit)
        found.append(replace(image, images=Tally.of(np.array([k]), one, 1), binning=binning))
    return found
