"""`defects_config.json`: a mask's pixel value -> what saturates such a region."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from fedad.errors import DataError
from fedad.plumbing.parse import read_json
from fedad.types import Saturation

LONGEST = 2**20  # bytes


def read_saturation(path: Path) -> Mapping[int, Saturation]:
    """The configuration of a category; nothing where there is no such file.

    Raises:
        DataError: not the list of objects that AutoVI and MVTec LOCO define.
    """
    try:
        if not path.exists():
            return {}
        if path.stat().st_size > LONGEST:
            raise ValueError(f"more than {LONGEST:,} bytes")
        entries = read_json(path)
        return {int(entry["pixel_value"]): _entry(entry) for entry in entries}
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        OverflowError,
        RecursionError,
        AttributeError,
    ) as error:
        raise DataError(
            f"{path}: expected a list of objects with defect_name, pixel_value, "
            f"saturation_threshold and relative_saturation ({type(error).__name__}: {error})",
            reason="config",
        ) from error


def _entry(entry: Mapping[str, object]) -> Saturation:
    threshold, relative = entry["saturation_threshold"], bool(entry["relative_saturation"])
    most = 1 if relative else math.inf
    if not isinstance(threshold, int | float) or not 0 < threshold <= most or threshold == math.inf:
        raise ValueError(
            f"saturation_threshold = {threshold!r} of {entry.get('defect_name')!r}: "
            "expected a share above 0 and at most 1, or a number of pixels"
        )
    return Saturation(float(threshold), relative)
