"""A learned head by DP-SGD, and a bank by `dp_tree` beside it: image AUROC and seconds; drawn data.

    python benchmarks/dp_sgd.py [--images 100] [--size 128] [--rounds 2] [--epochs 10]
        [--epsilon 1 5 10]

One product of the demo plants, drawn, at three sites with `--images` good images each, which is
also the number that is declared, and 30 + 30 test images. Each site judges by what was merged alone
and the highest patch; figures are means over sites, of one draw. Noise is the operating system's,
so figures differ from run to run. Epsilon is of the whole run, add/remove of one image, delta 1e-5.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from common import PUBLISHED, heading, row
from sklearn.metrics import roc_auc_score

from fedad.config import Config, read
from fedad.datasets.synthetic import synthetic
from fedad.dp.receipts import SampledGaussians
from fedad.embedders.embedder import Embedder
from fedad.methods.base import method_of
from fedad.partition import partition
from fedad.round import learn
from fedad.types import Features, Sample, Site

PRODUCT = "tank_screw"


def configurations(options: argparse.Namespace) -> dict[str, Config]:
    """What a row is called -> its configuration."""
    common = {
        **PUBLISHED,
        "data.categories": PRODUCT,
        "embedder.size": options.size,
        "embedder.cache": "off",
    }
    head = {
        **common,
        "round.method": "discriminator",
        "discriminator.rounds": options.rounds,
        "discriminator.epochs": options.epochs,
    }
    trained = {
        **head,
        "privacy.release": "dp_sgd",
        "dp_sgd.images": options.images,
        "dp_sgd.batch": max(1, options.images // 4),
    }
    tree = {**common, "privacy.release": "dp_tree"}
    found = {"head": head, "bank": common}
    for epsilon in options.epsilon:
        found[f"head, dp_sgd, epsilon {epsilon:g}"] = {**trained, "dp_sgd.epsilon": epsilon}
        found[f"bank, dp_tree, epsilon {epsilon:g}"] = {**tree, "dp_tree.epsilon": epsilon}
    return {name: read(knobs) for name, knobs in found.items()}


def auroc(config: Config, sites: list[Site], embed: Embedder) -> tuple[float, float, float]:
    """Mean image AUROC over sites, the seconds of all sites' learning, the noise of a step."""
    known: dict[tuple[str, ...], Features] = {}

    def remembered(samples: tuple[Sample, ...]) -> Features:
        names = tuple(sample.name for sample in samples)
        return known.setdefault(names, known.get(names) or embed(samples))

    for site in sites:
        remembered(site.train)
    began = time.process_time()
    learned = learn(config, sites, remembered)
    seconds, found = time.process_time() - began, []
    for site in sites:
        _, scores = method_of(config).score(learned.model, remembered(site.test))
        found.append(roc_auc_score([not sample.is_good for sample in site.test], scores))
    receipt = next(iter(learned.local.values())).receipt
    noise = receipt.noise if isinstance(receipt, SampledGaussians) else np.nan
    return float(np.mean(found)), seconds, noise


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--epsilon", type=float, nargs="+", default=[1, 5, 10])
    options = parser.parse_args()
    heading()
    numbers = {"train": options.images, "size": options.size, "validation": 0}
    with tempfile.TemporaryDirectory() as folder:
        drawn = synthetic(
            Path(folder) / "plants", good=30, defective=30, categories=[PRODUCT], **numbers
        )
        print(f"drawn {PRODUCT}, {options.images} good images a site, {options.size} px\n")
        row("what is shared", "image AUROC", "processor seconds", "noise of a step, over the clip")
        row("---", "---", "---", "---")
        for name, config in configurations(options).items():
            sites = partition(drawn, config.data, seed=config.round.seed)
            figure, seconds, noise = auroc(config, sites, Embedder(config.embedder))
            told = "-" if np.isnan(noise) else f"{noise:.2f}"
            row(name, f"{figure:.3f}", f"{seconds:.0f}", told)


if __name__ == "__main__":
    main()
