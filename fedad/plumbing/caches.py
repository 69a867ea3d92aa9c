"""What is kept on this machine only because it takes time to make again, and how to let go of it.

Beside it may lie what cannot be made again: a site without an `output-dir` has its models and its
ledger below `sites`. So only what is named here is ever removed.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from fedad.errors import ConfigError
from fedad.plumbing.alike import like

# Kind -> what it is, and what it is called in a cache's folder.
KINDS = {
    "features": ("features of images, by what they were made of", ("features",)),
    "taps": ("features of an ensemble's members", ("taps",)),
    "looks": ("what was found out about image files", ("looks*.jsonl",)),
    "drawn": ("drawn plants and public sets", ("plants", "public")),
}


class Kept(NamedTuple):
    """So many files of a kind, and their bytes."""

    kind: str
    what: str
    files: int
    size: int


def kept_in(root: Path) -> list[Kept]:
    """What a cache's folder has of each kind."""
    found = []
    for kind, (what, _) in KINDS.items():
        sizes = [size for place in _places(root, kind) for size in _sizes(place)]
        found.append(Kept(kind, what, len(sizes), sum(sizes)))
    return found


def others_in(root: Path) -> list[str]:
    """What else lies there, and stays."""
    named = {place for kind in KINDS for place in _places(root, kind)}
    there = root.iterdir() if root.is_dir() else ()
    return sorted(path.name for path in there if path not in named)


def clear(root: Path, kinds: Iterable[str] = ()) -> list[Kept]:
    """Remove what a cache's folder has of some kinds, of all if none is named; return what it was.

    A process that uses it meanwhile makes anew what it misses.

    Raises:
        ConfigError: no such kind.
    """
    wanted = [*kinds] or [*KINDS]
    if unknown := [kind for kind in wanted if kind not in KINDS]:
        hint = f": did you mean {near!r}?" if (near := like(unknown[0], [*KINDS])) else ""
        raise ConfigError(f"{unknown[0]!r}: expected one of {', '.join(KINDS)}{hint}")
    had = [one for one in kept_in(root) if one.kind in wanted]
    for kind in wanted:
        for place in _places(root, kind):
            if place.is_dir() and not place.is_symlink():
                shutil.rmtree(place, ignore_errors=True)
            else:
                place.unlink(missing_ok=True)
    return had


def _places(root: Path, kind: str) -> list[Path]:
    return [path for pattern in KINDS[kind][1] for path in sorted(root.glob(pattern))]


def _sizes(place: Path) -> Iterator[int]:
    for path in (place, *place.rglob("*")) if place.is_dir() else (place,):
        with suppress(OSError):  # another process has removed it
            if path.is_file() and not path.is_symlink():
                yield path.stat().st_size
