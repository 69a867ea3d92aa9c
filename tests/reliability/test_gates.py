"""R8: who is not let in at the door of the server, and what is not let through it.

Real SuperNodes against a real SuperLink behind the proxy; each differs in one thing from one that
is let in, which is the first of them.
"""

import http.client
import shutil
import socket
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from fedad.config import read
from fedad.deploy import services
from fedad.deploy.certificates import make_keys
from fedad.deploy.federation import HOST, Federation, find_nginx
from fedad.deploy.link import LinkError
from fedad.deploy.reach import Server
from fedad.deploy.register import register_all, unregister
from fedad.deploy.server_checks import server_checks
from fedad.deploy.services import BODY_MIB, Kit, Listen
from fedad.deploy.site_checks import site_checks
from fedad.deploy.submit import submit_run
from fedad.errors import DataError, FedadError
from fedad.reporting.run_folder import FAILURE
from fedad.running.flower import environment_of, free_port
from tests.reliability.harness import members

pytestmark = pytest.mark.reliability
SECONDS = 25.0
# A SuperNode whose clock is wrong by so many seconds.
SKEWED = """
import sys
from datetime import timedelta
import flwr.supernode.node_auth_http_interceptor as signing
from flwr.supernode.cli.flower_supernode import flower_supernode

wrong, now = timedelta(seconds=float(sys.argv.pop(1))), signing.now
signing.now = lambda: now() + wrong
flower_supernode()
"""


@dataclass
class Door:
    """A server without sites, its proxy, and another proxy whose certificate has expired."""

    up: Federation
    keys: Path
    expired: str

    def kit(self, site="lyon", ca="server"):
        keys = self.keys / site
        (keys / "ca.crt").write_bytes((self.keys / ca / "ca.crt").read_bytes())
        return Kit(site, keys, self.keys, self.keys)

    def knock(self, command, scratch, skew=0.0):
        """Start a SuperNode: whether it was let in, and its exit code, None while it goes on."""
        before, log = self.activated(), scratch / "supernode.log"
        words = [sys.executable, "-c", SKEWED, str(skew), *command[1:]]
        with log.open("wb") as written:
            process = subprocess.Popen(
                words, cwd=scratch, env=environment_of(scratch), stdout=written, stderr=written
            )
        try:
            until = time.monotonic() + SECONDS
            while time.monotonic() < until and process.poll() is None:
                if self.activated() > before:
                    return True, None
                time.sleep(0.2)
            return self.activated() > before, process.poll()
        finally:
            process.kill()
            process.wait()

    def activated(self):
        return self.up.log("superlink").read_text().count("Activated node_id")


@pytest.fixture(scope="module")
def door(needs_nginx, tmp_path_factory):
    work = tmp_path_factory.mktemp("door")
    keys, late, other = work / "keys", work / "late", work / "other"
    hosts = ("localhost", HOST)
    make_keys(keys, hosts=hosts, sites=["lyon", "graz"], days=30)
    make_keys(other, hosts=hosts, sites=[], days=30)
    shutil.copytree(keys / "authority", late / "authority")
    make_keys(late, hosts=hosts, sites=[], days=-1)
    (keys / "other").symlink_to(other / "server")
    with Federation(work, {}) as up:
        up.link().register(keys / "server" / "sites" / "lyon.pub", "lyon")
        port, scratch = free_port(), work / "nginx-late"
        scratch.mkdir()
        configuration = work / "nginx-late.conf"
        configuration.write_text(
            services.proxy_configuration(
                late / "server", scratch, Listen(HOST, port), f"{HOST}:{up.ports['superlink']}"
            )
        )
        words = [str(find_nginx()), *services.proxy(configuration)[1:]]
        proxy = subprocess.Popen(words, start_new_session=True)
        try:
            yield Door(up, keys, f"localhost:{port}")
        finally:
            proxy.terminate()
            proxy.wait()
    assert not members([proxy.pid])


def supernode(kit, address):
    return services.supernode(kit, address, Listen(HOST, free_port()))


def insecure(command):
    """The command without TLS and so without a signature."""
    without = ("--root-certificates", "--auth-supernode-private-key")
    flags = [k for k, word in enumerate(command) if word in without]
    left = [word for k, word in enumerate(command) if k not in {*flags, *(f + 1 for f in flags)}]
    return [*left, "--insecure"]


KNOCKS = {
    "as it should be": lambda door: (supernode(door.kit(), door.up.proxy), 0.0),
    "wrong CA": lambda door: (supernode(door.kit(ca="other"), door.up.proxy), 0.0),
    "expired": lambda door: (supernode(door.kit(), door.expired), 0.0),
    "plaintext": lambda door: (insecure(supernode(door.kit(), door.up.proxy)), 0.0),
    "unregistered": lambda door: (supernode(door.kit("graz"), door.up.proxy), 0.0),
    "clock 10 s ahead": lambda door: (supernode(door.kit(), door.up.proxy), 10.0),
    "clock 400 s behind": lambda door: (supernode(door.kit(), door.up.proxy), -400.0),
}


@pytest.mark.parametrize("how", KNOCKS)
def test_only_a_site_that_is_known_is_let_in(how, door, figure, tmp_path):
    command, skew = KNOCKS[how](door)
    let_in, code = door.knock(command, tmp_path, skew)
    assert let_in == (how == "as it should be"), (tmp_path / "supernode.log").read_text()
    ended = f"exit code {code}" if code is not None else f"still trying after {SECONDS:.0f} s"
    promised = "let in" if how == "as it should be" else "refused"
    figure(f"R8 {how}", promised, "let in" if let_in else f"refused, {ended}")


def rss(session):
    """Bytes of memory of all processes of a session."""
    pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in members([session])]
    return sum(pages) * 4096


@pytest.mark.parametrize("announced", [True, False], ids=["its length told", "in chunks"])
def test_a_body_over_16_mib_is_refused_before_it_is_buffered(announced, door, figure):
    sessions = {name: door.up.processes[name].pid for name in ("superlink", "proxy")}
    before = {name: rss(session) for name, session in sessions.items()}
    trust = ssl.create_default_context(cafile=str(door.keys / "server" / "ca.crt"))
    host, _, port = door.up.proxy.partition(":")
    line = http.client.HTTPSConnection(host, int(port), timeout=30, context=trust)
    line.putrequest("POST", "/v1/fleet/push-object")
    how = ("Content-Length", str(400 * 2**20)) if announced else ("Transfer-Encoding", "chunked")
    line.putheader(*how)
    line.endheaders()
    sent, piece = 0, b"0" * 2**20
    try:
        while sent < 400 * 2**20:
            line.send(piece if announced else b"100000\r\n" + piece + b"\r\n")
            sent += len(piece)
    except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
        pass  # the door was shut
    try:
        answer = str(line.getresponse().status)
        assert answer == "413"
    except (ConnectionError, http.client.BadStatusLine, ssl.SSLError):
        answer = "the connection closed"  # before the answer was read: TCP then takes it away
    line.close()
    grown = {name: rss(session) - before[name] for name, session in sessions.items()}
    assert grown["superlink"] < BODY_MIB * 2**20
    assert grown["proxy"] < 2 * BODY_MIB * 2**20
    told = f"{answer}; memory after {sent >> 20} MiB: " + ", ".join(
        f"{name} +{size / 2**20:.1f} MiB" for name, size in grown.items()
    )
    figure(f"R8 a body of 400 MiB, {'announced' if announced else 'chunked'}", "refused", told)


def test_sites_reach_the_fleet_api_alone(door, figure):
    seen = Server(door.up.proxy, door.keys / "server" / "ca.crt")
    paths = ("/v1/control/list-runs", "/v1/control/start-run", "/v1/runtime/get-run", "/health")
    assert {path: seen.answer(path, method="POST")[0] for path in paths} == dict.fromkeys(
        paths, 403
    )
    assert seen.answer("/v1/fleet/../control/list-runs", method="POST")[0] in (400, 403)
    assert seen.answer("/v1/fleet/pull-messages", method="POST")[0] == 415  # the SuperLink's
    figure("R8 paths beside the Fleet API", "refused", "5 of 5 refused")


def test_register_and_submit_say_what_is_wrong(door, tmp_path):
    server, up = door.keys / "server", door.up
    with pytest.raises(DataError, match=r"oslo\.pub: there is no such key"):
        register_all(server, up.address, ["oslo"])
    lyon = register_all(server, up.address, ["lyon"])["lyon"]
    assert lyon.number.isdecimal()  # which it knows
    assert not lyon.is_new
    number, is_new = register_all(server, up.address, ["graz"])["graz"]
    assert is_new
    assert unregister(server, up.address, "graz") == number
    with pytest.raises(LinkError, match="the SuperLink did not do it"):
        unregister(server, up.address, number)
    with pytest.raises(DataError, match="graz: no such site may come: there are lyon"):
        unregister(server, up.address, "graz")
    with pytest.raises(DataError, match="shut out for good"):
        register_all(server, up.address, ["graz"])
    knobs = ["data.dataset=autovi", "round.enrol-seconds=1.0", "round.expected=oslo"]
    with pytest.raises(FedadError, match=r"1 nodes? came|0 nodes came|oslo did not come"):
        submit_run(None, knobs, up.address, server / "ca.crt", runs=tmp_path, resume=None)
    (folder,) = (path for path in tmp_path.iterdir() if path.is_dir())
    assert (folder / FAILURE).exists()
    with pytest.raises(FedadError, match=r"came|did not come"):
        submit_run(None, [], up.address, server / "ca.crt", runs=tmp_path, resume=folder)


def test_preflight_sees_what_is_wrong(door, factories, knobs, tmp_path):
    config = read({**knobs, "data.dir": "", "embedder.cache": "off"})

    def failed(kit, address):
        checks = site_checks(config, "lyon", kit.keys, factories["lyon"], tmp_path, address)
        return {check.name for check in checks if not check.passed}

    assert failed(door.kit(), door.up.proxy) == set()
    assert failed(door.kit(ca="other"), door.up.proxy) == {"certificate", "clock", "fleet"}
    assert failed(door.kit(), door.expired) == {"certificate", "clock", "fleet"}
    door.up.stop("superlink")
    try:
        assert failed(door.kit(), door.up.proxy) == {"fleet"}
    finally:
        door.up.start("superlink")
        door.up._wait_until_up()
    with socket.socket() as nobody:
        nobody.bind((HOST, 0))
        address = f"{HOST}:{nobody.getsockname()[1]}"
        assert failed(door.kit(), address) == {"server"}
    server, up = door.keys / "server", door.up
    checks = list(server_checks(server, up.address, up.proxy, tmp_path))
    assert [check for check in checks if not check.passed] == []
    # the SuperLink itself in the proxy's place: everybody could command it
    checks = list(server_checks(server, up.address, up.address, tmp_path))
    assert {check.name for check in checks if not check.passed} == {"hidden", "body"}
