"""FEDAD_LOG=json: every line of a process's log is one object, with the run that it is of."""

import io
import json
import logging
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from flwr.supercore.logger import ConsoleHandler

from fedad.errors import ConfigError
from fedad.plumbing import logs

ROOT = Path(__file__).parents[2]


@pytest.fixture
def written(monkeypatch):
    """What a handler of Flower's own kind writes, line by line."""
    stream, logger = io.StringIO(), logging.getLogger(logs.LOGGER)
    monkeypatch.setattr(logger, "handlers", [ConsoleHandler(stream=stream)])
    return lambda: stream.getvalue().splitlines()


def test_lines_are_objects_with_the_run_and_the_site(written, monkeypatch):
    monkeypatch.setenv(logs.FORM, "json")
    logs.structure(process="client app", run="123", site="lyon")
    logging.getLogger(logs.LOGGER).info("judging\n\x1b[2Jtwo lines of %s", "bolt \u00fc")
    (line,) = written()
    told = json.loads(line)
    assert line.isascii()
    assert told.pop("time").endswith("Z")
    assert told == {
        "level": "INFO",
        "message": "judging\n\x1b[2Jtwo lines of bolt \u00fc",
        "process": "client app",
        "run": "123",
        "site": "lyon",
    }


def test_without_it_nothing_changes(written, monkeypatch):
    monkeypatch.delenv(logs.FORM, raising=False)
    logs.structure(process="client app", run="123")
    logging.getLogger(logs.LOGGER).warning("odd")
    (line,) = written()
    assert "odd" in line
    assert not line.startswith("{")
    monkeypatch.setenv(logs.FORM, "xml")
    with pytest.raises(ConfigError, match="FEDAD_LOG = 'xml': expected json, or nothing"):
        logs.structure()


@pytest.mark.parametrize(
    ("text", "level", "message"),
    [
        ("\x1b[92mINFO \x1b[0m:      Starting\n", "INFO", "Starting"),
        ("WARNING :  odd: or not", "WARNING", "odd: or not"),
        ("Traceback (most recent call last):", "INFO", "Traceback (most recent call last):"),
        ('{"level": "ERROR", "words": 3}', "INFO", '{"level": "ERROR", "words": 3}'),
    ],
)
def test_what_another_program_writes_is_put_into_an_object(text, level, message):
    told = json.loads(logs.relayed(text, "nginx"))
    assert (told["level"], told["message"], told["process"]) == (level, message, "nginx")


def test_an_object_is_passed_on_as_it_is():
    line = logs.line("judging", run="7")
    assert logs.relayed(line + "\n", "flower-superexec") == line


def test_supervise_relays_what_its_program_and_those_that_it_starts_say(monkeypatch):
    monkeypatch.setenv(logs.FORM, "json")
    code = "import sys; print('INFO :  out'); print('err', file=sys.stderr); raise SystemExit(3)"
    command = [sys.executable, "-c", "from fedad.cli import main; main()", "supervise"]
    command += ["--delay", "0.1", "--", sys.executable, "-c", code]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        lines = [json.loads(process.stdout.readline()) for _ in range(4)]
        process.send_signal(signal.SIGTERM)
        rest, said = process.communicate(timeout=20)
    assert {one["message"] for one in lines} == {"out", "err"}
    assert {one["process"] for one in lines} == {Path(sys.executable).name}
    assert all(json.loads(one)["message"] for one in rest.splitlines())
    first = json.loads(said.splitlines()[0])
    assert first["process"] == "supervise"
    assert "ended with 3" in first["message"]
