"""What a site's policy says of private releases, and what it hears of a site that refuses."""

import re

import pytest
from flwr.app import ConfigRecord, Context, Message, RecordDict

from client_app.app import app
from fedad import wire
from fedad.config import read
from fedad.datasets.base import open_dataset
from fedad.deploy.site_folders import split
from fedad.dp.account import Terms
from fedad.dp.ledger import create
from fedad.errors import ConfigError
from fedad.partition import partition
from fedad.permits.settings import beyond
from fedad.policy import Policy, audit_of, read_policy

TREE = {"privacy.release": "dp_tree"}
SGD = {"privacy.release": "dp_sgd", "round.method": "discriminator"}


def refused(policy, asked):
    return [line for line, _ in beyond(policy, read(asked), lambda: 1)]


@pytest.mark.parametrize("release", [TREE, SGD, {}])
def test_what_is_shipped_is_within_the_defaults(release):
    assert refused(Policy(), release) == []


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        ({**TREE, "dp_tree.epsilon": 10.5}, "largest-epsilon"),
        ({**SGD, "dp_sgd.epsilon": 10.5}, "largest-epsilon"),
        ({**TREE, "dp_tree.delta": 1e-4}, "largest-delta"),
        ({**SGD, "dp_sgd.delta": 1e-4}, "largest-delta"),
        ({"privacy.release": "noisy_rows"}, "releases"),
    ],
)
def test_beyond_the_defaults_a_run_is_refused(asked, line):
    assert refused(Policy(), asked) == [line]


def test_knobs_of_a_release_that_is_not_chosen_do_not_count():
    assert refused(Policy(), {"dp_tree.epsilon": 50.0, "dp_tree.delta": 1e-3}) == []


@pytest.mark.parametrize(
    ("line", "asked", "allowed"),
    [
        ("requires-privacy = true", {}, TREE),
        ('starts = ["codebook"]', TREE, {**TREE, "dp_tree.start": "codebook"}),
        ("largest-epsilon = 2", TREE, {**TREE, "dp_tree.epsilon": 2.0}),
        ("largest-delta = 1e-6", TREE, {**TREE, "dp_tree.delta": 1e-6}),
        ('releases = ["keep"]', TREE, {}),
    ],
)
def test_a_line_bounds_what_it_says(line, asked, allowed, tmp_path):
    (tmp_path / "policy.toml").write_text(line)
    policy = read_policy(tmp_path / "policy.toml")
    assert refused(policy, asked) == [re.split(" ", line)[0]]
    assert refused(policy, allowed) == []


@pytest.mark.parametrize(
    "line", ["largest-epsilon = 0", "largest-delta = 1", 'requires-privacy = "no way"']
)
def test_a_value_that_cannot_be_is_refused(line, tmp_path):
    (tmp_path / "policy.toml").write_text(line)
    with pytest.raises(ConfigError, match=line.split()[0]):
        read_policy(tmp_path / "policy.toml")


@pytest.fixture
def plant(config, knobs, factory, tmp_path):
    """A factory that can be asked for its upload, and its folder."""
    sites = partition(open_dataset(config.data), config.data, seed=config.round.seed)
    node = factory("graz", split(sites[:1], tmp_path / "images")[0], tmp_path / "own")

    def ask(key="d" * 32, **more):
        content = RecordDict({wire.RUN: ConfigRecord({"key": key, "round": 1})})
        run_config = {**knobs, **more}
        context = Context(
            1, 1, {**node, "ledger": str(tmp_path / "spent")}, RecordDict(), run_config
        )
        return app(Message(content, 1, "train"), context).content

    return ask


@pytest.mark.usefixtures("in_a_run")
def test_a_factory_without_a_ledger_releases_nothing(plant, tmp_path, monkeypatch):
    monkeypatch.setattr("client_app.work.learn", lambda *_: pytest.fail("it has drawn"))
    answer = plant(**TREE)
    assert dict(answer[wire.REFUSAL]) == {"kind": "PolicyError", "reason": "ledger"}
    (line,) = [one for one in audit_of(tmp_path / "own") if one["event"] == "refused"]
    assert line["line"] == "ledger"
    assert "there is no ledger of 'bolt'" in line["told"]


@pytest.mark.usefixtures("in_a_run")
def test_a_factory_with_a_ledger_gives_nothing_away_without_privacy(plant, tmp_path):
    assert wire.REFUSAL not in plant()
    for name in ("bolt", "hose"):
        create(tmp_path / "spent", Terms("graz", name, 10.0, 1e-5, "image"))
    answer = plant("e" * 32)
    assert dict(answer[wire.REFUSAL]) == {"kind": "PolicyError", "reason": "ledger"}
