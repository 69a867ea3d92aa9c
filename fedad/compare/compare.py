"""A plan -> a folder: cells, tests, fairness, costs, and `comparison.json` with what was found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from fedad.compare.audited import audits_of
from fedad.compare.cells import Place, RunCell, cells_of, content_of, distinct, outdated
from fedad.compare.contrasts import ALL_PAIRS, contrasts, rankings, unranked
from fedad.compare.fairness import by_category, by_site, fairness
from fedad.compare.features import fill_cache, told_of
from fedad.compare.members import members_of
from fedad.compare.pareto import pareto, summed_costs
from fedad.compare.plan import FEDERATED, ISOLATED, Plan
from fedad.compare.ranges import auroc_range, is_exact, redrawn_range, shown
from fedad.compare.running import alone_in, run_cells
from fedad.compare.sizes import by_size
from fedad.compare.treatments import (
    Treatment,
    blocks,
    fewest_images,
    overall,
    parts_of,
    treatments,
)
from fedad.compare.unsited import without_unsited
from fedad.compare.value import values_of
from fedad.errors import ConfigError, DataError
from fedad.evaluation.sureness import NO_SCATTER, Range
from fedad.plumbing.files import write_json
from fedad.plumbing.progress import Sink, shown_by
from fedad.reporting.record import environment
from fedad.reporting.run_folder import COMPARISON, read_comparison, read_record
from fedad.reporting.tracking import check_tracker
from fedad.running.launch import sites_of
from fedad.types import Site

SCHEMA = 1


def _nobody(note: str) -> None:
    pass


def compare(
    plan: Plan,
    root: Path,
    *,
    via: str,
    jobs: int,
    sink: Sink,
    replace: bool = True,
    say: Callable[[str], object] = _nobody,
) -> tuple[int, int]:
    """Run what is missing, and write what all cells say; returns cells run now, and in all.

    Args:
        replace: whether to write over a comparison of other images or knobs in `root`.
        say: told what a user should know before the cells run.

    Raises:
        ComparisonError: cells failed, or another comparison is at work in `root`.
        ConfigError, DataError: nothing has started.
    """
    _check_packages()
    with shown_by(sink):
        plan, left_out = without_unsited(plan)
        for point in plan.points:
            config = plan.config(point, plan.seeds[0])
            check_tracker(config.round.track)
            _check_rankable(point.label, plan.figures[-1], sites_of(config))
        cells = cells_of(plan)
    every = list(distinct(cells))
    with alone_in(root):
        if not replace:
            _check_same(plan, cells, root)
        for note in (*left_out, *_notes(every, root)):
            say(note)
        with shown_by(sink):
            fill_cache([cell for cell in every if not cell.is_done(root)], root)
        ran = run_cells(every, root, via=via, jobs=jobs, sink=sink)
        with shown_by(sink):
            write_json(root / COMPARISON, comparison(plan, cells, root, left_out))
    return ran, len(every)


def _check_rankable(label: str, figure: str, sites: Sequence[Site]) -> None:
    """See before hours of cells that some site has something to rank."""
    images = figure.startswith("image_")
    for site in sites:
        good = {sample.category for sample in site.test if sample.is_good}
        for sample in site.test:
            if not sample.is_good and (sample.category in good if images else sample.masks):
                return
    needed = "good and defective test images of a product" if images else "masks of defects"
    raise DataError(
        f"{label}: {figure}: no site has {needed}: are there any labelled defects? "
        "Another last one of `figures` may do without"
    )


def _check_same(plan: Plan, cells: Mapping[Place, RunCell], root: Path) -> None:
    """Leave a comparison of other images or knobs alone; more seeds or points are no other one."""
    there = read_comparison(root)["points"] if (root / COMPARISON).exists() else {}
    here = _points(plan, cells)
    both = set(there) & set(here)
    if there and not (both and all(there[label] == here[label] for label in both)):
        raise ConfigError(
            f"{root}: holds a comparison of other images or knobs: name another folder with "
            f"--out, or --out {root} to write over it"
        )


def _points(plan: Plan, cells: Mapping[Place, RunCell]) -> dict[str, str]:
    """Label -> what a point is made of, whatever the seeds and the code."""
    first = plan.seeds[0]
    return {
        point.label: content_of(
            plan.config(point, 0), FEDERATED, cells[point.label, first, FEDERATED].images
        )
        for point in plan.points
    }


def _notes(every: Sequence[RunCell], root: Path) -> Iterator[str]:
    """What a user should know of the cells that are there."""
    if older := outdated(every, root):
        yield f"{older} of the cells here were made by other code or libraries: they are run again"
    untold = sum(_tracker(cell, root) != cell.config.round.track for cell in every)
    if untold:
        yield f"round.track: {untold} of the cells here were run without it, and are not logged"


def _tracker(cell: RunCell, root: Path) -> str:
    """Who was told of a cell; who will be, where it is not there yet."""
    wanted = cell.config.round.track
    if not wanted or not cell.is_done(root):
        return wanted
    return str(read_record(cell.folder(root))["config"].get("round.track", ""))


def _check_packages() -> None:
    """See before hours of cells that the tests after them can be made."""
    if missing := [name for name in ("statsmodels", "scikit_posthocs") if not find_spec(name)]:
        raise ConfigError(
            f"fedad compare: expected the package {missing[0]}: pip install 'fedad[compare]' "
            "brings it"
        )


def comparison(
    plan: Plan, cells: Mapping[Place, RunCell], root: Path, left_out: Sequence[str] = ()
) -> dict[str, Any]:
    """All that the finished cells say."""
    some = treatments(plan, cells, root)
    points = [one for one in some if one.way == FEDERATED]
    for one in points:
        if not blocks([one], plan.figures[-1], together=True) or not by_site(one, plan.figures[-1]):
            raise DataError(
                f"{one.label}: {plan.figures[-1]}: no category has good and defective test images "
                "to rank: are there any labelled defects?"
            )
    summaries = [_summary(plan, one) for one in some]
    return {
        "schema": SCHEMA,
        "plan": _described(plan),
        "headline": plan.figures[-1],
        "notes": [
            *left_out,
            *_unmet(points),
            *_on_other_images(plan, points),
            *_without_scatter(plan, summaries),
        ],
        "images": fewest_images(some[0], some[0].categories),
        "treatments": summaries,
        "contrasts": (pairs := contrasts(plan, some)),
        "sizes": by_size(plan, summaries, pairs),
        "rankings": (ranks := rankings(plan, some)),
        "unranked": unranked(some, ranks),
        "members": members_of(plan, some, root),
        "fairness": fairness(plan, some),
        "value": values_of(plan, points, root),
        "pareto": pareto(plan, some, audits_of(plan)),
        "points": _points(plan, cells),
        "features": told_of(root),
        "cells": [_cell(one, seed, root) for one in some for seed in one.seeds],
        "environment": environment(),
    }


def _unmet(points: Sequence[Treatment]) -> Iterator[str]:
    """Pairs that no test was made for."""
    if len(points) > ALL_PAIRS:
        yield (
            f"{len(points)} points: each is compared with the first, {points[0].label}, and not "
            "with the others: every further comparison makes all of them less sure"
        )


def _on_other_images(plan: Plan, points: Sequence[Treatment]) -> Iterator[str]:
    """Points whose figures stand beside the first one's, and are of other test images."""

    def ranked(*some: Treatment) -> int:
        return len(blocks(some, plan.figures[-1], together=True))

    first = points[0]
    if others := [o.label for o in points[1:] if ranked(first, o) < max(ranked(first), ranked(o))]:
        yield (
            f"{'; '.join(others)}: not on the same test images as {first.label}, or with nothing "
            "to rank in some: tests take what both have, figures and the front take each as it is"
        )


def _without_scatter(plan: Plan, summaries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Intervals of no width, which look like certainty."""
    for figure in plan.figures:
        told = {one["label"]: one["figures"][figure] for one in summaries}
        ranges = {label: one.get("together") or one["by_site"] for label, one in told.items()}
        if flat := [n for n, one in ranges.items() if one and one["no_interval"] == NO_SCATTER]:
            yield (
                f"{figure} of {'; '.join(flat)}: the same on all redrawn images, so it has no "
                "interval: the test images are too easy to tell how sure it is"
            )


def _described(plan: Plan) -> dict[str, Any]:
    told = asdict(plan)
    return {**told, "points": [{"label": p.label, "knobs": dict(p.knobs)} for p in plan.points]}


def _summary(plan: Plan, one: Treatment) -> dict[str, Any]:
    """A treatment's figures: in all, by category, by seed; in one ranking and site by site."""
    return {
        "label": one.label,
        "way": one.way,
        "points": list(one.points),
        "figures": {figure: _figure(one, figure) for figure in plan.figures},
        "costs": summed_costs(plan, one),
    }


def _figure(one: Treatment, figure: str) -> dict[str, Any]:
    ways = (False,) if one.way == ISOLATED else (True, False)
    told: dict[str, Any] = {"categories": {}}
    for together in ways:
        found = {b: drawn for b, (drawn,) in blocks([one], figure, together=together).items()}
        name = "together" if together else "by_site"
        if not found:
            told[name] = None
            continue
        told[name] = shown(overall(found), _range(one, figure, found, together=together))
        told[f"{name}_seeds"] = _by_seed(found)
    for category, drawn in by_category(one, figure).items():
        keys = {(category, seed): drawn for seed in one.seeds}
        joint = one.way != ISOLATED
        told["categories"][category] = shown(drawn, _range(one, figure, keys, together=joint))
    return told


def _range(
    one: Treatment, figure: str, found: Mapping[tuple[str, int], np.ndarray], *, together: bool
) -> Range:
    """The interval of the mean over these blocks, of all sites in one ranking or site by site."""
    categories = list(dict.fromkeys(category for category, _ in found))
    if not is_exact(figure):
        mean = overall(found)
        return redrawn_range(mean, fewest_images(one, categories).values())
    return auroc_range({block: parts_of(one, *block, together=together) for block in found})


def _by_seed(found: Mapping[tuple[str, int], np.ndarray]) -> dict[str, float]:
    """Seed -> the mean over categories."""
    seeds = dict.fromkeys(seed for _, seed in found)
    return {
        str(seed): float(np.mean([drawn[0] for (_, s), drawn in found.items() if s == seed]))
        for seed in seeds
    }


def _cell(one: Treatment, seed: int, root: Path) -> dict[str, Any]:
    cell = one.cells[seed]
    return {
        "treatment": one.label,
        "way": one.way,
        "seed": seed,
        "key": cell.key,
        "seconds": one.seconds[seed],
        "folder": str(cell.folder(root).relative_to(root)),
    }
