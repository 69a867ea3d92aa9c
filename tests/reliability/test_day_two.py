"""A federation that goes on for years: plants join, keys and authorities change, a server is lost.

Real processes behind the proxy, as `docs/operations.md` has the steps.
"""

import shutil
import time
from dataclasses import replace

import pytest

from fedad.deploy import rotation
from fedad.deploy.certificates import make_keys
from fedad.deploy.register import register_all, unregister_old
from fedad.deploy.server_status import server_status
from fedad.deploy.site_status import site_status
from fedad.messages.file import checksum
from fedad.models.archive import read_archive, write_archive
from fedad.models.kept import kept_named
from fedad.models.signature import Signer
from fedad.running.flower import free_port
from tests.reliability.harness import (
    SITES,
    Attempt,
    Plants,
    left_of,
    pids,
    wait_until,
)
from tests.reliability.oracle import Oracle

pytestmark = pytest.mark.reliability
FIRST = ("graz", "lyon")


@pytest.fixture(autouse=True)
def _patience(monkeypatch):
    """Each command to the SuperLink is a process of Flower's, which other work may hold up."""
    monkeypatch.setattr("fedad.deploy.link.SECONDS", 300.0)


def status(up, runs):
    return server_status(up.keys / "server", up.address, runs)


def online(up, runs):
    """The numbers of the keys by which somebody is there now, by site."""
    found = {}
    for one in status(up, runs)["sites"]:
        if one["status"] == "online":
            found.setdefault(one["site"], []).append(one["number"])
    return found


def wait_online(up, runs, sites, seconds=150):
    wait_until(lambda: {*online(up, runs)} == {*sites}, seconds, f"{sites} online", pause=1.0)


def again(up, *names):
    """Start processes again, one after the other."""
    for name in names:
        up.stop(name)
        up.start(name)
    if "superlink" in names:
        up._wait_until_up()


def restart_sites(up, runs):
    """Start each site's SuperNode again, and wait until it has come anew: until its old lease has
    lapsed it counts as online, and may be refused."""

    def since():
        return {one["site"]: one["since"] for one in status(up, runs)["sites"]}

    before = since()
    for site in SITES:
        again(up, f"{site}-supernode")
    wait_until(lambda: not {*since().values()} & {*before.values()}, 300, "all anew", pause=1.0)


def of(config, sites):
    """The run over these sites, all of which have to be there to the end."""
    ample = {"enrol_seconds": 200.0, "train_seconds": 400.0, "evaluate_seconds": 400.0}
    round_ = replace(config.round, expected=",".join(sites), min_sites=0, **ample)
    return replace(config, data=replace(config.data, sites=len(sites)), round=round_)


def run(up, config, folder, factories):
    """One run, which has to come to what the plain round does."""
    record = Attempt(up, config, folder).finish(800, resumes=0)
    assert record["missing"] == {}
    scratch = folder.parent / "oracle"
    scratch.mkdir(exist_ok=True)
    Oracle(config, factories, scratch).check(record)
    return record


def supernode(up, site):
    (number,) = pids(up, f"{site}-supernode", "flower-supernode")
    return number


def test_a_plant_joins_and_keys_and_the_authority_change_and_nobody_else_stops(
    needs_nginx, factories, settings, figure, tmp_path
):
    runs = tmp_path / "runs"
    with Plants(tmp_path / "up", {site: factories[site] for site in FIRST}) as up:
        sessions = [process.pid for process in up.processes.values()]
        server = up.keys / "server"
        wait_online(up, runs, FIRST)
        untouched = supernode(up, "graz")

        # turin joins: a key, the proxy, the SuperLink, its processes
        make_keys(up.keys, hosts=(), sites=["turin"], days=30)
        again(up, "proxy")
        assert register_all(server, up.address, ["turin"])["turin"].is_new
        up.sites["turin"], up.ports["turin"] = factories["turin"], free_port()
        for name in ("turin-superexec", "turin-supernode"):
            up.start(name)
        wait_online(up, runs, SITES)

        # lyon has another key
        before = online(up, runs)["lyon"]
        rotation.renew(up.keys, "lyon", hosts=(), days=30)
        again(up, "proxy")
        new = register_all(server, up.address, ["lyon"])["lyon"]
        assert new.is_new
        assert online(up, runs)["lyon"] == before  # it still comes by the old one
        again(up, "lyon-superexec", "lyon-supernode")
        wait_until(lambda: online(up, runs).get("lyon") == [new.number], 150, "lyon by its new key")
        assert unregister_old(server, up.address, "lyon") == before
        rotation.retire(up.keys, "lyon")
        again(up, "proxy")
        wait_online(up, runs, SITES)
        assert supernode(up, "graz") == untouched
        run(up, of(settings, SITES), runs / "keys", factories)
        assert supernode(up, "graz") == untouched
        figure("a rotated key, a plant that joined", "works", "3 of 3 sites; graz did not stop")

        # another authority: everybody knows both, then the server changes, then the old one goes
        rotation.renew(up.keys, "authority", hosts=(), days=30)
        again(up, "proxy")
        restart_sites(up, runs)
        rotation.renew(up.keys, "server", hosts=(), days=30)
        settled = {site: supernode(up, site) for site in SITES}
        again(up, "superlink", "superexec", "proxy")
        wait_online(up, runs, SITES)
        assert {site: supernode(up, site) for site in SITES} == settled
        rotation.retire(up.keys, "authority")
        restart_sites(up, runs)
        run(up, of(settings, SITES), runs / "authority", factories)
        told = status(up, runs)
        assert [one["whose"] for one in told["certificates"]] == [
            "the server's certificate",
            "the authority",
        ]
        assert told["run"]["outcome"] == "finished"
        figure("a rotated authority", "works", "3 of 3 sites; SuperNodes went on meanwhile")
        sessions += [process.pid for process in up.processes.values()]
    assert left_of(sessions) == []


def test_where_the_server_is_lost_after_the_merge_its_run_goes_on_and_every_site_has_the_model(
    template, settings, factories, figure, tmp_path
):
    """The machine is gone but for a copy of the run folder; another has an empty database."""
    runs, home = tmp_path / "runs", tmp_path / "up"
    config = of(settings, SITES)
    with template.federation(home) as up:
        attempt = Attempt(up, config, runs / "run")
        attempt.wait_for_phase("broadcast", 300)
        up.stop("superlink", "superexec", "proxy")
        backup = shutil.copytree(attempt.folder, tmp_path / "backup")
        for name in ("superlink.db", "registered"):
            (home / name).unlink()
        shutil.rmtree(attempt.folder)
        shutil.rmtree(home / "homes" / "superexec", ignore_errors=True)

        began = time.monotonic()
        shutil.copytree(backup, attempt.folder)
        for name in ("superlink", "superexec", "proxy"):
            up.start(name)
        up._wait_until_up()
        register_all(up.keys / "server", up.address, ())
        wait_online(up, runs, SITES, 200)
        attempt.resume()
        record = attempt.finish(800, resumes=1)
        seconds = time.monotonic() - began
        assert record["missing"] == {}
        Oracle(config, factories, tmp_path).check(record)
        assert record["resumed"] == 1
        for site in SITES:
            told = site_status(up.keys / site, up.output(site), up.proxy)
            assert told["model"]["sha256"] == record["model"]["sha256"]
        exported = tmp_path / "model.fedad"
        write_archive(kept_named(up.output("lyon")), exported, Signer.at(up.keys / "lyon"))
    brought = read_archive(exported, tmp_path / "elsewhere")
    assert brought.signed.site == "lyon"
    assert checksum(brought.file) == record["model"]["sha256"]
    figure("a server lost after the merge", "gone on with; model on each site", f"{seconds:.0f} s")
