"""Factories for the tests of faults: the small plants, one folder a site."""

from __future__ import annotations

import pytest

from fedad.config import read
from fedad.datasets.base import open_dataset
from fedad.deploy.federation import find_nginx
from fedad.deploy.site_folders import split
from fedad.partition import partition
from tests.reliability.harness import make_template, quick
from tests.reliability.oracle import Oracle

KEY = pytest.StashKey[list[tuple[str, ...]]]()


@pytest.fixture(scope="session")
def factories(config, tmp_path_factory):
    """Site -> its folder."""
    sites = partition(open_dataset(config.data), config.data, seed=config.round.seed)
    folders = split(sites, tmp_path_factory.mktemp("factories"))
    return {folder.name: folder for folder in folders}


@pytest.fixture(scope="session")
def needs_nginx():
    if find_nginx() is None:
        pytest.skip("nginx is not installed (apt-get install nginx-light): no proxy, no federation")


@pytest.fixture(scope="session")
def template(needs_nginx, factories, tmp_path_factory):
    """What every federation of this session starts from."""
    return make_template(tmp_path_factory.mktemp("template"), factories)


@pytest.fixture(scope="session")
def settings(knobs):
    """A run over the factories; each process keeps its own features."""
    return quick(read({**knobs, "data.dir": "", "embedder.cache": ""}))


@pytest.fixture(scope="session")
def oracle(settings, factories, tmp_path_factory):
    """What such a run has to come to."""
    return Oracle(settings, factories, tmp_path_factory.mktemp("oracle"))


@pytest.fixture(scope="session")
def cells(figure):
    """The cells of the kill matrix, a figure at the end of the session."""
    done = []
    yield done
    for process, phase, victim, how, lost, seconds in done:
        told = f"killed {victim}, {how}, sites lost: {lost}, {seconds:.0f} s"
        figure(f"R2 {process} in {phase}", "ends with the remaining sites or resumes", told)
    if done:
        figure("R2, R3 cells", "30 of 30, bit-identical", f"{len(done)} of 30")


@pytest.fixture(scope="session")
def figure(request):
    """Note a figure: its name, what was promised, what was measured."""
    table = request.config.stash.setdefault(KEY, [])

    def note(name: str, promised: str, measured: str) -> None:
        table.append((name, promised, measured))

    return note


def pytest_terminal_summary(terminalreporter, config):
    table = config.stash.get(KEY, [])
    if table:
        terminalreporter.section("figures")
        terminalreporter.write_line("| figure | promised | measured |")
        terminalreporter.write_line("|---|---|---|")
        for row in table:
            terminalreporter.write_line("| " + " | ".join(row) + " |")
