"""`fedad evaluate`: maps in the official layout -> figures, intervals and curves, by category."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np

from fedad.evaluation.breakdown import (
    LIMITS,
    Breakdown,
    Figures,
    Scope,
    break_down,
    check_limits,
    measure,
    scopes,
)
from fedad.evaluation.counts import Counts
from fedad.evaluation.curve import Bounded
from fedad.evaluation.curve_tables import curves, thresholds_for
from fedad.evaluation.exact import rank_exactly
from fedad.evaluation.official import official_areas
from fedad.evaluation.read import open_data, read_category
from fedad.evaluation.resampling import bootstrap, check_confidence
from fedad.evaluation.scored import Scored
from fedad.evaluation.spro import check_mode
from fedad.evaluation.summary import Group, assemble, sizes_by_scope
from fedad.evaluation.sureness import Sureness
from fedad.evaluation.tally import Line
from fedad.images.files import AS_USUAL
from fedad.images.reading import dataset_as
from fedad.plumbing.progress import track
from fedad.seeding import stream
from fedad.types import Reading

Columns = Mapping[str, np.ndarray]  # a table: columns (T,) by name


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The report of an evaluation (as `summarise` gives it) and each category's curves."""

    report: dict[str, Any]
    curves: Mapping[str, Columns]


def evaluate(
    data: Path,
    maps: Path,
    *,
    limits: Sequence[float] = LIMITS,
    mode: str = "exact",
    categories: Sequence[str] = (),
    dataset: str = "auto",
    replicates: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
    reading: Reading = AS_USUAL,
) -> Evaluation:
    """Judge the anomaly maps below `maps` by the masks of the data set at `data`.

    Args:
        limits: the false-positive rates up to which AUC-sPRO is taken.
        mode: `exact`, or `official` for AUC-sPRO as AutoVI's evaluator computes it.
        categories: the products wanted; none means all there are.
        dataset: whose layout its folders have; "auto" finds out.
        replicates: of the bootstrap; 0 for no intervals.
        seed: of the bootstrap, and of the official mode's sample.
        reading: how image and mask files are read: turned by their tags, or not.

    Raises:
        DataError: the data set or a map is not what it should be; the message names the file.
        ConfigError: a limit, a mode or a confidence that is none.
    """
    limits, mode, confidence = check_limits(limits), check_mode(mode), check_confidence(confidence)
    opened = dataset_as(open_data(data, categories, dataset), reading)
    groups, drawn = {}, {}
    for category in opened.categories:
        images = read_category(opened, category, maps, resize=mode == "official")
        groups[category], drawn[category] = _judge(images, limits, mode, replicates, seed)
    found = assemble(groups, limits, confidence)
    found |= {"mode": mode, "data_set": opened.name, "warnings": list(opened.warnings)}
    found |= {"notes": list(opened.notes)}
    return Evaluation(found | {"replicates": replicates, "seed": seed}, drawn)


def _judge(
    images: Sequence[Scored], limits: Sequence[float], mode: str, replicates: int, seed: int
) -> tuple[Group, Columns]:
    """The figures of one category, each with its replicates, and its curves."""
    category = images[0].category

    def figures_of(scope: Scope) -> Figures:
        own = [image for image in images if image.cell in scope]
        figures = measure(rank_exactly(own), limits)
        return figures | _official(own, limits, seed) if mode == "official" else figures

    figures = break_down({image.cell for image in images}, figures_of)
    binning = thresholds_for(images)
    counts = []
    with track(f"counting {category}", len(images)) as progress:
        for image in images:
            counts.append(Counts.of(image, binning))
            progress(len(counts))
    resampled: Breakdown = {}
    if replicates:
        resampled = bootstrap(counts, replicates, limits, rng=stream(seed, category, "bootstrap"))
    whole = reduce(add, counts)
    group = Group(sizes_by_scope(whole), figures, resampled, _ranked(images))
    return group, curves(whole)


def _ranked(images: Sequence[Scored]) -> dict[str, Sureness]:
    """How sure the image AUROC of each scope is, from the scores themselves."""

    def line(scope: Scope, good: bool) -> Line:
        some = [i for i in images if i.cell in scope and i.cell.is_good() == good]
        return Line(*np.unique([image.image_score for image in some], return_counts=True))

    return {
        name: Sureness.of(line(scope, good=True), line(scope, good=False))
        for name, scope in scopes({image.cell for image in images}).items()
    }


def _official(images: Sequence[Scored], limits: Sequence[float], seed: int) -> Figures:
    found = official_areas(images, limits, np.random.RandomState(seed))
    return {
        f"auc_spro_{limit}": Bounded(np.array(area), np.array(0.0))
        for limit, area in zip(limits, found, strict=True)
    }
