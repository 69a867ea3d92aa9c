"""Every method runs through the Flower apps as in `round.py`, and goes on where it was cut."""

import json
from itertools import pairwise

import pytest
from flwr.app import ArrayRecord

from client_app.app import app as client_app
from fedad.config import read
from fedad.datasets.base import open_dataset
from fedad.embedders.embedder import Embedder
from fedad.methods.base import method_of
from fedad.partition import partition
from fedad.plugins import names
from fedad.plumbing.journal import Journal
from fedad.plumbing.progress import Bars
from fedad.reporting import gallery
from fedad.reporting.record import figures_of
from fedad.round import run_round
from fedad.running.launch import launch
from server_app.kept import Kept
from server_app.local_grid import LocalGrid
from server_app.strategy import MethodStrategy
from tests.contracts.drawn_sites import cases, knobs_of
from tests.contracts.test_methods import same

WHOLLY = ("gaussian", "feddymem")  # of one or two rounds and of several, of sums and of rows
NODES = [{"partition-id": number, "num-partitions": 3} for number in range(3)]

pytestmark = pytest.mark.usefixtures("in_a_run")


class Cut(BaseException):
    """The server's process ends here."""


@pytest.fixture(params=cases(images=True), scope="module")
def settings(request, knobs, tmp_path_factory):
    return {**knobs, **knobs_of(request.param), "score.replicates": 2}


@pytest.fixture(scope="module")
def plain(settings):
    config = read(settings)
    sites = partition(open_dataset(config.data), config.data, seed=config.round.seed)
    return run_round(config, sites, Embedder(config.embedder))


@pytest.fixture(autouse=True)
def few_pictures(monkeypatch):
    """One of each sort: what is kept of verdicts to look at is tested elsewhere."""
    monkeypatch.setattr(gallery, "KEPT", 1)


def told(value):
    """As the record has it: NaN is no JSON."""
    return json.dumps(value, sort_keys=True)


@pytest.fixture
def fits(monkeypatch):
    """The (site, round) of each fit that came to its end."""
    from client_app import work

    done, learn = [], work.learn

    def watched(node, folder, number, asked):
        content = learn(node, folder, number, asked)
        done.append((node.site.name, number))
        return content

    monkeypatch.setattr(work, "learn", watched)
    return done


def run(settings, kept, app=client_app):
    strategy = MethodStrategy(read(settings), kept)
    try:
        strategy.start(LocalGrid(app, NODES, settings), ArrayRecord())
    finally:
        kept.close()
    return strategy


def test_the_apps_give_the_model_and_the_figures_of_the_plain_round(settings, plain, tmp_path):
    settings = {**settings, "round.out": str(tmp_path / "plants")}
    strategy = run(settings, Kept.begin(tmp_path / "server", read(settings)))
    same(strategy.model, plain.model)
    assert told(strategy.record()["figures"]["federated"]) == told(figures_of(plain.findings))
    rounds = method_of(read(settings)).rounds
    for site in strategy.record()["sites"].values():
        assert set(site["rounds"]) == {str(k + 1) for k in range(len(rounds))}
        assert all(told_of["up"] > 0 for told_of in site["rounds"].values())


def test_a_server_that_is_cut_after_any_event_comes_to_the_same_bytes(
    settings, plain, tmp_path, monkeypatch, fits
):
    """Of every kind of event, in every round, the first one and the last one before the cut; every
    fourth of these with methods other than `WHOLLY`, which share the server's side with these."""
    step = 1 if settings["round.method"] in WHOLLY else 4
    cut_and_gone_on_with(settings, plain, tmp_path, monkeypatch, fits, step=step)


@pytest.mark.reliability
def test_a_server_of_any_method_may_be_cut_after_any_event(
    settings, plain, tmp_path, monkeypatch, fits
):
    if settings["round.method"] in WHOLLY:
        pytest.skip("it is cut after each above")
    cut_and_gone_on_with(settings, plain, tmp_path, monkeypatch, fits, step=1)


def cut_and_gone_on_with(settings, plain, tmp_path, monkeypatch, fits, *, step):
    config = read(settings)
    whole = run(
        {**settings, "round.out": str(tmp_path / "plants")}, Kept.begin(tmp_path / "whole", config)
    )
    kinds = [event["event"] for event in whole.kept.journal.events]
    expected, note = sorted(fits), Journal.note
    for cut in sorted({*_ends(kinds)})[::step]:
        place, here = tmp_path / f"cut-{cut}", []
        fits.clear()
        of_cut = {**settings, "round.out": str(place / "plants")}

        def until(journal, event, here=here, cut=cut, **about):
            note(journal, event, **about)
            here.append(event)
            if len(here) == cut:
                raise Cut

        with monkeypatch.context() as patch:
            patch.setattr(Journal, "note", until)
            with pytest.raises(Cut):
                run(of_cut, Kept.begin(place / "server", config))
        again = run(of_cut, Kept.reopen(place / "server", config))
        same(again.model, plain.model)
        assert told(again.record()["figures"]) == told(whole.record()["figures"]), kinds[:cut]
        assert sorted(fits) == expected, f"a fit was done twice, cut after {kinds[:cut]}"


def _ends(kinds):
    """The numbers of events after which a cut makes a difference: the first of several uploads, and
    each change of kind."""
    for number, (kind, following) in enumerate(pairwise(kinds), start=1):
        first = kind == "uploaded" != kinds[number - 2]
        if number > 1 and (kind != following or first):
            yield number


def test_an_upload_of_another_method_or_round_is_refused(settings, tmp_path):
    """The answers of one method, brought to the server of another."""
    others = {name: {**settings, "round.method": name} for name in names("methods")}
    mine = read(settings).round.method
    theirs = next(name for name in others if name != mine)

    def confused(message, context):
        if context.node_config["partition-id"] == 1 and message.metadata.message_type == "train":
            context.run_config = {**settings, **knobs_of(theirs)}
        return client_app(message, context)

    wanted = {**settings, "round.min-sites": 2, "round.out": str(tmp_path / "plants")}
    strategy = MethodStrategy(read(wanted))
    strategy.start(LocalGrid(confused, NODES, wanted), ArrayRecord())
    assert strategy.attendance.missing["lyon"]["word"] in ("fields", "replay", "refusal")
    assert set(strategy.findings) == {"graz", "turin"}


@pytest.mark.parametrize("name", ["discriminator"])
def test_flwr_run_gives_the_bytes_of_the_apps_in_process(name, settings, tmp_path):
    """One method of several rounds; `tests/test_round.py` has the one of one round."""
    if settings["round.method"] != name:
        pytest.skip("once")
    config = read(settings)
    folders = [
        launch(config, via=via, root=tmp_path / via, with_yardsticks=False, sink=Bars())
        for via in ("local", "flwr")
    ]
    records = [json.loads((folder / "record.json").read_text()) for folder in folders]
    assert records[0]["model"]["sha256"] == records[1]["model"]["sha256"]
    assert records[0]["figures"] == records[1]["figures"]
    assert (folders[0] / "model.safetensors").exists()
