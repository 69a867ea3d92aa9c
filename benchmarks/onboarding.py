"""Do thresholds keep their promise where plants meet variants that are new to them?

    python benchmarks/onboarding.py [--draws 20] [--parts 12]

Drawn data: the demo plants' bank, each plant with 200 good test parts of a product, half of them of
variants that only other plants know, and 60 defective ones. A threshold wishes 10 % false rejects,
and comes from the plant's training images (each judged without its own rows), and from a few good
parts of each variant that is new to the plant, drawn anew from 60. Rates are means over products
and draws, with two standard errors over draws.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from common import heading, row
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

POOL, TEST, DEFECTIVE, RATE = 60, 200, 60, 0.1
SIZE = 256


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


def drawn(folder: Path, shots: Sequence[Shot]) -> list[Sample]:
    """The images of shots, as files."""

    def one(shot: Shot) -> Sample:
        file = folder / shot.plant.name / shot.product.name / shot.split / shot.place
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels, _ = draw_image(shot, seed=0, size=SIZE)
        Image.fromarray(pixels).save(file.with_suffix(".png"), compress_level=1)
        return Sample(shot.product.name, "test", shot.defect, file.with_suffix(".png"))

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(one, shots))


def looked(config: Config, embed: Embedder, learned: Learned, site: str, of: list[Shot]) -> Seen:
    """Score drawn parts at a site by the bank that it was sent."""
    method = method_of(config)
    scores, nearest = [], []
    with tempfile.TemporaryDirectory() as folder:
        samples = drawn(Path(folder), of)
        for at in range(0, len(samples), 64):
            features = embed(samples[at : at + 64])
            found = method.trace(learned.model, features, own=learned.own(site), site=site)
            flat = found.maps.reshape(len(found.maps), -1)
            whose = found.nearest.reshape(flat.shape)
            scores.append(found.scores)
            nearest.append(whose[np.arange(len(flat)), flat.argmax(axis=1)])
    variants = np.array([shot.variant for shot in of])
    return Seen(np.concatenate(scores), variants, np.concatenate(nearest))


def parts_of(config: Config, embed: Embedder, learned: Learned, site: Site) -> list[Parts]:
    """Every product at one site."""
    found, all_plants = [], plants(3)
    place = [plant.name for plant in all_plants].index(site.name)
    own = good_scores(config, site, embed, learned.model, learned.own(site.name))
    for product in PRODUCTS:

        def shot(split: str, defect: str, take: int, variant: int, plant: Plant) -> Shot:
            return Shot(product, plant, variant, split, defect, take, take)  # noqa: B023

        here, kinds = all_plants[place], sorted(product.defects)
        arriving = [(place + (0, 1, 2, 0)[take % 4]) % 3 for take in range(TEST)]
        new = [
            shot("validation", GOOD, POOL * v + k, v, here) for v in range(3) for k in range(POOL)
        ]
        good = [shot("many", GOOD, take, variant, here) for take, variant in enumerate(arriving)]
        bad = [
            shot("many", kinds[take % len(kinds)], take, arriving[take // len(kinds)], here)
            for take in range(DEFECTIVE)
        ]
        seen = (looked(config, embed, learned, site.name, shots) for shots in (new, good, bad))
        scores = np.array([one.score for one in own[product.name]])
        found.append(Parts(scores, place, *seen))
    return found


def rates(parts: Parts, count: int, rng: np.random.Generator) -> dict[str, tuple[float, float]]:
    """Way -> false rejects and escapes, for one draw of new good parts."""
    picked = {
        v: parts.new.take(rng.permutation(np.flatnonzero(parts.new.variant == v))[:count])
        for v in range(3)
    }
    new = [picked[v] for v in range(3) if v != parts.place]
    every = np.concatenate([parts.own, *(one.score for one in new)])
    pooled = threshold(every, RATE)
    nearest = {}
    for site in range(3):
        own = parts.own if site == parts.place else []  # their own rows are nearest to most of them
        some = np.concatenate([own, *(one.score[one.nearest == site] for one in new)])
        nearest[site] = threshold(some, RATE) if len(some) >= 1 / RATE - 1 else pooled
    known = {v: threshold(picked[v].score, RATE) for v in range(3) if v != parts.place}
    known[parts.place] = threshold(parts.own, RATE)
    ways = {
        "own training images alone": lambda seen: np.full(len(seen.score), known[parts.place]),
        "with new parts": lambda seen: np.full(len(seen.score), pooled),
        "with new parts, by nearest site": lambda seen: np.vectorize(nearest.get)(seen.nearest),
        "with new parts, by variant": lambda seen: np.vectorize(known.get)(seen.variant),
    }
    return {
        name: (
            float(np.mean(parts.good.score > limit(parts.good))),
            float(np.mean(parts.bad.score <= limit(parts.bad))),
        )
        for name, limit in ways.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--parts", type=int, default=12)
    options = parser.parse_args()
    heading()
    config = read({"embedder.cache": "off"})
    with tempfile.TemporaryDirectory() as folder:
        dataset = synthetic(Path(folder) / "plants")
        sites, embed = partition(dataset, config.data, seed=0), Embedder(config.embedder)
        learned = learn(config, sites, embed)
        by_site = {site.name: parts_of(config, embed, learned, site) for site in sites}
    rng = np.random.default_rng(0)
    found = {
        name: [[rates(one, options.parts, rng) for one in parts] for _ in range(options.draws)]
        for name, parts in by_site.items()
    }
    print(f"drawn data; {RATE:.0%} false rejects wished, {options.parts} parts of a new variant\n")
    row("threshold from", "site", "false rejects", "escapes")
    row("---", "---", "---", "---")
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
