"""Thresholds and colours of a large bank: as they are computed beside the way they were before.

    python benchmarks/leave_out.py [--images 60] [--measured 20] [--rows 30000]
        [--scoring nearest standardised]

Patches of the drawn demo plants by WideResNet-50-2 with random weights, 1,536 numbers each. The
bank has every second row from the measured site. `plainly` copies the bank for each training
image and searches all that is left; `by_differences` takes the differences of 512 rows from all.
Whether both agree is checked before the times are told: in every bit with `nearest` and for the
colours, to 1e-6 of a score with `standardised`.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from common import heading, row

from fedad.banks.bank import Bank
from fedad.banks.scale import ROWS, scale_of
from fedad.config import EmbedderKnobs, read
from fedad.datasets.synthetic import synthetic
from fedad.embedders.embedder import Embedder
from fedad.methods.base import LeftOut, forgotten, method_of
from fedad.plumbing.files import cache_root
from fedad.types import Features

TOLERANCE = {"nearest": 0.0, "standardised": 1e-6}  # by scoring, relative to a score
WIDE = {"backbone": "wide_resnet50_2.tv_in1k", "weights": "random", "cache": "off", "batch": 4}


def drawn(images: int, rows: int) -> tuple[Features, Bank, Bank]:
    """Features of one product's good images, a bank of two sites, and the first one's own."""
    samples = [s for s in synthetic(cache_root() / "plants").samples if s.split == "train"]
    some = [s for s in samples if s.category == samples[0].category][:images]
    features = Embedder(EmbedderKnobs(**WIDE))(some)
    patches = len(features.patches)
    if rows > patches:
        raise SystemExit(f"{len(some)} images have {patches} patches, fewer than --rows {rows}")
    chosen = np.random.default_rng(0).permutation(patches)[:rows]
    own = bank_of(features, chosen, ("graz",), np.zeros(rows, np.int32))
    return features, bank_of(features, chosen, ("graz", "lyon"), np.arange(rows) % 2), own


def bank_of(
    features: Features, source: np.ndarray, sites: tuple[str, ...], site: np.ndarray
) -> Bank:
    """A bank of one product with the patches of these numbers; a row's rank is its place."""
    ones = np.ones((len(sites), 1), np.int64)
    return Bank(
        rows=np.ascontiguousarray(features.patches[source]),
        category=np.zeros(len(source), np.int32),
        site=site.astype(np.int32),
        row=np.arange(len(source), dtype=np.int32),
        categories=(features.categories[0],),
        sites=sites,
        images=ones,
        patches=ones,
        fingerprint=features.fingerprint,
        source=source.astype(np.int64),
    )


def scored(
    way: Callable[[Bank, Bank, str], LeftOut],
    bank: Bank,
    own: Bank,
    features: Features,
    images: Sequence[int],
) -> list[float]:
    """The score of each image without its own rows."""
    score = way(bank, own, "graz")
    return [score(features.take([k]), [k]) or math.nan for k in images]


def by_differences(bank: Bank) -> dict[str, tuple[float, float]]:
    """Differences of 512 rows from the whole of their product."""
    scales = {}
    for number, category in enumerate(bank.categories):
        rows = bank.rows[bank.category == number]
        some = np.unique(np.linspace(0, len(rows) - 1, min(ROWS, len(rows))).astype(int))
        gaps = [np.sort(np.linalg.norm(rows - rows[at], axis=1))[1:2].sum() for at in some]
        scales[category] = (0.0, 2 * float(np.median(gaps)) or 1.0)
    return scales


def colours(scales: dict[str, tuple[float, float]]) -> list[float]:
    """Where the colours of each product end."""
    return [high for _, high in scales.values()]


def told(
    what: str, now: Callable[[], list[float]], before: Callable[[], list[float]], tolerance: float
) -> None:
    """One line: the seconds of both, after a look at whether they agree."""
    seconds, found = [], []
    for work in (now, before):
        began = time.perf_counter()
        found.append(work())
        seconds.append(time.perf_counter() - began)
    apart = float(np.abs(np.divide(found[0], found[1]) - 1).max())
    if not apart <= tolerance:
        raise SystemExit(f"{what}: {found[0]} now and {found[1]} before")
    new, old = seconds
    agree = "same bits" if found[0] == found[1] else f"{apart:.0e} apart"
    row(what, f"{new:.2f}", f"{old:.2f}", f"{new / old:.3f}", agree)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=60, help="of which the bank is made")
    parser.add_argument("--measured", type=int, default=20, help="images that are judged")
    parser.add_argument("--rows", type=int, default=30_000)
    parser.add_argument("--scoring", nargs="+", choices=TOLERANCE, default=[*TOLERANCE])
    options = parser.parse_args()
    heading()
    features, bank, own = drawn(options.images, options.rows)
    print(
        f"{len(bank)} rows of {bank.rows.shape[1]}, {features.patches_per_image} patches an image"
    )
    some = range(min(options.measured, len(features.grid)))
    row("what", "s now", "s before", "share", "scores")
    row(*5 * ["---"])
    for name in options.scoring:
        method = method_of(read({"embedder.device": "cpu", "score.scoring": name}))
        ways = (method.leaving_out, partial(forgotten, method))
        now, before = (partial(scored, way, bank, own, features, some) for way in ways)
        told(f"{name}: thresholds, {len(some)} images", now, before, TOLERANCE[name])
    told("colours", lambda: colours(scale_of(bank)), lambda: colours(by_differences(bank)), 0.0)


if __name__ == "__main__":
    main()
