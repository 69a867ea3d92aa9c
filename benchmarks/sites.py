"""10 to 1,000 sites: the server's time and memory, in this process and under `flwr run`.

    python benchmarks/sites.py [--sites 10 100 1000] [--flwr 100] [--copies]

Each site has one good and one test image of its own (one drawn part with noise on top), keeps 204
of its 256 patches and uploads them; the bank has 1,000 rows. The apps are the real ones, over a
Grid in this process that asks one site after the other: the server's time is that of the processor
in the whole run, less what the sites took to answer. Each count of sites has a process of its own,
for its memory. The first run fills the cache of features, so that sites answer quickly; the folder
that all of these sites share is read once, where each real one reads its own.

With `--copies` only the first site computes, and all others send what it sent, under their own
names and with noise on their rows: the server's part alone, which is the same.

`grew` is how much more memory the process held at the end of each stage than when it began.
"""

from __future__ import annotations

import argparse
import csv
import gc
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from logging import ERROR, getLogger
from pathlib import Path
from typing import Any

import numpy as np
from common import PUBLISHED, Peak, heading, resident, row
from flwr.app import Context, Message, RecordDict
from PIL import Image

import client_app.site
from client_app.app import app as answers
from client_app.sealed import run_key
from fedad import wire
from fedad.banks.bank import Bank
from fedad.config import read
from fedad.datasets.synthetic import synthetic
from fedad.images.pixels import read_image
from fedad.messages.envelope import HELLO, TRAIN
from fedad.messages.file import load
from fedad.plumbing.files import cache_root
from fedad.plumbing.progress import Bars
from fedad.reporting.run_folder import BANK as BANK_FILE
from fedad.reporting.run_folder import read_record
from fedad.running.launch import launch
from server_app.kept import Kept
from server_app.local_grid import run_locally

SIZE, RATIO, BANK = 128, 0.8, 1000
GROWTH = 100  # the count of sites that a greater one is compared with


def plants(root: Path, sites: int, images: int = 1) -> Path:
    """A tree in AutoVI's layout: so many good images and a test image a site."""
    folder = root / f"{sites}" / "part"
    source = next(s for s in synthetic(cache_root() / "plants").samples if s.is_good)
    drawn = np.asarray(read_image(source.path).resize((SIZE, SIZE)), np.float32)
    rng = np.random.default_rng(0)
    listed = [("file", "site")]
    for k in range(sites):
        good = [f"train/good/{k * images + i:04d}.png" for i in range(images)]
        for name in (*good, f"test/good/{k:04d}.png"):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            noisy = drawn + rng.normal(0, 12, drawn.shape)
            Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(path)
            listed.append((name, f"site-{k:04d}"))
    with (folder / "sites.csv").open("w", newline="") as file:
        csv.writer(file).writerows(listed)
    (folder / "defects_config.json").write_text("[]")
    return folder.parent


def knobs(root: Path, sites: int) -> dict[str, Any]:
    return {
        **PUBLISHED,
        "data.dataset": "autovi",
        "data.dir": str(plants(root, sites)),
        "data.sites": sites,
        "embedder.size": SIZE,
        "embedder.batch": 1,
        "embedder.threads": 1,
        "embedder.cache": str(root / "cache"),
        "coreset.local-ratio": RATIO,
        "bank.size": BANK,
        "round.out": str(root / f"run-{sites}"),
    }


class Stopwatch:
    """The client app, and the seconds that it took in all."""

    def __init__(self, answer: Callable[[Message, Context], Message]) -> None:
        self.answer, self.seconds = answer, 0.0

    def __call__(self, message: Message, context: Context) -> Message:
        began = time.process_time()
        reply = self.answer(message, context)
        self.seconds += time.process_time() - began
        return reply


class Copies:
    """Sites that answer as the first one does, each under its own name and with noise of its own on
    its rows: what a server has to do for ten thousand, where so many networks would take hours."""

    def __init__(self) -> None:
        self.said: dict[tuple[int, str], RecordDict] = {}  # by run, and what was asked

    def __call__(self, message: Message, context: Context) -> Message:
        stage = {"query": HELLO}.get(message.metadata.message_type, message.metadata.message_type)
        asked = (context.run_id, stage)
        if asked not in self.said:
            self.said[asked] = answers(message, _alone(context)).content
        number = int(context.node_config["partition-id"])
        name = f"site-{number:04d}"
        content = RecordDict({k: v for k, v in self.said[asked].items() if k != wire.SITE})
        if stage == TRAIN:
            bank = wire.unpack(content, Bank)
            noise = np.random.default_rng(number).normal(size=bank.rows.shape)
            rows = bank.rows + 0.05 * bank.rows.std(0) * noise.astype(np.float32)
            content.update(wire.pack(bank.replace(rows=rows).sealed(name, bank.dtype)))
        wire.bind(content, name, run_key(message), stage, [Bank])
        return Message(content, reply_to=message)


def _alone(context: Context) -> Context:
    """The same node, the only one of its federation."""
    config = {**context.run_config, "data.sites": 1}
    place = {"partition-id": 0, "num-partitions": 1}
    return Context(context.run_id, context.node_id, place, RecordDict(), config)


def by_folder(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same answer to all who ask it of one folder, which the last of its words names."""
    found: dict[str, Any] = {}

    def answer(*words: Any, **more: Any) -> Any:
        folder = words[-1].dir
        if folder not in found:
            found[folder] = function(*words, **more)
        return found[folder]

    return answer


def read_once() -> None:
    """Let all sites of this process share what one has read of their folder."""
    for name in ("open_dataset", "partition"):
        setattr(client_app.site, name, by_folder(getattr(client_app.site, name)))


class Stages:
    """How much memory the process held, above what it held before, when each stage began."""

    def __init__(self) -> None:
        self.before, self.began = resident(), dict[str, int]()

    def note(self, kept: Kept, event: str, **told: Any) -> None:
        """In the place of `Kept.note`."""
        if event in ("stage", "finished"):
            gc.collect()
            self.began[str(told.get("stage", event))] = resident() - self.before
        if kept.journal:
            kept.journal.note(event, **told)

    def grew(self) -> dict[str, int]:
        """Bytes more at the end of each stage than at its beginning."""
        return {
            one: after - self.began[one]
            for one, after in zip(self.began, [*self.began.values()][1:], strict=False)
        }


def in_process(root: Path, sites: int, copies: bool = False) -> None:
    """One run, its row of the table as JSON."""
    import server_app.local_grid as grid

    getLogger("flwr").setLevel(ERROR)
    read_once()
    watch = Stopwatch(Copies() if copies else answers)
    grid.client_app = watch
    config = read({**knobs(root, 1 if copies else sites), "data.sites": sites}).flat()
    config["round.out"] = str(root / f"run-{sites}")
    began, spent = time.perf_counter(), time.process_time()
    with Peak() as peak:
        stages = Stages()

        def note(kept: Kept, event: str, **told: Any) -> None:
            stages.note(kept, event, **told)

        Kept.note = note  # type: ignore[method-assign]
        run_locally(config, sites=sites)
    total, spent = time.perf_counter() - began, time.process_time() - spent
    record = read_record(root / f"run-{sites}")
    print(
        json.dumps(
            {
                "sites": sites,
                "total": total,
                "server": spent - watch.seconds,
                "merge": record["seconds"]["merge"],
                "memory": peak.above,
                "grew": stages.grew(),
            }
        )
    )


def by_flwr(root: Path, sites: int) -> None:
    began = time.perf_counter()
    folder = launch(
        read({**knobs(root, sites), "round.out": ""}),
        via="flwr",
        root=root / "runs",
        with_yardsticks=False,
        sink=Bars(),
    )
    one, other = (load(run / BANK_FILE, Bank) for run in (folder, root / f"run-{sites}"))
    same = np.array_equal(one.rows, other.rows) and np.array_equal(one.site, other.site)
    print(
        f"\n{sites} sites by flwr run (Ray): {time.perf_counter() - began:.0f} s wall, "
        f"{'the same bank' if same else 'ANOTHER BANK'} as in this process"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sites", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--flwr", type=int, default=100, help="sites of `flwr run`; 0: none")
    parser.add_argument("--copies", action="store_true", help="one site computes, for all")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        in_process(options.one, options.sites[0], options.copies)
        return
    heading()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        row(
            "sites",
            "run s",
            "server s",
            "merge s",
            "server, of 100 sites'",
            "memory MiB",
            "grew MiB",
        )
        row(*7 * ["---"])
        told: dict[int, dict[str, Any]] = {}
        for sites in options.sites:
            told[sites] = _in_its_own_process(root, sites, options.copies)
            one = told[sites]
            growth = f"{one['server'] / told[GROWTH]['server']:.1f}x" if GROWTH in told else ""
            seconds = [f"{one[key]:.2f}" for key in ("total", "server", "merge")]
            grew = ", ".join(f"{stage} {n / 2**20:.0f}" for stage, n in one["grew"].items())
            row(sites, *seconds, growth, f"{one['memory'] / 2**20:.0f}", grew)
        if options.flwr and not options.copies:
            by_flwr(root, options.flwr)


def _in_its_own_process(root: Path, sites: int, copies: bool) -> dict[str, Any]:
    command = [sys.executable, __file__, "--one", str(root), "--sites", str(sites)]
    command += ["--copies"] * copies
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


if __name__ == "__main__":
    main()
