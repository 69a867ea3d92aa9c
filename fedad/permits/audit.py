"""What a site's policy refused, and what was given: lines on the site's own disk."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fedad.plumbing.files import private_file, private_folder
from fedad.plumbing.parse import from_json

AUDIT = "audit.jsonl"


def note(folder: Path, event: str, **told: Any) -> None:
    """Add a line to a site's audit, on disk before anything else happens."""
    line = json.dumps({"time": time.time(), "event": event, **told})
    with private_file(private_folder(folder) / AUDIT).open("a", encoding="utf-8") as file:
        file.write(line + "\n")
        file.flush()
        os.fsync(file.fileno())


def audit_of(folder: Path) -> list[dict[str, Any]]:
    """The lines of a site's audit, oldest first; one that a crash cut short is left out."""
    path, found = folder / AUDIT, []
    for line in path.read_text("utf-8", errors="replace").splitlines() if path.exists() else ():
        try:
            one = from_json(line)
        except ValueError:
            continue
        if isinstance(one, dict) and {"time", "event"} <= one.keys():
            found.append(one)
    return found


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """One process at a time looks at a site's account and adds to it."""
    with private_file(private_folder(folder) / f".{AUDIT}.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
