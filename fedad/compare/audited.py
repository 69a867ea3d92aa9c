"""What a release claims, beside what an attack on it shows: a bound below on the epsilon it has.

A small site is made of up to `CANARIES` good images of a product, each in it by a fair coin of
ours. Its upload is attacked as by somebody who has all the images, and guesses are made of the
quarter that looks most and of the quarter that looks least as if it were in (`dp/audit.py`, in one
run). Beside a sound release the bound is near 0, and below what is claimed but for one time in
twenty at most. A bound that is above refutes the claim; one that is below proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from fedad.banks.bank import Bank
from fedad.compare.plan import Plan
from fedad.config import Config
from fedad.dp.audit import one_run
from fedad.embedders.embedder import Embed, Embedder
from fedad.judging.parts import ready
from fedad.leakage.gaps import joined, look, target_of
from fedad.methods.base import method_of
from fedad.plumbing.progress import track
from fedad.privacy.base import is_private
from fedad.running.launch import sites_of
from fedad.running.leak import patches_of
from fedad.running.own_leak import upload_of
from fedad.seeding import stream
from fedad.types import Sample, Site

CANARIES = 240  # more would each add 2 delta to the chance of a lucky guess
AT_ONCE = 16  # images whose features are in memory
RISK = 0.05  # of a bound above the truth, over all statistics together
DELTA = 1e-5


def audits_of(plan: Plan) -> dict[str, dict[str, Any]]:
    """Point -> what it `claimed` and what was `audited`, of `canaries` images of a product.

    Nothing where no point has a release; in the first seed alone, as figures are of all. The draw
    of noise that is attacked is seeded, and none that a cell has.
    """
    configs = {point.label: plan.config(point, plan.seeds[0]) for point in plan.points}
    if all(config.privacy.release == "keep" for config in configs.values()):
        return {}
    found = {}
    with track("audits", len(configs)) as progress:
        for done, (label, config) in enumerate(configs.items(), start=1):
            found[label] = {"claimed": claimed(config), **_audit(config)}
            progress(done)
    return found


def claimed(config: Config) -> float | None:
    """The epsilon that a release states, rightly or not; None of one that states none."""
    knobs = config.knobs(config.privacy.release) if config.privacy.release != "keep" else None
    stated = "epsilon" if is_private(config) else "claimed_epsilon"
    value = getattr(knobs, stated, None)
    return None if value is None else float(value)


def _audit(config: Config) -> dict[str, Any]:
    """The bound, of how many images, and of which product."""
    if not issubclass(method_of(config).rounds[0].upload, Bank):
        return {"audited": None, "canaries": 0}
    embed = Embedder(config.embedder)
    product, samples = _canaries(config, embed)
    rng = stream(config.round.seed, "audit", product)
    inside = rng.random(len(samples)) < 0.5
    if inside.all() or not inside.any():
        return {"audited": None, "canaries": 0}
    scores = _scores(config, embed, samples, inside)
    return {"audited": bound(inside, scores), "canaries": len(samples), "product": product}


def bound(inside: np.ndarray, scores: np.ndarray, *, delta: float = DELTA) -> float:
    """The largest bound below on epsilon by any of S statistics, each at its share of the risk.

    Args:
        inside: (m,) bool, the coins.
        scores: (m, S), higher where an image looks to be in.
    """
    guesses, confidence = len(inside) // 2, 1 - RISK / scores.shape[1]
    return max(
        one_run(inside, column, guesses, delta=delta, confidence=confidence) for column in scores.T
    )


def _canaries(config: Config, embed: Embed) -> tuple[str, list[Sample]]:
    """The product and the images of the site that has most of one."""
    sites = [ready(config, site, embed).site for site in sites_of(config)]
    groups = [group for site in sites for group in _by_product(site)]
    product, samples = max(groups, key=lambda group: len(group[1]))
    return product, samples[:CANARIES]


def _by_product(site: Site) -> Iterator[tuple[str, list[Sample]]]:
    for name in sorted({sample.category for sample in site.train}):
        yield name, [sample for sample in site.train if sample.category == name]


def _scores(
    config: Config, embed: Embedder, samples: Sequence[Sample], inside: np.ndarray
) -> np.ndarray:
    """(m, S): minus each statistic of each image's distances to the rows of the upload."""
    members = tuple(sample for sample, there in zip(samples, inside, strict=True) if there)
    bank = upload_of(config, Site("audit", members, ()), embed)
    target, parts = target_of(bank, members[0].category), []
    for at in range(0, len(samples), AT_ONCE):
        features = target.described(embed(samples[at : at + AT_ONCE]))
        images = [patches_of(features, k)[0] for k in range(len(features.images))]
        parts.append(look(target, images, embed.backbone.device.type))
    return -joined(parts).statistics
