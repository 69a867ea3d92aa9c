"""A run under a private release: nothing but its rows depends on a site's images."""

import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord, Message, MessageType

from client_app.app import app as client_app
from client_app.own import ledgers_of
from fedad import wire
from fedad.banks.bank import Bank
from fedad.config import COVERAGE, read
from fedad.datasets.base import open_dataset
from fedad.deploy.site_folders import split
from fedad.dp import public as public_module
from fedad.dp.account import Terms
from fedad.dp.accounting import charged
from fedad.dp.ledger import create
from fedad.dp.ledger import read as read_ledger
from fedad.dp.make_public import make_public
from fedad.dp.public import save
from fedad.dp.receipts import receipt_from
from fedad.dp.released import IMAGES, ROWS
from fedad.embedders.embedder import Embedder
from fedad.judging.parts import ready
from fedad.methods.base import method_of
from fedad.partition import partition
from fedad.plumbing.files import read_json
from fedad.policy import audit_of
from fedad.reporting.report import ran
from fedad.round import run_round
from fedad.running.launch import sites_of
from fedad.types import VALIDATION
from fedad.yardsticks import at_site
from server_app.local_grid import LocalGrid
from server_app.strategy import MethodStrategy, RunRefusedError
from tests.conftest import SITES

pytestmark = pytest.mark.usefixtures("in_a_run")


@pytest.fixture(scope="module")
def private_knobs(knobs, tmp_path_factory):
    """A run under `dp_tree`, with a public projection of the small network's features."""
    config, patch = read({**knobs, "embedder.size": 128}), pytest.MonkeyPatch()
    samples = [sample for site in sites_of(config) for sample in site.train]
    features = Embedder(config.embedder)(samples)
    patches = features.grid.reshape(-1, features.grid.shape[-1])
    folder = tmp_path_factory.mktemp("public")
    save(folder / "small.json", make_public(patches, features.fingerprint, source="for tests"))
    patch.setattr(public_module, "FOLDER", folder)
    yield {**knobs, "privacy.release": "dp_tree", "dp_tree.stride": 1, "score.replicates": 3}
    patch.undo()


def run_over(settings):
    """The strategy of a run over virtual sites, and (stage, fields, size) of all that was sent."""
    told = []

    def recorder(message, context):
        answer = client_app(message, context)
        fields = {
            name: {key: len(value.data) if hasattr(value, "data") else value}
            for name, record in answer.content.items()
            for key, value in record.items()
            if name not in ("site", "about")
        }
        told.append((dict(answer.content.get("about", {})), fields))
        return answer

    nodes = [{"partition-id": k, "num-partitions": len(SITES)} for k in range(len(SITES))]
    strategy = MethodStrategy(read(settings))
    strategy.start(LocalGrid(recorder, nodes, settings), ArrayRecord())
    return strategy, told


def test_a_private_run_ends_in_the_union_of_what_sites_released(private_knobs):
    strategy, _ = run_over(private_knobs)
    bank = strategy.model
    assert isinstance(bank, Bank)
    assert bank.fingerprint.projection
    assert bank.sites == SITES
    assert (bank.images <= IMAGES).all()
    assert len(bank) <= ROWS * bank.images.sum()
    record = strategy.record()
    assert record["privacy"]["epsilon"] == 10
    assert record["privacy"]["relation"] == "add/remove"
    assert {n for s in record["sites"].values() for n in s["images_train"].values()} == {IMAGES}
    assert all(site.get("faults", {}) == {} for site in record["sites"].values())
    assert all(site["seconds_fit"] == 0 for site in record["sites"].values())


def test_what_a_release_hides_or_does_not_use_is_not_told_as_if_it_were_known(private_knobs):
    """1 stands where a number of images would, and no aggregation has a part in the union."""
    record = run_over(private_knobs)[0].record()
    assert record["model"]["images_by_site"] == dict.fromkeys(SITES, "not told")
    assert record["model"]["patches"] == "not told"
    assert sum(record["model"]["rows_by_site"]["lyon"].values()) > 0
    (section, _) = ran(record)
    assert "the union of what all sites released by dp_tree" in section.body
    assert "federated_coreset" not in section.body
    plain = {key: value for key, value in private_knobs.items() if "dp_tree" not in key}
    record = run_over({**plain, "privacy.release": "keep"})[0].record()
    assert record["model"]["images_by_site"]["lyon"] == {"bolt": 2, "hose": 2}
    assert "made by federated_coreset" in ran(record)[0].body


def test_one_image_less_and_one_that_is_broken_change_the_form_of_nothing(
    private_knobs, plants, tmp_path
):
    """Fields, sizes and counts are those of the run with all images; only rows differ."""
    other = tmp_path / "plants"
    shutil.copytree(plants, other)
    images = sorted((other / "bolt" / "train" / "good").glob("*.png"))
    images[0].unlink()
    images[-1].write_bytes(b"no image")
    table = other / "bolt" / "sites.csv"
    lines = table.read_text().splitlines()
    gone = f"train/good/{images[0].name}"
    table.write_text("\n".join(one for one in lines if gone not in one) + "\n")
    (_, one), (_, two) = (
        run_over({**private_knobs, "data.dir": str(folder)}) for folder in (plants, other)
    )
    trained = [[told for told in all_ if "bank" in told[1]] for all_ in (one, two)]
    assert trained[0] == trained[1]
    assert len(trained[0]) == len(SITES)
    hellos = [[about for about, _ in all_ if about] for all_ in (one, two)]
    assert hellos[0] == hellos[1]


def test_two_runs_draw_other_noise(private_knobs):
    (one, _), (two, _) = (run_over(private_knobs) for _ in range(2))
    assert one.model.rows.tobytes() != two.model.rows.tobytes()


def test_what_leaves_is_found_without_the_sites_own_rows(private_knobs, monkeypatch):
    """Whatever a site's own bank is, findings that leave are those of the model alone."""
    config = read(private_knobs)
    embed = Embedder(config.embedder)
    sites = [ready(config, site, embed).site for site in sites_of(config)]
    seen = []
    method = type(method_of(config))
    trace = method.trace

    def watched(self, model, features, *, own, site):
        seen.append(own)
        return trace(self, model, features, own=own, site=site)

    monkeypatch.setattr(method, "trace", watched)
    run_round(config, sites, embed)
    assert seen
    assert all(own is None for own in seen)
    seen.clear()
    at_site(config, sites, embed)
    assert all(own is not None for own in seen)


def test_thresholds_that_leave_rest_on_images_outside_the_release(private_knobs):
    """None without a validation split: an image cannot be taken out of a release again."""
    config = read({**private_knobs, "score.false-rejects": 0.5})
    embed = Embedder(config.embedder)
    for given in (False, True):
        sites = [ready(config, site, embed).site for site in sites_of(config)]
        if given:  # an image that the release has not seen
            sites = [
                replace(
                    site,
                    train=site.train[1:],
                    held=(replace(site.train[0], split=VALIDATION),),
                )
                for site in sites
            ]
        found = run_round(config, sites, embed).findings
        assert any(any(one.calibrated.values()) for one in found.values()) is given


def test_figures_of_a_private_run_are_finite(private_knobs):
    config = read(private_knobs)
    embed = Embedder(config.embedder)
    sites = [ready(config, site, embed).site for site in sites_of(config)]
    outcome = run_round(replace(config, data=config.data), sites, embed)
    report = sum(
        (outcome.findings[name] for name in sorted(outcome.findings)),
        type(outcome.findings[SITES[0]])(),
    ).report
    assert not math.isnan(report["mean"]["image_auroc"]["value"])
    assert np.isfinite(outcome.model.rows).all()


@pytest.fixture
def head_knobs(private_knobs, plants, tmp_path, monkeypatch):
    """A head of two rounds by DP-SGD, with public numbers in which no channel is the same in all
    pictures."""
    pytest.importorskip("opacus")
    config = read(private_knobs)
    samples = [sample for site in sites_of(config) for sample in site.train]
    features = Embedder(config.embedder)(samples)
    patches = features.grid.reshape(-1, features.grid.shape[-1])
    off = np.random.default_rng(0).normal(0, 0.01, patches.shape)
    spread = (patches + off).astype(np.float32)
    save(tmp_path / "small.json", make_public(spread, features.fingerprint, source="for tests"))
    monkeypatch.setattr(public_module, "FOLDER", tmp_path)
    rest = {key: value for key, value in private_knobs.items() if not key.startswith("dp_tree")}
    return {
        **rest,
        "privacy.release": "dp_sgd",
        "round.method": "discriminator",
        "discriminator.rounds": 2,
        "discriminator.epochs": 1,
        "discriminator.hidden": 4,
        "dp_sgd.epsilon": 5.0,
        "dp_sgd.images": 4,
        "dp_sgd.batch": 2,
    }


def test_a_head_is_trained_by_dp_sgd_over_flower(head_knobs, tmp_path):
    """Two rounds go up and down; the receipts that stay cost the budget of the run together, and no
    number of images leaves."""
    strategy, told = run_over({**head_knobs, "round.out": str(tmp_path / "run")})
    assert strategy.model.sites == SITES
    assert np.isfinite(strategy.model.out).all()
    assert strategy.model.images.tolist() == [len(SITES)] * 2  # 1 of each site, whatever it has
    record = strategy.record()
    assert record["privacy"]["release"] == "dp_sgd"
    assert record["privacy"]["epsilon"] == 5.0
    assert all(site["seconds_fit"] == 0 for site in record["sites"].values())
    uploads = [fields["heads"] for _, fields in told if "heads" in fields]
    assert len(uploads) == 2 * len(SITES)
    assert all(one == uploads[0] for one in uploads)
    for site in SITES:
        kept = sorted((tmp_path / "run" / "sites" / site).glob("*/receipt*.json"))
        receipts = [receipt_from(read_json(path, "a receipt")) for path in kept]
        assert len(receipts) == 2
        assert all(receipt.private for receipt in receipts)
        assert charged(receipts, 1e-5).epsilon == pytest.approx(5.0, rel=0.01)
        assert sum(receipts[0].images.values()) == 4  # what the site has stays with it
    other, _ = run_over({**head_knobs, "round.out": str(tmp_path / "other")})
    assert other.model.out.tobytes() != strategy.model.out.tobytes()


@pytest.fixture
def factories(private_knobs, factory, tmp_path):
    """A factory a site, each with a ledger of two releases of each product."""
    config = read(private_knobs)
    sites = partition(open_dataset(config.data), config.data, seed=config.round.seed)
    nodes = []
    for folder in split(sites, tmp_path / "data"):
        node = factory(folder.name, folder, tmp_path / "out" / folder.name)
        for product in ("bolt", "hose"):
            create(ledgers_of(node), Terms(folder.name, product, 16.0, 1e-5, "image"))
        nodes.append(node)
    return nodes


def deployed(nodes, settings):
    settings = {**settings, "data.dir": ""}
    strategy = MethodStrategy(read(settings))
    strategy.start(LocalGrid(client_app, nodes, settings), ArrayRecord())
    return strategy


def test_at_factories_two_releases_are_debited_and_a_third_is_refused(factories, private_knobs):
    """Nothing is told of test images, whose figures stay; the model comes down all the same."""
    for number in (1, 2):
        strategy = deployed(factories, private_knobs)
        assert strategy.model.sites == SITES
        assert all(found.is_empty() for found in strategy.findings.values())
        assert len(strategy.findings) == len(SITES)
        record = strategy.record()
        assert all(site["images_test"] == {} for site in record["sites"].values())
        spent = [
            read_ledger(ledgers_of(node), node["site"], product).spent.epsilon
            for node in factories
            for product in ("bolt", "hose")
        ]
        assert spent == pytest.approx([10.0 if number == 1 else 15.46] * len(spent), rel=1e-3)
        own = list(Path(factories[0]["output-dir"]).glob("**/thresholds.json"))
        assert own  # what the site found for itself, with its own exact bank
    with pytest.raises(RunRefusedError, match="PolicyError ledger"):
        deployed(factories, private_knobs)


def test_figures_of_test_images_leave_where_the_policy_says_that_they_are_outside(
    factories, private_knobs, tmp_path
):
    for node in factories:
        policy = tmp_path / f"{node['site']}.toml"
        text = Path(node["policy"]).read_text()
        policy.write_text(f"{text}test-images-outside-the-unit = true\n")
        node["policy"] = str(policy)
    strategy = deployed(factories, private_knobs)
    assert strategy.together.report["mean"]["image_auroc"]["value"] > 0
    assert all(found.counts.cells for found in strategy.findings.values())


def test_without_a_ledger_a_factory_releases_nothing(factory, private_knobs, tmp_path):
    config = read(private_knobs)
    sites = partition(open_dataset(config.data), config.data, seed=config.round.seed)
    folders = split(sites, tmp_path / "data")
    nodes = [factory(one.name, one, tmp_path / "out" / one.name) for one in folders]
    with pytest.raises(RunRefusedError, match="PolicyError ledger"):
        deployed(nodes, private_knobs)


def test_where_there_are_ledgers_nothing_at_all_is_told_without_privacy(factories, private_knobs):
    """Not even how many images there are: the introduction is refused."""
    settings = {**private_knobs, "privacy.release": "keep"}
    del settings["dp_tree.stride"]
    with pytest.raises(RunRefusedError, match="PolicyError ledger"):
        deployed(factories, settings)
    lines = audit_of(Path(factories[0]["output-dir"]))
    assert [one["line"] for one in lines if one["event"] == "refused"] == ["ledger"]


def test_distances_are_refused_whatever_the_server_asks(factories, private_knobs):
    settings = {**private_knobs, "data.dir": ""}
    strategy = deployed(factories, private_knobs)
    grid = LocalGrid(client_app, factories, settings)
    content = wire.pack(strategy.model)
    content[wire.RUN] = ConfigRecord({"key": strategy.kept.key, "round": 1})
    node = next(iter(grid.get_node_ids()))
    asked = Message(content, node, f"{MessageType.QUERY}.{COVERAGE}")
    (number,) = grid.push_messages([asked])
    (answer,) = grid.pull_messages([number])
    assert answer.content[wire.REFUSAL]["kind"] == "ConfigError"
