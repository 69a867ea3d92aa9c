"""How well who knows the network can draw a plant's parts from what the plant uploads, by setting.

    python benchmarks/decoder.py DIR [--quick] [--csv FILE] [--auroc] [--settings 7,12]

DIR holds products in AutoVI's layout. Each is private in turn; decoders are trained on the others
and on the drawn demo plants, which anybody has, by the same backbone and knobs, and are given the
rows of a private upload. A row's truth is the 32 x 32 pixels of the resized image around its patch.
Rows with positions are given with them.
Decoders: `linear` (ridge) and `mlp` (two hidden layers). The baseline is the mean crop of the
private rows, which no attacker has: a decoder that knows the product's look and nothing of the
patch reaches it. PSNR in dB of pixels from 0 to 1, the mean over rows and the best row; `seen` is
the correlation of what is decoded with what differs from the mean crop. `--auroc` also judges the
test images of DIR under each setting, in a run of its natural sites. Half an hour on two busy
cores, `--quick` five minutes.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from common import heading, row
from pairs import IMAGES, Pairs, crops_of, good, joined, of, public_pairs

from fedad.config import Config, read
from fedad.datasets.autovi import autovi
from fedad.datasets.base import open_dataset
from fedad.descriptors.settings import Settings
from fedad.embedders.embedder import Embedder
from fedad.judging.findings import Findings
from fedad.leakage.crops import Described
from fedad.leakage.decoders import Decode, Drawn, Scores, drawable, linear, mlp, scores_of
from fedad.methods.base import FIRST, method_of
from fedad.partition import partition
from fedad.round import run_round
from fedad.types import Sample

THREADS = 1  # of torch: more wait for each other on a busy machine
ROWS = 1500  # private ones that are judged


class Setting(NamedTuple):
    """What a server may ask for; `uniform` rows are all of them."""

    layers: str
    grid: str
    pool: int
    size: int = 256
    dtype: str = "float32"
    selection: str = "kcenter"
    ratio: float = 0.1
    preset: str = "classic"

    def config(self) -> Config:
        return read(
            {
                "embedder.layers": self.layers,
                "embedder.grid": self.grid,
                "embedder.pool": self.pool,
                "embedder.size": self.size,
                "embedder.threads": THREADS,
                "wire.dtype": self.dtype,
                "coreset.selection": self.selection,
                "coreset.local-ratio": 1.0 if self.selection == "uniform" else self.ratio,
                "patchcore.preset": self.preset,
            }
        )


DEFAULT = Setting("layer2,layer3", "layer2", 3)
SHIPPED = DEFAULT._replace(size=384, ratio=0.0444, preset="position")
SETTINGS = (
    Setting("layer0", "layer0", 1, selection="uniform"),
    Setting("layer1", "layer1", 1),
    Setting("layer1", "layer1", 3),
    Setting("layer1,layer2", "layer2", 3),
    Setting("layer2", "layer2", 1),
    Setting("layer2", "layer2", 3),
    SHIPPED,
    SHIPPED._replace(preset="classic"),
    SHIPPED._replace(pool=5),
    SHIPPED._replace(layers="layer2"),
    DEFAULT,
    DEFAULT._replace(dtype="float16"),
    DEFAULT._replace(selection="uniform"),
    DEFAULT._replace(size=512),
    Setting("layer2,layer3", "layer2", 5),
    Setting("layer2,layer3", "layer2", 9),
    Setting("layer2,layer3", "layer3", 3),
    Setting("layer2,layer3", "layer3", 3, size=224),
    Setting("layer3", "layer3", 3),
    Setting("layer3", "layer3", 5),
)
QUICK = (SETTINGS[0], SHIPPED, Setting("layer3", "layer3", 3))
DECODERS: dict[str, Callable[[np.ndarray, Drawn], Decode]] = {"linear": linear, "mlp": mlp}


def uploaded(config: Config, embed: Embedder | Described, samples: Sequence[Sample]) -> Pairs:
    """The rows that leave the plant, as they arrive."""
    plain = embed.embed if isinstance(embed, Described) else embed
    features = plain(samples)
    made = method_of(config).fit(features, FIRST, rng=np.random.default_rng(0))
    own = made.with_own(made.sealed("plant", config.wire.dtype))
    some = np.random.default_rng(1).permutation(len(own))[:ROWS]
    return Pairs(own.rows[some], crops_of(embed, samples, features.grid.shape, own.source[some]))


def attacked(setting: Setting, folder: Path, quick: bool) -> Iterator[tuple[str, str, Scores]]:
    """(private product, decoder, how well it draws) for each."""
    config, parts = setting.config(), autovi(folder)
    embed: Embedder | Described = Embedder(replace(config.embedder, cache="off"))
    if setting.preset == "position":  # rows say where they are, so public ones do as well
        embed = Described(embed, Settings(position=1.0, scale=1.0))
    known = public_pairs(embed, folder, quick)
    for name in parts.categories:
        samples = good(of(parts.samples, name), 4 if quick else IMAGES)
        private = uploaded(config, embed, samples)
        learned = joined([pairs for other, pairs in known.items() if other != name])
        drawn = drawable(learned.crops)
        for kind, train in DECODERS.items():
            yield name, kind, scores_of(train(learned.rows, drawn)(private.rows), private.crops)


FIGURES = ("image_auroc", "auc_spro_0.05")


def judged(setting: Setting, folder: Path) -> list[str]:
    """The mean figures over the products of DIR, of one run of its natural sites."""
    config = setting.config()
    config = replace(
        config,
        data=replace(config.data, dataset="autovi", dir=str(folder)),
        score=replace(config.score, replicates=0),
    )
    sites = partition(open_dataset(config.data), config.data, seed=0)
    outcome = run_round(config, sites, Embedder(config.embedder))
    means = sum(outcome.findings.values(), Findings()).report["mean"]
    return [f"{means[key]['value']:.3f}" for key in FIGURES]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--auroc", action="store_true")
    parser.add_argument("--csv", type=Path)
    parser.add_argument("--settings", default="", help="numbers of some, from 0")
    options = parser.parse_args()
    torch.set_num_threads(THREADS)
    heading()
    columns = (*Setting._fields, "private", "decoder", *Scores._fields, *FIGURES)
    lines: list[tuple[object, ...]] = [columns]
    row(*columns)
    row(*["---"] * len(columns))
    some = [SETTINGS[int(number)] for number in options.settings.split(",") if number]
    for setting in some or (QUICK if options.quick else SETTINGS):
        figures = judged(setting, options.folder) if options.auroc else [""] * len(FIGURES)
        for name, kind, one in attacked(setting, options.folder, options.quick):
            cells = (*setting, name, kind, *(f"{value:.2f}" for value in one), *figures)
            lines.append(cells)
            row(*cells)
    if options.csv:
        with options.csv.open("w", newline="") as file:
            csv.writer(file).writerows(lines)


if __name__ == "__main__":
    main()
