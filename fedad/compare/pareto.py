"""What is bought at what cost: the points that no other beats in everything, and which to take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fedad.compare.fairness import by_site, ranking
from fedad.compare.lines import fedad_line, flwr_line
from fedad.compare.plan import COSTS, FEDERATED, Plan
from fedad.compare.treatments import Treatment, blocks, overall
from fedad.seeding import stream

# What a point is judged by: +1 where more is better, -1 where less is.
AXES = {"figure": 1, "worst_site": 1, "mb_moved": -1, "seconds": -1}


def pareto(plan: Plan, some: Sequence[Treatment]) -> dict[str, Any]:
    """Every point with its figures and costs, whether it is on the front, how often, and how made.

    A point is on the front if no other is as good in all of `AXES` and better in one. `often` is
    the share of replicates, of test images and seeds, in which it is.
    """
    points = [one for one in some if one.way == FEDERATED]
    drawn = np.array([_axes(plan, one) for one in points])  # (points, axes, 1 + R)
    on = np.array([front(drawn[..., r]) for r in range(drawn.shape[-1])])  # (1 + R, points)
    told = [
        {
            "label": one.label,
            **_described(plan, one),
            "on_front": bool(on[0, k]),
            "often": float(on[1:, k].mean()) if len(on) > 1 else float(on[0, k]),
            "flwr": flwr_line(plan.config(_point(plan, one), plan.seeds[0]), _site_count(one)),
            "fedad": fedad_line(plan.config(_point(plan, one), plan.seeds[0])),
        }
        for k, one in enumerate(points)
    ]
    return {"points": told, "axes": AXES, "recommended": recommended(plan, told)}


def front(values: np.ndarray) -> np.ndarray:
    """(points,) bool: which of `values` (points, axes), higher is better, no other one dominates.

    Points that are equal in everything are on the front together.
    """
    as_good = (values[:, None] >= values[None]).all(-1)
    better = (values[:, None] > values[None]).any(-1)
    return np.asarray(~(as_good & better).any(axis=0))


def _axes(plan: Plan, one: Treatment) -> np.ndarray:
    """(axes, 1 + R): higher is better."""
    figure = headline(plan, one)
    sites = np.array(list(ranking(one, by_site(one, plan.figures[-1])).values()))
    seeds = _seeds_redrawn(one, figure.shape[-1])
    costs = [costs_of(one, seed) for seed in one.seeds]
    moved, seconds = (np.array([cost[name] for cost in costs]) for name in ("mb_moved", "seconds"))
    return np.array([figure, sites.min(axis=0), -moved[seeds].mean(0), -seconds[seeds].mean(0)])


def _seeds_redrawn(one: Treatment, replicates: int) -> np.ndarray:
    """(S, 1 + R): numbers of seeds, each once at first."""
    count = len(one.seeds)
    picks = stream(0, "compare", "seeds").integers(count, size=(count, replicates))
    picks[:, 0] = np.arange(count)
    return np.asarray(picks)


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


def _described(plan: Plan, one: Treatment) -> dict[str, float]:
    """The point's means over seeds."""
    costs = [costs_of(one, seed) for seed in one.seeds]
    means = {name: float(np.mean([cost[name] for cost in costs])) for name in COSTS}
    sites = ranking(one, by_site(one, plan.figures[-1]))
    worst = min(float(drawn[0]) for drawn in sites.values())
    return {
        "figure": float(headline(plan, one)[0]),
        "worst_site": worst,
        **means,
        "rows": float(np.mean([one.records[seed]["bank"]["rows"] for seed in one.seeds])),
    }


def recommended(plan: Plan, points: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Use case -> the point to take; those of the plan, then the usual ones."""
    given = [_use_case(name, wish, points) for name, wish in plan.recommend.items()]
    best = max(point["figure"] for point in points)
    near = [point for point in points if point["figure"] >= best - plan.margin]
    usual = [
        ("best figure", max(points, key=lambda p: p["figure"])),
        ("worst site first", max(points, key=lambda p: (p["worst_site"], p["figure"]))),
        (f"fewest bytes within {plan.margin} of the best", min(near, key=lambda p: p["mb_moved"])),
        (f"fastest within {plan.margin} of the best", min(near, key=lambda p: p["seconds"])),
    ]
    return given + [{"use_case": name, "label": point["label"]} for name, point in usual]


def _use_case(
    name: str, wish: Mapping[str, Any], points: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    most, limits = str(wish.get("most", "figure")), dict(wish.get("at-most", {}))
    able = [p for p in points if all(p[cost] <= limit for cost, limit in limits.items())]
    best = max(able, key=lambda p: p[most] * (-1 if most in COSTS else 1), default=None)
    return {"use_case": name, "label": best["label"] if best else None}


def _point(plan: Plan, one: Treatment) -> Any:
    return next(point for point in plan.points if point.label == one.label)


def _site_count(one: Treatment) -> int:
    return len(one.records[one.seeds[0]]["sites"])
