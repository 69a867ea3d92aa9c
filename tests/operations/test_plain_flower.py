"""A plain `flwr run` leaves the folder that `fedad run` leaves."""

import json
import os

import pytest

from fedad.config import read
from fedad.models.after_run import keep_of_run
from fedad.plumbing.progress import Silent
from fedad.running.finishing import RUNNER
from fedad.running.launch import launch
from server_app import local_grid
from server_app.app import app as server_app
from server_app.local_grid import LocalGrid


def names(folder):
    """The files of a run, but for its log; a run's own key and a model's digest stand for all."""
    found = {path.relative_to(folder).parts for path in folder.rglob("*") if path.is_file()}
    return {tuple("*" if len(part) in (16, 32) else part for part in one) for one in found} - {
        ("flower.log",)
    }


@pytest.fixture
def plain(knobs, in_a_run, tmp_path, monkeypatch):
    """The folder of a run that nobody but the ServerApp finishes."""
    monkeypatch.delenv(RUNNER, raising=False)
    settings = {**knobs, "round.out": str(tmp_path / "plain" / "run")}
    nodes = [{"partition-id": number, "num-partitions": 3} for number in range(3)]
    grid = LocalGrid(local_grid.client_app, nodes, settings)
    server_app(grid, local_grid._context(local_grid.SERVER_NODE, {}, settings))
    return tmp_path / "plain" / "run"


def test_a_plain_run_has_pictures_models_and_latest_as_any(plain, knobs, tmp_path):
    ours = launch(
        read(knobs), via="local", root=tmp_path / "runs", with_yardsticks=False, sink=Silent()
    )
    assert RUNNER not in os.environ
    assert not (ours / "sites" / "lyon" / "models").exists()  # which the verb keeps
    list(keep_of_run(ours))
    assert names(plain) == names(ours)
    assert (plain.parent / "latest").resolve() == plain
    one, other = (json.loads((folder / "record.json").read_text()) for folder in (plain, ours))
    assert {*one} == {*other}
    assert one["instead"] == other["instead"]
    assert one["warnings"] == other["warnings"]
    assert one["model"]["sha256"] == other["model"]["sha256"]
