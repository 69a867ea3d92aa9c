"""The proxy under strangers: honest sites are answered, and it takes neither memory nor disk.

nginx as `docker/nginx.conf` has it, a server behind it that answers as a SuperLink does, honest
sites from one address of the loopback and hostile connections from others (`crowd.py`).
"""

from __future__ import annotations

import contextlib
import http.client
import http.server
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from base64 import b64encode
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from flwr.supercore.constant import FLEET_HTTP_PUBLIC_KEY_HEADER
from flwr.supercore.primitives.asymmetric import public_key_to_bytes

from fedad.deploy import services
from fedad.deploy.certificates import make_keys
from fedad.deploy.federation import find_nginx
from fedad.deploy.services import Listen
from tests.reliability.harness import members

HOST, HONEST = "127.0.0.1", "127.7.7.7"
SLOWEST, MEMORY = 5.0, 256 * 2**20  # seconds, bytes
PIECE = 5 * 2**20  # Flower cuts arrays so
STRANGERS, OF_A_SITE = 64, 8  # requests at a time
FROM_ONE_ADDRESS, MANY = 16, 2000


class Hub(http.server.ThreadingHTTPServer):
    """What stands behind the proxy; `stuck` keeps it from answering."""

    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, keys: Path) -> None:
        self.stuck, self.now, self.most, self.bytes = threading.Event(), 0, 0, 0
        super().__init__((HOST, 0), Answers)
        self.trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.trust.load_cert_chain(keys / "superlink.crt", keys / "superlink.key")
        self.lock = threading.Lock()

    def finish_request(self, request, address):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            with self.trust.wrap_socket(request, server_side=True) as line:
                super().finish_request(line, address)
        finally:
            with self.lock:
                self.now -= 1

    def handle_error(self, request, address):
        """The proxy leaves when its client does."""


class Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one piece
    disable_nagle_algorithm = True

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.bytes += len(body)
        while self.server.stuck.is_set():
            time.sleep(0.05)
        known = FLEET_HTTP_PUBLIC_KEY_HEADER in self.headers
        large = known and self.path.endswith("pull-object")  # as a SuperLink, which asks who it is
        answer = bytes(PIECE if large else 10)
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *words):
        pass


@dataclass
class Front:
    """The proxy, and who is behind it."""

    keys: Path
    hub: Hub
    port: int
    scratch: Path
    process: subprocess.Popen
    most: dict[str, int] = field(default_factory=lambda: {"memory": 0, "disk": 0, "sockets": 0})

    def look(self) -> None:
        """Memory, disk and sockets of all of nginx's processes now; the most of each is kept."""
        pids = members([self.process.pid])
        pages = sum(int(Path(f"/proc/{p}/statm").read_text().split()[1]) for p in pids)
        self.most["memory"] = max(self.most["memory"], pages * 4096)
        sizes = sockets = 0
        for handle in (h for p in pids for h in Path(f"/proc/{p}/fd").iterdir()):
            with contextlib.suppress(OSError):
                target = str(handle.readlink())
                sockets += target.startswith("socket:")
                if target.startswith(str(self.scratch / "body")):
                    sizes += handle.stat().st_size
        self.most["disk"] = max(self.most["disk"], sizes)
        self.most["sockets"] = max(self.most["sockets"], sockets)

    def line(self, place: str = HONEST) -> http.client.HTTPSConnection:
        trust = ssl.create_default_context(cafile=str(self.keys / "server" / "ca.crt"))
        return http.client.HTTPSConnection(
            "localhost", self.port, timeout=60, context=trust, source_address=(place, 0)
        )


@pytest.fixture(scope="module")
def kept_keys(tmp_path_factory):
    keys = tmp_path_factory.mktemp("keys")
    make_keys(keys, hosts=["localhost"], sites=["lyon", "graz"], days=30)
    return keys


@pytest.fixture
def front(needs_nginx, kept_keys, tmp_path):
    hub, port, scratch = Hub(kept_keys / "server"), quiet_port(), tmp_path / "scratch"
    threading.Thread(target=hub.serve_forever, daemon=True).start()
    scratch.mkdir()
    user = "root" if os.geteuid() == 0 else ""
    (tmp_path / "nginx.conf").write_text(
        services.proxy_configuration(
            kept_keys / "server",
            scratch,
            Listen("0.0.0.0", port),
            f"{HOST}:{hub.server_port}",
            user,
        )
    )
    words = [str(find_nginx()), *services.proxy(tmp_path / "nginx.conf")[1:]]
    process = subprocess.Popen(words, start_new_session=True)
    try:
        up = Front(kept_keys, hub, port, scratch, process)
        wait_until(lambda: answers(up), 10)
        yield up
    finally:
        hub.stuck.clear()
        process.send_signal(signal.SIGTERM)
        process.wait(10)
        hub.shutdown()
        hub.server_close()
    assert not members([process.pid])


def quiet_port():
    """A port that no connection of the test before has at its other end, nor will one of this."""
    for port in range(21_000, 31_000):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("0.0.0.0", port))
            return port
    raise OSError("no port is free")


def answers(front):
    with contextlib.suppress(OSError):
        socket.create_connection((HOST, front.port), 1).close()
        return True
    return False


def wait_until(true, seconds):
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, f"not in {seconds} s"
        time.sleep(0.02)


@contextlib.contextmanager
def hostile(front, number, where, *kinds, site=""):
    """So many hostile connections; `site` is whose key their requests carry."""
    program = Path(__file__).with_name("crowd.py")
    ca = str(front.keys / "server" / "ca.crt")
    words = [sys.executable, str(program), str(front.port), ca, str(number), str(where), *kinds]
    environment = {**os.environ}
    for name, value in (signed(site, front.keys) if site else {}).items():
        environment["CROWD_HEADER"] = f"{name}: {value}"
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            yield process
        finally:
            process.kill()


def signed(site, keys):
    """The header by which Flower's SuperNode says who it is."""
    key = serialization.load_ssh_public_key((keys / site / "node.pub").read_bytes())
    return {FLEET_HTTP_PUBLIC_KEY_HEADER: b64encode(public_key_to_bytes(key)).decode()}


def ask(front, line, what="pull-messages", size=0, **headers):
    """The status of one request, and its seconds; a new connection each time it was closed."""
    began = time.monotonic()
    line.request("POST", f"/v1/fleet/{what}", bytes(size), headers)
    reply = line.getresponse()
    reply.read()
    return reply.status, time.monotonic() - began


def alone(front, place=HONEST, **headers):
    """The status of a request on a connection of its own."""
    with contextlib.closing(front.line(place)) as line:
        return ask(front, line, **headers)[0]


def honest(front, seconds, place=HONEST, who=None):
    """What an honest site meets while it asks, sends and takes, on old and on new connections.

    Returns:
        the seconds of each request, and the statuses that are not 200. A request that was refused
        or cut off counts until it has passed, tried again every half second.
    """
    headers = signed("lyon", front.keys) if who is None else who
    took, refused, kept = [], [], front.line(place)
    until, number = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        number += 1
        what, size = [("pull-messages", 0), ("push-object", PIECE), ("pull-object", 0)][number % 3]
        began = time.monotonic()
        while True:
            line = kept if number % 2 else front.line(place)
            try:
                status, _ = ask(front, line, what, size, **headers)
            except (OSError, http.client.HTTPException) as error:
                status = type(error).__name__
                line.close()  # a kept one connects anew
            if line is not kept:
                line.close()
            if status == 200 or time.monotonic() > until + 30:
                break
            refused.append(status)
            time.sleep(0.5)
        took.append(time.monotonic() - began)
        front.look()
        time.sleep(0.05)
    kept.close()
    return took, refused


def test_a_site_is_known_by_the_very_header_that_flower_sends(front):
    """Its requests pass where all that strangers may have is taken."""
    with hostile(front, 120, 120, "stalled") as crowd:
        assert crowd.stdout.readline() == "120\n"
        time.sleep(1)
        stranger = alone(front)
        forged = alone(front, **{FLEET_HTTP_PUBLIC_KEY_HEADER: "lyon"})
        known = [alone(front, **signed(site, front.keys)) for site in ("lyon", "graz")]
    assert (stranger, forged, known) == (503, 503, [200, 200])


def test_strangers_leave_room_for_those_that_are_not_known_yet(front):
    """One address has a quarter of what all strangers have."""
    with hostile(front, 100, "127.9.0.1", "stalled") as crowd:
        crowd.stdout.readline()
        time.sleep(1)
        front.look()
        assert alone(front) == 200
        assert alone(front, "127.9.0.1") == 503
        assert alone(front, "127.9.0.1", **signed("lyon", front.keys)) == 200
    assert 0 < front.most["disk"] <= FROM_ONE_ADDRESS * 2**21


def test_honest_sites_among_hostile_connections(front):
    """The small one of the figure below: the memory of the proxy that fell was 17 MiB a body."""
    with hostile(front, 240, 40) as crowd:
        crowd.stdout.readline()
        took, _ = honest(front, 4)
    assert max(took) < SLOWEST
    assert front.most["memory"] < MEMORY / 4
    assert front.hub.bytes >= PIECE


def test_a_body_in_chunks_is_refused_above_16_mib_too(front):
    with contextlib.closing(front.line()) as line:
        line.putrequest("POST", "/v1/fleet/push-object")
        line.putheader("Transfer-Encoding", "chunked")
        line.endheaders()
        with contextlib.suppress(OSError):
            for _ in range(40):
                line.send(b"100000\r\n" + bytes(2**20) + b"\r\n")
                front.look()
    assert front.most["disk"] <= 17 * 2**20
    assert front.hub.bytes == 0


def test_a_stuck_superlink_gets_no_more_connections_than_are_allowed(front):
    """Each site's and all strangers' are bounded; once it answers again, so does the proxy."""
    front.hub.stuck.set()
    lines = []
    for place, headers, number in (
        *((f"127.9.1.{k + 1}", {}, 10) for k in range(20)),
        (HONEST, signed("lyon", front.keys), 40),
        (HONEST, signed("graz", front.keys), 40),
    ):
        for _ in range(number):
            line = front.line(place)
            line.request("POST", "/v1/fleet/pull-messages", b"", headers)
            lines.append(line)
    time.sleep(1)
    front.look()
    assert front.hub.most == STRANGERS + 2 * OF_A_SITE
    front.hub.stuck.clear()
    for line in lines:
        with contextlib.closing(line):
            assert line.getresponse().status in (200, 503)
    assert alone(front) == 200
    assert front.most["memory"] < MEMORY / 4


def test_a_plant_with_several_sites_asks_as_fast_as_it_can(front):
    """No limit of a rate is in an honest site's way: a piece every few milliseconds."""
    headers = signed("lyon", front.keys)
    with contextlib.closing(front.line()) as line:
        statuses = [ask(front, line, **headers)[0] for _ in range(200)]
    assert statuses == [200] * 200


CROWDS = {
    "2,000 connections of all kinds from 20 addresses": (MANY, 20, ()),
    "2,000 of all kinds from 2,000 addresses": (MANY, MANY, ()),
    "2,000 stalled bodies from 2,000 addresses": (MANY, MANY, ("stalled",)),
    "2,000 half-sent headers from 2,000 addresses": (MANY, MANY, ("headers",)),
    "2,000 half-done handshakes from 20 addresses": (MANY, 20, ("handshake",)),
    "2,000 dripping bodies from 2,000 addresses": (MANY, MANY, ("dripping",)),
    "2,000 by another site's key that take no answer": (MANY, MANY, ("deaf",)),
    "2,000 of all kinds from the honest site's own address": (MANY, HONEST, ()),
    "3,500 half-done handshakes from 20 addresses": (3500, 20, ("handshake",)),
}
HOLDING = ("half-done", "dripping")  # which the attacker need not open again all the time


@pytest.mark.reliability
@pytest.mark.parametrize("crowd", CROWDS)
def test_hostile_connections(crowd, front, figure):
    number, where, kinds = CROWDS[crowd]
    with hostile(front, number, where, *kinds, site="graz" * ("key" in crowd)) as strangers:
        first, before = honest(front, 10)  # while they come
        strangers.stdout.readline()
        then, after = honest(front, 25)  # when all have come, are shut out and come again
        assert strangers.poll() is None
    took, refused = first + then, before + after
    told = f"slowest {max(took):.2f} s of {len(took)}, {len(refused)} tried again; " + ", ".join(
        f"{what} {front.most[what] / 2**20:.0f} MiB" for what in ("memory", "disk")
    )
    told += f", {front.most['sockets']} sockets at a time"
    most = MEMORY if number == MANY else MEMORY * 3 // 2  # which the container's limit allows
    figure(crowd, f"{SLOWEST:.0f} s, {most >> 20} MiB", told)
    assert max(took) < SLOWEST
    assert front.most["memory"] < most
    if any(kind in crowd for kind in HOLDING):
        assert front.most["sockets"] > 0.8 * number


@pytest.mark.reliability
def test_a_site_that_is_not_known_yet_among_hostile_connections(front, figure):
    """Its key was made after the proxy had started; it is a stranger, and may have to wait."""
    with hostile(front, MANY, 20):
        took, refused = honest(front, 30, who={})
    told = f"slowest {max(took):.2f} s of {len(took)}, {len(refused)} tried again"
    figure("2,000 of all kinds, honest site unknown to the proxy", "reported", told)
    assert front.most["memory"] < MEMORY  # whoever waits, the proxy stands
