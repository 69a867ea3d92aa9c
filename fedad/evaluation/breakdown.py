"""Curves -> figures, for all images, for each defect and for each kind of defect."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache

import numpy as np

from fedad.errors import ConfigError
from fedad.evaluation.counts import Counts
from fedad.evaluation.curve import Bounded
from fedad.evaluation.ranked import Ranked, rank_counts
from fedad.evaluation.scored import Cell
from fedad.plugins import names, plugin

LIMITS = (0.01, 0.05, 0.1, 0.3, 1.0)

Figures = dict[str, Bounded]  # key, such as `auc_spro_0.05` -> figure
Breakdown = dict[str, Figures]  # "all", `defect:<name>`, `kind:<name>` or `kind:mean` -> figures
Scope = frozenset[Cell]
Metric = Callable[[Ranked, Sequence[float]], Figures]  # what a file in `fedad/metrics/` exports


def measure(ranked: Ranked, limits: Sequence[float] = LIMITS) -> Figures:
    """Every figure that a file in `fedad/metrics/` gives, by its key."""
    return {key: figure for metric in _metrics() for key, figure in metric(ranked, limits).items()}


@cache
def _metrics() -> tuple[Metric, ...]:
    return tuple(plugin("metrics", name) for name in names("metrics"))


def break_down(cells: Iterable[Cell], figures_of: Callable[[Scope], Figures]) -> Breakdown:
    """The figures of each scope of `cells`, where `figures_of` gives those of some of them.

    `kind:mean`, MVTec LOCO's headline, is the mean over the kinds there are.
    """
    found: Breakdown = {}
    done: dict[Scope, Figures] = {}
    for name, scope in scopes(cells).items():
        if scope not in done:
            done[scope] = figures_of(scope)
        found[name] = done[scope]
    if kinds := [figures for name, figures in found.items() if name.startswith("kind:")]:
        found["kind:mean"] = {key: mean([figures[key] for figures in kinds]) for key in kinds[0]}
    return found


def break_down_counts(counts: Counts, limits: Sequence[float] = LIMITS) -> Breakdown:
    """The figures of each scope of `counts`; of each replicate, where they are resampled."""
    return break_down(
        counts.cells, lambda scope: measure(rank_counts(counts, scope.__contains__), limits)
    )


def scopes(cells: Iterable[Cell]) -> dict[str, Scope]:
    """What figures are given for: all cells, and the good ones with each defect and each kind."""
    every = frozenset(cells)
    good = frozenset(cell for cell in every if cell.is_good())
    bad = every - good
    found = {"all": every}
    for defect in sorted({cell.defect for cell in bad}):
        found[f"defect:{defect}"] = good | {cell for cell in bad if cell.defect == defect}
    for kind in sorted({cell.kind for cell in bad} - {""}):
        found[f"kind:{kind}"] = good | {cell for cell in bad if cell.kind == kind}
    return found


def mean(figures: Sequence[Bounded]) -> Bounded:
    """The mean figure, and the mean of what binning could move each at most."""
    return Bounded(*(np.mean(part, axis=0) for part in zip(*figures, strict=True)))


def check_limits(limits: Sequence[float]) -> tuple[float, ...]:
    """The limits as floats.

    Raises:
        ConfigError: none, one twice, or one that is not above 0 and at most 1.
    """
    found = tuple(float(limit) for limit in limits)
    if not found or len(set(found)) < len(found) or not all(0 < limit <= 1 for limit in found):
        raise ConfigError(
            f"limits = {', '.join(map(str, limits)) or 'none'}: expected false-positive rates "
            "above 0 and at most 1, each once, such as 0.01, 0.05, 0.1, 0.3, 1.0"
        )
    return found
