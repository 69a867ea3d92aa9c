"""Files that are whole or not there, and their owner's alone.

They are written beside their place, flushed, then renamed. What a site, a server or a cache keeps
tells of images, and another user of the machine has no business in it: folders are 0700 and files
0600 from their first moment on, temporary ones too.
"""

from __future__ import annotations

import errno
import json
import math
import os
import re
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from fedad.errors import DataError
from fedad.plumbing import parse

FOLDER_MODE, FILE_MODE = 0o700, 0o600
OTHERS = 0o077  # the rights of everybody but the owner
# What figures of several sites or products are called: no site or product may be.
TOTALS = ("all sites", "all sites together", "mean", "mean of sites", "pooled", "together")
BLOCK = 2**16  # bytes of a file whose last line is looked for that are read together
LONGEST_NAME = 160  # bytes; with its ending it stays below 255
LONGEST_PART = 40  # letters of a file's name that its part file has, for the same reason


def is_name(name: str) -> bool:
    """Whether a product may be called so: its name becomes a file's or a folder's, and stands
    beside `TOTALS`."""
    return (
        name not in TOTALS
        and re.fullmatch(r"[^/\\.][^/\\]{0,63}", name) is not None
        and name.isprintable()
        and len(name.encode()) <= LONGEST_NAME
    )


def is_site_name(name: str) -> bool:
    """Whether a site may be called so: its name also stands in lists such as `graz=2, lyon=0.5`."""
    return is_name(name) and name == name.strip() and not {",", "="} & {*name}


def private_umask() -> None:
    """Keep all that this process and those it starts will make from other users.

    Every entry point calls it first: the libraries that we write through ask for no mode.
    """
    os.umask(OTHERS)


def private_folder(folder: Path) -> Path:
    """Make a folder, and those above it that are not there, for its owner alone; return it.

    One that is there stays as it is: it may be the user's own, such as `/tmp`.

    Raises:
        OSError: it cannot be made, or a file is there.
    """
    for above in reversed(folder.parents):
        if not above.exists():
            above.mkdir(FOLDER_MODE, exist_ok=True)
    folder.mkdir(FOLDER_MODE, exist_ok=True)
    return folder


def private_file(path: Path) -> Path:
    """Make an empty file for its owner alone, before somebody opens it, and return its path.

    One that is there keeps its content and loses the rights of others.

    Raises:
        OSError: it cannot be made.
    """
    handle = os.open(path, os.O_WRONLY | os.O_CREAT, FILE_MODE)
    try:
        if os.fstat(handle).st_mode & OTHERS:
            with suppress(PermissionError):  # another user's file, which preflight complains of
                os.fchmod(handle, FILE_MODE)
    finally:
        os.close(handle)
    return path


def write_atomic(
    path: Path, content: bytes | str, *, flush: bool = True, mode: int = FILE_MODE
) -> None:
    """Replace `path` by `content`; a crash leaves the old file or the new one, never a part.

    Args:
        flush: False is for what can be made again: the machine's own crash may lose it.
        mode: of the file from when it has its name; the part is its owner's alone.

    Raises:
        OSError: the disk is full or the folder cannot be written; `path` is as it was.
    """
    data = content.encode() if isinstance(content, str) else content
    private_folder(path.parent)
    part = path.with_name(f".{path.name[:LONGEST_PART]}.{uuid.uuid4().hex}.part")
    try:
        with private_file(part).open("wb") as file:
            file.write(data)
            if mode != FILE_MODE:
                os.fchmod(file.fileno(), mode)
            if flush:
                file.flush()
                os.fsync(file.fileno())
        part.replace(path)
        if flush:
            flush_folder(path.parent)
    except OSError as error:  # of a full disk the system does not say which file it was
        error.filename = f"{path}"
        raise
    finally:
        part.unlink(missing_ok=True)


def append_line(file: int, line: bytes) -> None:
    """All of a line behind what an open file has, on disk, or none of it: what a full disk took is
    taken back.

    Raises:
        OSError: it could not be written; the file is as it was.
    """
    end, left = os.lseek(file, 0, os.SEEK_END), line
    try:
        while left:
            left = left[os.write(file, left) :]
        os.fsync(file)
    except OSError:
        os.ftruncate(file, end)
        raise


def cut_torn(file: int) -> int:
    """Cut off what a crash left of an open file's last line; how many bytes that were."""
    size = end = os.lseek(file, 0, os.SEEK_END)
    while end and os.pread(file, 1, end - 1) != b"\n":
        start = max(0, end - BLOCK)
        end = start + os.pread(file, end - start, start).rfind(b"\n") + 1
    if end < size:
        os.ftruncate(file, end)
    return size - end


def flush_folder(folder: Path) -> None:
    """Bring to disk which files a folder has: without it a machine's crash may undo a rename."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """`value` as indented JSON, atomically; NaN is written as null, which JSON has."""
    write_atomic(path, as_json_text(value) + "\n")


def read_json(path: Path, what: str) -> dict[str, Any]:
    """The JSON object in a file, which is `what` the reader expects.

    Raises:
        DataError: no such file, or something else.
    """
    try:
        return dict(parse.read_json(path))
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{path}: not {what} ({error})") from error


def json_number(value: float) -> float | str | None:
    """A number as JSON has it: none for NaN, a word for what is infinite."""
    if math.isnan(value):
        return None
    return float(value) if math.isfinite(value) else str(value)


def as_json_text(value: Mapping[str, Any] | Sequence[Any]) -> str:
    """`value` as indented JSON, its numbers by `json_number`."""
    return json.dumps(_plain(value), indent=1, allow_nan=False)


def _plain(value: Any) -> Any:
    """A value as JSON has it: numbers by `json_number`, paths absolute, tuples as lists."""
    if isinstance(value, Path):
        return str(value.absolute())
    if isinstance(value, float):
        return json_number(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def cache_root() -> Path:
    """Where what can be made again is kept: `$XDG_CACHE_HOME/fedad`, `~/.cache/fedad` if unset.

    Raises:
        OSError: neither is there, as for a user whom only a container knows.
    """
    return expanded(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "fedad"


def expanded(path: str | Path) -> Path:
    """A path with the home folder that `~` stands for.

    Raises:
        OSError: nobody knows that home.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise FileNotFoundError(errno.ENOENT, "no home folder is known", f"{path}") from error
