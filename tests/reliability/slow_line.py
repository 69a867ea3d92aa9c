"""A line that can be made slow: bytes to the server trickle, or none comes through at all."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import Self

PIECE = 65536
PAUSE = 0.5  # seconds between two pieces of a slow line


class SlowLine:
    """A forwarder on the loopback to `target`, for as long as its `with` block lasts.

    `rate` is how many bytes a second go towards the target: None for all, 0 for none.
    """

    def __init__(self, target: str) -> None:
        host, _, port = target.partition(":")
        self.target, self.rate = (host, int(port)), None
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"localhost:{self.listening.getsockname()[1]}"
        self.lines: list[socket.socket] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *failure: object) -> None:
        for line in (self.listening, *self.lines):
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            line.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # until it no longer listens
            while True:
                near, _ = self.listening.accept()
                self.lines.append(near)
                try:
                    far = socket.create_connection(self.target)
                except OSError:
                    near.close()
                    continue
                self.lines.append(far)
                for words in ((near, far, True), (far, near, False)):
                    threading.Thread(target=self._forward, args=words, daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket, slowed: bool) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(PIECE):
                while slowed and self.rate is not None and piece:
                    now = int(self.rate * PAUSE)
                    sink.sendall(piece[:now])
                    piece = piece[now:]
                    time.sleep(PAUSE)
                sink.sendall(piece)
            sink.shutdown(socket.SHUT_WR)
