"""The gain of sharing by how many good images a site has: from where on a plant gains nothing.

Points that differ in `data.images` alone are one curve. At each size stands what federated sites
gain over isolated ones, on the same test images, and what others' images are worth: with how many
images of its own a site by itself would be as good. The gains of one figure at all sizes are one
family of tests, by Holm.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from fedad.compare.plan import FEDERATED, ISOLATED, Plan, Point
from fedad.compare.statistics import ALPHA
from fedad.evaluation.holm import holm

KNOB = "data.images"


def by_size(
    plan: Plan, summaries: Sequence[Mapping[str, Any]], contrasts: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """A curve for each figure and each set of points that differ in `data.images` alone.

    `said` puts it in a sentence, and `nothing_from` is the smallest size from which on no size is
    told to gain; None where the largest one is. `equal_from` is the same for sizes told to be equal
    within the margin.
    """
    found = []
    for figure in plan.figures:
        told = [
            (where, _sizes(points, figure, summaries, contrasts)) for where, points in _curves(plan)
        ]
        every = [one for _, sizes in told for one in sizes]
        for one, p in zip(every, holm([one["p"] for one in every]), strict=True):
            one |= {"p_holm": p, "gains": p < ALPHA and one["difference"] > 0}
        found += [_curve(where, figure, sizes) for where, sizes in told if sizes]
    return found


def _curves(plan: Plan) -> Iterator[tuple[str, list[Point]]]:
    """Sets of points with what tells them from the other sets; each by size."""
    groups: dict[tuple[tuple[str, Any], ...], list[Point]] = {}
    for point in plan.points:
        rest = tuple(sorted((knob, v) for knob, v in point.knobs.items() if knob != KNOB))
        groups.setdefault(rest, []).append(point)
    shared = set.intersection(*(set(rest) for rest in groups))
    for knobs, points in groups.items():
        if len(points) > 1:
            where = ", ".join(f"{k} = {v}" for k, v in knobs if (k, v) not in shared)
            yield where, sorted(points, key=_size)


def _size(point: Point) -> float:
    """The most good images that a site has of a product; infinite where there is no cap."""
    return float(point.knobs.get(KNOB, 0)) or math.inf


def _sizes(
    points: Sequence[Point],
    figure: str,
    summaries: Sequence[Mapping[str, Any]],
    contrasts: Sequence[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """What there is at each size; nothing where isolated sites were not run at all of them, or had
    nothing to rank."""
    sizes = []
    for point in points:
        alone = _of(summaries, ISOLATED, point.label, figure)
        shared = _of(summaries, FEDERATED, point.label, figure)
        gain = _gain(summaries, contrasts, point.label, figure)
        if alone is None or shared is None or gain is None:
            return []
        told = {key: gain[key] for key in ("difference", "low", "high", "p", "p_equal")}
        sizes.append({"images": _size(point), "isolated": alone, "federated": shared, **told})
    return sizes


def _curve(where: str, figure: str, sizes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    for one in sizes:
        one["worth"] = _worth(one["federated"], sizes)
    curve: dict[str, Any] = {
        "where": where,
        "figure": figure,
        "sizes": [{**one, "images": _plain(one["images"])} for one in sizes],
        "nothing_from": _first(sizes, [not one["gains"] for one in sizes]),
        "equal_from": _first(sizes, [one["p_equal"] < ALPHA for one in sizes]),
    }
    return {**curve, "said": _sentence(curve)}


def _of(summaries: Sequence[Mapping[str, Any]], way: str, label: str, figure: str) -> float | None:
    """A figure of a point, or of its yardstick, site by site."""
    for one in summaries:
        if one["way"] == way and label in one["points"]:
            told = one["figures"][figure]["by_site"]
            return None if told is None else told["value"]
    return None


def _gain(
    summaries: Sequence[Mapping[str, Any]],
    contrasts: Sequence[Mapping[str, Any]],
    label: str,
    figure: str,
) -> Mapping[str, Any] | None:
    """The contrast of a point with its isolated sites."""
    alone = {s["label"] for s in summaries if s["way"] == ISOLATED and label in s["points"]}
    for one in contrasts:
        if one["first"] == label and one["second"] in alone and one["figure"] == figure:
            return one
    return None


def _worth(figure: float, sizes: Sequence[Mapping[str, Any]]) -> float | None:
    """How many images of its own an isolated site needs for this figure, between the sizes there
    are; None where that is more, or fewer, than any of them."""
    known = [(one["images"], one["isolated"]) for one in sizes if one["images"] < math.inf]
    for (few, low), (many, high) in pairwise(known):
        if low <= figure <= high:
            share = (figure - low) / (high - low) if high > low else 0.0
            return float(np.exp(np.log(few) + share * np.log(many / few)))
    return None


def _first(sizes: Sequence[Mapping[str, Any]], holds: Sequence[bool]) -> int | None:
    """The smallest size from which on it holds of all."""
    found = None
    for one, true in zip(reversed(sizes), reversed(holds), strict=True):
        if not true:
            break
        found = _plain(one["images"])
    return found


def _plain(images: float) -> int:
    """JSON holds no infinity: 0 is no cap, as in the knob."""
    return 0 if math.isinf(images) else int(images)


def _sentence(curve: Mapping[str, Any]) -> str:
    gains = ", ".join(
        f"{_ranged(one)} at {_images(one['images'])}{_as_many(one)}" for one in curve["sizes"]
    )
    where = f" ({curve['where']})" if curve["where"] else ""
    told = f"{curve['figure']}{where}: over isolated sites sharing gains {gains}"
    if (nothing := curve["nothing_from"]) is None:
        return f"{told}: a gain is told up to the largest size"
    ends = f"{told}: from {_images(nothing)} a site and product on no gain is told"
    if (equal := curve["equal_from"]) is None:
        return ends
    return f"{ends}, and from {_images(equal)} on both are equal within the margin"


def _ranged(one: Mapping[str, Any]) -> str:
    ends = "" if math.isnan(one["low"]) else f" ({one['low']:+.3f} to {one['high']:+.3f})"
    return f"{one['difference']:+.3f}{ends}"


def _images(count: float) -> str:
    return f"{count} images" if count else "all images"


def _as_many(one: Mapping[str, Any]) -> str:
    """What sharing is worth, where it is more than the site has."""
    worth = one["worth"]
    if worth is None or not one["images"] or worth <= one["images"]:
        return ""
    return f" (as {worth:.0f} of its own)"
