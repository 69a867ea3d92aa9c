"""What each member of an ensemble costs by its small preset, and what it can, alone.

    python benchmarks/members.py [MEMBER ...] [--product metal_1] [--images 40] [--seed 0]
                                 [-c KEY=VALUE ...]

Drawn data of one product at one site: good images to learn from, half as many good and defective
ones to judge. Beside each member stands the same one as all sites start it, its weights random;
the features are the package's ImageNet weights' in both. Seconds are of processor, of one thread,
of all rounds and of the taps of all images to judge; the network of the features is not among them.
Memory is the most that the process held, all of it. A member is tried in a process of its own;
those of anomalib's networks need `pip install 'fedad[anomalib]'`.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import resource
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from common import heading, row

from fedad.config import Config, read
from fedad.drawing.provide import provide
from fedad.drawing.sets import drawn_set, plan_of
from fedad.embedders.box import box_of
from fedad.embedders.embedder import Embedder
from fedad.embedders.pixels import with_pixels
from fedad.errors import ConfigError
from fedad.evaluation import Scored
from fedad.evaluation.breakdown import measure
from fedad.evaluation.exact import rank_exactly
from fedad.images.pixels import image_size
from fedad.images.regions import regions_of
from fedad.judging.full_size import full_size
from fedad.members.base import Member, Tap, member_of
from fedad.methods.base import Turn
from fedad.partition import one_site
from fedad.plugins import names, plugin
from fedad.plumbing.files import cache_root
from fedad.running.overlay import read_knobs
from fedad.seeding import stream
from fedad.types import Features, Sample

KEYS = ("image_auroc", "auc_spro_0.05")
# What makes a member of networks stay as all sites start it.
STILL = {
    "ast": {"ast.teacher-rounds": 1, "ast.student-rounds": 1},
    "csflow": {"csflow.rounds": 1},
    "draem": {"draem.rounds": 1},
    "revdist": {"revdist.rounds": 1},
}
BATCH = 8  # images that are tapped at a time


class Found(NamedTuple):
    """What a member cost and gave."""

    seconds: float  # of processor, to learn
    tapping: float  # of an image
    memory: float  # GB
    upload: float  # MB, the largest
    width: int  # of its taps
    figures: list[float]
    still: list[float]  # the figures of the same with random weights


def learned(member: Member, features: Features) -> tuple[Any, float]:
    """The frozen member after one site's rounds, and the MB of its largest upload."""
    model, largest = None, 0.0
    for number, _ in enumerate(member.rounds, start=1):
        turn = Turn(number, model)
        made = member.fit(features, turn, own=None, rng=stream(0, "all", "fit", str(number)))
        sealed = made.sealed("all", "float32")
        largest = max(largest, sum(one.nbytes for one in sealed.pack()[0].values()) / 1e6)
        model = member.merge([sealed], turn, rng=stream(0, "merge", str(number)))
    return model, largest


def tapped(member: Member, model: Any, features: Features) -> list[Tap]:
    """The taps of all images, some at a time."""
    numbers = range(len(features.grid))
    return [
        member.tap(model, features.take(numbers[at : at + BATCH]))
        for at in range(0, len(numbers), BATCH)
    ]


def figures(member: Member, taps: list[Tap], samples: list[Sample], config: Config) -> list[float]:
    """`KEYS` of the member's own maps, brought to the images' size as a run's are."""
    judged, images = list[Scored](), iter(samples)
    side = box_of(config.embedder).canvas
    for tap in taps:
        for patches, score in zip(tap.anomaly, member.image_scores(tap.anomaly), strict=True):
            sample = next(images)
            size = image_size(sample.path, sample.reading)
            judged.append(
                Scored(
                    map=full_size(patches, size, side=side, sigma=config.score.sigma),
                    regions=regions_of(sample.masks or (), size),
                    category=sample.category,
                    defect=sample.defect,
                    score=float(score),
                )
            )
    told = measure(rank_exactly(judged))
    return [told[key].value for key in KEYS]


def tried(name: str, product: str, images: int, seed: int, more: Mapping[str, Any]) -> Found | str:
    """What a member found; why it could not be tried."""
    torch.set_num_threads(1)
    drawn = drawn_set(product.rpartition("_")[0] or "loco")
    root = cache_root() / f"members-{drawn.name}-{images}-{seed}"
    provide(root, drawn, plan_of(drawn, images=images, size=256, seed=seed, sites=1))
    knobs = {"embedder.threads": 1, "data.categories": product, **more}
    config = read(knobs)
    dataset = plugin("datasets", drawn.layout)(root)
    site = one_site("all", dataset, config.data, seed=seed)
    embed = Embedder(config.embedder)

    def looked_at(samples: tuple[Sample, ...]) -> tuple[list[Sample], Features]:
        some = [sample for sample in samples if sample.category == product]
        return some, with_pixels(embed(some), embed, some)

    _, training = looked_at(site.train)
    samples, judged = looked_at(site.test)
    try:
        member = member_of(config, name)
    except ConfigError as error:
        return str(error)
    began = time.process_time()
    model, upload = learned(member, training)
    seconds, began = time.process_time() - began, time.process_time()
    taps = tapped(member, model, judged)
    each = (time.process_time() - began) / len(samples)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    found = figures(member, taps, samples, config)
    if name in STILL:
        untrained = {**STILL[name], f"{name}.rate": 1e-12, f"{name}.epochs": 1}
        member = member_of(read({**knobs, **untrained}), name)
        model, _ = learned(member, training)
        still = figures(member, tapped(member, model, judged), samples, config)
    else:
        still = [float("nan")] * len(KEYS)
    return Found(seconds, each, memory, upload, taps[0].channels.shape[3], found, still)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("members", nargs="*", default=names("members"))
    parser.add_argument("--product", default="metal_1")
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-c", dest="knobs", action="append", default=[])
    given = parser.parse_args()
    heading()
    print(
        f"drawn data, {given.product}, {given.images} good images to learn from, seed {given.seed}"
    )
    costs = ("CPU s to learn", "CPU s an image", "GB", "MB an upload", "width")
    head = ("member", *costs, *KEYS, *(f"{key}, random weights" for key in KEYS))
    row(*head)
    row(*["---"] * len(head))
    for name in given.members:
        asked = (name, given.product, given.images, given.seed, read_knobs(given.knobs))
        if len(given.members) == 1:
            shown(name, tried(*asked))
            continue
        with multiprocessing.get_context("spawn").Pool(1) as alone:
            shown(name, alone.apply(tried, asked))


def shown(name: str, found: Found | str) -> None:
    if isinstance(found, str):
        print(f"{name}: {found}")
        return
    every = (*found.figures, *found.still)
    told = [f"{value:.3f}" if math.isfinite(value) else "" for value in every]
    costs = [f"{found.seconds:.1f}", f"{found.tapping:.3f}", f"{found.memory:.2f}"]
    row(name, *costs, f"{found.upload:.1f}", found.width, *told)


if __name__ == "__main__":
    main()
