"""What `fedad status` tells on either machine: plain dictionaries, in lines, JSON or metrics.

`server_status.py` and `site_status.py` find out what there is. Nothing here judges: `fedad
preflight` says whether a run may begin. What ought to be looked at stands under `warnings`.
"""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from fedad import __version__
from fedad.deploy import expiry
from fedad.deploy.checks import GB
from fedad.errors import DataError
from fedad.plumbing.moments import utc_text

Status = dict[str, Any]
LEAST_DISK = 1.0  # GB below which free space is worth a warning


def versions() -> dict[str, str]:
    """Of fedad, of Flower and of Python on this machine."""
    try:
        flower = version("flwr")
    except PackageNotFoundError:
        flower = "not installed"
    return {"fedad": __version__, "flower": flower, "python": platform.python_version()}


def certificates(files: Mapping[str, Path]) -> tuple[list[Status], list[str]]:
    """Whose certificates are valid until when, and what is to be said of them.

    Args:
        files: whose they are -> the file.
    """
    found, warnings = list[Status](), list[str]()
    for whose, path in files.items():
        try:
            ends = expiry.in_file(path, whose)
        except DataError as error:
            warnings.append(str(error))
            continue
        found += [
            {"whose": one.whose, "until": utc_text(one.until.timestamp()), "days": one.days()}
            for one in ends
        ]
        warnings += _ending(ends)
    return found, warnings


def _ending(ends: Iterable[expiry.Validity]) -> Iterator[str]:
    for one in ends:
        if one.days() < expiry.MONTH:
            yield one.told().removeprefix("WARNING: ")


def disk(folder: Path) -> tuple[Status, list[str]]:
    """How much is free where a folder is, and how much is in it, in GB."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free / GB
    used = sum(_size(path) for path in folder.rglob("*")) / GB if folder.is_dir() else 0.0
    told = {"folder": str(folder), "free_gb": round(free, 2), "used_gb": round(used, 3)}
    low = [f"{folder}: {free:.2f} GB free"] if free < LEAST_DISK else []
    return told, low


def _size(path: Path) -> int:
    try:
        return 0 if path.is_symlink() or not path.is_file() else path.stat().st_size
    except OSError:  # it is gone already, or may not be looked at
        return 0


def in_lines(status: Status) -> list[str]:
    """For a terminal."""
    told = status["versions"]
    lines = [
        f"{status['machine']} at {status['time']}: fedad {told['fedad']}, Flower {told['flower']}, "
        f"Python {told['python']}"
    ]
    lines += _up(status.get("superlink"), status.get("sites", ()))
    lines += [f"{name}: {told}" for name, told in status.get("up", {}).items()]
    lines.append(_run(status.get("run")))
    lines.append(_model(status.get("model")))
    for one in status["certificates"]:
        lines.append(f"{one['whose']}: until {one['until'][:10]}, {one['days']} days left")
    for one in status.get("ledgers", ()):
        lines.append(
            f"ledger of {one['product']}: epsilon {one['left']:.3g} of {one['epsilon']:g} left"
        )
    if kept := status.get("uploads"):
        lines.append(f"uploads kept: of {kept['runs']} runs, {kept['bytes'] / 2**20:.1f} MiB")
    lines.append(
        f"disk: {status['disk']['free_gb']:g} GB free, {status['disk']['used_gb']:g} GB in "
        f"{status['disk']['folder']}"
    )
    return lines + [f"WARNING: {text}" for text in status["warnings"]]


def _up(superlink: Status | None, sites: Sequence[Status]) -> Iterator[str]:
    if superlink is None:
        return
    yield f"SuperLink at {superlink['address']}: {superlink['told']}"
    for one in sites:
        since = f" since {one['since']}" if one["status"] == "online" and one["since"] else ""
        yield f"  {one['site'] or '(no name)'}: {one['status']}{since}, key {one['number']}"


def _run(run: Status | None) -> str:
    if run is None:
        return "last run: none"
    told = f": {run['told']}" if run["told"] else ""
    return f"last run: {run['run']}, {run['outcome']}{told}"


def _model(model: Status | None) -> str:
    if model is None:
        return "model: none"
    return f"model: {model['sha256'][:16]}, of {', '.join(model['sites'])}; {model['told']}"
