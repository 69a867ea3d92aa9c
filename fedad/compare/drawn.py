"""A finished cell -> its figures, on its test images and on redrawn ones, the same in every cell.

What is redrawn depends on the names of the images alone, so that replicate r of two cells has the
same images, each as often: differences between cells are paired, in whatever sites the images are.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from threadpoolctl import threadpool_limits

from fedad.compare.sources import digest
from fedad.evaluation import LIMITS, Cell, Counts, break_down_counts, redrawn, stacked
from fedad.evaluation.curve import Bounded
from fedad.evaluation.resampling import tells
from fedad.evaluation.sureness import Range, Sureness
from fedad.evaluation.tally import Line
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
    """Figures (1 + R,) by scope and name, the first on the images as they are.

    `ranges` has the interval of each scope's image AUROC, which takes no replicates.
    """

    figures: Mapping[tuple[Scope, str], np.ndarray]
    images: Mapping[Scope, Images]
    ranges: Mapping[Scope, Range] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Judged:
    """The test images of one category, in the order of their names."""

    names: tuple[str, ...]
    good: np.ndarray  # (n,) bool
    score: np.ndarray  # (n,)
    counts: Mapping[Cell, Counts]  # of the good ones and of the others, an image a replicate

    def images(self) -> Images:
        mark = hashlib.sha256("\n".join(self.names).encode()).hexdigest()[:16]
        return Images(int(self.good.sum()), int((~self.good).sum()), mark)

    def range(self) -> Range:
        """The interval of its image AUROC, or why there is none."""
        sides = (np.unique(self.score[s], return_counts=True) for s in (self.good, ~self.good))
        return Sureness.of(*(Line(*side) for side in sides)).interval()


def draw(
    folder: Path, figures: Sequence[str], replicates: int, *, together: bool, kind: str = ""
) -> Drawn:
    """The figures of the cell in `folder`, read from `drawn.safetensors` if they are there.

    Args:
        together: also rank the images of all sites in one; not where each site has its own bank.
        kind: of defects, that alone stand beside the good images; empty: all.
    """
    asked = {"figures": list(figures), "replicates": replicates, "together": together}
    asked["code"] = digest([Path(__file__)])
    asked |= {"kind": kind} if kind else {}
    file = folder / (f"drawn-{kind}.safetensors" if kind else FILE)
    found = _read(file, asked)
    if found is None:
        found = _draw(folder, figures, replicates, together, kind)
        _write(file, asked, found)
    return found


def kinds_of(folder: Path) -> list[str]:
    """The kinds of defects that the cell's test images show, by their names."""
    cells = (cell for path in _files(folder) for cell in read_per_image(path.parent).cells)
    return sorted({cell.kind for cell in cells if cell.is_bad()} - {""})


def _draw(
    folder: Path, figures: Sequence[str], replicates: int, together: bool, kind: str
) -> Drawn:
    found: dict[tuple[Scope, str], np.ndarray] = {}
    images: dict[Scope, Images] = {}
    ranges: dict[Scope, Range] = {}
    told = _recorded(folder, kind)
    for scope, judged in _groups(folder, together, kind):
        images[scope], ranges[scope] = judged.images(), judged.range()
        values = {figure: told(scope, figure, images[scope].defective) for figure in figures}
        for figure, drawn in redraw(judged, scope, values, replicates).items():
            found[scope, figure] = drawn
    return Drawn(found, images, ranges)


def redraw(
    judged: Judged, scope: Scope, values: Mapping[str, float], replicates: int
) -> dict[str, np.ndarray]:
    """Figures (1 + R,) on the images as they are and on redrawn ones: in one scope the same ones,
    whoever judged them.

    Args:
        values: by figure, what it is in fine bins; NaN for those that rank the scores themselves.
    """
    rng = stream(0, "compare", *filter(None, reversed(scope)))
    with threadpool_limits(1, "blas"):  # threads of products so small wait for each other
        measured = figures_of_draws(judged, weights(judged.good, replicates, rng))
    return {figure: _moved(measured[figure], value) for figure, value in values.items()}


def _recorded(folder: Path, kind: str) -> Callable[[Scope, str, int], float]:
    """The pixel figures of the record, from fine bins; NaN where it has none, or of a kind those of
    fewer defective images: a site says nothing of a kind of which it has too few."""
    (found,) = read_record(folder)["figures"].values()

    def told(scope: Scope, figure: str, defective: int) -> float:
        if figure.startswith("image_"):
            return math.nan
        part = found["together"] if scope.site == TOGETHER else found["sites"].get(scope.site, {})
        of = part.get("categories", {}).get(scope.category, {})
        if kind:
            of = of.get("by_kind", {}).get(kind)
            if of is None or of["sizes"]["defective_images"] != defective:
                return math.nan
        return number(of.get("figures", {})[figure]["value"])

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


def _groups(folder: Path, together: bool, kind: str) -> Iterator[tuple[Scope, Judged]]:
    """The images of each site and category, and of each category over all sites."""
    sites = {path.parent.name: read_per_image(path.parent) for path in _files(folder)}
    for category in sorted({cell.category for kept in sites.values() for cell in kept.cells}):
        for site, kept in sites.items():
            judged = judged_of([kept], category, kind)
            if judged.names:
                yield Scope(site, category), judged
        if together:
            yield Scope(TOGETHER, category), judged_of(list(sites.values()), category, kind)


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("sites/*/images.safetensors"))


def judged_of(kept: Sequence[PerImage], category: str, kind: str = "") -> Judged:
    """The images of one category that some sites keep, in the order of their names; of one `kind`
    of defects the good ones and those."""
    return judged_from(
        [
            Row(name, cell.is_good(), score, counts)
            for one in kept
            for name, cell, score, counts in zip(
                one.names, one.cells, one.score, one.images(), strict=True
            )
            if cell.category == category and (not kind or cell.is_good() or cell.kind == kind)
        ]
    )


class Row(NamedTuple):
    """A judged test image."""

    name: str
    good: bool
    score: float
    counts: Counts  # in wide bins


def judged_from(some: Sequence[Row]) -> Judged:
    """These images of one category, in the order of their names."""
    rows = sorted(some, key=lambda row: row.name)
    good, score = np.array([r.good for r in rows]), np.array([r.score for r in rows])
    images = exactly_scored([row.counts for row in rows], score)
    sides = {cell: [k for k, side in enumerate(good) if side == cell.is_good()] for cell in _SIDES}
    return Judged(
        names=tuple(row.name for row in rows),
        good=good.astype(bool),
        score=score,
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
    header: dict[str, Any] = {
        "asked": asked,
        "keys": [[*scope, name] for scope, name in keys],
        "images": images,
        "ranges": [
            [*scope, [None if math.isnan(end) else end for end in (one.low, one.high)], one.reason]
            for scope, one in found.ranges.items()
        ],
    }
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
    ranges = {
        Scope(site, category): Range(number(low), number(high), reason)
        for site, category, (low, high), reason in header["ranges"]
    }
    return Drawn(dict(zip(keys, table, strict=True)), dict(images), ranges)
