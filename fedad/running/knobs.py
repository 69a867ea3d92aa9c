"""`make knobs`: every knob of every plug-in that is there, as pyproject.toml lists them for Flower.

Flower refuses a run-config with a key that `[tool.flwr.app.config]` lacks, so a new plug-in whose
file declares `Knobs` needs this once.
"""

from __future__ import annotations

import json
import stat
from pathlib import Path

from fedad.config import Value, every_knob
from fedad.errors import ConfigError
from fedad.plumbing.console import say
from fedad.plumbing.files import write_atomic
from fedad.plumbing.parse import read_toml

TABLE = "tool.flwr.app.config"


def knobs_text() -> str:
    """The tables of pyproject.toml, with a blank line between them."""
    tables: dict[str, list[str]] = {}
    for key, value in every_knob().items():
        table, _, knob = key.partition(".")
        tables.setdefault(table, []).append(f"{knob} = {json.dumps(value, ensure_ascii=False)}")
    return "\n\n".join("\n".join([f"[{TABLE}.{name}]", *tables[name]]) for name in tables) + "\n"


def write_knobs(pyproject: Path) -> bool:
    """Bring a pyproject.toml up to date, and return whether it changed. The tables come last."""
    text = pyproject.read_text("utf-8")
    before, mark, _ = text.partition(f"[{TABLE}.")
    if not mark:
        raise ConfigError(f"{pyproject}: expected tables [{TABLE}...] at its end")
    if (now := before + knobs_text()) == text:
        return False
    write_atomic(pyproject, now, mode=stat.S_IMODE(pyproject.stat().st_mode))
    return True


def check_listed(knobs: dict[str, Value], pyproject: Path) -> None:
    """Refuse, before Flower does so with less to say, a knob that pyproject.toml lacks.

    Raises:
        ConfigError: naming the knob and what mends it.
    """
    tables = read_toml(pyproject)["tool"]["flwr"]["app"]["config"]
    listed = {f"{table}.{knob}" for table, of in tables.items() for knob in of}
    if missing := [key for key in knobs if key not in listed]:
        raise ConfigError(
            f"{missing[0]}: {pyproject} does not list this knob, so Flower would refuse it: is its "
            "plug-in new? make knobs lists it"
        )


if __name__ == "__main__":
    where = Path("pyproject.toml")
    say(f"{where}: {'brought up to date' if write_knobs(where) else 'has every knob already'}")
