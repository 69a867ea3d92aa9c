"""Weights that reach everybody: merge anew until the site that is covered worst is covered better.

A site is covered as well as its own good images are near the bank, images that the bank's rows are
not from (`calibration.good_scores`). Each tells the server one number a category; the server raises
the weight of those that are far, merges the uploads anew and asks again. No defect is looked at.
In the spirit of AFL (Mohri et al., ICML 2019): the worst site decides.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from fedad.banks.bank import Bank
from fedad.config import Config

if TYPE_CHECKING:  # who only merges needs no network in memory
    pass

REMERGES = 4  # after the first; each costs a broadcast
EAGER = 1.0  # a site twice as far as the mean gets e times its weight
MOST = 10.0  # the farthest that a site is believed to be, in usual distances and in means

Distances = Mapping[str, Mapping[str, float]]  # site -> category -> mean score of its good images


def merge_covering(
    config: Config,
    merged: Callable[[Config], Bank],
    ask: Callable[[Bank], Distances],
    most: float = math.inf,
) -> tuple[Bank, list[float]]:
    """The bank whose worst site is covered best, and how far that was after each merge.

    Args:
        merged: the bank of all uploads under a configuration.
        ask: what the sites say of a bank. Who does not answer has no say.
        most: how often they may be asked; if not at all, the bank is that by image count.

    Distances are told in means over sites of the first merge, category by category, so that 1 is
    usual; a category that nobody told of then does not count. The first merge is by image count:
    the worst site is never worse off than with `n`.
    """
    factors: dict[str, float] = {}
    scale: dict[str, float] = {}
    found: list[tuple[float, Bank]] = []
    for _ in range(int(min(most, 1 + REMERGES))):
        bank = merged(_weighted(config, factors))
        told = ask(bank)
        scale = scale or _scale(told)
        far = _far(told, scale)
        if not far:
            return bank, []
        found.append((max(far.values()), bank))
        usual = _mean(far.values()) or 1.0
        factors = {
            site: factors.get(site, 1.0) * math.exp(EAGER * (min(how / usual, MOST) - 1))
            for site, how in far.items()
        }
    if not found:
        return merged(_weighted(config, {})), []
    best = min(range(len(found)), key=lambda k: found[k][0])
    return found[best][1], [worst for worst, _ in found]


def _weighted(config: Config, factors: Mapping[str, float]) -> Config:
    """The configuration with a factor a site; by image count where there are none yet."""
    text = ",".join(f"{site}={factor!r}" for site, factor in sorted(factors.items())) or "n"
    return replace(config, merge=replace(config.merge, weighting=text))


def _scale(told: Distances) -> dict[str, float]:
    """Category -> the mean over sites; 1 where that is 0, and nothing is far."""
    categories = {category for of in told.values() for category in of}
    return {c: _mean(of[c] for of in told.values() if c in of) or 1.0 for c in categories}


def _far(told: Distances, scale: Mapping[str, float]) -> dict[str, float]:
    """How far each site is that says anything of a category with a scale, in usual distances."""
    ratios = {
        site: [min(d / scale[c], MOST) for c, d in of.items() if c in scale]
        for site, of in told.items()
    }
    return {site: _mean(found) for site, found in ratios.items() if found}


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))
