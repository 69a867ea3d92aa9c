"""Ensembles against their members, over sites: figures by kind of defect, seconds and bytes.

    python benchmarks/ensembles.py [--data plants,loco,ball_screw] [--parts DIR] [--seeds 1]
                                   [--members patchcore,gaussian] [--only "mean,weighted"]
                                   [--json FILE]

`plants` are the demo's three drawn plants, `loco` three drawn products in MVTec LOCO's manner (40
good images each to learn from, dealt out to three sites), both drawn anew with each seed; every
other name is a product below `--parts`, real images with natural sites. Images are embedded at 256
pixels. Test images of all sites are ranked together; of several products it is the mean.

Members are learned once for all ensembles of a set, so that seconds (a processor's, of learning
alone) are the sum of those of the parts that an ensemble has; `MB up` is what all sites sent
together, `largest` the largest single upload.

An ensemble `passes` on a set if neither its image AUROC nor its AUC-sPRO is below that of its best
member, where the best member is another one for each figure. Nothing is chosen by these figures:
weights are by drawn defects (`ensembles/weighing.py`).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from common import heading, row

from fedad.config import Config, read
from fedad.datasets.base import open_dataset
from fedad.drawing.provide import provide
from fedad.drawing.sets import drawn_set, plan_of
from fedad.embedders.embedder import Embedder
from fedad.ensembles.composite import composite
from fedad.methods.base import Turn, method_of
from fedad.partition import partition
from fedad.plumbing.files import cache_root
from fedad.reporting.record import figures_of
from fedad.round import examine, fit, merge

FIGURES = ("image_auroc", "pixel_auroc", "auc_spro_0.05")
JUDGED = ("image_auroc", "auc_spro_0.05")  # by which an ensemble passes
ENSEMBLES: dict[str, dict[str, Any]] = {
    "mean": {"combine": "mean"},
    "mean, quantile": {"combine": "mean", "calibration": "quantile"},
    "mean, p": {"combine": "mean", "calibration": "p"},
    "maximum": {"combine": "maximum"},
    "rank": {"combine": "rank"},
    "weighted": {"combine": "weighted"},
    "best by drawn defects": {"combine": "weighted", "least-odds": 1.0},
    "logistic": {"combine": "logistic"},
    "forest": {"combine": "forest"},
    "global, nearest": {"combine": "none", "head": "nearest"},
    "global, not whitened, nearest": {"combine": "none", "head": "nearest", "whiten": False},
    "individual, nearest": {"combine": "none", "head": "nearest", "block": "individual"},
    "individual, residual, nearest": {
        "combine": "none",
        "head": "nearest",
        "block": "individual",
        "extra": "residual",
    },
    "global, discriminator": {"combine": "none", "head": "discriminator"},
    "global, maps, nearest": {"combine": "none", "head": "nearest", "extra": "anomaly"},
    "weighted with a head": {"combine": "weighted", "head": "nearest"},
}
MEMBERS = "patchcore,discriminator,gaussian,subspace"
OF_BLOCK = ("block", "dimensions", "share", "whiten", "extra")


def config_of(
    data: str, knobs: Mapping[str, Any], seed: int, options: argparse.Namespace
) -> Config:
    """One run."""
    if data in ("plants", "loco"):
        layout = drawn_set(data).layout
        place: dict[str, Any] = {"data.dataset": layout, "data.dir": str(options.drawn)}
        place |= {"data.partition": "iid"} if data == "loco" else {}
    else:
        place = {
            "data.dataset": "autovi",
            "data.dir": str(options.parts),
            "data.categories": data,
        }
    own = {f"ensemble.{name}": value for name, value in knobs.items()}
    return read(
        {
            **place,
            "round.method": "ensemble",
            "embedder.size": 256,
            "embedder.threads": 1,
            "embedder.device": "cpu",
            "coreset.local-ratio": options.ratio,
            "ensemble.members": options.members,
            "round.seed": seed,
            "score.replicates": 0,
            **own,
        }
    )


def key_of(config: Config, part: str) -> str:
    """What a part of a model depends on, of the knobs that are varied here."""
    flat, block = config.flat(), [part, config.knobs("ensemble").members]
    if part.startswith("member"):
        return part
    head = flat["ensemble.head"]
    if part in ("blocks", "head") or head != "none":
        block += [flat[f"ensemble.{name}"] for name in OF_BLOCK]
    if part != "blocks":
        block += [head]
    if part == "counts":
        block += [flat["ensemble.combine"] in ("weighted", "logistic", "forest")]
    if part == "combiner":
        block += [flat["ensemble.combine"], flat["ensemble.calibration"]]
    return json.dumps(block)


class Set:
    """The sites of a set of images, and the parts of models that were learned on it."""

    def __init__(self, config: Config) -> None:
        dataset = open_dataset(config.data)
        self.sites = sorted(
            partition(dataset, config.data, seed=config.round.seed), key=lambda site: site.name
        )
        self.embed = Embedder(config.embedder)
        self.known: dict[str, tuple[Any, float, list[int]]] = {}

    def learned(self, config: Config) -> tuple[Any, float, list[int]]:
        """The model, the seconds of its parts, and the bytes of all their uploads."""
        method: Any = method_of(config)
        steps, model, seconds, bytes_ = method.steps, None, 0.0, list[int]()
        learning = [site for site in self.sites if site.train]
        for at, step in enumerate(steps):
            key = key_of(config, step.part.name)
            if step.number == 1:
                began, sent, own = time.process_time(), list[int](), dict[str, Any]()
            if key not in self.known:
                turn = Turn(at + 1, model)
                local = {
                    s.name: fit(config, s, self.embed, turn, own.get(s.name)) for s in learning
                }
                own = {name: one.own for name, one in local.items()}
                uploads = [one.upload for one in local.values()]
                sent += [sum(a.nbytes for a in one.pack()[0].values()) for one in uploads]
                model = merge(config, uploads, turn)
            if step.number == len(step.part.rounds):
                if key not in self.known:
                    kind = step.part.rounds[-1].model
                    payload = model.part(step.part.name, kind)
                    self.known[key] = payload, time.process_time() - began, sent
                payload, took, sent = self.known[key]
                model = composite(
                    None if at + 1 == len(step.part.rounds) else model, step.part.name, payload
                )
                seconds, bytes_ = seconds + took, bytes_ + sent
        return model, seconds, bytes_

    def figures(self, config: Config, model: Any) -> dict[str, Any]:
        """What the test images of all sites say together."""
        found = {s.name: examine(config, s, self.embed, model, {}) for s in self.sites}
        return figures_of(found)["together"]


def told_of(figures: Mapping[str, Any]) -> dict[str, Any]:
    """The figures that are printed: of all, by kind, and by product."""
    mean = {name: figures["mean"][name]["value"] for name in FIGURES}
    kinds = {
        kind: {name: told[name]["value"] for name in FIGURES if name in told}
        for kind, told in figures.get("mean_by_kind", {}).items()
    }
    products = {
        product: {name: told["figures"][name]["value"] for name in FIGURES}
        for product, told in figures["categories"].items()
    }
    return {"mean": mean, "kinds": kinds, "products": products}


def passes(figures: Mapping[str, float], members: Sequence[Mapping[str, float]]) -> bool:
    """Whether neither figure is below that of the member that is best in it."""
    return all(figures[name] >= max(one[name] for one in members) for name in JUDGED)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line of a table for each member and ensemble."""
    parser = argparse.ArgumentParser(description="ensembles and their members, measured")
    parser.add_argument("--data", default="plants,loco,ball_screw,magnetic_tile,metal_plate")
    parser.add_argument("--parts", type=Path, default=Path("../shared/data/parts"))
    parser.add_argument("--members", default=MEMBERS)
    parser.add_argument("--only", default=";".join(ENSEMBLES), help="separated by semicolons")
    parser.add_argument("--ratio", type=float, default=0.1)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    options.parts = options.parts.resolve()
    heading()
    columns = ("data", "seed", "what", *FIGURES, "logical", "structural")
    columns += ("CPU s", "MB up", "largest MB", "passes", "above the median member")
    row(*columns)
    row(*["---"] * len(columns))
    for data in options.data.split(","):
        for seed in range(options.seeds):
            options.drawn = drawn_by(data, seed) if data in ("plants", "loco") else None
            _one(data, seed, options)


def drawn_by(data: str, seed: int) -> Path:
    """Where the set is drawn by the seed, once."""
    root, drawn = cache_root() / f"ensembles-{data}-{seed}", drawn_set(data)
    more = {"images": 40, "sites": 1} if data == "loco" else {}
    provide(root, drawn, plan_of(drawn, size=256, seed=seed, **more))
    return root


def _one(data: str, seed: int, options: argparse.Namespace) -> None:
    """All members and ensembles on one set of images."""
    here, members = Set(config_of(data, {}, seed, options)), list[dict[str, Any]]()
    names = options.members.split(",")
    runs = [({"members": one, "combine": "mean"}, one) for one in names]
    runs += [(ENSEMBLES[one], one) for one in options.only.split(";") if one]
    for knobs, what in runs:
        config = config_of(data, knobs, seed, options)
        model, seconds, bytes_ = here.learned(config)
        found = told_of(here.figures(config, model))
        mean, kinds = found["mean"], found["kinds"]
        verdicts = ["", ""]
        if what in names:
            members.append(mean)
        else:
            median = {n: float(np.median([one[n] for one in members])) for n in FIGURES}
            verdicts = [
                "yes" if passes(mean, members) else "no",
                "yes" if all(mean[n] >= median[n] for n in JUDGED) else "no",
            ]
        of_kinds = [
            " / ".join(f"{kinds[kind][n]:.3f}" for n in JUDGED) if kind in kinds else ""
            for kind in ("logical", "structural")
        ]
        shown = [f"{mean[name]:.3f}" for name in FIGURES]
        cost = [f"{seconds:.0f}", f"{sum(bytes_) / 1e6:.2f}", f"{max(bytes_) / 1e6:.2f}"]
        row(data, seed, what, *shown, *of_kinds, *cost, *verdicts)
        if options.json:
            told = {"data": data, "seed": seed, "what": what, **found}
            told |= {"seconds": seconds, "bytes": bytes_, "weights": _weights(config, model)}
            with options.json.open("a") as file:
                file.write(json.dumps(told) + "\n")


def _weights(config: Config, model: Any) -> Any:
    told: dict[str, Any] = method_of(config).describe(model)
    return told.get("weights_by_category", {})


if __name__ == "__main__":
    main()
