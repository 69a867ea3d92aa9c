"""Somebody who keeps many connections to the proxy open, each of one of six kinds; a program.

    python crowd.py PORT CA COUNT ADDRESSES [KIND ...]

ADDRESSES is one address, or how many of 127.9.x.y the connections come from; $CROWD_HEADER is one
more header of each request. Whatever is closed is opened again. It prints how many have been
opened, once COUNT have been tried.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import sys
from itertools import count

HOST = "127.0.0.1"
PAUSE = 0.5  # seconds until a connection that was closed is opened again
HEAD = "POST /v1/fleet/{} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/protobuf\r\n"
HEAD += f"{os.environ['CROWD_HEADER']}\r\n" if "CROWD_HEADER" in os.environ else ""
LENGTH = "Content-Length: 16777216\r\n\r\n"
KINDS = ("tcp", "handshake", "headers", "stalled", "dripping", "deaf")


class Crowd:
    """The connections of one attacker."""

    def __init__(self, port: int, ca: str, places: list[str]) -> None:
        self.port, self.places, self.opened = port, places, 0
        self.trust = ssl.create_default_context(cafile=ca)
        self.turn = asyncio.Semaphore(100)  # handshakes at a time

    async def stay(self, number: int, kind: str) -> None:
        for attempt in count():
            with contextlib.suppress(OSError, ssl.SSLError, asyncio.IncompleteReadError):
                await self.once(number, kind, attempt)
            await asyncio.sleep(PAUSE)

    async def once(self, number: int, kind: str, attempt: int) -> None:
        reader, writer = await self.open(self.places[number % len(self.places)], kind, attempt)
        try:
            await getattr(self, kind)(reader, writer)
        finally:
            writer.transport.abort()

    async def open(self, place: str, kind: str, attempt: int):
        trust = self.trust if kind not in ("tcp", "handshake") else None
        async with self.turn:
            line = socket.socket()
            line.setblocking(False)
            if kind == "deaf":
                line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            try:
                line.bind((place, 0))
                await asyncio.get_running_loop().sock_connect(line, (HOST, self.port))
                name = "localhost" if trust else None
                return await asyncio.open_connection(
                    sock=line, ssl=trust, server_hostname=name, limit=1024
                )
            except BaseException:
                line.close()
                raise
            finally:
                self.opened += not attempt

    async def tcp(self, reader, writer) -> None:
        await reader.read()

    async def handshake(self, reader, writer) -> None:
        writer.write(bytes.fromhex("1603010200010001fc0303") + bytes(40))  # of a ClientHello
        await reader.read()

    async def headers(self, reader, writer) -> None:
        writer.write(HEAD.format("push-object").encode())
        await self.drip(reader, writer, b"X-More: of the same\r\n")

    async def stalled(self, reader, writer) -> None:
        writer.write((HEAD.format("push-object") + LENGTH).encode())
        for _ in range(4):
            writer.write(bytes(2**18))
            await writer.drain()
        await reader.read()

    async def dripping(self, reader, writer) -> None:
        writer.write((HEAD.format("push-object") + LENGTH).encode())
        await self.drip(reader, writer, b"0")

    async def deaf(self, reader, writer) -> None:
        """Asks for what is large, and does not take the answer."""
        writer.write((HEAD.format("pull-object") + "Content-Length: 0\r\n\r\n").encode())
        while not (writer.transport.is_closing() or reader.at_eof() or reader.exception()):
            await asyncio.sleep(1)

    async def drip(self, reader, writer, drop: bytes) -> None:
        answer = asyncio.ensure_future(reader.read())
        try:
            while not answer.done():
                writer.write(drop)
                await writer.drain()
                await asyncio.wait([answer], timeout=2.0)
        finally:
            answer.cancel()


async def main(port: int, ca: str, number: int, places: list[str], kinds: list[str]) -> None:
    crowd = Crowd(port, ca, places)
    staying = [asyncio.ensure_future(crowd.stay(k, kinds[k % len(kinds)])) for k in range(number)]
    while crowd.opened < number:
        await asyncio.sleep(0.05)
    print(crowd.opened, flush=True)
    await asyncio.gather(*staying)


def places_of(word: str) -> list[str]:
    if not word.isdigit():
        return [word]
    return [f"127.9.{k // 250}.{k % 250 + 1}" for k in range(int(word))]


if __name__ == "__main__":
    _, port_, ca_, number_, where, *kinds_ = sys.argv
    asyncio.run(main(int(port_), ca_, int(number_), places_of(where), kinds_ or [*KINDS]))
