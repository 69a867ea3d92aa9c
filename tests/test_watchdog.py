"""A ClientApp ends when its SuperNode is gone or does not know it; not before, and nothing else."""

import itertools
from types import SimpleNamespace
from unittest.mock import Mock

import httpx
import pytest
from google.protobuf.message import DecodeError

from client_app import watchdog

CLIENTAPP = "/venv/bin/flwr-clientapp --runtime-api-address 127.0.0.1:9094 --token abc --insecure"


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Time passes by the question, without waiting."""
    clock = itertools.count(step=watchdog.EVERY)
    monkeypatch.setattr(watchdog.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(watchdog.time, "monotonic", lambda: next(clock))


def questions_until_it_leaves(answers):
    asked, reasons = [], []

    def ask():
        asked.append(next(answers))
        return asked[-1]

    watchdog._stand_by(ask, reasons.append)
    return len(asked), *reasons


def test_a_task_that_the_supernode_does_not_know_ends_at_once():
    asked, reason = questions_until_it_leaves(iter([True, True, False]))
    assert (asked, reason) == (3, "its SuperNode does not know this task any more")


def test_a_supernode_that_is_silent_for_a_minute_is_gone():
    answers = itertools.chain([True] * 5, itertools.repeat(None))
    asked, reason = questions_until_it_leaves(answers)
    assert "has not answered for 60 s" in reason
    assert 5 + watchdog.PATIENCE / watchdog.EVERY / 2 < asked < 5 + 2 * watchdog.PATIENCE


def test_a_short_silence_ends_nothing():
    silences = itertools.chain.from_iterable([[None] * 4 + [True]] * 50)
    asked, _ = questions_until_it_leaves(itertools.chain(silences, [False]))
    assert asked == 251


@pytest.mark.parametrize(
    ("said", "known"),
    [
        (SimpleNamespace(success=True), True),
        (httpx.HTTPStatusError("", request=None, response=httpx.Response(401)), False),
        (httpx.HTTPStatusError("", request=None, response=httpx.Response(503)), None),
        (httpx.ConnectError("nobody"), None),
        (DecodeError("another program has its port"), None),
    ],
)
def test_whatever_is_answered_the_watch_goes_on(said, known, monkeypatch):
    client = Mock(SendTaskHeartbeat=Mock(side_effect=[said]))
    monkeypatch.setattr(watchdog.RuntimeHttpClient, "from_server_address", lambda **how: client)
    assert watchdog._ask(watchdog._arguments(CLIENTAPP.split()))() is known


def test_only_a_clientapp_of_flowers_is_watched():
    arguments = watchdog._arguments(CLIENTAPP.split())
    assert (arguments.runtime_api_address, arguments.token) == ("127.0.0.1:9094", "abc")
    assert arguments.insecure
    others = ["pytest -q", "/venv/bin/flwr-simulation --run-id 1", "flwr-clientapp --help"]
    for words in ([], *(other.split() for other in others)):
        assert watchdog._arguments(words) is None
