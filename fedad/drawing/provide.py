"""A folder that holds one drawn set whole, and nothing of any other."""

from __future__ import annotations

import json
import tempfile
from dataclasses import fields
from pathlib import Path

from fedad.drawing.drawn_set import DrawnSet
from fedad.drawing.files import complete
from fedad.drawing.plan import DrawingPlan
from fedad.errors import DataError
from fedad.plumbing.files import private_folder, write_atomic
from fedad.plumbing.parse import read_json


def provide(root: Path, drawn: DrawnSet, plan: DrawingPlan) -> None:
    """Leaves the whole plan below `root`: what is there of it stays as it is.

    Raises:
        DataError: `root` cannot be written, holds something else, or what another plan drew.
    """
    try:
        if not root.exists() or not any(root.iterdir()):
            _draw_beside(root, drawn, plan)
        _check(root, drawn, plan)
        complete(root, drawn, plan)
    except OSError as error:
        raise DataError(
            f"{root}: the {_words(drawn)} cannot be drawn there ({error}): is it a folder that may "
            "be written?"
        ) from error


def drawn_with(root: Path, drawn: DrawnSet) -> dict[str, int]:
    """The numbers that what is below `root` was drawn with, if it is this set."""
    if not (root / drawn.stamp).exists():
        return {}
    there = _read(root / drawn.stamp)
    known = {field.name for field in fields(DrawingPlan)}
    return {
        name: value for name, value in there.items() if name in known and isinstance(value, int)
    }


def _words(drawn: DrawnSet) -> str:
    return "demo plants" if drawn.name == "plants" else f"drawn set {drawn.name}"


def _draw_beside(root: Path, drawn: DrawnSet, plan: DrawingPlan) -> None:
    """Draws into a folder beside `root` that gets its name once it is complete."""
    private_folder(root.parent)
    with tempfile.TemporaryDirectory(prefix=f".{root.name}-", dir=root.parent) as beside:
        made = Path(beside) / root.name
        complete(made, drawn, plan)
        write_atomic(made / drawn.stamp, json.dumps(drawn.stamped(plan), indent=1), flush=False)
        try:
            made.rename(root)
        except OSError:
            if not (root / drawn.stamp).exists():
                raise
            # another process was faster: its copy is kept and ours thrown away


def _check(root: Path, drawn: DrawnSet, plan: DrawingPlan) -> None:
    """Refuses a folder that is not of this plan: its figures would be taken for this plan's."""
    path = root / drawn.stamp
    if not path.exists():
        raise DataError(
            f"{root}: the folder is neither empty nor one of the {_words(drawn)}, which has a "
            f"{drawn.stamp}: name a folder of its own"
        )
    wanted, there = drawn.stamped(plan), _read(path)
    differing = [
        f"{name} = {there.get(name)}" for name in wanted if there.get(name) != wanted[name]
    ]
    if differing:
        raise DataError(
            f"{root}: what is there was drawn with {', '.join(differing)}, expected "
            f"{', '.join(f'{name} = {value}' for name, value in wanted.items())}: "
            "delete the folder, or name another"
        )


def _read(path: Path) -> dict[str, object]:
    try:
        return dict(read_json(path))
    except (ValueError, TypeError) as error:
        raise DataError(
            f"{path}: expected how the set was drawn ({error}): was the file cut short?"
        ) from error
