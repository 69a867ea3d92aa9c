"""Ensembles against their members, over sites, product by product: figures, seconds and bytes.

    python benchmarks/ensembles.py [--data plants,loco,ball_screw] [--parts DIR] [--seeds 3]
                                   [--members patchcore,gaussian] [--only "mean;weighted"]
                                   [--folds 3] [--draws 5] [--json FILE]
                                   [-c discriminator.epochs=10 ...]

`plants` are the demo's three drawn plants, `loco` three drawn products in MVTec LOCO's manner (40
good images each to learn from, dealt out to three sites), both drawn anew with each seed; every
other name is a product below `--parts`, real images with natural sites. Images are embedded at 256
pixels. Test images of all sites are ranked together, each product by itself.

Figures are means over seeds, and so are differences to the best and to the median member, which are
paired. Their 95 % intervals are Student's t over seeds where each seed draws other images, and of
redrawn test images where all seeds share them. The best member is the one whose mean over seeds is
best, another for each figure: found on the images that it is judged by, so it is rather too good.

An ensemble `passes` on a product if neither its image AUROC nor its AUC-sPRO is below that of the
best member. Nothing is chosen by these figures: weights are by drawn defects.

Members are learned once for all ensembles of a set, so that seconds (a processor's, of learning
alone) are the sum of those of the parts that an ensemble has, and what is drawn is embedded once;
`MB up` is what all sites sent together, `largest` the largest single upload.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from common import heading, row
from scipy import stats

from fedad.compare.drawn import TOGETHER, Row, Scope, judged_from, redraw
from fedad.compare.ranges import difference_range
from fedad.config import Config, read
from fedad.datasets.base import open_dataset
from fedad.drawing.provide import provide
from fedad.drawing.sets import drawn_set, plan_of
from fedad.embedders.embedder import Embedder
from fedad.ensembles.composite import composite
from fedad.ensembles.outputs import OF_MEMBERS
from fedad.evaluation import Counts, break_down_counts
from fedad.judging.verdicts import judge
from fedad.methods.base import Turn, method_of
from fedad.partition import partition
from fedad.plumbing.files import cache_root
from fedad.round import fit, merge

LIMIT, REPLICATES = 0.05, 500
ROUNDING = 1e-5  # below it two figures are alike: one ranking, told in other bins
FIGURES = ("image_auroc", "pixel_auroc", f"auc_spro_{LIMIT}")
JUDGED = ("image_auroc", f"auc_spro_{LIMIT}")  # by which an ensemble passes
KINDS = ("logical", "structural")
DRAWN = ("plants", "loco")
COLUMNS = (
    *("data", "product", "what", *FIGURES, *KINDS),
    *(f"{figure} less {key}" for key in ("best", "median") for figure in JUDGED),
    *("passes", "not below the median", "CPU s", "MB up", "largest MB"),
)
ALONE = {"combine": "mean"}
ENSEMBLES: dict[str, dict[str, Any]] = {
    "mean": {"combine": "mean"},
    "mean, quantile": {"combine": "mean", "calibration": "quantile"},
    "mean, p": {"combine": "mean", "calibration": "p"},
    "mean, e": {"combine": "mean", "calibration": "e"},
    "maximum": {"combine": "maximum"},
    "rank": {"combine": "rank"},
    "weighted": {"combine": "weighted"},
    "best by drawn defects": {"combine": "weighted", "least-odds": 1.0},
    "selected": {"combine": "selected"},
    "selected, image by map": {"combine": "selected", "image": "map"},
    "selected, e": {"combine": "selected", "calibration": "e"},
    "selected, e, image by map": {"combine": "selected", "calibration": "e", "image": "map"},
    "selected with a head of maps, image by map": {
        "combine": "selected",
        "head": "nearest",
        "extra": "anomaly",
        "image": "map",
    },
    "mean, image by map": {"combine": "mean", "image": "map"},
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
    "global, maps, discriminator": {
        "combine": "none",
        "head": "discriminator",
        "extra": "anomaly",
    },
    "weighted with a head": {"combine": "weighted", "head": "nearest"},
}
MEMBERS = "patchcore,discriminator,gaussian,subspace"
OF_BLOCK = ("block", "dimensions", "share", "whiten", "extra")


def config_of(
    data: str, knobs: Mapping[str, Any], seed: int, options: argparse.Namespace
) -> Config:
    """One run."""
    if data in DRAWN:
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
            "ensemble.folds": options.folds,
            "ensemble.draws": options.draws,
            "round.seed": seed,
            "score.replicates": 0,
            **{key: yaml.safe_load(value) for key, value in options.more},
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
        block += [flat["ensemble.combine"] in OF_MEMBERS]
    if part in ("trials", "measures"):
        block += [flat["ensemble.calibration"]]
    if part == "combiner":
        block += [flat["ensemble.combine"], flat["ensemble.calibration"]]
    return json.dumps(block)


class Seen(NamedTuple):
    """What is seen of a product with one seed."""

    figures: dict[str, dict[str, float]]  # `all` or a kind of defect -> figure -> its value
    drawn: dict[str, np.ndarray]  # (1 + R,): as they are, and on redrawn test images
    images: int  # good or defective ones, whichever are fewer


class Remembering:
    """A network that is asked once for what it has seen before: drawn defects, round by round."""

    def __init__(self, network: Any) -> None:
        self.network, self.known = network, dict[bytes, np.ndarray]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.network, name)

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """(n, h, w, D) of images (n, H, W, 3)."""
        key = hashlib.sha256(pixels.tobytes()).digest()
        if key not in self.known:
            self.known[key] = self.network(pixels)
        return self.known[key]


class Set:
    """The sites of a set of images, and the parts of models that were learned on it."""

    def __init__(self, config: Config) -> None:
        dataset = open_dataset(config.data)
        self.sites = sorted(
            partition(dataset, config.data, seed=config.round.seed), key=lambda site: site.name
        )
        self.embed = Embedder(config.embedder)
        self.embed.backbone = Remembering(self.embed.backbone)  # type: ignore[assignment]
        self.known: dict[str, tuple[Any, float, list[int]]] = {}

    def learned(self, config: Config) -> tuple[Any, float, list[int]]:
        """The model, the seconds of its parts, and the bytes of all their uploads."""
        method: Any = method_of(config)
        steps, seconds, bytes_ = method.steps, 0.0, list[int]()
        model: Any = None
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

    def seen(self, config: Config, model: Any) -> dict[str, Seen]:
        """What the test images of all sites say of each product together."""
        rows, counts = dict[str, list[Row]](), dict[str, Counts]()
        for site in self.sites:
            for one in judge(config, site.test, self.embed, model):
                name, scored = one.sample.category, one.scored
                told = one.sample.name, scored.cell.is_good(), scored.image_score
                rows.setdefault(name, []).append(Row(*told, Counts.coarse(scored)))
                counts[name] = counts.get(name, Counts()) + Counts.of(scored)
        return {name: seen_of(name, rows[name], counts[name]) for name in sorted(rows)}


def seen_of(product: str, rows: Sequence[Row], counts: Counts) -> Seen:
    """The figures of a product's test images, as they are, by kind of defect, and redrawn."""
    judged = judged_from(rows)
    fine = {
        scope.removeprefix("kind:"): {name: float(figures[name].value) for name in FIGURES}
        for scope, figures in break_down_counts(counts, (LIMIT,)).items()
        if scope == "all" or scope.startswith("kind:")
    }
    exact = dict(fine["all"], image_auroc=math.nan)  # redrawn scores are ranked as they are
    drawn = redraw(judged, Scope(TOGETHER, product), exact, REPLICATES)
    fine["all"]["image_auroc"] = float(drawn["image_auroc"][0])
    images = judged.images()
    return Seen(fine, {name: drawn[name] for name in JUDGED}, min(images.good, images.defective))


def table_of(
    what: Mapping[str, Sequence[Mapping[str, Seen]]], members: Sequence[str], *, redrawn: bool
) -> list[dict[str, Any]]:
    """A row a product and ensemble or member: its figures, and how far it is from the members'.

    Args:
        what: name -> what is seen of each product, by seed.
        redrawn: whether all seeds have the same test images.
    """
    found = []
    for product in what[members[0]][0]:
        seen = {name: [one[product] for one in seeds] for name, seeds in what.items()}
        best = {figure: best_of(seen, members, figure) for figure in JUDGED}
        for name, seeds in seen.items():
            row: dict[str, Any] = {"product": product, "what": name, "kinds": kinds_of(seeds)}
            row |= {figure: mean_of(seeds, figure) for figure in FIGURES}
            for figure in JUDGED if name not in members else ():
                mine = values_of(seeds, figure)
                every = np.array([values_of(seen[member], figure) for member in members])
                for key, other in (
                    ("best", values_of(seen[best[figure]], figure)),
                    ("median", np.median(every, axis=0)),
                ):
                    row[f"{figure} less {key}"] = difference(mine - other, seeds, redrawn=redrawn)
            found.append(row)
    return found


def best_of(seen: Mapping[str, Sequence[Seen]], members: Sequence[str], figure: str) -> str:
    """The member whose mean over seeds is best; of equal ones the first."""
    return max(members, key=lambda name: mean_of(seen[name], figure))


def values_of(seeds: Sequence[Seen], figure: str) -> np.ndarray:
    """(S, 1 + R): a figure by seed, on the images as they are and on redrawn ones."""
    return np.stack([one.drawn[figure] for one in seeds])


def mean_of(seeds: Sequence[Seen], figure: str) -> float:
    """A figure's mean over seeds."""
    return float(np.mean([one.figures["all"][figure] for one in seeds]))


def kinds_of(seeds: Sequence[Seen]) -> dict[str, dict[str, float]]:
    """Kind of defect -> the figures by which an ensemble passes, means over seeds."""
    kinds = sorted(set.intersection(*({*one.figures} for one in seeds)) - {"all"})
    return {
        kind: {f: float(np.mean([one.figures[kind][f] for one in seeds])) for f in JUDGED}
        for kind in kinds
    }


def difference(drawn: np.ndarray, seeds: Sequence[Seen], *, redrawn: bool) -> dict[str, Any]:
    """The mean over seeds of paired differences (S, 1 + R), each of them, and an interval of 95 %.

    That of redrawn images leaves open how other seeds would scatter; its seeds stand beside it.
    """
    each, low, high = drawn[:, 0], math.nan, math.nan
    if redrawn:
        range_ = difference_range(drawn.mean(0), [min(one.images for one in seeds)])
        low, high = range_.low, range_.high
    elif len(each) > 1 and np.ptp(each):  # of no scatter none, which would look like certainty
        wide = stats.t.ppf(0.975, len(each) - 1) * each.std(ddof=1) / math.sqrt(len(each))
        low, high = each.mean() - wide, each.mean() + wide
    return {"value": float(each.mean()), "low": float(low), "high": float(high), "seeds": [*each]}


def passes(row: Mapping[str, Any], key: str = "best") -> bool:
    """Whether neither figure is below that of the member that is best in it, or of the median."""
    return all(row[f"{figure} less {key}"]["value"] >= -ROUNDING for figure in JUDGED)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table of each set: a line for each product, and member or ensemble."""
    parser = argparse.ArgumentParser(description="ensembles and their members, measured")
    parser.add_argument("--data", default="plants,loco,ball_screw,magnetic_tile,metal_plate")
    parser.add_argument("--parts", type=Path, default=Path("../shared/data/parts"))
    parser.add_argument("--members", default=MEMBERS)
    parser.add_argument("--only", default=";".join(ENSEMBLES), help="separated by semicolons")
    parser.add_argument("--ratio", type=float, default=0.1)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--folds", type=int, default=1)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("-c", dest="more", action="append", default=[], type=pair, metavar="K=V")
    options = parser.parse_args(arguments)
    options.parts = options.parts.resolve()
    heading()
    row(*COLUMNS)
    row(*["---"] * len(COLUMNS))
    for data in options.data.split(","):
        _one(data, options)


def pair(text: str) -> list[str]:
    """A knob and its value."""
    return text.split("=", 1)


def drawn_by(data: str, seed: int) -> Path:
    """Where the set is drawn by the seed, once."""
    root, drawn = cache_root() / f"ensembles-{data}-{seed}", drawn_set(data)
    more = {"images": 40, "sites": 1} if data == "loco" else {}
    provide(root, drawn, plan_of(drawn, size=256, seed=seed, **more))
    return root


def _one(data: str, options: argparse.Namespace) -> None:
    """All members and ensembles on one set of images, over all seeds."""
    members = options.members.split(",")
    runs: list[tuple[dict[str, Any], str]] = [({**ALONE, "members": one}, one) for one in members]
    runs += [(ENSEMBLES[one], one) for one in options.only.split(";") if one]
    seen: dict[str, list[dict[str, Seen]]] = {what: [] for _, what in runs}
    cost: dict[str, list[tuple[float, int, int]]] = {what: [] for _, what in runs}
    for seed in range(options.seeds):
        options.drawn = drawn_by(data, seed) if data in DRAWN else None
        here = Set(config_of(data, {}, seed, options))
        for knobs, what in runs:
            config = config_of(data, knobs, seed, options)
            model, seconds, bytes_ = here.learned(config)
            seen[what].append(here.seen(config, model))
            cost[what].append((seconds, sum(bytes_), max(bytes_)))
            if options.json:
                told: dict[str, Any] = {"data": data, "seed": seed, "what": what}
                told["products"] = {name: one.figures for name, one in seen[what][-1].items()}
                told |= {"seconds": seconds, "weights": _weights(config, model)}
                _add(options.json, told)
    for told in table_of(seen, members, redrawn=data not in DRAWN):
        seconds, up, largest = np.mean(cost[told["what"]], axis=0)
        _line(data, told, (f"{seconds:.0f}", f"{up / 1e6:.2f}", f"{largest / 1e6:.2f}"))
        if options.json:
            _add(options.json, {"data": data, **told})


def _line(data: str, told: Mapping[str, Any], cost: Sequence[str]) -> None:
    kinds = [
        " / ".join(f"{told['kinds'][kind][f]:.3f}" for f in JUDGED) if kind in told["kinds"] else ""
        for kind in KINDS
    ]
    less, verdicts = [""] * 4, ["", ""]
    if f"{JUDGED[0]} less best" in told:
        less = [_shown(told[f"{f} less {key}"]) for key in ("best", "median") for f in JUDGED]
        verdicts = ["yes" if passes(told, key) else "no" for key in ("best", "median")]
    shown = [f"{told[name]:.3f}" for name in FIGURES]
    row(data, told["product"], told["what"], *shown, *kinds, *less, *verdicts, *cost)


def _shown(one: Mapping[str, Any]) -> str:
    ends = f" ({one['low']:+.3f} to {one['high']:+.3f})" if not math.isnan(one["low"]) else ""
    return f"{one['value']:+.3f}{ends}"


def _add(path: Path, told: Mapping[str, Any]) -> None:
    with path.open("a") as file:
        file.write(json.dumps(told) + "\n")


def _weights(config: Config, model: Any) -> Any:
    told: dict[str, Any] = method_of(config).describe(model)
    return told.get("weights_by_category", {})


if __name__ == "__main__":
    main()
