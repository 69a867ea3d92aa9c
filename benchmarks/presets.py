"""The presets and knobs of `patchcore`: figures, seconds and bytes, over sites.

    python benchmarks/presets.py [--data plants,ball_screw] [--parts DIR] [--size 256] [--rows 0]
                                 [--ratio .1] [--only classic,position] [--seeds 1] [--cold]
                                 [--json FILE]
    python benchmarks/presets.py --choose [--data plants,ball_screw] [--parts DIR] [--size 256]

`plants` are the demo's three drawn plants, drawn anew with each seed; names of other drawn sets
(`loco`, `cloth`, `random_pose`, ...) are those, 40 good images of a product, at one site; every
other name is a product below `--parts`, real images in AutoVI's layout with natural sites
(`sites.csv`). `default` is as fedad is shipped, whatever `--size` and `--ratio` say, and `classic`
PatchCore as published, at 256 pixels with a tenth of all patches; `published` is that at `--size`
and `--ratio`. Figures are federated: test images of all sites are ranked together, a product each,
and of several products it is the mean. `bank.size` is `--rows` a product, 0 is as many as
`coreset.local-ratio`, `--ratio`, is of the patches: at 384 pixels, with 2.25 times the patches,
.0444 keeps as many rows of an image as .1 at 256.

Seconds are a processor's, so that a busy machine changes them little, of learning and of judging
the test images; thresholds are not set. Features are cached, so that they are those of a run whose
images were embedded before; with `--cold` every run embeds them itself. Bytes are what the sites
uploaded, all rounds and sites together.

**The rule for the shipped default.** The choice is between `classic`, the fixed preset `position`
and `auto`. Each is judged by separation on held-out good images and synthetic defects alone, as
`auto` counts it (`methods/_presets.py`), in two draws of images and defects: what `auto` chooses by
one is judged by the other, or it would win by being chosen. The mean over products and draws
decides, and of equal ones, to .005, the one that stands earlier in this list. `--choose` prints it;
it opens no test image.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from common import PUBLISHED, heading, row

from fedad.banks.measured import in_place
from fedad.config import Config, read
from fedad.datasets.base import open_dataset
from fedad.descriptors.settings import evidence_of
from fedad.drawing.provide import provide
from fedad.drawing.sets import SETS, drawn_set, plan_of
from fedad.embedders.embedder import Embedder
from fedad.methods._presets import CANDIDATES, chosen
from fedad.partition import one_site, partition
from fedad.plumbing.files import cache_root
from fedad.reporting.record import figures_of
from fedad.round import examine, fit, learn, merge

DRAWN = "plants"
PRODUCTS = 3  # that are drawn there
SIZES = ("embedder.size", "coreset.local-ratio")
FIGURES = ("image_auroc", "pixel_auroc", "auc_spro_0.05")
TREATMENTS: dict[str, dict[str, Any]] = {
    "default": {},
    "classic": {**PUBLISHED},
    "published": {"patchcore.preset": "classic"},
    "position": {"patchcore.preset": "position"},
    "auto": {"patchcore.preset": "auto"},
    "position .25": {"patchcore.position": 0.25},
    "position 1": {"patchcore.position": 1.0},
    "standardise .5": {"patchcore.standardise": 0.5},
    "standardise 1": {"patchcore.standardise": 1.0},
    "density .5": {"patchcore.density": 0.5},
    "density 1": {"patchcore.density": 1.0},
    "position + density .5": {"patchcore.position": 0.5, "patchcore.density": 0.5},
    "position + standardise 1": {"patchcore.position": 0.5, "patchcore.standardise": 1.0},
    "smoothed .003": {"patchcore.smoothed-maximum": 0.003},
    "smoothed .01": {"patchcore.smoothed-maximum": 0.01},
}


def config_of(data: str, treatment: str, seed: int, options: argparse.Namespace) -> Config:
    """One run."""
    knobs = {**TREATMENTS[treatment]}
    if knobs and "patchcore.preset" not in knobs:
        knobs["patchcore.preset"] = "custom"
    if treatment != "default":
        knobs = {**dict(zip(SIZES, (options.size, options.ratio), strict=True)), **knobs}
    return read(
        {
            **_place(data, seed, options),
            **knobs,
            "embedder.threads": options.threads,
            "bank.size": options.rows * (PRODUCTS if data == DRAWN else 1),
            "round.seed": seed,
            "score.replicates": 0,
        }
    )


def _place(data: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Where its images are; drawn ones are drawn anew for each seed."""
    if data == DRAWN or data in SETS:
        drawn, root = drawn_set(data), cache_root() / "presets" / f"{data}-{seed}"
        more = {} if data == DRAWN else {"images": 40, "sites": 1}
        provide(root, drawn, plan_of(drawn, seed=seed, **more))
        return {"data.dataset": drawn.layout, "data.dir": str(root)}
    return {"data.dataset": "autovi", "data.dir": str(options.parts), "data.categories": data}


def measured(config: Config, *, alone: bool) -> dict[str, Any]:
    """The figures of a run, its seconds and bytes, and what its bank says of its choice.

    Args:
        alone: one site has all images.
    """
    dataset = open_dataset(config.data)
    sites = partition(dataset, config.data, seed=config.round.seed)
    if alone:
        sites = [one_site("all", dataset, config.data, seed=config.round.seed)]
    embed, bytes_ = Embedder(config.embedder), list[int]()

    def weighed(turn: Any, uploads: Any) -> Any:
        packed = [upload.pack()[0].values() for upload in uploads.values()]
        bytes_.append(sum(array.nbytes for arrays in packed for array in arrays))
        return uploads

    began = time.process_time()
    learned, findings = learn(config, sites, embed, receive=weighed), {}
    trained = time.process_time() - began
    for site in sites:
        own = learned.own(site.name)
        findings[site.name] = examine(config, site, embed, learned.model, {}, own=own)
    figures = figures_of(findings)["together"]
    return {
        "figures": {name: figures["mean"][name]["value"] for name in FIGURES},
        "by product": {
            product: {name: told["figures"][name]["value"] for name in FIGURES}
            for product, told in figures["categories"].items()
        },
        "seconds": time.process_time() - began,
        "learning": trained,
        "bytes": sum(bytes_),
        "rows": len(learned.model),
        "in place": in_place(learned.model),
        "evidence": evidence_of(learned.model.fingerprint),
    }


def separations(evidence: dict[str, Any]) -> dict[str, float]:
    """The mean over products of the separation of each candidate, and of the chosen ones."""
    told = [one for one in evidence.values() if "separation" in one]
    if not told:
        return {}
    found = {name: float(np.mean([one["separation"][name] for one in told])) for name in CANDIDATES}
    chosen = float(np.mean([one["separation"][one["chosen"]] for one in told]))
    return {**found, "as auto chose": chosen}


def choose(data: Sequence[str], options: argparse.Namespace) -> None:
    """Print what the rule for the default says of these data."""
    totals: dict[str, list[float]] = {"classic": [], "position": [], "auto": []}
    row("data", "product", "draw", "in place", "auto", *CANDIDATES)
    row(*["---"] * (5 + len(CANDIDATES)))
    for name in data:
        draws = []
        for seed in range(2):
            config = config_of(name, "auto", seed, options)
            sites = partition(open_dataset(config.data), config.data, seed=seed)
            embed = Embedder(config.embedder)
            evidence = merge(config, [fit(config, s, embed).upload for s in sites if s.train])
            draws.append({one: chosen(evidence.of(one)).told for one in evidence.categories})
            for product, told in draws[-1].items():
                separation = [f"{value:.4f}" for value in told["separation"].values()]
                place = told["in their own place"]
                row(name, product, seed, f"{place:.3f}", told["chosen"], *separation)
        for here, there in (draws, draws[::-1]):
            for product in here:
                separation = there[product]["separation"]
                totals["classic"].append(separation["classic"])
                totals["position"].append(separation["position"])
                totals["auto"].append(separation[here[product]["chosen"]])
    for name, values in totals.items():
        print(f"mean separation of {name}: {np.mean(values):.4f}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line of a table for each run."""
    parser = argparse.ArgumentParser(description="presets and knobs of patchcore, measured")
    parser.add_argument("--data", default="plants,ball_screw,magnetic_tile,metal_plate")
    parser.add_argument("--parts", type=Path, default=Path("../shared/data/parts"))
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--rows", type=int, default=0)
    parser.add_argument("--ratio", type=float, default=0.1)
    parser.add_argument("--only", default=",".join(TREATMENTS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--choose", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    options.parts = options.parts.resolve()
    heading()
    if options.choose:
        choose(options.data.split(","), options)
        return
    columns = ("data", "px", "treatment", "seed", *FIGURES, "CPU s", "learning", "kB up", "rows")
    row(*columns)
    row(*["---"] * len(columns))
    for data in options.data.split(","):
        for seed in range(options.seeds):
            for treatment in options.only.split(","):
                config = config_of(data, treatment, seed, options)
                with ExitStack() as stack:
                    if options.cold:
                        cache = stack.enter_context(tempfile.TemporaryDirectory())
                        config = read({**config.flat(), "embedder.cache": cache})
                    found = measured(config, alone=data in SETS and data != DRAWN)
                shown = f"drawn {data}" if data in SETS else f"real {data}"
                figures = [f"{found['figures'][name]:.3f}" for name in FIGURES]
                times = [f"{found[name]:.1f}" for name in ("seconds", "learning")]
                kilobytes, rows = round(found["bytes"] / 1000), found["rows"]
                row(shown, config.embedder.size, treatment, seed, *figures, *times, kilobytes, rows)
                for product, told in sorted(found["by product"].items()):
                    figures = " ".join(f"{told[name]:.3f}" for name in FIGURES)
                    place = found["in place"].get(product)
                    print(f"    {product}: {figures}, in place {place}", flush=True)
                for product, told in sorted(found["evidence"].items()):
                    print(f"    {product or 'all'}: {json.dumps(told)}", flush=True)
                for name, value in separations(found["evidence"]).items():
                    print(f"    separation {name}: {value:.4f}", flush=True)
                if options.json:
                    about = {"data": data, "size": options.size, "treatment": treatment}
                    with options.json.open("a") as file:
                        file.write(json.dumps({**about, "seed": seed, **found}) + "\n")


if __name__ == "__main__":
    main()
