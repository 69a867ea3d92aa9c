"""What each knob of the embedder and of `patchcore` brings: figures, seconds and bytes.

    python benchmarks/ablation.py [--data plants,pipe_clip,ball_screw,magnetic_tile,metal_plate]
                                  [--parts DIR] [--only "classic;layer2"] [--size 256]
                                  [--ratio .1] [--cold] [--json FILE]

One knob is turned at a time, from PatchCore as published (`patchcore.preset = classic`), in a
federated run over natural sites; rows with `position` say what else they turn. `plants` are the
demo's three drawn plants, `pipe_clip` the clips that are drawn in random pose at three plants;
every other name is a product below `--parts`, real images in AutoVI's layout with natural sites.
Test images of all sites are ranked together, a product each, and of several products it is the
mean. `coreset.local-ratio` is `--ratio`. One run a row: natural sites and farthest-first selection
draw nothing.

Seconds are a processor's, so that a busy machine changes them little: of embedding all images, with
turned copies where there are any, of learning, and of judging the test images, these two with
cached features; thresholds are not set. What is in the cache from an earlier run of the same way to
embed takes no seconds of embedding: `--cold` begins with an empty cache, and measures each way once
a data set. Megabytes are what the sites uploaded, all rounds and sites together. Nothing is chosen
here by test images: the table says what a knob does, no default follows from it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common import heading, row

from fedad.config import Config, read
from fedad.datasets.base import open_dataset
from fedad.drawing.plan import DrawingPlan
from fedad.drawing.provide import provide
from fedad.drawing.random_pose import RANDOM_POSE
from fedad.embedders.embedder import Embedder
from fedad.embedders.turns import copies
from fedad.partition import partition
from fedad.plumbing.files import cache_root
from fedad.reporting.record import figures_of
from fedad.round import examine, learn
from fedad.types import Site

PLANTS, POSED = "plants", "pipe_clip"
FIGURES = ("image_auroc", "pixel_auroc", "auc_spro_0.05")
SECONDS = ("embedding", "learning", "judging")
CUSTOM = {"patchcore.preset": "custom"}
NEAREST = {"score.scoring": "nearest"}
ROWS: dict[str, dict[str, Any]] = {
    "classic": {},
    "layer1,layer2,layer3": {"embedder.layers": "layer1,layer2,layer3"},
    "layer2,layer3,layer4": {"embedder.layers": "layer2,layer3,layer4"},
    "layer2": {"embedder.layers": "layer2"},
    "layer3": {"embedder.layers": "layer3", "embedder.grid": "layer3"},
    "also 384": {"embedder.also": "384"},
    "also 192": {"embedder.also": "192"},
    "384": {"embedder.size": 384},
    "turns 4": {**CUSTOM, "patchcore.turns": 4},
    "turns 8": {**CUSTOM, "patchcore.turns": 8},
    "4 x rows": {"coreset.local-ratio": 0.4},
    "turns 4, 4 x rows": {**CUSTOM, "patchcore.turns": 4, "coreset.local-ratio": 0.4},
    "nearest": NEAREST,
    "neighbours 3": {**NEAREST, "score.neighbours": 3},
    "neighbours 9": {**NEAREST, "score.neighbours": 9},
    "standardise .5": {**CUSTOM, "patchcore.standardise": 0.5},
    "density 1": {**CUSTOM, "patchcore.density": 1.0},
    "smoothed .01": {**CUSTOM, "patchcore.smoothed-maximum": 0.01},
    "position .25": {**CUSTOM, "patchcore.position": 0.25},
    "position .5": {**CUSTOM, "patchcore.position": 0.5},
    "position 1": {**CUSTOM, "patchcore.position": 1.0},
}


def config_of(data: str, knobs: dict[str, Any], options: argparse.Namespace) -> Config:
    """One run."""
    place = {"data.dataset": "autovi", "data.dir": str(options.parts), "data.categories": data}
    if data == PLANTS:
        place = {"data.dataset": "synthetic"}
    if data == POSED:
        drawn = cache_root() / "random_pose"
        provide(drawn, RANDOM_POSE, DrawingPlan())
        place["data.dir"] = str(drawn)
    return read(
        {
            **place,
            "patchcore.preset": "classic",
            "embedder.size": options.size,
            "coreset.local-ratio": options.ratio,
            **knobs,
            "embedder.cache": options.cache,
            "embedder.threads": options.threads,
            "score.replicates": 0,
        }
    )


def embedded(embed: Embedder, sites: Sequence[Site], turns: int) -> float:
    """Seconds of embedding all images of the sites, and their copies, that are not cached."""
    began = time.process_time()
    for site in sites:
        for samples in (site.train, copies(site.train, turns), site.test):
            embed(samples)
    return time.process_time() - began


def measured(config: Config, known: dict[Any, float]) -> dict[str, Any]:
    """The figures of a run, its seconds and the bytes that its sites sent.

    Args:
        known: seconds of embedding, of the data and ways to embed that were measured before.
    """
    sites = partition(open_dataset(config.data), config.data, seed=config.round.seed)
    embed, bytes_ = Embedder(config.embedder), list[int]()
    turns = config.knobs("patchcore").turns
    way = (config.data, config.embedder, turns)
    if way not in known:
        known[way] = embedded(embed, sites, turns)

    def weighed(turn: Any, uploads: Any) -> Any:
        packed = [upload.pack()[0].values() for upload in uploads.values()]
        bytes_.append(sum(array.nbytes for arrays in packed for array in arrays))
        return uploads

    began = time.process_time()
    learned, findings = learn(config, sites, embed, receive=weighed), {}
    trained = time.process_time() - began
    began = time.process_time()
    for site in sites:
        own = learned.own(site.name)
        findings[site.name] = examine(config, site, embed, learned.model, {}, own=own)
    means = figures_of(findings)["together"]["mean"]
    return {
        "figures": {name: means[name]["value"] for name in FIGURES},
        "embedding": known[way],
        "learning": trained,
        "judging": time.process_time() - began,
        "bytes": sum(bytes_),
        "rows": len(learned.model),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the options, and print a table."""
    parser = argparse.ArgumentParser(description="what each knob brings, measured")
    parser.add_argument("--data", default="plants,pipe_clip,ball_screw,magnetic_tile,metal_plate")
    parser.add_argument("--parts", type=Path, default=Path("../shared/data/parts"))
    parser.add_argument("--only", default=";".join(ROWS), help="rows, with semicolons between")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--ratio", type=float, default=0.1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    options.parts = options.parts.resolve()
    with tempfile.TemporaryDirectory() as empty:
        options.cache = empty if options.cold else ""
        table(options)


def table(options: argparse.Namespace) -> None:
    """Print a line for each run."""
    heading()
    columns = ("data", "row", *FIGURES, *SECONDS, "MB up", "rows")
    row(*columns)
    row(*["---"] * len(columns))
    known: dict[Any, float] = {}
    for data in options.data.split(","):
        for name in options.only.split(";"):
            found = measured(config_of(data, ROWS[name], options), known)
            shown = f"{'drawn' if data in (PLANTS, POSED) else 'real'} {data}"
            figures = [f"{found['figures'][key]:.3f}" for key in FIGURES]
            times = [f"{found[key]:.1f}" for key in SECONDS]
            row(shown, name, *figures, *times, f"{found['bytes'] / 1e6:.1f}", found["rows"])
            if options.json:
                told = {"data": data, "row": name, "size": options.size, **found}
                with options.json.open("a") as file:
                    file.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
