"""`fedad preflight`: is this machine ready for a run? A line a check, and what mends it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from fedad.config import Config


class Check(NamedTuple):
    """What was looked at, whether it will do, what was found, and what mends it if not."""

    name: str
    passed: bool
    told: str
    fix: str = ""


def site_checks(
    config: Config, site: str, keys: Path, data: Path, output: Path, superlink: str
) -> Iterator[Check]:
    yield Check("todo", True, "")


def server_checks(
    config: Config, keys: Path, superlink: str, proxy: str, runs: Path
) -> Iterator[Check]:
    yield Check("todo", True, "")
