"""A method of five rounds: three processes with TLS give the bytes of this process, and a kill -9
in any round costs no fit that was done."""

import json
import re
from dataclasses import replace

import pytest

from fedad.config import read
from fedad.messages.file import save
from fedad.plumbing.progress import Log
from fedad.reporting.record import figures_of
from fedad.reporting.run_folder import RECORD
from fedad.round import run_round
from fedad.running.launch import run_in
from tests.reliability.harness import (
    COLOUR,
    PROCESSES,
    SITES,
    Attempt,
    is_alive,
    kill,
    pids,
    wait_until,
)

pytestmark = pytest.mark.reliability
ROUNDS = 5
KNOBS = {
    "round.method": "discriminator",
    "discriminator.rounds": ROUNDS,
    "discriminator.hidden": 32,
    "discriminator.batch": 64,
    "discriminator.epochs": 1,
}


@pytest.fixture(scope="module")
def trained(settings):
    """The run of factories, by five rounds of training."""
    return read({**settings.flat(), **KNOBS})


@pytest.fixture(scope="module")
def expected(trained, oracle, tmp_path_factory):
    """The sha256 of the model, and the figures, of the rounds in this process."""
    outcome = run_round(trained, oracle.sites.values(), oracle.embed)
    path = tmp_path_factory.mktemp("expected") / "model.safetensors"
    digest = save(path, outcome.model, method="discriminator")
    text = json.dumps({"federated": figures_of(outcome.findings)})
    return digest, json.loads(text.replace("NaN", "null"))


def check(record, expected):
    digest, figures = expected
    assert record["missing"] == {}
    assert record["rounds"] == ROUNDS
    assert record["model"]["sha256"] == digest
    assert record["figures"] == figures


def fits(up):
    """How often each site sealed an upload, by round."""
    found = []
    for site in SITES:
        text = COLOUR.sub("", up.log(f"{site}-superexec").read_text(errors="replace"))
        sealed = re.findall(r"sealed upload(?:-(\d))?\.safetensors", text)
        found += [(site, int(number or 1)) for number in sealed]
    return sorted(found)


def test_deployed_under_ray_and_in_process_give_the_same_bytes(  # noqa: PLR0917 - fixtures
    template, trained, expected, knobs, figure, tmp_path
):
    with template.federation(tmp_path / "up") as up:
        check(Attempt(up, trained, tmp_path / "run").finish(200, resumes=0), expected)
    simulated = replace(
        read({**knobs, **KNOBS}), score=trained.score, round=replace(trained.round, expected="")
    )
    for via in ("flwr", "local"):
        folder = tmp_path / via
        folder.mkdir()
        sites = _sites(simulated)
        run_in(folder, simulated, sites, via=via, sink=Log(lambda line: None))
        check(json.loads((folder / RECORD).read_text()), expected)
    figure("5 rounds: in process = Grid = flwr run = three processes with TLS", "same", "same")


def _sites(config):
    from fedad.running.launch import sites_of

    return sites_of(config)


@pytest.mark.parametrize("number", range(1, ROUNDS + 1))
@pytest.mark.parametrize("process", ["ServerApp", "ClientApp", "SuperNode"])
def test_a_kill_in_any_round_costs_no_fit_that_was_done(  # noqa: PLR0917 - fixtures
    process, number, template, trained, expected, figure, tmp_path
):
    with template.federation(tmp_path / "up") as up:
        attempt = Attempt(up, trained, tmp_path / "run")
        wait_until(lambda: pids(up, *PROCESSES["ServerApp"]), 120, "a ServerApp")
        server_app = pids(up, *PROCESSES["ServerApp"])[-1]
        stage = "train" if number == 1 else f"train-{number}"
        wait_until(lambda: stage in _stages(attempt), 120, stage, pause=0.005)
        if process == "ClientApp":
            wait_until(lambda: pids(up, *PROCESSES[process]), 60, "a ClientApp", pause=0.005)
        assert kill(up, process), f"no {process} runs in {stage}"
        if process == "ServerApp":
            wait_until(lambda: not is_alive(server_app), 30, "the end of the ServerApp")
            attempt.resume()
        check(attempt.finish(900), expected)
        done = fits(up)
    assert done == [(site, k) for site in SITES for k in range(1, ROUNDS + 1)]
    figure(f"kill -9 of the {process} in round {number}", "same bytes, no fit twice", "so")


def _stages(attempt):
    return [one["stage"] for one in attempt.events() if one["event"] == "stage"]
