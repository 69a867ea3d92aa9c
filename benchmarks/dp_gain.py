"""What of the federation's gain is left under differential privacy? Drawn parts, a site each plant.

    python benchmarks/dp_gain.py [PRODUCT] [--images 60] [--test 50] [--draws 2] [--epsilon 10]
        [--emulate 1 5 10]

A product of the drawn plants, whose three sites each built one variant and judge all. Image AUROC,
mean over sites, of a site's own exact bank, of it united with the other sites' exact banks, and of
it united with all sites' private centres (each distance in its own space). The public numbers are
made without the product. `--emulate F` divides the noise by F, as F times as many images would in
proportion: such rows are not private, and not a measurement on so many images.
"""

from __future__ import annotations

import argparse
from itertools import islice

import numpy as np
import torch
from common import heading, row
from public_projection import SOURCES, made

from fedad.config import EmbedderKnobs
from fedad.coresets.kcenter import kcenter
from fedad.dp.gaussian import multiplier
from fedad.dp.levels import LEVELS
from fedad.dp.noise import SeededNoise
from fedad.dp.released import ROWS
from fedad.dp.tree import padded, release
from fedad.drawing.plan import DrawingPlan, draw_image
from fedad.drawing.sets import drawn_set
from fedad.embedders.embedder import Embedder
from fedad.embedders.pixels import SitePixels
from fedad.privacy.dp_tree import units_of
from fedad.types import GOOD, Features

STRIDE, OWN_ROWS, AT_ONCE = 2, 1500, 16


def embedded(embedder: Embedder, product: str, images: int, test: int) -> dict[str, dict]:
    """Plant -> split -> features on every second position, and which images are defective."""
    plan = DrawingPlan(seed=5, train=images, good=test, defective=test, validation=0)
    taken: dict[tuple[str, str], list] = {}
    for shot in drawn_set("plants").shots(plan):
        if shot.product.name == product:
            taken.setdefault((shot.plant.name, shot.split), []).append(shot)
    found: dict[str, dict] = {}
    network = SitePixels(embedder, ())
    for (plant, split), shots in taken.items():
        pictures = (draw_image(shot, seed=plan.seed, size=plan.size)[0] for shot in shots)
        grids = []
        while some := [*islice(pictures, AT_ONCE)]:
            grids.append(network.embed(some)[:, ::STRIDE, ::STRIDE])
        names = tuple(str(k) for k in range(len(shots)))
        grid = np.ascontiguousarray(np.concatenate(grids))
        features = Features(grid, (product,) * len(shots), names, embedder.fingerprint)
        defective = np.array([shot.defect != GOOD for shot in shots])
        found.setdefault(plant, {})[split] = (features, defective)
    return found


def gaps(points: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(N,): how far each point is from the nearest row."""
    return np.concatenate(
        [
            torch.cdist(torch.from_numpy(points[at : at + 2048]), torch.from_numpy(rows))
            .amin(1)
            .numpy()
            for at in range(0, len(points), 2048)
        ]
    )


def auroc(maps: np.ndarray, defective: np.ndarray) -> float:
    scores = maps.reshape(len(defective), -1).max(1)
    bad, good = scores[defective][:, None], scores[~defective]
    return float(((bad > good) + 0.5 * (bad == good)).mean())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("product", nargs="?", default="tank_screw")
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--test", type=int, default=50)
    parser.add_argument("--draws", type=int, default=2)
    parser.add_argument("--epsilon", type=float, default=10.0)
    parser.add_argument("--emulate", type=int, nargs="+", default=[1, 5, 10])
    told = parser.parse_args()
    heading()
    knobs = EmbedderKnobs(cache="off", threads=1)
    sites = embedded(Embedder(knobs), told.product, told.images, told.test)
    public = made(knobs, SOURCES, without=(told.product,))
    defective = {name: site["test"][1] for name, site in sites.items()}
    patches = {name: site["test"][0].patches for name, site in sites.items()}
    rng, own = np.random.default_rng(0), {}
    for name, site in sites.items():
        points = site["train"][0].patches
        own[name] = points[kcenter(points, OWN_ROWS, rng=rng, device="cpu")]

    def mean(maps: dict[str, np.ndarray]) -> float:
        return float(np.mean([auroc(maps[name], defective[name]) for name in sites]))

    alone = {name: gaps(patches[name], own[name]) for name in sites}
    joined = {name: gaps(patches[name], np.concatenate([*own.values()])) for name in sites}
    isolated, federated = mean(alone), mean(joined)
    print(f"{told.product}: isolated {isolated:.3f}, federated {federated:.3f}\n")
    shown = tuple(str(k) for k in range(told.images))
    units = {
        name: units_of(site["train"][0], told.product, public, shown, 1)
        for name, site in sites.items()
    }
    points = {name: public.project(patches[name]) for name in sites}
    row("start", "images", "own and private", "share of the gain", "private alone")
    row(*["---"] * 5)
    for start, levels in LEVELS.items():
        for factor in told.emulate:
            mu, both, private = factor / multiplier(told.epsilon, 1e-5), [], []
            for draw in range(told.draws):
                centres = []
                for number, name in enumerate(sites):
                    noise = SeededNoise(np.random.default_rng([draw, number]))
                    found = release(units[name], public, levels, mu, noise)
                    centres.append(padded(found, ROWS, public.longest)[: len(found.points)])
                far = {name: gaps(points[name], np.concatenate(centres)) for name in sites}
                private.append(mean(far))
                both.append(mean({name: np.minimum(far[name], alone[name]) for name in sites}))
            share = (np.mean(both) - isolated) / (federated - isolated)
            label = f"{told.images * factor}{' EMULATED' if factor > 1 else ''}"
            figures = (f"{value:.3f}" for value in (np.mean(both), share, np.mean(private)))
            row(start, label, *figures)


if __name__ == "__main__":
    main()
