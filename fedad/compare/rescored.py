"""Test images scored again by another model: its figures, and the same on redrawn test images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from fedad.compare.drawn import TOGETHER as ALL_SITES
from fedad.compare.drawn import Images, Row, Scope, judged_from, redraw
from fedad.config import Config
from fedad.embedders.embedder import Embed
from fedad.evaluation import Counts, summarise
from fedad.judging.verdicts import judge
from fedad.methods.base import method_of
from fedad.types import Site

TOGETHER = "together"
REPLICATES = 400  # of test images, for intervals
Figures = dict[str, dict[str, dict[str, float]]]  # judging site or TOGETHER -> category -> figures


class Measured(NamedTuple):
    """The figures of one model, and each of them (1 + R,) on redrawn test images."""

    figures: Figures
    drawn: dict[str, dict[str, dict[str, np.ndarray]]]
    images: dict[str, dict[str, int]]  # good or defective ones, whichever are fewer


def measured(
    config: Config,
    sites: Sequence[Site],
    embed: Embed,
    model: Any,
    *,
    own: Mapping[str, Any],
    figures: Sequence[str],
    replicates: int = REPLICATES,
) -> Measured:
    """The figures of each category that the model still knows, by site and together, and the same
    on redrawn test images: those of the comparison."""
    method, found = method_of(config), Measured({}, {}, {})
    every: list[tuple[str, Row]] = []
    together = Counts()

    def tell(judge_: str, counts: Counts, rows: Sequence[tuple[str, Row]]) -> None:
        found.figures[judge_] = _figures(counts, figures)
        found.drawn[judge_], found.images[judge_] = {}, {}
        for category, told in found.figures[judge_].items():
            own_rows = judged_from([row for name, row in rows if name == category])
            exact = {f: math.nan if f.startswith("image_") else v for f, v in told.items()}
            scope = Scope(ALL_SITES if judge_ == TOGETHER else judge_, category)
            if replicates:
                found.drawn[judge_][category] = redraw(own_rows, scope, exact, replicates)
            found.images[judge_][category] = _fewer(own_rows.images())

    for site in sites:
        test = [s for s in site.test if method.judges(model, s.category)]
        counts, rows = Counts(), []
        for verdict in judge(config, test, embed, model, own=own.get(site.name)):
            scored = verdict.scored
            counts = counts + Counts.of(scored)
            good, score = scored.cell.is_good(), scored.image_score
            row = Row(verdict.sample.name, good, score, Counts.coarse(scored))
            rows.append((scored.category, row))
        tell(site.name, counts, rows)
        together, every = together + counts, every + rows
    tell(TOGETHER, together, every)
    return found


def _fewer(images: Images) -> int:
    return min(images.good, images.defective)


def _figures(counts: Counts, figures: Sequence[str]) -> dict[str, dict[str, float]]:
    return {
        name: {figure: float(told["figures"][figure]["value"]) for figure in figures}
        for name, told in summarise(counts)["categories"].items()
    }
