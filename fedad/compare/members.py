"""Ensembles beside their members, by kind of defect, and which member carries each product.

A point whose method has one member is that member alone. It stands beside the ensembles that have
it and differ from it along one axis of the matrix. All are judged on the same test images; a
difference is paired, with its interval over redrawn test images and seeds.

The member that carries a product has the best figure there, and is told apart from every other
member by a lead whose interval is above 0: else nobody can tell. It is found on the test images
that its lead is measured on, so a lead is rather too large. What drawn defects say, in good images
alone, stands beside it: the member that weighs most in an ensemble with weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fedad.compare.drawn import draw, kinds_of
from fedad.compare.plan import FEDERATED, Plan, Point
from fedad.compare.ranges import auroc_range, difference_range, is_exact, redrawn_range, shown
from fedad.compare.treatments import Treatment, blocks, fewest_images, overall, parts_of
from fedad.evaluation.summary import AUROC
from fedad.evaluation.sureness import Range

EVERY = ""  # in place of a kind: defects of all kinds
WEIGHTS = "weights_by_category"  # of a record: product -> images or maps -> member -> its share
Rows = dict[tuple[str, int], list[np.ndarray]]  # (category, seed) -> replicates by treatment


@dataclass(frozen=True)
class Family:
    """Points that are members alone, by the member's name, and ensembles of some of these."""

    alone: Mapping[str, Treatment]
    joint: Mapping[str, tuple[Treatment, tuple[str, ...]]]  # label -> itself, its members


def members_of(plan: Plan, some: Sequence[Treatment], root: Path) -> list[dict[str, Any]]:
    """A family each: `kinds`, `alone`, `ensembles`, `carriers`; none where no point is an ensemble
    whose members are points too."""
    points = {one.label: one for one in some if one.way == FEDERATED}
    return [_told(plan, family, root) for family in families(plan, points)]


def judged_by(plan: Plan) -> list[str]:
    """The figures that an ensemble and its members are compared by: image AUROC, where the plan has
    it, and the plan's last."""
    return [figure for figure in plan.figures if figure in (AUROC, plan.figures[-1])]


def families(plan: Plan, points: Mapping[str, Treatment]) -> Iterator[Family]:
    """Points that differ along one axis alone, which members vary along."""
    names = {point.label: plan.config(point, plan.seeds[0]).members() for point in plan.points}
    for axis in plan.points[0].marks:
        groups: dict[tuple[tuple[str, str], ...], list[Point]] = {}
        for point in plan.points:
            rest = tuple((name, mark) for name, mark in point.marks.items() if name != axis)
            if names[point.label]:
                groups.setdefault(rest, []).append(point)
        found = [_family(names, points, group) for group in groups.values()]
        if known := [one for one in found if one.joint]:
            yield from known
            return


def _family(
    names: Mapping[str, Sequence[str]], points: Mapping[str, Treatment], group: Sequence[Point]
) -> Family:
    labels = [point.label for point in group]
    alone: dict[str, Treatment] = {}
    for label in labels:  # of two points of one member alone the first
        if len(names[label]) == 1:
            alone.setdefault(names[label][0], points[label])
    joint = {
        label: (points[label], own)
        for label in labels
        if len(names[label]) > 1 and (own := tuple(n for n in names[label] if n in alone))
    }
    return Family(alone, joint)


def _told(plan: Plan, family: Family, root: Path) -> dict[str, Any]:
    every = [*family.alone.values(), *(one for one, _ in family.joint.values())]
    kinds = [EVERY, *shared_kinds(every, root)]
    figures = judged_by(plan)
    found: dict[str, Any] = {"kinds": kinds, "figures": figures, "ensembles": [], "alone": []}
    found |= {"carriers": [], "drawn": weights_in(family)}
    for kind in kinds:
        seen = _of_kind(plan, family, root, kind) if kind else family
        for name, one in seen.alone.items():
            told = {figure: _figure(one, figure) for figure in figures}
            found["alone"].append({"label": one.label, "member": name, "kind": kind, **told})
        for one, own in seen.joint.values():
            found["ensembles"].append(_ensemble(one, own, seen, figures, kind))
        found["carriers"] += [
            {"kind": kind, **told} for told in _carriers(seen, figures) if len(seen.alone) > 1
        ]
    return found


def shared_kinds(some: Sequence[Treatment], root: Path) -> list[str]:
    """The kinds of defects that the test images of all show."""
    cells = (one.cells[one.seeds[0]] for one in some)
    return sorted(set.intersection(*({*kinds_of(cell.folder(root))} for cell in cells)))


def _of_kind(plan: Plan, family: Family, root: Path, kind: str) -> Family:
    """The family as judged by the good images and the defects of one kind."""

    def seen(one: Treatment) -> Treatment:
        drawn = {
            seed: draw(cell.folder(root), plan.figures, plan.replicates, together=True, kind=kind)
            for seed, cell in one.cells.items()
        }
        return replace(one, drawn=drawn)

    return Family(
        {name: seen(one) for name, one in family.alone.items()},
        {label: (seen(one), own) for label, (one, own) in family.joint.items()},
    )


def _ensemble(
    one: Treatment, own: Sequence[str], family: Family, figures: Sequence[str], kind: str
) -> dict[str, Any]:
    """Its figures, less its best and its median member in each, and whether none is below."""
    members = [family.alone[name] for name in own]
    found: dict[str, Any] = {"label": one.label, "members": list(own), "kind": kind}
    for figure in figures:
        rows = blocks([one, *members], figure, together=True)
        if not rows:
            continue
        mine, *others = (_mean(rows, k) for k in range(1 + len(members)))
        best = int(np.argmax([float(drawn[0]) for drawn in others]))
        found[figure] = {
            **_figure(one, figure),
            "best": own[best],
            "less_best": _difference(mine - others[best], one, rows),
            "less_median": _difference(mine - np.median(others, axis=0), one, rows),
        }
    told = [found[figure]["less_best"]["value"] for figure in figures if figure in found]
    return {**found, "not_below": len(told) == len(figures) and min(told) >= 0}


def _carriers(family: Family, figures: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Of each product and figure: the best member, and whom it is not told apart from."""
    names, some = [*family.alone], [*family.alone.values()]
    for figure in figures:
        rows = blocks(some, figure, together=True)
        for category in dict.fromkeys(name for name, _ in rows):
            mine = {block: row for block, row in rows.items() if block[0] == category}
            drawn = [_mean(mine, k) for k in range(len(some))]
            best = int(np.argmax([float(one[0]) for one in drawn]))
            leads = {
                name: _difference(drawn[best] - drawn[k], some[best], mine)
                for k, name in enumerate(names)
                if k != best
            }
            yield {
                "category": category,
                "figure": figure,
                "best": names[best],
                **_figure(some[best], figure, category),
                "leads": leads,
                "not_apart": [n for n, lead in leads.items() if not lead["low"] > 0],
            }


def _mean(rows: Rows, at: int) -> np.ndarray:
    """(1 + R,): over seeds, then categories; what all treatments have in common cancels."""
    return overall({block: row[at] for block, row in rows.items()})


def _difference(drawn: np.ndarray, one: Treatment, rows: Rows) -> dict[str, Any]:
    images = fewest_images(one, list(dict.fromkeys(category for category, _ in rows)))
    return shown(drawn, difference_range(drawn, images.values()))


def _figure(one: Treatment, figure: str, category: str = "") -> dict[str, Any]:
    """A treatment's figure with its interval, in all or of one category."""
    rows = {
        block: row
        for block, row in blocks([one], figure, together=True).items()
        if category in ("", block[0])
    }
    if not rows:
        return {"value": None}
    drawn = _mean(rows, 0)
    return shown(drawn, _range(one, figure, drawn, rows))


def _range(one: Treatment, figure: str, drawn: np.ndarray, rows: Rows) -> Range:
    if is_exact(figure):
        return auroc_range({block: parts_of(one, *block, together=True) for block in rows})
    images = fewest_images(one, list(dict.fromkeys(category for category, _ in rows)))
    return redrawn_range(drawn, images.values())


def weights_in(family: Family) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
    """Ensemble -> product -> `images` or `maps` -> member -> what it weighs, the mean over seeds,
    as good images and drawn defects alone say; of ensembles with weights."""
    found: dict[str, Any] = {}
    for label, (one, _) in family.joint.items():
        seeds = [record["model"].get(WEIGHTS, {}) for record in one.records.values()]
        for product in sorted(set.intersection(*({*told} for told in seeds))):
            found.setdefault(label, {})[product] = {
                what: {
                    member: float(np.mean([told[product][what][member] for told in seeds]))
                    for member in seeds[0][product][what]
                }
                for what in seeds[0][product]
            }
    return found
