"""Three sites on real parts, by separate processes: byte for byte what the simulation gives."""

import csv
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from fedad.config import read
from fedad.datasets.base import open_dataset
from fedad.deploy.federation import Federation
from fedad.deploy.rehearsal import factory_config
from fedad.deploy.site_folders import split
from fedad.deploy.submit import run_on
from fedad.messages.file import load_tensors
from fedad.partition import partition
from fedad.plumbing.progress import Log
from fedad.reporting.run_folder import BANK, RECORD
from fedad.running.launch import run_in
from tests.reliability.memory import Watch

pytestmark = pytest.mark.reliability
PARTS = Path(os.environ.get("FEDAD_PARTS", Path(__file__).parents[3] / "shared" / "data" / "parts"))
SITES = ("A", "B", "C")


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """The parts, their natural sites sorted by name and dealt in turn to three."""
    if not PARTS.is_dir():
        pytest.skip(f"{PARTS} is not there: set FEDAD_PARTS to a folder of parts with sites.csv")
    root = tmp_path_factory.mktemp("dealt") / "parts"
    shutil.copytree(PARTS, root)
    tables = sorted(root.glob("*/sites.csv"))
    listed = {path: list(csv.DictReader(path.read_text().splitlines())) for path in tables}
    natural = sorted({row["site"] for rows in listed.values() for row in rows})
    dealt = {name: SITES[number % len(SITES)] for number, name in enumerate(natural)}
    for path, rows in listed.items():
        lines = [f"{row['file']},{dealt[row['site']]}" for row in rows]
        path.write_text("\n".join(["file,site", *lines]) + "\n")
    return root


def test_three_sites_give_the_bytes_of_the_simulation(needs_nginx, parts, figure, tmp_path):
    config = read({"data.dataset": "autovi", "data.dir": str(parts), "data.partition": "natural"})
    sites = partition(open_dataset(config.data), config.data, seed=0)
    assert tuple(site.name for site in sites) == SITES
    simulated = tmp_path / "simulated"
    simulated.mkdir()
    run_in(simulated, config, sites, via="flwr", sink=Log(lambda line: None))
    folders = {path.name: path for path in split(sites, tmp_path / "plants")}
    deployed_config = factory_config(replace(config, data=replace(config.data, dir="")), SITES)
    with Watch("flwr-serverapp") as watch, Federation(tmp_path / "up", folders) as up:
        deployed = run_on(up.link(), deployed_config, tmp_path / "runs")
    ours, theirs = load_tensors(deployed / BANK), load_tensors(simulated / BANK)
    assert ours[1] == theirs[1]
    assert {name: tensor.tobytes() for name, tensor in ours[0].items()} == {
        name: tensor.tobytes() for name, tensor in theirs[0].items()
    }
    records = [json.loads((folder / RECORD).read_text()) for folder in (deployed, simulated)]
    one, other = (json.dumps(record["figures"]) for record in records)
    assert one == other
    assert records[0]["missing"] == {}
    rows, seconds = records[0]["model"]["rows"], sum(records[0]["seconds"].values())
    told = f"equal: {rows} rows, {len(one)} characters of figures, {seconds:.0f} s deployed"
    figure("3 sites on parts, deployed and simulated", "equal, byte for byte", told)
    up = records[0]["bytes"]["up"] / 2**20
    most = watch.most["flwr-serverapp"] / 2**20
    told = f"{most:.0f} MB resident for {up:.0f} MB"
    figure("R7 ServerApp of that run", f"at most {3 * up + 500:.0f} MB", told)
    assert 0 < most <= 3 * up + 500
