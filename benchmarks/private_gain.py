"""How much of what federation gains is left under differential privacy, and what it is due to.

    fedad data draw plants DIR --images 600 --good 100 --defective 100 --seed 11
    python benchmarks/private_gain.py DIR [--epsilon 10 5 2 1] [--images 300 600] [--draws 20]
        [--emulate 800 1000 1200] [--products tank_screw ...] [--spro 3] [--jobs 2]
        [--no-controls] [--cache FOLDER] [--public FILE]

Drawn data. Every site learns from so many good images of a product, of its own variant, and judges
100 good and 100 defective ones; figures are means over sites of each site's own ranking. "At the
site" scores by its own exact bank (152 features) united with what all sites released (64), which
stays there; "leaves" by the releases alone. The public projection is made without the product, or
read from FILE, as benchmarks/public_projection.py left it.

    retained = (at the site - isolated) / (federated - isolated)

Banks and tests take every second patch an axis. Noise is the operating system's, so no run repeats
another; `±` are two standard errors over draws. Controls have no image of the sites in them.

`--emulate N` asks what epsilon 1 would leave of N images: sums of all that are there have as much
less noise as so many more images would outweigh it. Such rows are no measurement on N images, they
are not private at epsilon 1, and they say EMULATED.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from common import PUBLISHED, heading, row
from public_projection import SOURCES, made, patches, pictures

from fedad.banks.bank import Bank
from fedad.config import Config, read
from fedad.coresets.kcenter import kcenter
from fedad.datasets.base import open_dataset
from fedad.dp.gaussian import epsilon_of, multiplier
from fedad.dp.noise import OsNoise
from fedad.dp.public import Public, load
from fedad.dp.released import released_rows
from fedad.embedders.box import box_of
from fedad.embedders.embedder import Embedder
from fedad.evaluation import Counts, Scored, summarise
from fedad.images.pixels import read_region
from fedad.judging.full_size import full_size
from fedad.partition import partition
from fedad.privacy import dp_tree as release
from fedad.seeding import stream
from fedad.types import Features, Region, Sample, Site

STRIDE = 2
RATIO = 0.1
EMBEDDED = 32  # images at a time
BLOCK = 256  # patches in a block of distances
EMULATED = 1.0  # the epsilon that more images than there are are asked of
DELTA = 1e-5


class Plant(NamedTuple):
    """One product at one site: strided features, and its test images."""

    name: str
    train: Features
    test: np.ndarray  # (B, h, w, D)
    bad: np.ndarray  # (B,) bool
    samples: Sequence[Sample]


class Scores(NamedTuple):
    """A figure of each site (S,)."""

    auroc: np.ndarray
    spro: np.ndarray


def strided(embed: Embedder, samples: Sequence[Sample]) -> Features:
    """Features of every second patch an axis, which is every patch of a coarser grid."""
    grids, mark = [], None
    for at in range(0, len(samples), EMBEDDED):
        some = embed(samples[at : at + EMBEDDED])
        grids.append(some.grid[:, ::STRIDE, ::STRIDE])
        mark = some.fingerprint
    grid = np.concatenate(grids)
    assert mark is not None
    mark = replace(mark, patches=grid.shape[1] * grid.shape[2])
    names = tuple(sample.name for sample in samples)
    return Features(grid, tuple(sample.category for sample in samples), names, mark)


def of_site(embed: Embedder, site: Site, product: str, most: int) -> Plant:
    train = [sample for sample in site.train if sample.category == product][:most]
    test = [sample for sample in site.test if sample.category == product]
    bad = np.array([sample.defect != "good" for sample in test])
    return Plant(site.name, strided(embed, train), strided(embed, test).grid, bad, test)


def coreset(features: Features, product: str) -> np.ndarray:
    """(M, D): a tenth of the patches, farthest first, as a site keeps them."""
    points = features.grid.reshape(-1, features.grid.shape[-1])
    size = int(RATIO * len(points))
    return points[kcenter(points, size, rng=stream(0, product, "bank"))]


def distances(patches: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(B, h, w): of patches (B, h, w, d) to the nearest of rows (M, d), to float32's rounding."""
    table = torch.from_numpy(np.ascontiguousarray(rows, np.float32))
    mean = table.mean(0)
    table = table - mean
    lengths, found = (table * table).sum(1), []
    for points in torch.from_numpy(patches.reshape(-1, patches.shape[-1])).split(BLOCK):
        centred = points - mean
        nearest = torch.addmm(lengths, centred, table.T, alpha=-2).amin(1)
        found.append((nearest + (centred * centred).sum(1)).clamp_min(0).sqrt())
    return torch.cat(found).numpy().reshape(patches.shape[:3])


def auroc(scores: np.ndarray, bad: np.ndarray) -> float:
    """The share of pairs of a defective and a good image that are in the right order."""
    good = np.sort(scores[~bad])
    below, until = (np.searchsorted(good, scores[bad], side) for side in ("left", "right"))
    return float((below + until).mean() / (2 * len(good)))


def spro(config: Config, plant: Plant, maps: np.ndarray) -> float:
    """AUC-sPRO@0.05 of one site."""
    counts = Counts()
    side = box_of(config.embedder).canvas
    for sample, map_ in zip(plant.samples, maps, strict=True):
        first = sample.masks[0] if sample.masks else None
        regions: tuple[Region, ...] = ()
        size = (256, 256)
        if first is not None:
            regions = tuple(read_region(one, size) for one in sample.masks or ())
        full = full_size(map_, size, side=side, sigma=config.score.sigma)
        counts += Counts.of(Scored(full, regions, sample.category, sample.defect))
    return float(summarise(counts, Counts())["mean"]["auc_spro_0.05"]["value"])


def figures(config: Config, plants: Sequence[Plant], maps: Sequence[np.ndarray], *, regions: bool):
    found = [auroc(m.reshape(len(m), -1).max(1), p.bad) for m, p in zip(maps, plants, strict=True)]
    seen = [spro(config, p, m) if regions else np.nan for m, p in zip(maps, plants, strict=True)]
    return Scores(np.array(found), np.array(seen))


def drawn(plants: Sequence[Plant], learned: Sequence[Features], epsilon: float) -> np.ndarray:
    """(M, 64): what all sites release of what they learned from, by the plug-in itself."""
    settings = release.Knobs(epsilon=epsilon, delta=DELTA, stride=1)
    rows = []
    for plant, features in zip(plants, learned, strict=True):
        upload = _upload(plant.name, features)
        bank, _ = release.dp_tree(upload, features, noise=OsNoise(), settings=settings)
        assert isinstance(bank, Bank)
        rows.append(released_rows(bank).rows)
    return np.concatenate(rows)


def projected_once() -> None:
    """Let the plug-in project the same features once, not at each draw."""
    known: dict[int, tuple[Features, list]] = {}
    project = release.units_of

    def units(features: Features, *rest) -> list:
        if id(features) not in known:
            known[id(features)] = (features, project(features, *rest))
        return known[id(features)][1]

    release.units_of = units  # type: ignore[assignment]


def as_if(images: int, there: int) -> float:
    """The epsilon at which so many images `there` have the noise that more would have at EMULATED,
    each image's share of it taken."""
    return epsilon_of(images / there / multiplier(EMULATED, DELTA), DELTA)


def _upload(site: str, features: Features) -> Bank:
    """A bank of one row: the release takes its names and no row of it."""
    (product,) = {*features.categories}
    rows, one = features.grid[0, 0, :1], np.ones((1, 1), np.int64)
    none = np.zeros(1, np.int32)
    return Bank(
        rows=np.ascontiguousarray(rows),
        category=none,
        site=none,
        row=none,
        categories=(product,),
        sites=(site,),
        images=one,
        patches=one,
        fingerprint=features.fingerprint,
    )


def controls(public: Public, embed: Embedder, product: str) -> Iterator[tuple[str, np.ndarray]]:
    """Rows with nothing of the sites' in them, as many as releases have or more."""
    rng = np.random.default_rng(0)
    found = [
        rows
        for source in SOURCES
        for rows in patches(embed, pictures(source, {product}, 6, 1), 64, rng)
    ]
    seen = public.project(np.concatenate(found))
    yield "public codebook of 128", public.centres
    yield "4,000 public patches", seen[rng.permutation(len(seen))[:4000]]
    low, high = np.quantile(seen, [0.01, 0.99], axis=0)
    yield "uniform noise", rng.uniform(low, high, (4200, seen.shape[1])).astype(np.float32)


def study(root: Path, product: str, options: argparse.Namespace) -> Iterator[list[str]]:
    """The rows of the table on one product."""
    torch.set_num_threads(1)
    config = read(
        {
            **PUBLISHED,
            **{"data.dataset": "synthetic", "data.dir": str(root), "data.categories": product},
            **{"embedder.threads": 1, "embedder.cache": options.cache},
        }
    )
    embed = Embedder(config.embedder)
    file = options.public
    public = load(file) if file else made(config.embedder, without=(product,))
    release.public_of = lambda fingerprint: public  # type: ignore[assignment]
    projected_once()
    sites = partition(open_dataset(config.data), config.data, seed=0)
    plants = [of_site(embed, site, product, max(options.images)) for site in sites]
    for images in options.images:
        learned = [plant.train.take(range(images)) for plant in plants]
        banks = [coreset(one, product) for one in learned]
        own = [distances(p.test, bank) for p, bank in zip(plants, banks, strict=True)]
        all_ = [distances(p.test, np.concatenate(banks)) for p in plants]
        alone = figures(config, plants, own, regions=options.spro > 0)
        shared = figures(config, plants, all_, regions=options.spro > 0)
        seen = [public.project(p.test.reshape(-1, p.test.shape[-1])) for p in plants]
        tests = [s.reshape(*p.test.shape[:3], -1) for s, p in zip(seen, plants, strict=True)]

        def told(
            name: str,
            rows: Callable[[], np.ndarray],
            draws: int,
            *,
            spro: int,
            began: float,
            images: int = images,
            alone: Scores = alone,
            shared: Scores = shared,
            own: list[np.ndarray] = own,
            tests: list[np.ndarray] = tests,
        ) -> list[str]:
            at_site, leaves = [], []
            for draw in range(draws):
                made_ = rows()
                out = [distances(test, made_) for test in tests]
                united = [np.minimum(a, b) for a, b in zip(own, out, strict=True)]
                at_site.append(figures(config, plants, united, regions=draw < spro))
                leaves.append(figures(config, plants, out, regions=False).auroc.mean())
            gain = shared.auroc.mean() - alone.auroc.mean()
            auroc_ = np.array([one.auroc for one in at_site])
            regions_ = np.array([one.spro for one in at_site[:spro]])
            retained = (auroc_.mean(1) - alone.auroc.mean()) / gain
            lowest = (auroc_.mean(0) - alone.auroc).min()
            cells = [product, str(images), name, str(draws), f"{alone.auroc.mean():.3f}"]
            cells += [f"{shared.auroc.mean():.3f}", f"{auroc_.mean():.3f}"]
            cells += [f"{np.mean(leaves):.3f}", _shown(retained), f"{lowest:+.3f}"]
            if spro == 0 and options.spro:
                cells += ["-"] * 4
            elif spro:
                low = (regions_.mean(0) - alone.spro).min()
                cells += [f"{alone.spro.mean():.3f}", f"{shared.spro.mean():.3f}"]
                cells += [f"{regions_.mean():.3f}", f"{low:+.3f}"]
            return [*cells, f"{time.perf_counter() - began:.0f}"]

        for epsilon in options.epsilon:
            yield told(
                f"epsilon {epsilon:g}",
                partial(drawn, plants, learned, epsilon),
                options.draws,
                spro=options.spro,
                began=time.perf_counter(),
            )
        for more in options.emulate if images == max(options.images) else ():
            yield told(
                f"epsilon {EMULATED:g}, EMULATED",
                partial(drawn, plants, learned, as_if(more, images)),
                min(10, options.draws),
                spro=0,
                began=time.perf_counter(),
                images=more,
            )
        for name, rows in controls(public, embed, product) if options.controls else ():
            yield told(
                name,
                lambda rows=rows: rows,
                1,
                spro=min(1, options.spro),
                began=time.perf_counter(),
            )


def _shown(values: np.ndarray) -> str:
    error = 2 * values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return f"{values.mean():.3f} ± {error:.3f}"


def _run(root: Path, product: str, options: argparse.Namespace) -> None:
    for cells in study(root, product, options):
        row(*cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("--epsilon", type=float, nargs="+", default=[10, 5, 2, 1])
    parser.add_argument("--images", type=int, nargs="+", default=[300, 600])
    parser.add_argument("--emulate", type=int, nargs="+", default=[], help="images, at epsilon 1")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--spro", type=int, default=3, help="of how many draws AUC-sPRO is told")
    parser.add_argument("--products", nargs="+", default=["tank_screw", "pipe_clip", "wiring"])
    parser.add_argument("--controls", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--cache", default="off", help="a folder for features, for another run")
    parser.add_argument("--public", type=Path, help="a file of public numbers")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    heading()
    print("drawn data; image AUROC, and AUC-sPRO@0.05 where asked for; delta 1e-5, add/remove\n")
    columns = ["product", "images", "release", "draws", "isolated", "federated", "at the site"]
    columns += ["leaves", "retained", "worst site"]
    if options.spro:
        columns += ["sPRO isolated", "federated", "at the site", "worst site"]
    row(*columns, "seconds")
    row(*["---"] * (len(columns) + 1))
    with ProcessPoolExecutor(options.jobs) as pool:
        jobs = [pool.submit(_run, options.root, name, options) for name in options.products]
        for job in jobs:
            job.result()


if __name__ == "__main__":
    main()
