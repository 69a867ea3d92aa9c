"""Do thresholds keep their promise where plants meet variants that are new to them?

    python benchmarks/onboarding.py [--draws 20] [--parts 12] [--seed 0]
        [--pool 60] [--good 200] [--defective 60]

Drawn data: the demo plants' bank, each plant with 200 good test parts of a product, half of them of
variants that only other plants know, and 60 defective ones, all drawn anew from a seed. A threshold
wishes 10 % false rejects, and comes from the plant's training images (each judged without its own
rows), and from a few good parts of each variant that is new to the plant, drawn anew from 60. Rates
are means over products and draws, with two standard errors over draws.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from common import PUBLISHED, heading, row
from PIL import Image

from fedad.config import Config, read
from fedad.datasets.synthetic import synthetic
from fedad.drawing.plan import PRODUCTS, Shot, draw_image
from fedad.drawing.plants import Plant, plants
from fedad.embedders.embedder import Embedder
from fedad.evaluation import threshold
from fedad.judging.thresholds import good_scores
from fedad.methods.base import method_of
from fedad.partition import partition
from fedad.round import Learned, learn
from fedad.types import GOOD, Sample, Site

RATE = 0.1
SIZE = 256


class Numbers(NamedTuple):
    """What is drawn: by which seed, and how many parts of a product at a plant."""

    seed: int
    pool: int  # good ones of each variant that is new there, of which a few are taken
    good: int
    defective: int


class Seen(NamedTuple):
    """Parts of one product at one plant: scores, variants, and whose row is nearest to the oddest
    patch."""

    score: np.ndarray
    variant: np.ndarray
    nearest: np.ndarray

    def take(self, numbers: np.ndarray) -> Seen:
        return Seen(*(column[numbers] for column in self))


class Parts(NamedTuple):
    """What is known of a product at a plant."""

    own: np.ndarray  # scores of training images, each without its own rows
    place: int  # the variant that it makes
    new: Seen  # good parts that nothing is learned from, of all variants
    good: Seen
    bad: Seen


class Rates(NamedTuple):
    """Shares of parts at one plant."""

    rejected: float  # of good ones
    rejected_known: float  # of good ones of the plant's own variant
    rejected_new: float  # of good ones of the others
    escaped: float  # of defective ones


def drawn(folder: Path, shots: Sequence[Shot], seed: int) -> list[Sample]:
    """The images of shots, as files."""

    def one(shot: Shot) -> Sample:
        file = folder / shot.plant.name / shot.product.name / shot.split / shot.place
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels, _ = draw_image(shot, seed=seed, size=SIZE)
        Image.fromarray(pixels).save(file.with_suffix(".png"), compress_level=1)
        return Sample(shot.product.name, "test", shot.defect, file.with_suffix(".png"))

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(one, shots))


def looked(
    config: Config, embed: Embedder, learned: Learned, site: str, of: list[Shot], *, seed: int
) -> Seen:
    """Score drawn parts at a site by the bank that it was sent."""
    method = method_of(config)
    scores, nearest = [], []
    with tempfile.TemporaryDirectory() as folder:
        samples = drawn(Path(folder), of, seed)
        for at in range(0, len(samples), 64):
            features = embed(samples[at : at + 64])
            found = method.trace(learned.model, features, own=learned.own(site), site=site)
            flat = found.maps.reshape(len(found.maps), -1)
            whose = found.nearest.reshape(flat.shape)
            scores.append(found.scores)
            nearest.append(whose[np.arange(len(flat)), flat.argmax(axis=1)])
    variants = np.array([shot.variant for shot in of])
    return Seen(np.concatenate(scores), variants, np.concatenate(nearest))


def parts_of(
    config: Config, embed: Embedder, learned: Learned, site: Site, numbers: Numbers
) -> list[Parts]:
    """Every product at one site."""
    found, all_plants = [], plants(3)
    place = [plant.name for plant in all_plants].index(site.name)
    own = good_scores(config, site, embed, learned.model, learned.own(site.name))
    for product in PRODUCTS:

        def shot(split: str, defect: str, take: int, variant: int, plant: Plant) -> Shot:
            return Shot(product, plant, variant, split, defect, take, take)  # noqa: B023

        here, kinds = all_plants[place], sorted(product.defects)
        arriving = [(place + (0, 1, 2, 0)[take % 4]) % 3 for take in range(numbers.good)]
        new = [
            shot("validation", GOOD, numbers.pool * v + k, v, here)
            for v in range(3)
            for k in range(numbers.pool)
            if v != place
        ]
        good = [shot("many", GOOD, take, variant, here) for take, variant in enumerate(arriving)]
        bad = [
            shot("many", kinds[take % len(kinds)], take, arriving[take // len(kinds)], here)
            for take in range(numbers.defective)
        ]
        seen = (
            looked(config, embed, learned, site.name, shots, seed=numbers.seed)
            for shots in (new, good, bad)
        )
        scores = np.array([one.score for one in own[product.name]])
        found.append(Parts(scores, place, *seen))
    return found


def rates(parts: Parts, count: int, rng: np.random.Generator) -> dict[str, Rates]:
    """Way -> what it stops and lets through, for one draw of new good parts."""
    picked = {
        v: parts.new.take(rng.permutation(np.flatnonzero(parts.new.variant == v))[:count])
        for v in range(3)
        if v != parts.place
    }
    new = [*picked.values()]
    every = np.concatenate([parts.own, *(one.score for one in new)])
    pooled = threshold(every, RATE)
    nearest = {}
    for site in range(3):
        own = parts.own if site == parts.place else []  # their own rows are nearest to most of them
        some = np.concatenate([own, *(one.score[one.nearest == site] for one in new)])
        nearest[site] = threshold(some, RATE) if len(some) >= 1 / RATE - 1 else pooled
    known = {v: threshold(seen.score, RATE) for v, seen in picked.items()}
    known[parts.place] = threshold(parts.own, RATE)
    ways = {
        "own training images alone": lambda seen: np.full(len(seen.score), known[parts.place]),
        "with new parts": lambda seen: np.full(len(seen.score), pooled),
        "with new parts, by nearest site": lambda seen: np.vectorize(nearest.get)(seen.nearest),
        "with new parts, by variant": lambda seen: np.vectorize(known.get)(seen.variant),
    }
    mine = parts.good.variant == parts.place
    found = {}
    for name, limit in ways.items():
        stopped, passed = parts.good.score > limit(parts.good), parts.bad.score <= limit(parts.bad)
        shares = stopped, stopped[mine], stopped[~mine], passed
        found[name] = Rates(*(float(share.mean()) for share in shares))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--parts", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0, help="of all that is drawn")
    parser.add_argument("--pool", type=int, default=60, help="new good parts of a variant")
    parser.add_argument("--good", type=int, default=200, help="test parts of a product")
    parser.add_argument("--defective", type=int, default=60)
    options = parser.parse_args()
    heading()
    config = read({**PUBLISHED, "embedder.cache": "off"})
    with tempfile.TemporaryDirectory() as folder:
        dataset = synthetic(Path(folder) / "plants", seed=options.seed)
        numbers = Numbers(options.seed, options.pool, options.good, options.defective)
        sites, embed = partition(dataset, config.data, seed=0), Embedder(config.embedder)
        learned = learn(config, sites, embed)
        by_site = {site.name: parts_of(config, embed, learned, site, numbers) for site in sites}
    rng = np.random.default_rng(0)
    found = {
        name: [[rates(one, options.parts, rng) for one in parts] for _ in range(options.draws)]
        for name, parts in by_site.items()
    }
    print(f"drawn data; {RATE:.0%} false rejects wished, {options.parts} parts of a new variant\n")
    row("threshold from", "site", "false rejects", "of its variant", "of new ones", "escapes")
    row(*6 * ["---"])
    for way in found["graz"][0][0]:
        every = []
        for name, draws in found.items():
            pair = np.array([[one[way] for one in products] for products in draws]).mean(axis=1)
            every.append(pair)
            row(way, name, *map(told, pair.T))
        row(way, "mean", *map(told, np.mean(every, axis=0).T))


def told(values: np.ndarray) -> str:
    """A mean with two standard errors."""
    error = 2 * values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return f"{values.mean():.3f} ± {error:.3f}"


if __name__ == "__main__":
    main()
