"""Every method side by side on one set: figures, bytes, seconds of a processor, rounds.

    python benchmarks/systems.py [--data plants | DIR] [--dataset autovi] [--categories a,b]
        [--methods patchcore,gaussian,...] [--ways federated,isolated,centralised] [--seeds 1]
        [-c KEY=VALUE ...]

The same runs as `fedad compare configs/compare/systems.yaml`, in one process that keeps an image's
features, without pictures, thresholds and tests: for who has no hour. Figures are means over
products, all sites' test images ranked together, with 95 % intervals over redrawn test images;
of several seeds the means of all. MB are of all sites and rounds, as they are sent. Seconds are of
one core and its process: of training, selection and merging at all sites, without the network.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from common import PUBLISHED, heading, row
from learned import Remembered, one_site

from fedad import wire
from fedad.config import Config, read
from fedad.datasets.base import open_dataset
from fedad.judging.findings import Findings
from fedad.methods.base import method_of
from fedad.partition import partition
from fedad.reporting.record import figures_of
from fedad.round import Turn, examine, fit, merge
from fedad.running.overlay import read_knobs
from fedad.types import Site

KEYS = ("image_auroc", "auc_spro_0.05")
METHODS: dict[str, dict[str, Any]] = {  # cheapest first, as in configs/compare/systems.yaml
    "subspace": {},
    "gaussian": {},
    "patchcore": {},
    "coded_patchcore": {},
    "reconpatch": {"reconpatch.rounds": 4},
    "feddymem": {"feddymem.rounds": 4},
    "discriminator": {"discriminator.rounds": 5},
}
WAYS = ("federated", "isolated", "centralised")


class Learned(NamedTuple):
    """What sites that learn together came to."""

    model: Any
    own: Mapping[str, Any]
    up: int  # bytes, of all sites and rounds
    down: int
    seconds: float
    rounds: int


def learned(config: Config, sites: Sequence[Site], embed: Remembered) -> Learned:
    method, turn, local = method_of(config), Turn(), dict[str, Any]()
    embed([sample for site in sites for sample in site.train])  # the network's time is not ours
    up, down, began = 0, 0, time.process_time()
    for _ in method.rounds:
        owns = {name: one.own for name, one in local.items()}
        local = {s.name: fit(config, s, embed, turn, owns.get(s.name)) for s in sites}
        model = merge(config, [one.upload for one in local.values()], turn)
        turn = Turn(turn.number + 1, model)
        up += sum(size_of(one.upload) for one in local.values())
        down += size_of(model) * len(sites)
    own = {name: one.own for name, one in local.items()}
    return Learned(turn.model, own, up, down, time.process_time() - began, len(method.rounds))


def size_of(payload: Any) -> int:
    return sum(wire.sizes(wire.pack(payload)).values())


def judged(
    config: Config, sites: Sequence[Site], embed: Remembered, found: Learned, own: Mapping[str, Any]
) -> dict[str, Findings]:
    return {s.name: examine(config, s, embed, found.model, {}, own=own.get(s.name)) for s in sites}


def run(
    config: Config, sites: Sequence[Site], embed: Remembered, way: str
) -> tuple[Mapping[str, Any], Learned]:
    """The figures of a way of sharing, and what was learned (of isolated sites, by the last)."""
    able = [site for site in sites if site.train]
    if way == "federated":
        found = learned(config, able, embed)
        findings = judged(config, sites, embed, found, found.own)
    elif way == "centralised":
        found = learned(config, [one_site(sites)], embed)
        findings = judged(config, sites, embed, found, {})
    else:
        findings = {}
        for site in able:
            found = learned(config, [site], embed)
            findings |= judged(config, [site], embed, found, found.own)
    return figures_of(findings)["together"]["mean"], found


def cell(values: Sequence[Mapping[str, Any]]) -> str:
    """The mean over seeds of a figure, and of the ends of its interval."""
    value, low, high = (
        np.mean([float(one[key]) for one in values]) for key in ("value", "low", "high")
    )
    return f"{value:.3f} ({low:.3f} to {high:.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default="plants")
    parser.add_argument("--dataset", default="autovi")
    parser.add_argument("--categories", default="")
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--ways", default="federated")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("-c", dest="knobs", action="append", default=[])
    given = parser.parse_args()
    torch.set_num_threads(1)
    heading()
    knobs = {
        **PUBLISHED,
        "embedder.threads": 1,
        "score.replicates": 300,
        "data.categories": given.categories,
    }
    if given.data != "plants":
        knobs |= {"data.dataset": given.dataset, "data.dir": given.data}
    knobs |= read_knobs(given.knobs)
    base = read(knobs)
    sites = partition(open_dataset(base.data), base.data, seed=0)
    embed = Remembered(base)
    row("method", "way", *KEYS, "MB up", "MB down", "CPU s", "rounds")
    row(*["---"] * 8)
    for name in given.methods.split(","):
        for way in given.ways.split(","):
            asked = {**knobs, "round.method": name, **METHODS[name]}
            runs = [
                run(read({**asked, "round.seed": seed}), sites, embed, way)
                for seed in range(given.seeds)
            ]
            figures, found = [cell([told[key] for told, _ in runs]) for key in KEYS], runs[0][1]
            moved = (
                [f"{found.up / 1e6:.2f}", f"{found.down / 1e6:.2f}"]
                if way == "federated"
                else ["", ""]
            )
            seconds = np.mean([one.seconds for _, one in runs])
            row(name, way, *figures, *moved, f"{seconds:.1f}", found.rounds)


if __name__ == "__main__":
    main()
