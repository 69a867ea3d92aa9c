"""To whom: the worst site, how far sites are apart, and whether sharing helped each of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from fedad.compare.chances import chance
from fedad.compare.drawn import TOGETHER, Drawn
from fedad.compare.plan import FEDERATED, ISOLATED, Plan
from fedad.compare.ranges import auroc_range, difference_range, is_exact, redrawn_range, shown
from fedad.compare.statistics import ALPHA, drawable, over_seeds
from fedad.compare.treatments import Treatment
from fedad.evaluation import Rate
from fedad.evaluation.holm import holm
from fedad.evaluation.summary import AUROC
from fedad.evaluation.sureness import Range
from fedad.seeding import stream

Drawns = dict[str, np.ndarray]  # a site or a category -> replicates (1 + R,) of its figure


def fairness(plan: Plan, some: Sequence[Treatment]) -> list[dict[str, Any]]:
    """A line of findings a treatment: over sites, over categories, by site, by whose rows."""
    alone = {label: one for one in some if one.way == ISOLATED for label in one.points}
    found = []
    for one in some:
        told: dict[str, Any] = {"treatment": one.label, "way": one.way, "figures": {}}
        for figure in plan.figures:
            sites, categories = by_site(one, figure), by_category(one, figure)
            told["figures"][figure] = {
                "over_sites": spread(ranking(one, sites)),
                "over_categories": spread(categories),
                "sites": _shown(one, figure, sites),
            }
        if one.way == FEDERATED:
            told |= {"nearest": nearest(one), "borrowed": borrowed(one)}
            if one.label in alone:
                told["gain"] = all_gains(one, alone[one.label], plan.figures)
        found.append(told)
    return found


def by_site(one: Treatment, figure: str) -> Drawns:
    """Each site's mean over its categories and over seeds; sites with nothing to rank left out."""
    return _means(one, figure, lambda drawn, site: _of_site(drawn, figure, site), _sites(one))


def ranking(one: Treatment, sites: Drawns) -> Drawns:
    """Those sites that have good and defective test images of one product; all where none has.

    A figure over the pixels of a single defective image is a figure, and no site is called the
    worst for it.
    """
    return {site: drawn for site, drawn in sites.items() if _images(one, site)} or sites


def by_category(one: Treatment, figure: str) -> Drawns:
    """Each category's figure over all sites: in one ranking, or isolated, the mean over sites."""

    def measure(drawn: Drawn, category: str) -> list[np.ndarray]:
        scopes = [s for s in drawn.images if s.category == category]
        if one.way != ISOLATED:
            scopes = [s for s in scopes if s.site == TOGETHER]
        rows = [drawn.figures[s, figure] for s in scopes]
        return [row for row in rows if not np.isnan(row[0])]

    return _means(one, figure, measure, one.categories)


def _means(one: Treatment, figure: str, measure: Any, names: Sequence[str]) -> Drawns:
    """The mean of what is measured in a seed, then over seeds."""
    found = {}
    for name in names:
        seeds = [np.mean(rows, axis=0) for d in one.drawn.values() if (rows := measure(d, name))]
        if seeds:
            rng = stream(0, "compare", "seeds", name, figure)
            found[name] = over_seeds(np.array(seeds), rng)
    return found


def _sites(one: Treatment) -> list[str]:
    scopes = {scope.site for drawn in one.drawn.values() for scope in drawn.images}
    return sorted(scopes - {TOGETHER})


def _of_site(drawn: Drawn, figure: str, site: str) -> list[np.ndarray]:
    rows = [drawn.figures[scope, figure] for scope in drawn.images if scope.site == site]
    return [row for row in rows if not np.isnan(row[0])]


def spread(of: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The worst and the best, the gap between them, and the standard deviation over all."""
    if not of:
        return {}
    values = {name: float(drawn[0]) for name, drawn in of.items()}
    worst, best = min(values, key=lambda n: values[n]), max(values, key=lambda n: values[n])
    return {
        "worst": worst,
        "worst_value": values[worst],
        "best": best,
        "best_value": values[best],
        "gap": values[best] - values[worst],
        "spread": float(np.std(list(values.values()))),
    }


def _shown(one: Treatment, figure: str, of: Mapping[str, np.ndarray]) -> dict[str, Any]:
    found = {}
    for site, drawn in of.items():
        images = _fewest(one, site)
        range_ = _auroc(one, site) if is_exact(figure) else redrawn_range(drawn, images)
        found[site] = {**shown(drawn, range_), "images": sum(images)}
    return found


def _auroc(one: Treatment, site: str) -> Range:
    """The interval of a site's mean image AUROC over its categories and seeds."""
    seeds = {
        (site, seed): [
            (float(drawn.figures[scope, AUROC][0]), range_)
            for scope, range_ in drawn.ranges.items()
            if scope.site == site and not np.isnan(drawn.figures[scope, AUROC][0])
        ]
        for seed, drawn in one.drawn.items()
    }
    return auroc_range({seed: parts for seed, parts in seeds.items() if parts})


def _images(one: Treatment, site: str) -> int:
    """A site's good or defective test images, whichever are fewer, over its categories."""
    return sum(_fewest(one, site))


def _fewest(one: Treatment, site: str) -> list[int]:
    """Those of each category."""
    drawn = one.drawn[one.seeds[0]]
    return [min(c.good, c.defective) for scope, c in drawn.images.items() if scope.site == site]


def all_gains(one: Treatment, alone: Treatment, figures: Sequence[str]) -> dict[str, Any]:
    """Figure -> `gains`, answered: all sites and figures are one family of tests, by Holm."""
    found = {figure: gains(one, alone, figure) for figure in figures}
    every = [gain for of in found.values() for gain in of.values()]
    for gain, p in zip(every, holm([gain["p"] for gain in every]), strict=True):
        gain |= {"p_holm": p, "answer": answer(gain["value"], p)}
    return found


def gains(one: Treatment, alone: Treatment, figure: str) -> dict[str, Any]:
    """Site -> what it gains over being isolated, on the same images, with the p of no gain."""
    found: dict[str, Any] = {}
    for site in _sites(one):
        seeds = [row for seed in one.seeds if (row := _gain(one, alone, seed, site, figure))]
        if seeds:
            table = np.array([np.mean(rows, axis=0) for rows in seeds])
            drawn = over_seeds(table, stream(0, "compare", "seeds", site, figure))
            images = drawable(_fewest(alone, site))
            p = chance(drawn, images, len(seeds))
            range_ = difference_range(drawn, _fewest(alone, site))
            found[site] = {**shown(drawn, range_), "p": p}
    return found


def _gain(one: Treatment, alone: Treatment, seed: int, site: str, figure: str) -> list[np.ndarray]:
    mine, theirs = one.drawn[seed], alone.drawn[seed]
    both = [
        mine.figures[scope, figure] - theirs.figures[scope, figure]
        for scope in theirs.images
        if scope.site == site and mine.images.get(scope) == theirs.images[scope]
    ]
    return [row for row in both if not np.isnan(row[0])]


def answer(gain: float, p: float) -> str:
    """Did federation help me? By the p of its whole family; NaN is an answer too."""
    if not p < ALPHA:
        return "cannot tell"
    return "helped" if gain > 0 else "hurt"


def nearest(one: Treatment) -> dict[str, dict[str, float]]:
    """Judging site -> contributing site -> the share of test patches nearest to one of its rows."""
    found: dict[str, Counter[str]] = {}
    for told in _told(one):
        for site, part in told.items():
            for patches in part.get("nearest", {}).values():
                found.setdefault(site, Counter()).update(patches)
    return {
        site: {name: n / patches.total() for name, n in sorted(patches.items())}
        for site, patches in sorted(found.items())
    }


def borrowed(one: Treatment) -> dict[str, dict[str, Any]]:
    """Site -> how many defects others' rows hid there, and how many good parts they let pass.

    Sums over seeds.
    """
    sums: dict[str, dict[str, np.ndarray]] = {}
    for told in _told(one):
        for site, part in told.items():
            for rates in part.get("borrowed", {}).values():
                for name, rate in rates.items():
                    so_far = sums.setdefault(site, {}).setdefault(name, np.zeros(2, int))
                    so_far += (rate["cases"], rate["of"])
    return {
        site: {
            name: _rate(int(cases), int(of), len(one.seeds)) for name, (cases, of) in told.items()
        }
        for site, told in sorted(sums.items())
    }


def _rate(cases: int, of: int, seeds: int) -> dict[str, Any]:
    """The rate of all seeds; they share their test images, which the interval counts once."""
    once = round(of / seeds) or min(of, 1)
    ends = Rate.exact(min(round(cases / seeds), once), once)
    return Rate.exact(cases, of)._replace(low=ends.low, high=ends.high)._asdict()


def _told(one: Treatment) -> Iterator[Mapping[str, Any]]:
    """What each seed's record says of each site."""
    for record in one.records.values():
        yield record["figures"][one.way]["sites"]
