"""Are the drawn sets worth judging methods by? PatchCore on each product, alone.

    python benchmarks/drawn_sets.py [SET ...] [--images 40] [--size 256] [--seeds 1] [--first 0]

Drawn data. Each product is learned and judged by itself, with the package's ImageNet weights and
with random ones. A product is accepted when its image AUROC lies between .6 and .97 with the
former, and random weights are at least .05 lower in image AUROC or .10 in AUC-sPRO@0.05, and
higher in neither by more than chance (.02). The milliseconds are of one core, files included.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from common import PUBLISHED, heading, row

from fedad.config import read
from fedad.drawing.drawn_set import DrawnSet
from fedad.drawing.files import write_shot
from fedad.drawing.plan import DrawingPlan
from fedad.drawing.provide import provide
from fedad.drawing.sets import drawn_set, plan_of
from fedad.embedders.embedder import Embedder
from fedad.partition import one_site
from fedad.plugins import plugin
from fedad.reporting.record import figures_of
from fedad.round import run_round

KEYS = ("image_auroc", "auc_spro_0.05")
LEAST, MOST = 0.6, 0.97
GAPS, CHANCE = {"image_auroc": 0.05, "auc_spro_0.05": 0.10}, 0.02


def figures(root: Path, drawn: DrawnSet, weights: str, seed: int) -> dict[str, np.ndarray]:
    """Product -> (image AUROC, AUC-sPRO@0.05) of the set below `root`, each product by itself."""
    knobs = {"embedder.weights": weights, "embedder.cache": "off", "embedder.threads": 1}
    config = read({**PUBLISHED, **knobs, "score.replicates": 0, "round.seed": seed})
    dataset = plugin("datasets", drawn.layout)(root)
    site = one_site("all", dataset, config.data, seed=seed)
    found = figures_of(run_round(config, [site], Embedder(config.embedder)).findings)
    told = found["together"]["categories"]
    return {name: np.array([told[name]["figures"][key]["value"] for key in KEYS]) for name in told}


def milliseconds(drawn: DrawnSet, plan: DrawingPlan) -> float:
    """CPU time that an image takes with its masks and files, the least of three tries."""
    shots = list(drawn.shots(plan))
    shots = shots[:: max(1, len(shots) // 60)]
    tries = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(3):
            began = time.process_time()
            for shot in shots:
                write_shot(Path(folder), shot, drawn, plan)
            tries.append((time.process_time() - began) / len(shots))
    return 1000 * min(tries)


def accepted(imagenet: np.ndarray, random: np.ndarray) -> bool:
    gaps = dict(zip(KEYS, imagenet - random, strict=True))
    worse = any(gaps[key] >= GAPS[key] for key in KEYS) and min(gaps.values()) >= -CHANCE
    return worse and LEAST <= imagenet[0] <= MOST


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="*", default=["loco", "textures"])
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    options = parser.parse_args()
    torch.set_num_threads(1)
    heading()
    row("product", *(f"{key}, {way}" for way in ("ImageNet", "random") for key in KEYS), "accepted")
    row(*["---"] * 6)
    for name in options.sets:
        drawn = drawn_set(name)
        found: dict[str, list[np.ndarray]] = {}
        for seed in range(options.first, options.first + options.seeds):
            numbers = {"size": options.size, "seed": seed, "sites": 1}
            plan = plan_of(drawn, images=options.images, **numbers)
            with tempfile.TemporaryDirectory() as folder:
                provide(Path(folder) / name, drawn, plan)
                ways = [
                    figures(Path(folder) / name, drawn, way, seed) for way in ("package", "random")
                ]
            for product in ways[0]:
                found.setdefault(product, []).append(np.stack([way[product] for way in ways]))
        for product, told in found.items():
            imagenet, random = np.mean(told, axis=0)
            cells = [f"{value:.3f}" for value in (*imagenet, *random)]
            row(product, *cells, "yes" if accepted(imagenet, random) else "NO")
        print(f"{name}: {milliseconds(drawn, plan):.1f} ms an image of {options.size} pixels")


if __name__ == "__main__":
    main()
