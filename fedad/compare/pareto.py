"""What is bought at what cost: the points that no other beats in everything, and which to take."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from fedad.compare.fairness import by_site, ranking
from fedad.compare.lines import fedad_line, flwr_line
from fedad.compare.plan import COSTS, FEDERATED, Plan
from fedad.compare.treatments import Treatment, blocks, overall
from fedad.methods.base import method_of
from fedad.seeding import stream

# What a point is judged by: +1 where more is better, -1 where less is.
AXES = {"figure": 1, "worst_site": 1, "mb_moved": -1, "seconds": -1, "epsilon": -1}
# Costs that are so near each other are one: rows depend on the seed, seconds on the machine.
NEAR = {"mb_up_a_site": 0.01, "mb_down_a_site": 0.01, "mb_moved": 0.01, "seconds": 0.1}

NO_AUDITS: Mapping[str, Mapping[str, Any]] = MappingProxyType({})


def pareto(
    plan: Plan, some: Sequence[Treatment], audits: Mapping[str, Mapping[str, Any]] = NO_AUDITS
) -> dict[str, Any]:
    """Every point with its figures and costs, whether it is on the front, how often, and how made.

    A point is on the front if no other is as good in all `axes` and better in one. `often` is the
    share of replicates, of test images and seeds, in which it is. Costs as `NEAR` as that are
    equal, and seconds are no axis where cells ran side by side, or some of them under Flower.
    Epsilon is one where some point is private: what a point's receipts cost, not what it claims.

    Args:
        audits: of points by label, what was claimed and what an attack showed; see `audited.py`.
    """
    points = [one for one in some if one.way == FEDERATED]
    left = set() if _alone(points) else {"seconds"}
    if not any(epsilon_of(one) < math.inf for one in points):
        left.add("epsilon")
    axes = {axis: sign for axis, sign in AXES.items() if axis not in left}
    drawn = np.array([_axes(plan, one, axes) for one in points])  # (points, axes, 1 + R)
    for k, axis in enumerate(axes):
        if axis in NEAR:
            drawn[:, k] = -tied(-drawn[:, k], NEAR[axis])
    on = np.array([front(drawn[..., r]) for r in range(drawn.shape[-1])])  # (1 + R, points)
    told = [
        {
            "label": one.label,
            **_described(plan, one),
            **audits.get(one.label, {}),
            "on_front": bool(on[0, k]),
            "often": float(on[1:, k].mean()) if len(on) > 1 else float(on[0, k]),
            "flwr": flwr_line(plan.config(_point(plan, one), plan.seeds[0]), _site_count(one)),
            "fedad": fedad_line(plan.config(_point(plan, one), plan.seeds[0])),
        }
        for k, one in enumerate(points)
    ]
    return {"points": told, "axes": axes, "recommended": recommended(plan, told, axes)}


def tied(costs: np.ndarray, share: float) -> np.ndarray:
    """`costs` (points, 1 + R), those within `share` of a cheaper one brought down to that one.

    In runs from the cheapest up, so that what is equal to a third is equal to each other.
    """
    found, order = costs.copy(), costs.argsort(axis=0)
    for r, column in enumerate(order.T):
        least = costs[column[0], r]
        for k in column:
            if costs[k, r] > least * (1 + share):
                least = costs[k, r]
            found[k, r] = least
    return found


def _alone(points: Sequence[Treatment]) -> bool:
    """Whether no cell had to share the machine with another, and all were run in one way: Ray
    takes its time to start, and a comparison may be finished in another way than it was begun."""
    ways = {via for one in points for via in one.via}
    return len(ways) == 1 and all(one.beside == 1 for one in points)


def front(values: np.ndarray) -> np.ndarray:
    """(points,) bool: which of `values` (points, axes), higher is better, no other one dominates.

    Points that are equal in everything are on the front together.
    """
    as_good = (values[:, None] >= values[None]).all(-1)
    better = (values[:, None] > values[None]).any(-1)
    return np.asarray(~(as_good & better).any(axis=0))


def _axes(plan: Plan, one: Treatment, axes: Iterable[str]) -> np.ndarray:
    """(axes, 1 + R): higher is better."""
    figure = headline(plan, one)
    sites = np.array(list(ranking(one, by_site(one, plan.figures[-1])).values()))
    seeds = _seeds_redrawn(one, figure.shape[-1])
    costs = [costs_of(one, seed) for seed in one.seeds]
    moved, seconds = (np.array([cost[name] for cost in costs]) for name in ("mb_moved", "seconds"))
    found = {"figure": figure, "worst_site": sites.min(axis=0)}
    found |= {"mb_moved": -moved[seeds].mean(0), "seconds": -seconds[seeds].mean(0)}
    found["epsilon"] = np.full(figure.shape, -epsilon_of(one))
    return np.array([found[axis] for axis in axes])


def _seeds_redrawn(one: Treatment, replicates: int) -> np.ndarray:
    """(S, 1 + R): numbers of seeds, each once at first."""
    count = len(one.seeds)
    picks = stream(0, "compare", "seeds").integers(count, size=(count, replicates))
    picks[:, 0] = np.arange(count)
    return np.asarray(picks)


def epsilon_of(one: Treatment) -> float:
    """What an upload of a product costs each image in a run of this point, by add/remove; infinite
    where nothing protects it, whatever is claimed."""
    told = one.records[one.seeds[0]].get("privacy", {}).get("epsilon")
    return math.inf if told is None else float(told)


def headline(plan: Plan, one: Treatment) -> np.ndarray:
    """(1 + R,): the plan's last figure, all sites' images in one ranking."""
    found = blocks([one], plan.figures[-1], together=True)
    return overall({block: drawn for block, (drawn,) in found.items()})


def costs_of(one: Treatment, seed: int) -> dict[str, float]:
    """What a run moved, in MB, and how long its stages took together."""
    record = one.records[seed]
    ways = [site["bytes"] for site in record["sites"].values() if "bytes" in site]
    up, down = ([sum(way[name].values()) / 1e6 for way in ways] for name in ("up", "down"))
    return {
        "mb_up_a_site": max(up),
        "mb_down_a_site": max(down),
        "mb_moved": sum(up) + sum(down),
        "seconds": sum(record["seconds"].values()),
    }


def summed_costs(plan: Plan, one: Treatment) -> dict[str, float]:
    """Means over seeds of what a treatment took: seconds of its cells; of a federated one also its
    rounds, and MB of all sites together."""
    found = {"seconds": float(np.mean([one.seconds[seed] for seed in one.seeds]))}
    if one.way != FEDERATED:
        return found
    for name in ("up", "down"):
        moved = [
            sum(
                sum(site["bytes"][name].values())
                for site in one.records[seed]["sites"].values()
                if "bytes" in site
            )
            for seed in one.seeds
        ]
        found[f"mb_{name}"] = float(np.mean(moved)) / 1e6
    method = method_of(plan.config(_point(plan, one), plan.seeds[0]))
    return {**found, "rounds": float(len(method.rounds))}


def _described(plan: Plan, one: Treatment) -> dict[str, float | None]:
    """The point's means over seeds."""
    costs = [costs_of(one, seed) for seed in one.seeds]
    means = {name: float(np.mean([cost[name] for cost in costs])) for name in COSTS}
    sites = ranking(one, by_site(one, plan.figures[-1]))
    worst = min(float(drawn[0]) for drawn in sites.values())
    epsilon = epsilon_of(one)
    return {
        "figure": float(headline(plan, one)[0]),
        "worst_site": worst,
        **means,
        "epsilon": None if epsilon == math.inf else epsilon,  # JSON has no infinity
        "rows": float(np.mean([one.records[seed]["model"].get("rows", 0) for seed in one.seeds])),
    }


def recommended(
    plan: Plan, points: Sequence[Mapping[str, Any]], axes: Iterable[str]
) -> list[dict[str, Any]]:
    """Use case -> the point to take, and its `ties`; those of the plan, then the usual ones."""
    found = {}
    for name, wish in plan.recommend.items():
        limits = dict(wish.get("at-most", {}))
        able = [p for p in points if all(_cost(p, c) <= limit for c, limit in limits.items())]
        found[name] = _first(able, str(wish.get("most", "figure")))
    best = max(point["figure"] for point in points)
    near = [point for point in points if point["figure"] >= best - plan.margin]
    found["best figure"] = _first(points, "figure")
    found["worst site first"] = _first(points, "worst_site")
    found[f"fewest bytes within {plan.margin} of the best"] = _first(near, "mb_moved")
    if "seconds" in axes:
        found[f"fastest within {plan.margin} of the best"] = _first(near, "seconds")
    return [{"use_case": name, **taken} for name, taken in found.items()]


def _cost(point: Mapping[str, Any], name: str) -> float:
    """A cost of a point; an epsilon that is not told is infinite."""
    return math.inf if point[name] is None else float(point[name])


def _first(points: Sequence[Mapping[str, Any]], by: str) -> dict[str, Any]:
    """The best of `points` by one number, of equally cheap ones the one with the best figure."""
    if not points:
        return {"label": None, "ties": []}
    if by in NEAR:
        most = min(point[by] for point in points) * (1 + NEAR[by])
        alike = [point for point in points if point[by] <= most]
    else:
        most = max(point[by] for point in points)
        alike = [point for point in points if point[by] == most]
    taken = max(alike, key=lambda point: point["figure"])
    return {
        "label": taken["label"],
        "ties": [point["label"] for point in alike if point is not taken],
    }


def _point(plan: Plan, one: Treatment) -> Any:
    return next(point for point in plan.points if point.label == one.label)


def _site_count(one: Treatment) -> int:
    return len(one.records[one.seeds[0]]["sites"])
