"""R2: sites that are stuck or whose bytes drip delay others at most 5 s beyond their deadline."""

import json
import socket
import time
from dataclasses import replace

import pytest

from fedad.reporting.run_folder import RECORD
from tests.reliability.harness import Attempt, Plants, wait_for_line
from tests.reliability.slow_line import SlowLine

pytestmark = pytest.mark.reliability
DEADLINE = 90.0  # enough for a site that is not slow, on a machine that has much else to do
RATES = {"lyon": 0.0, "turin": 200.0}  # bytes a second, of replies of some 65,000
BEGINS = {"train": "learning, round", "evaluate": "judging"}


class Slowed(Plants):
    """A federation two of whose sites reach the proxy by lines that can be made slow."""

    def __enter__(self):
        self.lines = {site: SlowLine(self.proxy) for site in RATES}
        for line in self.lines.values():
            line.__enter__()
        return super().__enter__()

    def __exit__(self, *failure):
        super().__exit__(*failure)
        for line in self.lines.values():
            line.__exit__(*failure)

    def commands(self):
        found = super().commands()
        for site, line in self.lines.items():
            words = found[f"{site}-supernode"]
            words[words.index("--superlink") + 1] = line.address
        return found


@pytest.mark.parametrize("stage", BEGINS)
def test_slow_sites_hold_up_nobody(  # noqa: PLR0917 - fixtures, which are named
    stage, template, settings, oracle, figure, tmp_path
):
    knobs = {f"{name}_seconds": DEADLINE for name in ("enrol", *BEGINS)}
    config = replace(settings, round=replace(settings.round, min_sites=1, **knobs))
    with template.federation(tmp_path / "up", Slowed) as up:
        attempt = Attempt(up, config, tmp_path / "run")
        for site, rate in RATES.items():
            wait_for_line(up.log(f"{site}-superexec"), BEGINS[stage], 240)
            up.lines[site].rate = rate
        assert attempt.wait(400), (attempt.folder / "failure.json").read_text()
    record = json.loads((attempt.folder / RECORD).read_text())
    missing = {name: told["stage"] for name, told in record["missing"].items()}
    assert missing == dict.fromkeys(RATES, stage)
    late = record["seconds"][stage] - DEADLINE
    assert late <= 5
    oracle.check(record)
    figure(f"R2 one site stuck, one dripping, in {stage}", "at most 5 s late", f"{late:+.1f} s")


def test_the_lines_are_slow():
    """The measure itself: what goes through a dripping line."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        SlowLine(f"127.0.0.1:{server.getsockname()[1]}") as line,
    ):
        host, _, port = line.address.partition(":")
        with socket.create_connection((host, int(port))) as near, server.accept()[0] as far:
            near.sendall(b"x" * 100)
            assert far.recv(100) == b"x" * 100
            line.rate = 200.0
            near.sendall(b"y" * 1000)
            time.sleep(1.2)
            assert 100 <= len(far.recv(1000)) <= 400
