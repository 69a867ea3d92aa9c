"""Fit and predict on one product, beside anomalib's Patchcore.

    python benchmarks/end_to_end.py DIR [--category magnetic_tile] [--ratio 0.1]

The same images, network, weights, layers, size, coreset ratio and threads. anomalib is asked for
its PatchcoreModel: embeddings of the good images in batches of 32, `subsample_embedding` (its
projection and loop), then the anomaly map and score of each test image; its images come decoded,
resized and normalised by the same code as ours, and that time is counted for both. Ours reads
masks and writes maps at the images' own size inside its time; anomalib's maps are brought to that
size outside of it. The features of both are compared first. Figures are fedad's own metrics.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from common import PUBLISHED, heading, row, threads

from fedad.config import Config, read
from fedad.datasets.base import open_dataset
from fedad.embedders.backbone import build
from fedad.embedders.embedder import Embedder
from fedad.evaluation import Counts, Scored, summarise
from fedad.images.pixels import image_size, read_image, read_region
from fedad.judging.verdicts import judge
from fedad.partition import one_site
from fedad.round import fit, merge
from fedad.types import Sample, Site

FIGURES = ("image_auroc", "pixel_auroc", "auc_spro_0.05", "auc_spro_0.3")
INDICES = (2, 3)  # what timm calls layer2 and layer3
BATCH = 32  # anomalib's own


class Anomalib:
    """anomalib's model with our weights."""

    def __init__(self, config: Config) -> None:
        from anomalib.models.image.patchcore.torch_model import PatchcoreModel

        self.backbone = build(config.embedder)
        name = config.embedder.backbone.partition(".")[0]
        self.model = PatchcoreModel(layers=INDICES, backbone=name, pre_trained=False)
        network = self.model.feature_extractor.feature_extractor
        ours = self.backbone.model.state_dict()
        # What lies behind the last layer used is computed by anomalib, and its values play no part.
        network.load_state_dict({**network.state_dict(), **ours})
        network.eval()

    def pixels(self, samples: Sequence[Sample]) -> torch.Tensor:
        prepared = np.stack([self.backbone.prepare(read_image(s.path)) for s in samples])
        x = torch.from_numpy(prepared).permute(0, 3, 1, 2).float().div_(255)
        return x.sub_(self.backbone.mean).div_(self.backbone.std)

    def embedded(self, samples: Sequence[Sample]) -> np.ndarray:
        self.model.train()
        self.model.feature_extractor.eval()
        found = self.model(self.pixels(samples)).numpy()
        self.model.embedding_store.clear()
        return found

    def fit(self, samples: Sequence[Sample], ratio: float) -> None:
        self.model.train()
        self.model.feature_extractor.eval()
        for at in range(0, len(samples), BATCH):
            self.model(self.pixels(samples[at : at + BATCH]))
        self.model.subsample_embedding(ratio)

    def predict(self, samples: Sequence[Sample]) -> list[tuple[np.ndarray, float]]:
        self.model.eval()
        found = []
        for at in range(0, len(samples), BATCH):
            told = self.model(self.pixels(samples[at : at + BATCH]))
            maps, scores = told.anomaly_map[:, 0].numpy(), told.pred_score.flatten().tolist()
            found += zip(maps, scores, strict=True)
        return found


def full_size(sample: Sample, small: np.ndarray, score: float) -> Scored:
    size = image_size(sample.path)
    large = torch.nn.functional.interpolate(
        torch.from_numpy(small)[None, None], size=(size[1], size[0]), mode="bilinear"
    )[0, 0].numpy()
    masks = sample.masks
    regions = None if masks is None else tuple(read_region(mask, size) for mask in masks)
    return Scored(large, regions, sample.category, sample.defect, sample.kind, score)


def figures_of(images: Sequence[Scored]) -> list[str]:
    found = summarise(sum((Counts.of(image) for image in images), Counts()))["mean"]
    return [f"{found[key]['value']:.4f}" for key in FIGURES]


def ours(config: Config, site: Site) -> tuple[list[float], list[Scored]]:
    embed = Embedder(config.embedder)
    embed(site.train[:1])  # the network is in memory, as anomalib's is
    began = time.perf_counter()
    bank = merge(config, [fit(config, site, embed).upload])
    fitted = time.perf_counter()
    scored = [verdict.scored for verdict in judge(config, site.test, embed, bank)]
    return [fitted - began, time.perf_counter() - fitted], scored


def theirs(config: Config, site: Site) -> tuple[list[float], list[Scored]]:
    model = Anomalib(config)
    model.embedded(site.train[:1])
    began = time.perf_counter()
    model.fit(site.train, config.coreset.local_ratio)
    fitted = time.perf_counter()
    told = model.predict(site.test)
    seconds = [fitted - began, time.perf_counter() - fitted]
    return seconds, [full_size(s, *pair) for s, pair in zip(site.test, told, strict=True)]


def compare_features(config: Config, site: Site) -> None:
    some = site.train[:4]
    mine = Embedder(config.embedder)(some).patches
    other = Anomalib(config).embedded(some)
    off = np.abs(mine - other).max() / np.abs(other).max()
    print(f"features of {len(some)} images: the largest difference is {off:.1e} of the largest\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="a data set in AutoVI's layout")
    parser.add_argument("--category", default="magnetic_tile")
    parser.add_argument("--ratio", type=float, default=0.1)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    config = read(
        {
            **PUBLISHED,
            "data.dataset": "autovi",
            "data.dir": str(options.data),
            "data.categories": options.category,
            "embedder.cache": "off",
            "embedder.threads": options.threads,
            "coreset.local-ratio": options.ratio,
        }
    )
    site = one_site("plant", open_dataset(config.data), config.data, seed=0)
    heading()
    print(
        f"real parts, {options.category}: {len(site.train)} good images to learn, {len(site.test)} "
        f"to judge, ratio {options.ratio}, {options.threads} threads"
    )
    with threads(options.threads), torch.inference_mode():
        compare_features(config, site)
        row("", "fit s", "predict s", "in all", *FIGURES)
        row(*8 * ["---"])
        totals = []
        for name, way in (("fedad", ours), ("anomalib", theirs)):
            seconds, scored = way(config, site)
            totals.append(sum(seconds))
            row(name, *(f"{s:.1f}" for s in (*seconds, sum(seconds))), *figures_of(scored))
    print(f"\nin all: {totals[1] / totals[0]:.1f}x")


if __name__ == "__main__":
    main()
