"""`fedad status`: what it finds in folders, with and without a server, and as metrics."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from fedad import __version__
from fedad.deploy import server_status as server
from fedad.deploy import site_status as site
from fedad.deploy.link import Link, LinkError
from fedad.deploy.metrics import as_metrics, write_metrics
from fedad.deploy.server_status import run_folders, run_status, server_status
from fedad.deploy.site_status import site_status
from fedad.deploy.status import in_lines
from fedad.dp.account import Terms
from fedad.dp.ledger import create
from fedad.errors import ConfigError
from fedad.models import kept
from fedad.permits.audit import note
from fedad.plumbing.files import write_json
from fedad.plumbing.journal import Journal
from fedad.wire import Known
from tests.operations.conftest import shown

KEY = "f" * 32


def begun(folder, **config):
    return Journal.begin(folder, key=KEY, config=config)


@pytest.fixture
def up(monkeypatch):
    """A SuperLink that knows two sites, one of which is there, and a key that was shut out."""
    known = [
        Known("7", "lyon", b"", False, "online", "2026-03-01T06:30:00.123456+00:00"),
        Known("8", "graz", b"", False, "offline", ""),
        Known("9", "graz", b"", True, "unregistered", ""),
        Known("10", "lyon", b"", False, "online", "2026-03-02T06:30:00+00:00"),
    ]
    monkeypatch.setattr(Link, "known", lambda self: known)


def test_who_is_up_what_ran_and_which_model_there_is(keys, up, tmp_path):
    runs = tmp_path / "runs"
    journal = begun(runs / "20260301-first")
    journal.note("stage", stage="merge")
    journal.note("missing", site="graz", stage="fit", reason="no answer in time")
    journal.note("merged", round=1, file="bank.safetensors", sha256="a" * 64, sites=["lyon"])
    journal.close()
    write_json(runs / "20260301-first" / "record.json", {"model": {"sha256": "b" * 64}})
    (runs / "latest").symlink_to("20260301-first")
    told = server_status(keys / "server", "localhost:1", runs)
    assert told["superlink"] == {
        "address": "localhost:1",
        "up": True,
        "told": "up, 1 of 2 sites online",
    }
    assert [(one["site"], one["status"]) for one in told["sites"]] == [
        ("graz", "offline"),
        ("lyon", "online"),
        ("lyon", "online"),
    ]
    assert told["run"]["outcome"] == "finished"
    assert told["run"]["missing"] == {"graz": "no answer in time"}
    assert told["model"]["sha256"] == "b" * 64
    assert told["versions"]["fedad"] == __version__
    assert {one["whose"]: one["days"] for one in told["certificates"]} == {
        "the server's certificate": 399,
        "the authority": 3649,
    }
    assert told["warnings"] == []
    lines = "\n".join(in_lines(told))
    assert "graz: offline, key 8" in lines
    assert "lyon: online since 2026-03-01T06:30:00Z, key 7" in lines
    assert "last run: 20260301-first, finished: without graz" in lines
    assert "model: bbbbbbbbbbbbbbbb, of lyon" in lines


def test_a_run_goes_on_failed_or_was_cut_short(tmp_path):
    folder = tmp_path / "run"
    journal = begun(folder)
    assert run_status(folder)["outcome"] == "goes on"
    journal.close()
    told = run_status(folder)
    assert (told["outcome"], "fedad submit --resume" in told["told"]) == ("cut short", True)
    write_json(folder / "failure.json", {"message": "no disk", "exit_code": 3})
    told = run_status(folder)
    assert told["outcome"] == "failed"
    assert told["told"].startswith("no disk; fedad submit --resume")
    (folder / "journal.jsonl").write_text("nothing\n")
    assert run_status(folder)["outcome"] == "cannot be read"
    assert run_folders(tmp_path) == [folder]
    assert run_folders(tmp_path / "gone") == []


def test_what_ought_to_be_looked_at_is_a_warning(keys, monkeypatch, tmp_path):
    def nobody(self):
        raise LinkError("localhost:1: nobody")

    monkeypatch.setattr(Link, "known", nobody)
    monkeypatch.setattr("fedad.deploy.status.LEAST_DISK", 1e9)
    soon = datetime.now(UTC) + timedelta(days=10)
    monkeypatch.setattr(
        "fedad.deploy.expiry.in_file", lambda path, whose: [server_expiry(whose, soon)]
    )
    warnings = server_status(keys / "server", "localhost:1", tmp_path)["warnings"]
    assert warnings[0] == "localhost:1: nobody"
    assert "the server's certificate is valid until" in warnings[1]
    assert "GB free" in warnings[-1]


def server_expiry(whose, until):
    from fedad.deploy.expiry import Validity

    return Validity(whose, until)


def test_a_plant_says_what_it_answered_and_what_judges_there(keys, tmp_path):
    output = tmp_path / "output"
    assert site_status(keys / "lyon", output, "")["model"] is None
    run = f"{KEY}/123"
    note(output, "begun", run=run, categories=["bolt"])
    note(output, "answered", run=run, stage="train", categories=["bolt"])
    note(output, "refused", run=run, line="coverage-a-day", told="two answers today")
    create(output / "ledger", Terms("lyon", "bolt", 8.0, 1e-5, "image"))
    told = site_status(keys / "lyon", output, "")
    assert told["run"]["run"] == KEY
    assert told["run"]["flower"] == "123"
    assert told["run"]["answered"] == ["train"]
    assert "refused coverage-a-day: two answers today" in told["run"]["told"]
    (ledger,) = told["ledgers"]
    assert (ledger["product"], ledger["left"], ledger["releases"]) == ("bolt", 8.0, 0)
    assert "ledger of bolt: epsilon 8 of 8 left" in in_lines(told)


def test_the_names_of_a_models_files_are_those_of_the_store():
    """They are not imported, since that takes the network's libraries."""
    assert (site.MODEL, site.PASSPORT, site.GATE) == (kept.MODEL, kept.PASSPORT, kept.GATE)
    assert server.JOURNAL == "journal.jsonl"


def test_the_server_is_asked_where_a_plant_says_where_it_is(keys, tmp_path):
    with shown(keys / "server") as address:
        told = site_status(keys / "lyon", tmp_path, address, supernode="localhost:1")
    assert "answers; the server's certificate is valid until" in told["up"]["server"]
    assert told["up"]["SuperNode"] == "does not answer"
    assert [one.split(":")[0] for one in told["warnings"]] == ["SuperNode"]
    told = site_status(keys / "lyon", tmp_path, address)
    assert told["warnings"][0].startswith(f"server: {address}")


def test_metrics_are_prometheus_text_for_whoever_collects_them(keys, up, tmp_path):
    status = server_status(keys / "server", "localhost:1", tmp_path)
    status["sites"][0]["site"] = 'a"b\\c\nd'
    text = as_metrics(status)
    for line in text.splitlines():
        assert re.fullmatch(
            r"# (HELP|TYPE) fedad_\w+ .+|fedad_\w+(\{(\w+=\"([^\"\\\n]|\\.)*\",?)+\})? [-0-9.e+]+",
            line,
        ), line
    assert r'fedad_site_online{site="a\"b\\c\nd",key="8"} 0.0' in text
    assert 'fedad_certificate_days{whose="the authority"} 3649.0' in text
    assert text.count("# TYPE fedad_site_online gauge") == 1
    write_metrics(tmp_path / "fedad.prom", status)
    assert (tmp_path / "fedad.prom").stat().st_mode & 0o777 == 0o644
    with pytest.raises(ConfigError, match=r"ends in \.prom"):
        write_metrics(tmp_path / "fedad.txt", status)


def test_both_verbs_give_json(keys, up, fedad, tmp_path):
    code, _, said = fedad("status", "server", "--keys", keys / "server", "--json")
    assert code == 0
    assert json.loads(said)["machine"] == "server"
    words = ("--keys", keys / "lyon", "--output", tmp_path / "out", "--metrics", "site.prom")
    code, _, said = fedad("status", "site", *words, "--json")
    assert json.loads(said)["run"] is None
    assert 'machine="site"' in (tmp_path / "site.prom").read_text()


def test_preflight_gives_json(keys, fedad, tmp_path):
    words = ("--superlink", "localhost:1", "--proxy", "localhost:1", "--runs", tmp_path / "runs")
    code, _, said = fedad("preflight", "server", "--keys", keys / "server", *words, "--json")
    told = json.loads(said)
    assert code == 1
    assert not told["ready"]
    by_name = {one["name"]: one for one in told["checks"]}
    assert by_name["authority"]["passed"]
    assert not by_name["superlink"]["passed"]
    assert by_name["superlink"]["fix"]
