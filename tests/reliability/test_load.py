"""R6 and R7: a thousand sites, and how much memory the server takes.

Each figure is of a process of its own, which says how much memory it had at the most.
"""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fedad.config import read
from fedad.datasets.base import open_dataset
from fedad.partition import partition
from fedad.plumbing.progress import Files
from fedad.reporting.run_folder import RECORD
from fedad.running.launch import run_in
from tests.conftest import save
from tests.reliability.memory import Watch

pytestmark = pytest.mark.reliability
ROOT = Path(__file__).parents[2]
GB, MB = 2**30, 2**20
MANY, SOME, ROWS = 1000, 100, 200


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A thousand sites with one good image to learn from, and one to judge."""
    root = tmp_path_factory.mktemp("many")
    rng, lines = np.random.default_rng(0), ["file,site"]
    for number in range(MANY):
        for split in ("train", "test"):
            name = f"{split}/good/{number:04d}.png"
            save(root / "bolt" / name, rng.integers(0, 255, (32, 32, 3), np.uint8))
            lines.append(f"{name},site-{number:04d}")
    (root / "bolt" / "sites.csv").write_text("\n".join(lines) + "\n")
    (root / "bolt" / "defects_config.json").write_text("[]")
    return root


@pytest.fixture(scope="module")
def load(knobs, many):
    """Banks of 200 rows a site: of 256 patches each."""
    return {
        **knobs,
        "data.dir": str(many),
        "embedder.size": 128,
        "embedder.cache": "off",
        "coreset.local-ratio": (ROWS + 0.5) / 256,
        "bank.size": 1000,
        "score.replicates": 0,
    }


# The whole run in one process. A thousand sites need not read the same folder and the same bank's
# scale a thousand times; all that the server does is as it is.
LOCAL = """
import json, resource, sys
import client_app.site as site
import fedad.methods.patchcore as patchcore
from fedad.config import read
from server_app.local_grid import run_locally

def once(function):
    found = []
    return lambda *_, **__: found[0] if found else found.append(function(*_, **__)) or found[0]

knobs = json.loads(sys.argv[1])
site.read, site.open_dataset = once(site.read), once(site.open_dataset)
site.partition, patchcore.scale_of = once(site.partition), once(patchcore.scale_of)
run_locally(knobs, sites=int(sys.argv[2]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def last_numbers(code, *words):
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=3000,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [int(word) for word in done.stdout.split()[-3:] if word.isdigit()]


def check_record(folder, sites):
    record = json.loads((folder / RECORD).read_text())
    assert record["missing"] == {}
    assert len(record["sites"]) == sites
    assert record["model"]["rows"] == 1000
    return record


def test_1000_sites_in_one_process(load, figure, tmp_path):
    knobs = {**load, "data.sites": MANY, "round.out": str(tmp_path)}
    (peak,) = last_numbers(LOCAL, json.dumps(knobs), str(MANY))
    check_record(tmp_path, MANY)
    assert peak <= 2 * GB
    figure("R6 1,000 sites of 200 rows, server and sites", "at most 2 GB", f"{peak / GB:.2f} GB")


def test_100_sites_through_flwr_run(load, figure, tmp_path):
    config = read({**load, "data.partition": "iid", "data.sites": SOME})
    dataset = open_dataset(config.data)
    few = replace(dataset, samples=tuple(s for s in dataset.samples if int(s.path.stem) < SOME))
    folder = tmp_path / "few"
    for sample in few.samples:
        target = folder / sample.path.relative_to(config.data.dir)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(sample.path, target)
    (folder / "bolt" / "defects_config.json").write_text("[]")
    config = replace(config, data=replace(config.data, dir=str(folder)))
    sites = partition(open_dataset(config.data), config.data, seed=0)
    watch = Watch("flwr-simulation", "flower-superlink")
    out = tmp_path / "run"
    out.mkdir()
    with watch:
        run_in(out, config, sites, via="flwr", sink=Files(tmp_path / "sink", "x"))
    record = check_record(out, SOME)
    assert 0 < max(watch.most.values()) <= 2 * GB
    assert watch.most["flwr-simulation"] > 0
    told = ", ".join(f"{name} {most / GB:.2f} GB" for name, most in watch.most.items())
    seconds = sum(record["seconds"].values())
    figure("R6 100 sites of 200 rows by flwr run", "at most 2 GB", f"{told}, {seconds:.0f} s")


# A server that gets five uploads of 37 MB, drawn when they are asked for, and merges all of them.
SERVER = """
import resource, sys
from pathlib import Path
import numpy as np
import fedad.round
from fedad import wire
from fedad.banks.bank import Bank
from fedad.config import read
from server_app.kept import Kept
from server_app.strategy import MethodStrategy
from tests.conftest import bank_of

sites, rows, features = 5, 6000, 1536
names = [f"site-{k}" for k in range(sites)]

def uploads():
    for k, name in enumerate(names):
        drawn = np.random.default_rng(k).standard_normal((rows, features), np.float32)
        bank = bank_of(drawn, name, images=400)
        content = wire.pack(bank.replace(patches=bank.images * 150))
        del drawn, bank
        yield name, content

config = read({"bank.size": 300, "merge.oversample": 100.0, "round.expected": ",".join(names)})
strategy = MethodStrategy(config, Kept.begin(Path(sys.argv[1]), config))
import torch  # which merging loads, before the measure is taken
uploaded = sites * rows * features * 4

def resident(kind):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(kind + ":"))

# Its own memory, without the pages of libraries, which are files.
room = 3 * uploaded + 500 * 2**20 - resident("RssAnon")
limit = resident("VmSize") + room
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for name, content in uploads():
    strategy.kept.keep_upload(name, wire.unpack(content, Bank), {})
    del content
strategy.aggregate_train(1, [])
assert len(strategy.model) == 300
most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(uploaded, most, resident("RssFile"))
"""


def test_the_server_takes_three_times_the_uploads_and_500_mb(figure, tmp_path):
    uploaded, most, files = last_numbers(SERVER, str(tmp_path))
    ceiling = 3 * uploaded + 500 * MB
    assert most - files <= ceiling
    told = f"{(most - files) / MB:.0f} MB for uploads of {uploaded / MB:.0f} MB"
    told += f", and {files / MB:.0f} MB of libraries"
    figure("R7 peak of the server", f"at most {ceiling / MB:.0f} MB", told)
