"""End a ClientApp's process whose SuperNode is gone.

Flower's ClientApp asks a dead SuperNode again and again, for hours, and keeps its memory; and a
SuperNode that was started anew does not know it. Here a thread says every few seconds that the task
is alive: nobody there for a while, or somebody who does not know the task, and the process ends.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import cache
from logging import ERROR
from pathlib import Path

import httpx
from flwr.proto.runtime_pb2 import SendTaskHeartbeatRequest
from flwr.supercore import log
from flwr.supercore.interceptors import RuntimeTokenHttpInterceptor
from flwr.supercore.runtime import RuntimeHttpClient

EVERY = 5.0  # seconds from one question to the next
PATIENCE = 60.0  # seconds without an answer after which a SuperNode is gone
UNKNOWN = (401, 403, 404)  # what a SuperNode says that does not know the task
ENDED = 75  # the exit code: EX_TEMPFAIL


@cache
def watch() -> threading.Thread | None:
    """Watch over this process if it is a ClientApp of Flower's; in a simulation it is not."""
    arguments = _arguments(sys.argv)
    if arguments is None:
        return None
    thread = threading.Thread(target=_stand_by, args=(_ask(arguments), _leave), daemon=True)
    thread.start()
    return thread


def _arguments(words: list[str]) -> argparse.Namespace | None:
    """What SuperExec starts a ClientApp with; None if this process is none."""
    if not words or not Path(words[0]).name.startswith("flwr-clientapp"):
        return None
    return task_of(words[1:])


def task_of(words: Sequence[str]) -> argparse.Namespace | None:
    """What SuperExec starts a program with: where its SuperNode is, and the task's token."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--runtime-api-address")
    parser.add_argument("--token")
    parser.add_argument("--insecure", action="store_true")
    parser.add_argument("--root-certificates")
    found = parser.parse_known_args(words)[0]
    return found if found.runtime_api_address and found.token else None  # as with --help


def client_of(task: argparse.Namespace) -> RuntimeHttpClient:
    """A line to a task's SuperNode, which asks each question once."""
    return RuntimeHttpClient.from_server_address(
        server_address=task.runtime_api_address,
        insecure=task.insecure,
        root_certificates=task.root_certificates,
        interceptors=[RuntimeTokenHttpInterceptor(task.token)],
    )


def _ask(arguments: argparse.Namespace) -> Callable[[], bool | None]:
    """A question: is the task known (True), unknown (False), or nobody there (None)?"""
    client = client_of(arguments)

    def ask() -> bool | None:
        try:
            return bool(client.SendTaskHeartbeat(SendTaskHeartbeatRequest()).success)
        except httpx.HTTPStatusError as error:
            return False if error.response.status_code in UNKNOWN else None
        except Exception:  # nobody there, or no SuperNode: this thread has to go on asking
            return None

    return ask


def _stand_by(ask: Callable[[], bool | None], leave: Callable[[str], None]) -> None:
    heard = time.monotonic()
    while True:
        time.sleep(EVERY)
        known = ask()
        if known:
            heard = time.monotonic()
        elif known is False:
            return leave("its SuperNode does not know this task any more")
        elif time.monotonic() - heard > PATIENCE:
            return leave(f"its SuperNode has not answered for {PATIENCE:.0f} s")


def _leave(reason: str) -> None:
    log(ERROR, "this ClientApp ends: %s", reason)
    os._exit(ENDED)
