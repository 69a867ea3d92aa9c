"""A server of one line on the loopback, by the keys that `fedad certs` makes."""

from __future__ import annotations

import ssl
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from fedad.deploy.certificates import make_keys

HOSTS = ("localhost", "127.0.0.1")


class Answer(BaseHTTPRequestHandler):
    """Refuses everything, as the proxy does what is not the Fleet API."""

    def do_GET(self):
        self.send_response(200 if self.path == "/health" else 403)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_GET  # noqa: N815 - as the library calls it

    def log_message(self, *words):
        pass


class Quiet(HTTPServer):
    """Says nothing of clients that do not trust it."""

    def handle_error(self, *what):
        pass


@contextmanager
def shown(keys):
    """The address of a server that shows the certificate in a folder of the server's keys."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(keys / "superlink.crt", keys / "superlink.key")
    server = Quiet(("127.0.0.1", 0), Answer)
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"localhost:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def keys(tmp_path):
    make_keys(tmp_path / "keys", hosts=HOSTS, sites=["lyon", "graz"], days=400)
    return tmp_path / "keys"
