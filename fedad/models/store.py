"""The folder of a site's models on disk, whole at any moment.

    models/<digest>/        one model, complete from the moment that it has its name
    models/current          a link to the one that judges
    models/history.json     which were accepted, in order: what `rollback` goes back by
    models/.new-*/          one that is being written; the next writer removes what a crash left

A folder is written under another name, flushed and renamed; the link is replaced last, in one step.
Whoever opens `current` has one whole model, whenever a writer is killed. One process writes at a
time; readers need no lock.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fedad.errors import BusyError, DataError
from fedad.messages.file import checksum
from fedad.plumbing.files import (
    FOLDER_MODE,
    flush_folder,
    private_file,
    private_folder,
    read_json,
    write_json,
)

MODELS, CURRENT, HISTORY = "models", "current", "history.json"
NEW, TENSORS = ".new-", ".safetensors"
DIGEST = 16  # hexadecimal digits of a model's name
KEPT = 8  # models that stay beside the current one and the one before it


def models_folder(path: Path) -> Path:
    """The folder of models that a path means: itself, or `models` in a site's own folder."""
    inside = path / MODELS
    return inside if inside.is_dir() or not _is_store(path) else path


def _is_store(path: Path) -> bool:
    return path.name == MODELS or (path / CURRENT).is_symlink() or (path / HISTORY).exists()


def names(models: Path) -> list[str]:
    """The models that are there, the oldest first."""
    if not models.is_dir():
        return []
    found = [one for one in models.iterdir() if _is_name(one.name) and one.is_dir()]
    return [one.name for one in sorted(found, key=lambda one: (one.stat().st_mtime_ns, one.name))]


def current(models: Path) -> str | None:
    """The model that judges; None as long as none was accepted.

    Raises:
        DataError: the link leads to nothing that is there.
    """
    link = models / CURRENT
    if not link.is_symlink():
        return None
    name = os.readlink(link)
    if not _is_name(name) or not (models / name).is_dir():
        raise DataError(f"{link}: it leads to {name!a:.80}, which is no model that is there")
    return name


def previous(models: Path) -> str | None:
    """The model that was accepted before the current one, and is still there."""
    accepted, now = _accepted(models), current(models)
    if now not in accepted:
        return None
    before = accepted[: len(accepted) - 1 - accepted[::-1].index(now)]
    there = [name for name in before if name != now and (models / name).is_dir()]
    return there[-1] if there else None


def resolve(models: Path, name: str = "") -> Path:
    """The folder of a model, by the first letters of its name, or of the current one.

    Raises:
        DataError: there is no such model, or none was accepted.
    """
    known = names(models)
    if not name or name == CURRENT:
        if now := current(models):
            return models / now
        waiting = f": fedad model accept {known[-1]} takes the last one" if known else ""
        raise DataError(f"{models}: no model was accepted there{waiting}")
    found = [one for one in known if one.startswith(name)]
    if len(found) != 1:
        there = ", ".join(known) or "none"
        raise DataError(f"{models}: {len(found)} models are called {name!r}: there are {there}")
    return models / found[0]


def publish(models: Path, fill: Callable[[Path], None], keyed: Sequence[str]) -> tuple[str, bool]:
    """Bring a model to disk: `fill` writes its files into a folder that nobody sees.

    Args:
        keyed: the files by whose content it is called; some of them may not be there.

    Returns:
        its name, and whether it is new here.

    Raises:
        OSError: the disk is full; what was there is as it was.
    """
    with _alone(models):
        part = models / f"{NEW}{uuid.uuid4().hex}"
        part.mkdir(FOLDER_MODE)
        try:
            fill(part)
            flush_folder(part)
            name = _digest([part / file for file in keyed])
            is_new = not (models / name).exists()
            if is_new:
                part.rename(models / name)
                flush_folder(models)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        return name, is_new


def accept(models: Path, name: str) -> None:
    """Make a model the current one; the one before it stays.

    Raises:
        DataError: it is not there.
    """
    with _alone(models):
        if not (models / name).is_dir():
            raise DataError(f"{models}: no model is called {name!r}")
        if current(models) == name:
            return
        write_json(models / HISTORY, {"accepted": [*_accepted(models), name]})
        part = models / f"{NEW}{uuid.uuid4().hex}"
        part.symlink_to(name)
        part.replace(models / CURRENT)
        flush_folder(models)
        _forget_old(models)


def _digest(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        if file.exists():
            digest.update(f"{file.name} ".encode())
            digest.update(_content(file).encode())
    return digest.hexdigest()[:DIGEST]


def _content(file: Path) -> str:
    """What a file holds: the same tensors may be written in another order of their header."""
    if file.suffix == TENSORS:
        return checksum(file)
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _is_name(text: str) -> bool:
    return len(text) == DIGEST and {*text} <= {*"0123456789abcdef"}


def _accepted(models: Path) -> list[str]:
    if not (models / HISTORY).exists():
        return []
    told = read_json(models / HISTORY, "which models were accepted").get("accepted", [])
    return [name for name in told if isinstance(name, str)]


def _forget_old(models: Path) -> None:
    """Remove the oldest models beyond `KEPT`; a model loses its name before its files."""
    spared = {current(models), previous(models)}
    old = [name for name in names(models) if name not in spared]
    for name in old[: max(0, len(old) - KEPT)]:
        part = models / f"{NEW}{uuid.uuid4().hex}"
        (models / name).rename(part)
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def _alone(models: Path) -> Iterator[None]:
    """Keep other writers out, and remove what one that was killed has left."""
    with private_file(private_folder(models) / ".lock").open("rb+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BusyError(f"{models}: another process is writing a model there") from error
        for left in models.glob(f"{NEW}*"):
            if left.is_symlink():
                left.unlink()
            else:
                shutil.rmtree(left, ignore_errors=True)
        yield
