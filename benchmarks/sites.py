"""5 to 1,000 sites: the server's time and memory, in this process and under `flwr run`.

    python benchmarks/sites.py [--sites 5 20 100 1000] [--flwr 100]

Each site has one good and one test image of its own (one drawn part with noise on top), keeps 204
of its 256 patches and uploads them; the bank has 1,000 rows. The apps are the real ones, over a
Grid in this process that asks one site after the other: the server's time is the whole run's, less
what the sites took to answer. Each count of sites has a process of its own, for its memory. The
first run fills the cache of features, so that sites answer quickly.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from logging import ERROR, getLogger
from pathlib import Path
from typing import Any

import numpy as np
from common import PUBLISHED, Peak, heading, row
from flwr.app import Context, Message
from PIL import Image

from client_app.app import app as client_app
from fedad.banks.bank import Bank
from fedad.config import read
from fedad.datasets.synthetic import synthetic
from fedad.images.pixels import read_image
from fedad.messages.file import load
from fedad.plumbing.files import cache_root
from fedad.plumbing.progress import Bars
from fedad.reporting.run_folder import BANK as BANK_FILE
from fedad.reporting.run_folder import read_record
from fedad.running.launch import launch
from server_app.local_grid import run_locally

SIZE, RATIO, BANK = 128, 0.8, 1000
GROWTH = 100  # the count of sites that a greater one is compared with


def plants(root: Path, sites: int) -> Path:
    """A tree in AutoVI's layout: a good and a test image a site."""
    folder = root / f"{sites}" / "part"
    source = next(s for s in synthetic(cache_root() / "plants").samples if s.is_good)
    drawn = np.asarray(read_image(source.path).resize((SIZE, SIZE)), np.float32)
    rng = np.random.default_rng(0)
    listed = [("file", "site")]
    for k in range(sites):
        for place in ("train/good", "test/good"):
            path = folder / place / f"{k:04d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            noisy = drawn + rng.normal(0, 12, drawn.shape)
            Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(path)
            listed.append((f"{place}/{k:04d}.png", f"site-{k:04d}"))
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

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self, message: Message, context: Context) -> Message:
        began = time.perf_counter()
        reply = client_app(message, context)
        self.seconds += time.perf_counter() - began
        return reply


def in_process(root: Path, sites: int) -> None:
    """One run, its row of the table as JSON."""
    import server_app.local_grid as grid

    getLogger("flwr").setLevel(ERROR)
    watch = Stopwatch()
    grid.client_app = watch
    config = read(knobs(root, sites)).flat()
    began = time.perf_counter()
    with Peak() as peak:
        run_locally(config, sites=sites)
    total = time.perf_counter() - began
    record = read_record(root / f"run-{sites}")
    print(
        json.dumps(
            {
                "sites": sites,
                "total": total,
                "server": total - watch.seconds,
                "merge": record["seconds"]["merge"],
                "memory": peak.above,
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
    parser.add_argument("--sites", type=int, nargs="+", default=[5, 20, 100, 1000])
    parser.add_argument("--flwr", type=int, default=100, help="sites of `flwr run`; 0: none")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        in_process(options.one, options.sites[0])
        return
    heading()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        row("sites", "run s", "server s", "merge s", "server, of 100 sites'", "memory MiB")
        row(*6 * ["---"])
        told: dict[int, dict[str, Any]] = {}
        for sites in options.sites:
            told[sites] = _in_its_own_process(root, sites)
            one = told[sites]
            growth = one["server"] / told[GROWTH]["server"] if GROWTH in told else float("nan")
            seconds = [f"{one[key]:.2f}" for key in ("total", "server", "merge")]
            row(sites, *seconds, f"{growth:.1f}x", f"{one['memory'] / 2**20:.0f}")
        if options.flwr:
            by_flwr(root, options.flwr)


def _in_its_own_process(root: Path, sites: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--one", str(root), "--sites", str(sites)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


if __name__ == "__main__":
    main()
