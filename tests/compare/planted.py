"""Treatments with known differences, drawn at the point where cells would have been read."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fedad.compare.drawn import TOGETHER, Drawn, Images, Scope, weights
from fedad.compare.plan import FEDERATED, Plan, Point
from fedad.compare.treatments import Treatment
from fedad.evaluation.sureness import Range

CATEGORIES, SITES = ("bolt", "hose", "pipe"), ("graz", "lyon")
IMAGES = 30  # good ones, and as many defective ones, of a category at a site
FIGURE = "image_auroc"


def plan_of(*labels: str, seeds: int = 5, margin: float = 0.01, **knobs: object) -> Plan:
    """A plan over points with these labels."""
    return Plan(
        name="planted",
        purpose="",
        points=tuple(Point(label, dict(knobs), {"axis": label}) for label in labels),
        seeds=tuple(range(seeds)),
        yardsticks=(),
        figures=(FIGURE,),
        margin=margin,
        replicates=300,
        leave_one_out=0,
        recommend={},
    )


def treatment(
    label: str,
    shift: float | Mapping[str, float] = 0.0,
    *,
    noise: float = 0.002,
    way: str = FEDERATED,
    points: tuple[str, ...] = (),
    mb: float = 1.0,
    seconds: float = 1.0,
    seeds: int = 5,
) -> Treatment:
    """A figure of 0.8 that images scatter alike in all treatments, `shift` (by site) above it, with
    `noise` of this treatment's own by image and seed."""
    drawn = {seed: _drawn(label, shift, noise, seed) for seed in range(seeds)}
    moved = {"bank": mb * 1e6 / len(SITES) / 2}
    told = {"bytes": {"up": moved, "down": moved}}
    record = {
        "sites": dict.fromkeys(SITES, told),
        "seconds": {"train": seconds},
        "model": {"rows": 100},
        "figures": {way: {"sites": {}}},
    }
    records = dict.fromkeys(range(seeds), record)
    return Treatment(
        label, way, points or (label,), {}, drawn, records, dict.fromkeys(records, 1.0)
    )


def _drawn(label: str, shift: float | Mapping[str, float], noise: float, seed: int) -> Drawn:
    """A mean over images stands for the figure: the same images and redraws in every treatment."""
    figures, images, ranges = {}, {}, {}
    for c, category in enumerate(CATEGORIES):
        values = {}
        for s, site in enumerate(SITES):
            shared = np.random.default_rng([c, s]).normal(0.8, 0.1, 2 * IMAGES)
            own = np.random.default_rng([c, s, seed, *map(ord, label)])
            above = shift if isinstance(shift, float) else shift[site]
            values[site] = shared + above + noise * own.normal(size=2 * IMAGES)
        for site in (*SITES, TOGETHER):
            mine = np.concatenate([values[name] for name in ([site] if site else SITES)])
            good = np.arange(len(mine)) % 2 == 0
            times = weights(good, 300, np.random.default_rng([c, *map(ord, site)]))
            scope = Scope(site, category)
            figures[scope, FIGURE] = times @ mine / len(mine)
            value = float(figures[scope, FIGURE][0])
            ranges[scope] = Range(value - 0.05, value + 0.05)
            images[scope] = Images(int(good.sum()), int((~good).sum()), f"{site}{category}")
    return Drawn(figures, images, ranges)
