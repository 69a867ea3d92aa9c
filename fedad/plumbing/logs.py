"""Logs as JSON, one object a line, where FEDAD_LOG=json asks for it.

    {"time": "2026-03-01T06:30:00.123Z", "level": "INFO", "message": "judging",
     "process": "client app", "run": "1234567890", "site": "lyon"}

`run` is Flower's number of the run, which is the same on the server and at every site.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
from typing import Any

from fedad.errors import ConfigError
from fedad.plumbing.parse import from_json

FORM = "FEDAD_LOG"  # in the environment: json, or nothing
LOGGER = "flwr"  # which our apps write to, as Flower does
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_LEVEL = re.compile(r"(DEBUG|INFO|WARNING|ERROR|CRITICAL) *(?:\S+ )?: +(.*)", re.DOTALL)


def wanted() -> bool:
    """Whether logs are to be JSON.

    Raises:
        ConfigError: FEDAD_LOG is neither json nor empty.
    """
    form = os.environ.get(FORM, "")
    if form not in ("", "json"):
        raise ConfigError(f"{FORM} = {form!r}: expected json, or nothing")
    return form == "json"


class JsonLines(logging.Formatter):
    """A record as one line of JSON, with what is the same in all of a process's lines."""

    def __init__(self, **about: str) -> None:
        super().__init__()
        self.about = about

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        return line(record.getMessage(), record.levelname, record.created, **self.about)


def structure(**about: str) -> None:
    """From now on what this process logs is JSON, if that is asked for.

    Args:
        about: what stands in every line, such as `run` and `site`.
    """
    if not wanted():
        return
    form = JsonLines(**{key: text for key, text in about.items() if text})
    for handler in logging.getLogger(LOGGER).handlers:
        vars(handler)["format"] = form.format  # Flower's own has its form in this very method


def line(message: str, level: str = "INFO", at: float | None = None, **about: str) -> str:
    """One line of a log, in ASCII."""
    moment = time.time() if at is None else at
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment))
    told: dict[str, Any] = {"time": f"{stamp}.{int(moment % 1 * 1000):03d}Z", "level": level}
    return json.dumps({**told, "message": _COLOUR.sub("", message), **about})


def relayed(text: str, process: str) -> str:
    """A line that another program wrote, as JSON; one that is JSON already stays as it is."""
    plain = _COLOUR.sub("", text).rstrip()
    if plain.startswith("{"):
        try:
            if "message" in from_json(plain):
                return plain
        except (ValueError, TypeError):
            pass
    found = _LEVEL.fullmatch(plain)
    level, message = (found[1], found[2]) if found else ("INFO", plain)
    return line(message, level, process=process)
