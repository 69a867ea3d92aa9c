"""A finished cell -> its figures, on its test images and on redrawn ones, the same in every cell.

What is redrawn depends on the names of the images alone, so that replicate r of two cells has the
same images, each as often: differences between cells are paired, in whatever sites the images are.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from threadpoolctl import threadpool_limits

from fedad.compare.sources import digest
from fedad.evaluation import LIMITS, Cell, Counts, break_down_counts, redrawn, stacked
from fedad.evaluation.curve import Bounded
from fedad.evaluation.resampling import tells
from fedad.plumbing.files import write_atomic
from fedad.plumbing.parse import from_json
from fedad.plumbing.tensor_files import check_tensors
from fedad.reporting.per_image import PerImage, exactly_scored, read_per_image
from fedad.reporting.record import number
from fedad.reporting.run_folder import read_record
from fedad.seeding import stream

TOGETHER = ""  # in place of a site: the images of all sites in one ranking
FILE = "drawn.safetensors"
CHUNK = 250  # replicates at a time: what they take stays in the processor's cache
_SIDES = (Cell("", "good"), Cell("", "bad"))


class Scope(NamedTuple):
    """The test images that a figure is of."""

    site: str  # or TOGETHER
    category: str


class Images(NamedTuple):
    """How many test images there are, and a mark of which: cells with one mark have the same."""

    good: int
    defective: int
    mark: str


@dataclass(frozen=True, eq=False)
class Drawn:
    """Figures (1 + R,) by scope and name, the first on the images as they are."""

    figures: Mapping[tuple[Scope, str], np.ndarray]
    images: Mapping[Scope, Images]


@dataclass(frozen=True, eq=False)
class Judged:
    """The test images of one category, in the order of their names."""

    names: tuple[str, ...]
    good: np.ndarray  # (n,) bool
    counts: Mapping[Cell, Counts]  # of the good ones and of the others, an image a replicate

    def images(self) -> Images:
        mark = hashlib.sha256("\n".join(self.names).encode()).hexdigest()[:16]
        return Images(int(self.good.sum()), int((~self.good).sum()), mark)


def draw(folder: Path, figures: Sequence[str], replicates: int, *, together: bool) -> Drawn:
    """The figures of the cell in `folder`, read from `drawn.safetensors` if they are there.

    Args:
        together: also rank the images of all sites in one; not where each site has its own bank.
    """
    asked = {"figures": list(figures), "replicates": replicates, "together": together}
    asked["code"] = digest([Path(__file__)])
    found = _read(folder / FILE, asked)
    if found is None:
        found = _draw(folder, figures, replicates, together)
        _write(folder / FILE, asked, found)
    return found


def _draw(folder: Path, figures: Sequence[str], replicates: int, together: bool) -> Drawn:
    found: dict[tuple[Scope, str], np.ndarray] = {}
    images: dict[Scope, Images] = {}
    told = _recorded(folder)
    for scope, judged in _groups(folder, together):
        images[scope] = judged.images()
        rng = stream(0, "compare", *filter(None, reversed(scope)))
        with threadpool_limits(1, "blas"):  # threads of products so small wait for each other
            measured = figures_of_draws(judged, weights(judged.good, replicates, rng))
        for figure in figures:
            found[scope, figure] = _moved(measured[figure], told(scope, figure))
    return Drawn(found, images)


def _recorded(folder: Path) -> Callable[[Scope, str], float]:
    """The pixel figures of the record, from fine bins; NaN where it has none."""
    (found,) = read_record(folder)["figures"].values()

    def told(scope: Scope, figure: str) -> float:
        part = found["together"] if scope.site == TOGETHER else found["sites"].get(scope.site, {})
        figures = part.get("categories", {}).get(scope.category, {}).get("figures", {})
        return math.nan if figure.startswith("image_") else number(figures[figure]["value"])

    return told


def _moved(drawn: Bounded, value: float) -> np.ndarray:
    """Replicates from wide bins, moved by what those are off the figure from fine ones; NaN where
    the wide bins cannot tell."""
    if math.isnan(value):
        return drawn.value
    found = drawn.value + (value - drawn.value[0])
    if not tells(value, drawn):
        found[1:] = math.nan
    return found


def _groups(folder: Path, together: bool) -> Iterator[tuple[Scope, Judged]]:
    """The images of each site and category, and of each category over all sites."""
    sites = {path.parent.name: read_per_image(path.parent) for path in _files(folder)}
    for category in sorted({cell.category for kept in sites.values() for cell in kept.cells}):
        for site, kept in sites.items():
            judged = judged_of([kept], category)
            if judged.names:
                yield Scope(site, category), judged
        if together:
            yield Scope(TOGETHER, category), judged_of(list(sites.values()), category)


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("sites/*/images.safetensors"))


def judged_of(kept: Sequence[PerImage], category: str) -> Judged:
    """The images of one category that some sites keep, in the order of their names."""
    rows = [
        (name, cell.is_good(), score, counts)
        for one in kept
        for name, cell, score, counts in zip(
            one.names, one.cells, one.score, one.images(), strict=True
        )
        if cell.category == category
    ]
    rows.sort(key=lambda row: row[0])
    good, score = (np.array([row[k] for row in rows]) for k in (1, 2))
    images = exactly_scored([row[3] for row in rows], score)
    sides = {cell: [k for k, side in enumerate(good) if side == cell.is_good()] for cell in _SIDES}
    return Judged(
        names=tuple(row[0] for row in rows),
        good=good.astype(bool),
        counts={
            cell: stacked([images[k] for k in own], cell) for cell, own in sides.items() if own
        },
    )


def weights(good: np.ndarray, replicates: int, rng: np.random.Generator) -> np.ndarray:
    """(1 + R, n): how often each image is drawn, good and defective ones apart; once at first."""
    drawn = np.ones((1 + replicates, len(good)), np.int64)
    for stratum in (good, ~good):
        if n := int(stratum.sum()):
            drawn[1:, stratum] = rng.multinomial(n, np.full(n, 1 / n), replicates)
    return drawn


def figures_of_draws(judged: Judged, drawn: np.ndarray) -> dict[str, Bounded]:
    """Every figure (1 + R,) of `judged`, its images drawn so often (1 + R, n).

    Image figures rank the scores themselves; pixel figures rest on the wide bins of the counts.
    """
    parts = []
    for start in range(0, len(drawn), CHUNK):
        some, found = drawn[start : start + CHUNK], Counts()
        for cell, images in judged.counts.items():
            found += redrawn(images, some[:, judged.good == cell.is_good()])
        parts.append(break_down_counts(found, LIMITS)["all"])
    return {
        key: Bounded(*map(np.concatenate, zip(*(part[key] for part in parts), strict=True)))
        for key in parts[0]
    }


def _write(path: Path, asked: Mapping[str, object], found: Drawn) -> None:
    keys = list(found.figures)
    images = [[*scope, *counts] for scope, counts in found.images.items()]
    header = {"asked": asked, "keys": [[*scope, name] for scope, name in keys], "images": images}
    table = np.array([found.figures[key] for key in keys], float)
    write_atomic(path, save({"figures": table}, {"json": json.dumps(header)}))


def _read(path: Path, asked: Mapping[str, object]) -> Drawn | None:
    try:
        check_tensors(path)
        with safe_open(path, framework="numpy") as file:
            header = from_json(file.metadata()["json"])
            table = file.get_tensor("figures")
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        return None
    if header["asked"] != asked:
        return None
    keys = ((Scope(site, category), name) for site, category, name in header["keys"])
    images = ((Scope(*line[:2]), Images(*line[2:])) for line in header["images"])
    return Drawn(dict(zip(keys, table, strict=True)), dict(images))
