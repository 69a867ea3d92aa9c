"""Are the demo plants worth a demo? Random against ImageNet weights, isolated against federated.

    python benchmarks/demo_plants.py [--seeds 3]

Drawn data. Each seed draws other parts, other random rows and is judged anew; a site's figures are
its means over products, and a row is the mean over sites by test images. The generator is accepted
when both gaps are at least 0.05 in AUC-sPRO@0.05 and 0.03 in image AUROC.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from common import PUBLISHED

from fedad.config import read
from fedad.datasets.synthetic import synthetic
from fedad.embedders.embedder import Embedder
from fedad.judging.findings import Findings
from fedad.partition import partition
from fedad.reporting.record import figures_of
from fedad.reporting.table import average
from fedad.round import run_round
from fedad.yardsticks import centralised, isolated

KEYS = ("image_auroc", "auc_spro_0.05")
BOUNDS = {"image_auroc": 0.03, "auc_spro_0.05": 0.05}


def figures(root: Path, seed: int, **numbers: int) -> dict[str, tuple[float, ...]]:
    """Way -> (image AUROC, AUC-sPRO@0.05) on plants drawn with `seed`."""
    dataset = synthetic(root, seed=seed, **numbers)
    found: dict[str, dict[str, Findings]] = {}
    for weights in ("random", "package"):
        knobs = {**PUBLISHED, "embedder.weights": weights, "embedder.cache": "off"}
        config = read({**knobs, "round.seed": seed})
        sites = partition(dataset, config.data, seed=seed)
        embed = Embedder(config.embedder)
        found[f"federated, {weights} weights"] = run_round(config, sites, embed).findings
        if weights == "package":
            found["isolated"] = isolated(config, sites, embed)
            found["centralised"] = centralised(config, sites, embed)
    return {
        way: tuple(average(figures_of(told), key) for key in KEYS) for way, told in found.items()
    }


def gaps(means: dict[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """How far the federated run is above each of the two that it has to beat."""
    best = means["federated, package weights"]
    return {
        worse: dict(zip(KEYS, (best - means[worse]).tolist(), strict=True))
        for worse in ("federated, random weights", "isolated")
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        runs = [figures(Path(folder) / str(seed), seed) for seed in range(options.seeds)]
    means = {way: np.mean([run[way] for run in runs], axis=0) for way in runs[0]}
    print(f"drawn data, torch {torch.__version__}, means of {options.seeds} seeds\n")
    print(f"| way | {' | '.join(KEYS)} |\n|---|---|---|")
    for way, values in means.items():
        print(f"| {way} | {' | '.join(f'{value:.3f}' for value in values)} |")
    for worse, gap in gaps(means).items():
        told = ", ".join(f"{key} {gap[key]:+.3f} (at least {BOUNDS[key]})" for key in KEYS)
        print(f"federated above {worse}: {told}")


if __name__ == "__main__":
    main()
