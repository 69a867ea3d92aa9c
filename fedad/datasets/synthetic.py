"""The demo plants: three products, drawn at three plants in AutoVI's layout when first asked for.

    demo.json                                        how they were drawn
    <category>/train/good/0000.png                   only the variant that the plant builds
    <category>/test/{good,<defect>}/0000.png         all variants at every plant
    <category>/ground_truth/<defect>/0000/0000.png   one file a reading of the defect
    <category>/defects_config.json                   pixel value -> saturation threshold
    <category>/sites.csv                             the plant of each image

Each plant has its own lamp, lens and camera stand, and has learned one variant of a part; half of
what it judges are variants that only the other plants know. Structural defects are damage of a
surface; logical ones are parts missing, misplaced or swapped, with a mask for each reading.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

from fedad.datasets._tree import mask_folder, read_tree
from fedad.drawing.files import complete
from fedad.drawing.plan import PRODUCTS, DrawingPlan
from fedad.errors import DataError
from fedad.plumbing.files import private_folder, write_atomic
from fedad.plumbing.parse import read_json
from fedad.types import Dataset

__all__ = ["synthetic"]

LICENCE = "Apache-2.0: drawn by fedad, no photograph in it"
_STAMP = "demo.json"
_DRAWING = 1  # counts up when the same plan gives other pixels


def synthetic(root: Path, *, categories: Sequence[str] = (), **numbers: int) -> Dataset:
    """The demo plants below `root`; what is not there yet is drawn.

    Args:
        categories: the products wanted; none means all three. All are drawn.
        numbers: of the `DrawingPlan`; those not given are what the plants that are there were
            drawn with, or `DrawingPlan`'s own.

    Raises:
        ConfigError: a number is too small to draw.
        DataError: `root` holds something else, or plants drawn with other numbers.
    """
    try:
        _provide(root, DrawingPlan(**{**_drawn_with(root), **numbers}))
    except OSError as error:
        raise DataError(f"{root}: the demo plants cannot be drawn there ({error})") from error
    return read_tree(
        "synthetic", root, licence=LICENCE, categories=categories, kind=_kind, masks=mask_folder
    )


def _kind(defect: str) -> str:
    found = (product.defects[defect].kind for product in PRODUCTS if defect in product.defects)
    return next(found, "")


def _drawn_with(root: Path) -> dict[str, int]:
    """The numbers that the plants below `root` were drawn with, if there are any."""
    if not (root / _STAMP).exists():
        return {}
    there = _read(root / _STAMP)
    known = {field.name for field in fields(DrawingPlan)}
    return {
        name: value for name, value in there.items() if name in known and isinstance(value, int)
    }


def _provide(root: Path, plan: DrawingPlan) -> None:
    """Leaves the whole plan below `root`, and nothing of any other."""
    if not root.exists() or not any(root.iterdir()):
        _draw_beside(root, plan)
    _check(root, plan)
    complete(root, plan)


def _draw_beside(root: Path, plan: DrawingPlan) -> None:
    """Draws into a folder beside `root` that gets its name once it is complete."""
    private_folder(root.parent)
    with tempfile.TemporaryDirectory(prefix=f".{root.name}-", dir=root.parent) as beside:
        drawn = Path(beside) / root.name
        complete(drawn, plan)
        write_atomic(drawn / _STAMP, json.dumps(_stamp(plan), indent=1), flush=False)
        try:
            drawn.rename(root)
        except OSError:
            if not (root / _STAMP).exists():
                raise
            # another process was faster: its copy is kept and ours thrown away


def _stamp(plan: DrawingPlan) -> dict[str, int]:
    return {"drawing": _DRAWING, **asdict(plan)}


def _check(root: Path, plan: DrawingPlan) -> None:
    """Refuses a folder that is not of this plan: its figures would be taken for this plan's."""
    path = root / _STAMP
    if not path.exists():
        raise DataError(
            f"{root}: the folder is neither empty nor the demo's, which has a {_STAMP}: "
            "give the demo plants a folder of their own"
        )
    wanted, there = _stamp(plan), _read(path)
    differing = [
        f"{name} = {there.get(name)}" for name in wanted if there.get(name) != wanted[name]
    ]
    if differing:
        raise DataError(
            f"{root}: its demo plants were drawn with {', '.join(differing)}, expected "
            f"{', '.join(f'{name} = {value}' for name, value in wanted.items())}: "
            "delete the folder, or name another"
        )


def _read(path: Path) -> dict[str, object]:
    try:
        return dict(read_json(path))
    except (ValueError, TypeError) as error:
        raise DataError(
            f"{path}: expected how the plants were drawn ({error}): was the file cut short?"
        ) from error
