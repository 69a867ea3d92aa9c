"""The router, the adaptation and the experts of `experts`, each alone and together.

    python benchmarks/experts.py routing  [--data variants,cloth]    who goes where: purities
    python benchmarks/experts.py projection [--size 256] [--seeds 1]    what a learned one adds
    python benchmarks/experts.py area                                a defect of growing area
    python benchmarks/experts.py ablation [--data plants,variants,cloth,metal,wafer] [--seeds 1]
                                          [--only single,both] [-c KEY=VALUE ...]

All drawn, 256 pixels. `plants` are the demo's: each builds a variant of its own, under its own lamp
and lens, and judges all. In `variants` every plant builds all three; in `cloth-seen` (metal, wafer)
every plant makes all products of a material, which are one category: whose images are whose is told
by names alone, which only `oracle` reads. `cloth` (metal, wafer) are judged by the cross-product
protocol: learned from some products, one a site, judged on others.

`area` draws a stain, half as bright and grey, into good images of the plants' tank_screw, and says
what its patches score (their median) and what the image does, in scores of the good images: the
99th hundredth of their patches, and the highest of them.

Figures are federated, test images of all sites ranked together, means over products; of several
seeds, which draw textures anew, the mean with the lowest and the highest. A difference is to
`single` of the same seed. Seconds are a processor's, of learning, without the network.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import takewhile
from typing import Any

import numpy as np
import torch
from common import heading, row
from learned import KEYS, Found, Remembered, World, cells, differences, kilobytes, rounds_of

from fedad.config import read
from fedad.datasets.base import open_dataset
from fedad.drawing.cloths import CLOTHS
from fedad.drawing.drawn_set import DrawnSet
from fedad.drawing.metals import METALS
from fedad.drawing.part import Product
from fedad.drawing.plan import PRODUCTS, DrawingPlan, Shot
from fedad.drawing.plants import plants
from fedad.drawing.provide import provide
from fedad.drawing.sets import drawn_set, plan_of
from fedad.drawing.wafers import WAFERS
from fedad.embedders.pixels import with_pixels
from fedad.methods._router import silhouettes, split
from fedad.methods._routing import assigned, points_of
from fedad.methods.base import Turn, method_of
from fedad.partition import partition
from fedad.plumbing.files import cache_root
from fedad.round import fit, learn, merge
from fedad.running.overlay import read_knobs
from fedad.types import GOOD, Site

STAINED = 2  # good images of a site
MATERIALS = {"cloth": CLOTHS, "metal": METALS, "wafer": WAFERS}
OFF = {"experts.router": "off", "experts.adapt": "off"}
ADAPTED = {"experts.adapt": "mean"}
PROJECTED = {"experts.projection": 32}
ROWS: dict[str, dict[str, Any]] = {
    "PatchCore": {"round.method": "patchcore", "patchcore.preset": "classic"},
    "single": OFF,
    "router": {**OFF, "experts.router": "cleaned"},
    "adaptation": {**OFF, **ADAPTED},
    "both": {"experts.router": "cleaned", **ADAPTED},
    "oracle": {**OFF, "experts.router": "oracle"},
    "oracle + adaptation": {"experts.router": "oracle", **ADAPTED},
    "projected": {**OFF, "experts.router": "cleaned", **PROJECTED},
    "projected + adaptation": {"experts.router": "cleaned", **ADAPTED, **PROJECTED},
    "given": {**OFF, "experts.router": "cleaned", "experts.subclasses": "given"},
    "given + projected": {
        **OFF,
        "experts.router": "cleaned",
        "experts.subclasses": "given",
        **PROJECTED,
    },
    "pooled": {**OFF, "experts.router": "pooled", "experts.centred": False},
    "as is": {**OFF, "experts.router": "cleaned", "experts.centred": False},
    "as is + adaptation": {"experts.router": "cleaned", "experts.centred": False, **ADAPTED},
    "median": {**OFF, "experts.adapt": "median"},
    "blend .5": {**OFF, **ADAPTED, "experts.blend": 0.5},
    "median + blend .5": {**OFF, "experts.adapt": "median", "experts.blend": 0.5},
    "judged alone": {**OFF, **ADAPTED, "experts.learned": False},
    "both + calibrated": {
        "experts.router": "cleaned",
        **ADAPTED,
        "experts.calibrate": "quantile",
    },
    "heads": {**OFF, "experts.expert": "discriminator"},
    "heads + both": {
        "experts.router": "cleaned",
        **ADAPTED,
        "experts.expert": "discriminator",
    },
}


def everywhere(products: Sequence[Product], variants: int, plan: DrawingPlan) -> Iterator[Shot]:
    """Every plant makes every variant of every product; the variant is in the file's name."""
    for product in products:
        numbers: Counter[str] = Counter()
        for plant in plants(plan.sites):
            for variant in range(variants):
                defects = sorted(product.defects)
                takes = [("train", GOOD)] * plan.train + [("test", GOOD)] * plan.good
                takes += [("test", defects[k % len(defects)]) for k in range(plan.defective)]
                seen: Counter[str] = Counter()
                for split_, defect in takes:
                    number, take = numbers[split_ + defect], 100 * variant + seen[split_ + defect]
                    numbers[split_ + defect] += 1
                    seen[split_ + defect] += 1
                    view = f"v{variant}"
                    yield Shot(product, plant, variant, split_, defect, take, number, view=view)


def world_of(data: str, seed: int, size: int = 256) -> World:
    """The sites of a data set, drawn by the seed, seen at so many pixels."""
    knobs: dict[str, Any] = {"score.replicates": 0, "embedder.threads": 1}
    knobs |= {"embedder.size": size, "coreset.local-ratio": 0.1}
    material, _, seen = data.partition("-")
    if data == "plants":
        root, drawn = cache_root() / f"experts-plants-{seed}", drawn_set(data)
        provide(root, drawn, plan_of(drawn, seed=seed))
        knobs |= {"data.dataset": drawn.layout, "data.dir": str(root)}
    elif data == "variants" or seen:
        products, count = (MATERIALS[material], 1) if seen else (PRODUCTS, 3)
        drawn = DrawnSet(
            f"every_{data}", "autovi", products, partial(everywhere, products, count), 1
        )
        drawn = replace(drawn, rgb_masks=True)
        plan = DrawingPlan(seed=seed, train=8 if seen else 6, good=4, defective=5)
        root = cache_root() / f"experts-{data}-{seed}"
        provide(root, drawn, plan)
        knobs |= {"data.dataset": "autovi", "data.dir": str(root), "experts.pattern": r"_(v\d)$"}
    else:
        root, drawn = cache_root() / f"experts-{data}-{seed}", drawn_set(data)
        provide(root, drawn, plan_of(drawn, images=24, good=10, defective=14, seed=seed))
        knobs |= {
            "data.dataset": "autovi",
            "data.dir": str(root),
            "data.partition": "cross_product",
            "data.sites": 3,
        }
    config = read(knobs)
    sites = partition(open_dataset(config.data), config.data, seed=seed)
    if seen:
        sites = tuple(hidden(site, material) for site in sites)
        knobs["experts.pattern"] = ""
    return World(data, knobs, sites, Remembered(config))


def hidden(site: Site, material: str) -> Site:
    """The site's images as those of one material, whose product their names alone tell."""
    train, test, held = (
        tuple(replace(s, category=material, label=f"{s.category}/{s.path.stem}") for s in some)
        for some in (site.train, site.test, site.held)
    )
    return Site(site.name, train, test, held)


def routing(data: str, seed: int) -> None:
    """How well clusters are told apart, and what they are clusters of."""
    world = world_of(data, seed)
    train = [(site.name, sample) for site in world.sites for sample in site.train]
    for router in ("pooled", "cleaned"):
        for centre in (False, True):
            for product in sorted({sample.category for _, sample in train}):
                some = [(name, sample) for name, sample in train if sample.category == product]
                points = np.concatenate(
                    [
                        points_of(world.embed(mine), router, centre=centre).signatures
                        for site in world.sites
                        if (mine := [s for s in site.train if s.category == product])
                    ]
                )
                best = best_split(points)
                kinds = [
                    s.name.split("/")[-2] if "-" in data else s.name.rpartition("_")[2]
                    for _, s in some
                ]
                row(
                    data,
                    product,
                    router,
                    "yes" if centre else "no",
                    len(some),
                    best[1].max() + 1,
                    f"{best[0]:.2f}",
                    f"{purity(best[1], [name for name, _ in some]):.2f}",
                    f"{purity(best[1], kinds):.2f}",
                )


def projection(data: str, seed: int, size: int, more: Mapping[str, Any]) -> None:
    """Where test images go, defective ones too, by centroids and by a learned projection."""
    world = world_of(data, seed, size)
    for name in ("router", "projected", "given", "given + projected"):
        config = world.config("experts", seed, {**more, **ROWS[name]})
        method, turn, sent = method_of(config), Turn(), 0.0
        began = time.process_time()
        for _ in takewhile(lambda phase: phase != "experts", method.phases):
            uploads = [fit(config, site, world.embed, turn).upload for site in world.sites]
            sent = max(kilobytes(one) for one in uploads)
            turn = Turn(turn.number + 1, merge(config, uploads, turn))
        seconds, found = time.process_time() - began, list[tuple[str, str, str, int]]()
        for site in world.sites:
            usual = points_of(world.embed(site.train), "cleaned", centre=True).usual
            points = points_of(world.embed(site.test), "cleaned", centre=True, usual=usual)
            numbers = assigned(points, turn.model).tolist()
            kinds = [sample.name.rpartition("_")[2] for sample in site.test]
            products = [sample.category for sample in site.test]
            found += zip(products, [site.name] * len(kinds), kinds, numbers, strict=True)
        for product in sorted({one[0] for one in found}):
            mine = [one for one in found if one[0] == product]
            labels = np.array([one[3] for one in mine])
            by = (purity(labels, [one[k] for one in mine]) for k in (2, 1))
            experts = len(turn.model.of(product))
            row(
                data,
                name,
                product,
                experts,
                len(mine),
                *(f"{value:.3f}" for value in by),
                f"{sent:.0f}",
                f"{seconds:.1f}",
            )


def best_split(points: np.ndarray) -> tuple[float, np.ndarray]:
    best = (0.0, np.zeros(len(points), np.int64))
    for size in range(2, 9):
        labels = split(points, np.ones(len(points)), size, rng=np.random.default_rng(0)).labels
        means = np.array([points[labels == k].mean(0) for k in range(labels.max() + 1)])
        told = float(silhouettes(points, means, np.bincount(labels)).mean())
        best = max(best, (told, labels), key=lambda one: one[0])
    return best


def purity(labels: np.ndarray, truth: Sequence[str]) -> float:
    """The share of the images that are of what most of their cluster is of."""
    numbers = np.unique(truth, return_inverse=True)[1]
    most = (np.bincount(numbers[labels == k]).max() for k in np.unique(labels))
    return float(sum(most) / len(labels))


def ablation(data: str, wanted: Sequence[str], seeds: int, more: Mapping[str, Any]) -> None:
    """A line for each way, and one for its difference to `single`."""
    found: dict[str, list[Found]] = {name: [] for name in wanted}
    for seed in range(seeds):
        world = world_of(data, seed)
        for name in wanted:
            config = world.config("experts", seed, {**more, **ROWS[name]})
            (one,) = rounds_of(config, world)
            found[name].append(one)
            told = getattr(one.model, "experts", ())
            figures = " ".join(f"{value:.3f}" for value in one.figures)
            print(f"    {data}, seed {seed}, {name}: {figures}, {len(told)} experts", flush=True)
    for name, every in found.items():
        one = every[0]
        gains = [
            np.subtract(mine.figures, base.figures)
            for mine, base in zip(every, found.get("single", every), strict=True)
        ]
        experts = [len(getattr(f.model, "experts", ())) for f in every]
        row(
            data,
            name,
            *cells([f.figures for f in every]),
            *differences(gains),
            f"{np.mean(experts):.1f}",
            f"{one.up:,.0f}",
            f"{one.down:,.0f}",
            f"{np.mean([f.seconds for f in every]):.1f}",
        )


def area() -> None:
    """A stain of growing area, by each way of adapting."""
    world = world_of("plants", 0)
    product, shares = "tank_screw", (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7)
    sites = tuple(of_product(site, product) for site in world.sites)
    columns = [f"{share:g} of the image" for share in shares]
    row("way", *columns)
    row(*["---"] * (1 + len(columns)))
    for name in ("single", "adaptation", "median", "blend .5", "median + blend .5"):
        config = world.config("experts", 0, ROWS[name])
        method, found = method_of(config), learn(config, sites, world.embed)
        cells_ = [list[tuple[float, float]]() for _ in shares]
        usual, highest, shown = list[float](), list[float](), list[Any]()
        for site in sites:
            good = [sample for sample in site.test if sample.is_good][:STAINED]
            features = with_pixels(world.embed(good), world.embed.embedder, good)
            own = found.own(site.name)
            maps, scores = method.score(found.model, features, own=own)
            usual.append(float(np.quantile(maps, 0.99)))
            highest += scores.tolist()
            shown.append((features, own))
        for features, own in shown:
            for at, share in enumerate(shares):
                images = [stained(features.pixels[k], share) for k in range(len(features.images))]
                grid = features.pixels.embed([image for image, _ in images])
                maps, scores = method.score(found.model, replace(features, grid=grid), own=own)
                h, w = maps.shape[1:]
                for (_, mask), map_, score in zip(images, maps, scores, strict=True):
                    inside = mask[:: len(mask) // h, :: mask.shape[1] // w][:h, :w]
                    told = float(np.median(map_[inside]) / np.mean(usual))
                    cells_[at].append((told, float(score) / max(highest)))
        means = (np.mean(cell, axis=0) for cell in cells_)
        row(name, *(f"{patches:.2f}, {image:.2f}" for patches, image in means))


def of_product(site: Site, product: str) -> Site:
    train, test, held = (
        tuple(s for s in some if s.category == product)
        for some in (site.train, site.test, site.held)
    )
    return Site(site.name, train, test, held)


def stained(image: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """The image with a disc of so much of its area grey and half as bright, and its mask."""
    h, w, _ = image.shape
    y, x = np.mgrid[:h, :w]
    far = np.hypot(y - h / 2, x - w / 2)
    mask = far <= np.sort(far.ravel())[int(share * far.size) - 1]
    found = image.astype(float)
    found[mask] = 0.5 * found[mask].mean(-1, keepdims=True)
    return found.round().astype(np.uint8), mask


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table", choices=("routing", "projection", "area", "ablation"))
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--data", default="plants,variants,cloth,metal,wafer")
    parser.add_argument("--only", default="single,router,adaptation,both")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("-c", dest="knobs", action="append", default=[])
    given = parser.parse_args()
    torch.set_num_threads(1)
    heading()
    if given.table == "routing":
        row(
            "data",
            "product",
            "router",
            "centred",
            "images",
            "K",
            "silhouette",
            "by plant",
            "by kind",
        )
        row(*["---"] * 9)
        for data in given.data.split(","):
            for seed in range(given.seeds):
                routing(data, seed)
        return
    if given.table == "projection":
        row("data", "way", "product", "K", "images", "by kind", "by plant", "KB up", "CPU s")
        row(*["---"] * 9)
        for seed in range(given.seeds):
            projection("variants", seed, given.size, read_knobs(given.knobs))
        return
    if given.table == "area":
        area()
        return
    columns = (*KEYS, *(f"{key} - single" for key in KEYS), "experts", "KB up", "KB down", "CPU s")
    row("data", "way", *columns)
    row(*["---"] * (2 + len(columns)))
    wanted = given.only.split(",")
    for data in given.data.split(","):
        ablation(data, wanted, given.seeds, read_knobs(given.knobs))


if __name__ == "__main__":
    main()
