"""Cells -> treatments: what is compared, over all seeds, and the images that two have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from fedad.compare.cells import Place, RunCell
from fedad.compare.drawn import TOGETHER, Drawn, Images, Scope, draw
from fedad.compare.plan import FEDERATED, ISOLATED, Plan, Point
from fedad.compare.statistics import over_seeds
from fedad.evaluation.summary import AUROC
from fedad.evaluation.sureness import Range
from fedad.plumbing.progress import track
from fedad.reporting.run_folder import read_record
from fedad.seeding import stream


@dataclass(frozen=True, eq=False)
class Treatment:
    """A point, or a yardstick of some points, over all seeds."""

    label: str
    way: str
    points: tuple[str, ...]  # labels of the points that it is, or is a yardstick of
    cells: Mapping[int, RunCell]  # by seed
    drawn: Mapping[int, Drawn]
    records: Mapping[int, dict[str, Any]]
    seconds: Mapping[int, float]  # that the whole cell took
    beside: int = 1  # the most cells that ran at a time while one of its own did
    via: frozenset[str] = frozenset({"local"})  # how its cells were run

    @property
    def seeds(self) -> list[int]:
        return list(self.drawn)

    @property
    def categories(self) -> list[str]:
        return sorted({scope.category for one in self.drawn.values() for scope in one.images})

    def sites(self, category: str) -> list[str]:
        """The sites with test images of a category, in any seed."""
        scopes = {scope for one in self.drawn.values() for scope in one.images}
        return sorted(s.site for s in scopes if s.category == category and s.site != TOGETHER)


def treatments(plan: Plan, cells: Mapping[Place, RunCell], root: Path) -> list[Treatment]:
    """Every point, then the yardsticks; those that points share come once."""
    groups: dict[tuple[str, ...], list[tuple[Point, str]]] = {}
    for way in (FEDERATED, *plan.yardsticks):
        for point in plan.points:
            keys = tuple(cells[point.label, seed, way].key for seed in plan.seeds)
            groups.setdefault(keys, []).append((point, way))
    found = []
    with track("figures", len(groups) * len(plan.seeds)) as progress:
        done = count(1)
        for group in groups.values():
            points, way = [point for point, _ in group], group[0][1]
            found.append(
                _treatment(plan, cells, root, points, way, drew=lambda: progress(next(done)))
            )
    return found


def _treatment(
    plan: Plan,
    cells: Mapping[Place, RunCell],
    root: Path,
    points: Sequence[Point],
    way: str,
    *,
    drew: Callable[[], None],
) -> Treatment:
    mine = {seed: cells[points[0].label, seed, way] for seed in plan.seeds}
    folders = {seed: cell.folder(root) for seed, cell in mine.items()}
    told = {seed: cell.told(root) for seed, cell in mine.items()}
    drawn = {}
    for seed, folder in folders.items():
        drawn[seed] = draw(folder, plan.figures, plan.replicates, together=way != ISOLATED)
        drew()
    return Treatment(
        label=points[0].label if way == FEDERATED else _yardstick(way, points, plan.points),
        way=way,
        points=tuple(point.label for point in points),
        cells=mine,
        drawn=drawn,
        records={seed: read_record(folder) for seed, folder in folders.items()},
        seconds={seed: float(one["seconds"]) for seed, one in told.items()},
        beside=max(one["beside"] for one in told.values()),
        via=frozenset(one["via"] for one in told.values()),
    )


def _yardstick(way: str, points: Sequence[Point], every: Sequence[Point]) -> str:
    """The way, and by what these points differ from the others."""
    same = reduce(
        lambda one, other: dict(one.items() & other.items()), (dict(p.marks) for p in points)
    )
    marks = [
        label
        for axis, label in points[0].marks.items()
        if axis in same and len({p.marks[axis] for p in every}) > 1
    ]
    return ", ".join([way, *marks]) if len(points) < len(every) else way


def blocks(
    some: Sequence[Treatment], figure: str, *, together: bool
) -> dict[tuple[str, int], list[np.ndarray]]:
    """(category, seed) -> the figure's replicates (1 + R,) in each treatment, on the same images.

    Together: all sites' images in one ranking. Otherwise the mean over the sites that all of them
    have, by test images. Blocks in which nothing can be ranked, or images differ, are left out.
    """
    found = {}
    for category in some[0].categories:
        for seed in some[0].seeds:
            drawn = [one.drawn[seed] for one in some]
            shared = [
                scope
                for scope in drawn[0].images
                if scope.category == category and (scope.site == TOGETHER) == together
            ]
            shared = [scope for scope in shared if _same(scope, figure, drawn)]
            if shared:
                weights = [sum(drawn[0].images[scope][:2]) for scope in shared]
                found[category, seed] = [
                    np.average([one.figures[scope, figure] for scope in shared], 0, weights)
                    for one in drawn
                ]
    return found


def _same(scope: Scope, figure: str, drawn: Sequence[Drawn]) -> bool:
    """Whether all have this scope, with the same images, and something to rank."""
    marks: set[Images | None] = {one.images.get(scope) for one in drawn}
    return len(marks) == 1 and not any(np.isnan(one.figures[scope, figure][0]) for one in drawn)


def overall(found: Mapping[tuple[str, int], np.ndarray]) -> np.ndarray:
    """Replicates by (category, seed) -> of their mean: over redrawn seeds, then categories."""
    means = []
    for category in dict.fromkeys(category for category, _ in found):
        of_seeds = np.array([drawn for (name, _), drawn in found.items() if name == category])
        means.append(over_seeds(of_seeds, stream(0, "compare", "seeds", category)))
    return np.mean(means, axis=0)


def parts_of(
    one: Treatment, category: str, seed: int, *, together: bool
) -> list[tuple[float, Range]]:
    """The image AUROC of a block with its interval: of all sites in one ranking, or of each site
    that has something to rank."""
    drawn = one.drawn[seed]
    return [
        (float(drawn.figures[scope, AUROC][0]), drawn.ranges[scope])
        for scope in drawn.images
        if scope.category == category
        and (scope.site == TOGETHER) == together
        and not np.isnan(drawn.figures[scope, AUROC][0])
    ]


def fewest_images(some: Treatment, categories: Sequence[str]) -> dict[str, int]:
    """Category -> its good or its defective test images, whichever are fewer, over all sites."""
    drawn = some.drawn[some.seeds[0]]
    found = {}
    for category in categories:
        counts = [drawn.images[scope] for scope in _of(drawn, category)]
        found[category] = min(sum(c.good for c in counts), sum(c.defective for c in counts))
    return found


def _of(drawn: Drawn, category: str) -> Iterator[Scope]:
    return (s for s in drawn.images if s.category == category and s.site != TOGETHER)
