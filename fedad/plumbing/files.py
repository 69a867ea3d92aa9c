"""Files that are whole or not there: written beside their place, flushed, then renamed."""

from __future__ import annotations

import json
import math
import os
import re
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fedad.errors import DataError

LONGEST_NAME = 160  # bytes; with its ending, and as a part file's, it stays below 255


def is_name(name: str) -> bool:
    """Whether a product may be called so: its name becomes a file's or a folder's."""
    return (
        re.fullmatch(r"[^/\\.][^/\\]{0,63}", name) is not None
        and name.isprintable()
        and len(name.encode()) <= LONGEST_NAME
    )


def is_site_name(name: str) -> bool:
    """Whether a site may be called so: its name also stands in lists such as `graz=2,lyon=0.5`."""
    return is_name(name) and not {",", "="} & {*name}


def write_atomic(path: Path, content: bytes | str, *, flush: bool = True) -> None:
    """Replace `path` by `content`; a crash leaves the old file or the new one, never a part.

    `flush=False` is for what can be made again: the machine's own crash may lose it.

    Raises:
        OSError: the disk is full or the folder cannot be written; `path` is as it was.
    """
    data = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        with part.open("wb") as file:
            file.write(data)
            if flush:
                file.flush()
                os.fsync(file.fileno())
        part.replace(path)
        if flush:
            flush_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)


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
        return dict(json.loads(path.read_text()))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not {what} ({error})") from error


def as_json_text(value: Mapping[str, Any]) -> str:
    """`value` as indented JSON, with null for NaN."""
    return json.dumps(_plain(value), indent=1)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def cache_root() -> Path:
    """Where what can be made again is kept: `$XDG_CACHE_HOME/fedad`, `~/.cache/fedad` if unset."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "fedad"
