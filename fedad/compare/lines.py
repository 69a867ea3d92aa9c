"""A configuration -> the line that runs it: what differs from the defaults, and nothing else."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace

from fedad.config import Config, every_knob
from fedad.running.overlay import read_knobs

PREFIX = "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION=1"


def overridden(config: Config) -> dict[str, str | int | float]:
    """The knobs whose values are not the defaults; where results go is left to the user."""
    plain, config = every_knob(), replace(config, round=replace(config.round, out=""))
    return {key: value for key, value in config.flat().items() if value != plain[key]}


def flwr_line(config: Config, sites: int) -> str:
    """Plain Flower, from the repository's root, over virtual sites.

    Flower reads `key=value` pairs as TOML; a JSON string is a TOML string.
    """
    knobs = {"data.sites": sites, **overridden(config)}
    pairs = " ".join(
        f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in sorted(knobs.items())
    )
    return (
        f"{PREFIX} flwr run . --stream --federation-config "
        f"'num-supernodes={sites} client-resources-num-cpus=2' --run-config {shlex.quote(pairs)}"
    )


def fedad_line(config: Config) -> str:
    """The checked way, from the defaults of the demo."""
    pairs = (_pair(key, value) for key, value in sorted(overridden(config).items()))
    return " ".join(["fedad run configs/demo.toml", *(f"-c {shlex.quote(pair)}" for pair in pairs)])


def _pair(key: str, value: str | int | float) -> str:
    """`key=value`, in quotes where it would be read as something else: a product called 2024."""
    plain = f"{key}={value}"
    same = read_knobs([plain])[key] == value
    return plain if same else f"{key}={json.dumps(value, ensure_ascii=False)}"
