"""Methods that learn over rounds, beside banks of the same features.

    python benchmarks/learned.py feddymem   [--rounds 1,5,10,20]     by round, beside banks
    python benchmarks/learned.py parts      [--rounds 1]             with each of its parts off
    python benchmarks/learned.py memory     [--rows 128,512,1024]    by rows of a memory
    python benchmarks/learned.py reconpatch                          beside PatchCore, paired
    python benchmarks/learned.py losses     [--epochs 25]            ReConPatch's, by epoch

    [--data plants | six | DIR] [--categories a,b] [--seeds 2] [-c KEY=VALUE ...]

`plants` are the demo's, drawn; `six` are drawn too: three products of plants and three like MVTec
LOCO's, one a site; DIR is in AutoVI's layout. The sites are natural ones, the package's ImageNet
weights are the network's, and an image goes through it once. Figures are means over products, from
counts, as a run's record has them; KB are of arrays in float32, of a site and round; CPU seconds
are of one thread, of all sites and the server, without the network.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from common import PUBLISHED, heading, row

from fedad.config import Config, read
from fedad.datasets.base import open_dataset
from fedad.drawing.provide import provide
from fedad.drawing.sets import drawn_set, plan_of
from fedad.embedders.embedder import Embedder
from fedad.methods.base import method_of
from fedad.partition import partition
from fedad.plumbing.files import cache_root
from fedad.reporting.record import figures_of
from fedad.round import Turn, examine, fit, merge
from fedad.running.overlay import read_knobs
from fedad.types import Features, Fingerprint, Sample, Site
from fedad.yardsticks import ALL

KEYS = ("image_auroc", "pixel_auroc", "auc_spro_0.05")
ALONE = 16  # images that go through the network at a time
ROWS = 1024


class Remembered:
    """An embedder that keeps all features in memory."""

    def __init__(self, config: Config) -> None:
        self.embedder, self.grids = Embedder(config.embedder), dict[str, np.ndarray]()

    @property
    def fingerprint(self) -> Fingerprint:
        return self.embedder.fingerprint

    def __call__(self, samples: Sequence[Sample]) -> Features:
        new = [sample for sample in samples if str(sample.path) not in self.grids]
        for at in range(0, len(new), ALONE):
            some = new[at : at + ALONE]
            for sample, grid in zip(some, self.embedder(some).grid, strict=True):
                self.grids[str(sample.path)] = grid
        return Features(
            np.stack([self.grids[str(sample.path)] for sample in samples]),
            tuple(sample.category for sample in samples),
            tuple(sample.name for sample in samples),
            self.fingerprint,
        )


class World(NamedTuple):
    """Sites and what all of a benchmark's runs have in common."""

    name: str
    knobs: Mapping[str, Any]
    sites: tuple[Site, ...]
    embed: Remembered

    def config(self, method: str, seed: int, more: Mapping[str, Any]) -> Config:
        return read({**self.knobs, "round.method": method, "round.seed": seed, **more})


class Found(NamedTuple):
    """Figures after a round, what a site sends and gets in it, and how long all took so far."""

    round: int
    figures: tuple[float, ...]
    up: float  # KB
    down: float
    seconds: float
    model: Any


def world_of(data: str, categories: str) -> World:
    knobs = {"score.replicates": 0, "embedder.threads": 1, "data.categories": categories}
    knobs = {**PUBLISHED, **knobs}
    if data == "six":
        roots = [cache_root() / "plants", cache_root() / "learned-loco"]
        plans = plan_of(drawn_set("plants")), plan_of(drawn_set("loco"), images=24, sites=1)
        for root, drawn, plan in zip(roots, ("plants", "loco"), plans, strict=True):
            provide(root, drawn_set(drawn), plan)
        knobs |= {
            "data.dataset": "auto",
            "data.dir": ",".join(map(str, roots)),
            "data.partition": "category",
        }
    elif data != "plants":
        knobs |= {"data.dataset": "autovi", "data.dir": data}
    config = read(knobs)
    sites = partition(open_dataset(config.data), config.data, seed=0)
    return World(data, knobs, sites, Remembered(config))


def one_site(sites: Sequence[Site]) -> Site:
    """All of them as one."""
    train = (sample for site in sites for sample in site.train)
    return Site(ALL, tuple(sorted(train, key=lambda sample: sample.name)), ())


def rounds_of(
    config: Config, world: World, *, central: bool = False, at: Sequence[int] = ()
) -> Iterator[Found]:
    """What comes of a run after some of its rounds; after the last one if none are named."""
    learning = [one_site(world.sites)] if central else [s for s in world.sites if s.train]
    method, turn, local, seconds = method_of(config), Turn(), dict[str, Any](), 0.0
    for number in range(1, len(method.rounds) + 1):
        began = time.process_time()
        local = {
            s.name: fit(config, s, world.embed, turn, getattr(local.get(s.name), "own", None))
            for s in learning
        }
        model = merge(config, [one.upload for one in local.values()], turn)
        turn = Turn(turn.number + 1, model)
        seconds += time.process_time() - began
        if number in (at or (len(method.rounds),)):
            up = max(kilobytes(one.upload) for one in local.values())
            owns = {name: one.own for name, one in local.items()}
            figures = judged(config, world, model, {} if central else owns)
            yield Found(number, figures, up, kilobytes(model), seconds, model)


def judged(config: Config, world: World, model: Any, own: Mapping[str, Any]) -> tuple[float, ...]:
    findings = {
        site.name: examine(config, site, world.embed, model, {}, own=own.get(site.name))
        for site in world.sites
    }
    told = figures_of(findings)["together"]["mean"]
    return tuple(float(told[key]["value"]) for key in KEYS)


def kilobytes(payload: Any) -> float:
    return sum(array.nbytes for array in payload.pack()[0].values()) / 1000


def table(*columns: str) -> None:
    print()
    row(*columns)
    row(*["---"] * len(columns))


def cells(figures: Sequence[Sequence[float]]) -> list[str]:
    """Means over seeds; with more than one also the lowest and the highest."""
    found = np.array(figures)
    if len(found) == 1:
        return [f"{value:.3f}" for value in found[0]]
    parts = zip(found.mean(0), found.min(0), found.max(0), strict=True)
    return [f"{mean:.3f} ({low:.3f} - {high:.3f})" for mean, low, high in parts]


def shown(name: str, every: Sequence[Found]) -> None:
    """A line of the table: the same run with each seed."""
    one = every[0]
    row(
        name,
        *cells([found.figures for found in every]),
        f"{one.up:,.0f}",
        f"{one.down:,.0f}",
        f"{np.mean([found.seconds for found in every]):.0f}",
    )


def pairs_of(world: World) -> int:
    return sum(len({s.category for s in site.train}) for site in world.sites)


def plain(world: World, rows: int) -> dict[str, Any]:
    """Knobs of a PatchCore whose sites send so many rows a product on average, and whose bank has
    so many a product."""
    images = sum(len(site.train) for site in world.sites)
    patches = images * world.embed.fingerprint.patches
    products = len({s.category for site in world.sites for s in site.train})
    return {
        **PLAIN,
        "coreset.local-ratio": min(1.0, (rows + 1) * pairs_of(world) / patches),
        "bank.size": rows * products,
    }


PLAIN = {"score.scoring": "nearest", "patchcore.preset": "classic"}


def banks(world: World, rows: int) -> None:
    """The yardsticks: all features' PatchCore, and coresets of as many rows as a memory."""
    config = world.config("patchcore", 0, PLAIN)
    shown("PatchCore, 10 %, centralised", [*rounds_of(config, world, central=True)])
    config = world.config("patchcore", 0, plain(world, rows))
    shown(f"k-center, {rows:,} rows, federated", [*rounds_of(config, world)])


def feddymem(world: World, given: argparse.Namespace, more: Mapping[str, Any]) -> None:
    table("FedDyMem", *KEYS, "KB up", "KB down", "CPU s")
    banks(world, int(more.get("feddymem.rows", ROWS)))
    wanted = [1 + number for number in given.rounds]
    found: dict[int, list[Found]] = {}
    for seed in range(given.seeds):
        config = world.config("feddymem", seed, {"feddymem.rounds": max(given.rounds), **more})
        for one in rounds_of(config, world, at=wanted):
            found.setdefault(one.round, []).append(one)
    for number, every in found.items():
        shown(f"after {number - 1} rounds", every)


OFF = {
    "all on": {},
    "no metric loss": {"feddymem.metric": False},
    "memory stands still": {"feddymem.dynamic": False},
    "single patches sent": {"feddymem.reduce": False},
    "joined by k-center": {"feddymem.join": "kcenter"},
    "joined by a draw": {"feddymem.join": "uniform"},
    "all four off": {
        "feddymem.metric": False,
        "feddymem.dynamic": False,
        "feddymem.reduce": False,
        "feddymem.join": "kcenter",
    },
    "generator of the seed": {"feddymem.generator": "seed"},
    "generator of moments": {"feddymem.generator": "moments"},
    "no shift": {"feddymem.lift": 0.0},
    "own patches too": {"feddymem.own": True},
}


def parts(world: World, given: argparse.Namespace, more: Mapping[str, Any]) -> None:
    table(f"FedDyMem, {given.rounds[0]} rounds", *KEYS, "KB up", "KB down", "CPU s")
    for name, knobs in OFF.items():
        wanted = {"feddymem.rounds": given.rounds[0], **more, **knobs}
        seeds = [world.config("feddymem", seed, wanted) for seed in range(given.seeds)]
        shown(name, [found for config in seeds for found in rounds_of(config, world)])


def memory(world: World, given: argparse.Namespace, more: Mapping[str, Any]) -> None:
    table(f"FedDyMem, {given.rounds[0]} rounds", *KEYS, "KB up", "KB down", "CPU s")
    for rows in given.rows:
        wanted = {"feddymem.rounds": given.rounds[0], **more, "feddymem.rows": rows}
        seeds = [world.config("feddymem", seed, wanted) for seed in range(given.seeds)]
        shown(f"{rows:,} rows", [found for config in seeds for found in rounds_of(config, world)])


def reconpatch(world: World, given: argparse.Namespace, more: Mapping[str, Any]) -> None:
    """Each seed draws the first maps and the batches anew; PatchCore has none, and one row."""
    table("ReConPatch", *KEYS, "KB up", "KB down", "CPU s")
    ways = {"federated": False, "centralised": True}
    known = {}
    for way, central in ways.items():
        config = world.config("patchcore", 0, PLAIN)
        known[way] = [*rounds_of(config, world, central=central)]
        shown(f"PatchCore, {way}", known[way])
    learned: dict[str, list[Found]] = {}
    for way, central in ways.items():
        configs = [world.config("reconpatch", s, {**PLAIN, **more}) for s in range(given.seeds)]
        learned[way] = [f for one in configs for f in rounds_of(one, world, central=central)]
        shown(f"ReConPatch, {way}", learned[way])
    table("difference", *KEYS)
    for way in ways:
        base = np.array(known[way][0].figures)
        row(
            f"ReConPatch - PatchCore, {way}", *differences([f.figures - base for f in learned[way]])
        )
    gaps = [
        np.subtract(one.figures, other.figures)
        for one, other in zip(learned["federated"], learned["centralised"], strict=True)
    ]
    row("federated - centralised", *differences(gaps))


def differences(found: Sequence[np.ndarray]) -> list[str]:
    """Means over seeds, with the lowest and the highest."""
    parts = zip(np.mean(found, 0), np.min(found, 0), np.max(found, 0), strict=True)
    return [f"{mean:+.3f} ({low:+.3f} to {high:+.3f})" for mean, low, high in parts]


def losses(world: World, given: argparse.Namespace, more: Mapping[str, Any]) -> None:
    """One site with everything; an epoch is a step for each batch of all patches, and a fifth of
    the good images is held out. Losses are means over products of means over batches."""
    from fedad.methods._contrast import loss_of

    config = world.config("reconpatch", 0, {**PLAIN, **more})
    knobs, rng = config.knobs("reconpatch"), np.random.default_rng(0)
    products: dict[str, list[Sample]] = {}
    for sample in one_site(world.sites).train:
        products.setdefault(sample.category, []).append(sample)
    held, kept = list[Sample](), list[Sample]()
    for samples in products.values():
        order = [samples[k] for k in rng.permutation(len(samples))]
        held += order[: max(1, len(order) // 5)]
        kept += order[max(1, len(order) // 5) :]
    site = Site(ALL, tuple(sorted(kept, key=lambda sample: sample.name)), ())
    steps = max(
        1, round(len(kept) / len(products)) * world.embed.fingerprint.patches // knobs.batch
    )
    config = read({**config.flat(), "reconpatch.steps": steps, "reconpatch.rounds": given.epochs})
    table("epoch", "train loss", "validation loss", "ratio", *KEYS)

    def mean_loss(maps: Any, samples: Sequence[Sample]) -> float:
        found = []
        for name in products:
            points = world.embed([s for s in samples if s.category == name]).patches
            at = maps.categories.index(name)
            some = np.random.default_rng(1).permutation(len(points))[: 4 * knobs.batch]
            pair = maps.modulation[at], maps.projection[at]
            batches = np.array_split(points[some], max(1, len(some) // knobs.batch))
            found.append(np.mean([loss_of(batch, pair, knobs) for batch in batches]))
        return float(np.mean(found))

    method, turn = method_of(config), Turn()
    for epoch in range(1, given.epochs + 1):
        turn = Turn(epoch + 1, merge(config, [fit(config, site, world.embed, turn).upload], turn))
        train, validation = mean_loss(turn.model, kept), mean_loss(turn.model, held)
        figures = ["", "", ""]
        if epoch in (1, given.epochs):
            last = Turn(len(method.rounds), turn.model)
            bank = merge(config, [fit(config, site, world.embed, last).upload], last)
            figures = cells([judged(config, world, bank, {})])
        ratio = validation / train
        row(epoch, f"{train:.4f}", f"{validation:.4f}", f"{ratio:.4f}", *figures)


TABLES = {
    "feddymem": feddymem,
    "parts": parts,
    "memory": memory,
    "reconpatch": reconpatch,
    "losses": losses,
}


def numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table", choices=TABLES)
    parser.add_argument("--data", default="plants")
    parser.add_argument("--categories", default="")
    parser.add_argument("--rounds", type=numbers, default=[1])
    parser.add_argument("--rows", type=numbers, default=[128, 512, 1024, 2048, 4096])
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("-c", dest="knobs", action="append", default=[])
    given = parser.parse_args()
    torch.set_num_threads(1)
    heading()
    world = world_of(given.data, given.categories)
    drawn = given.data in ("plants", "six")
    print(f"{'drawn' if drawn else 'real'} data, {len(world.sites)} sites, {given.seeds} seeds")
    TABLES[given.table](world, given, read_knobs(given.knobs))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"\nat most {peak:.2f} GB in memory, all sites and the network in one process")


if __name__ == "__main__":
    main()
