"""What the sections on a comparison share: what they read, and how they call figures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from fedad.reporting.markup import NONE
from fedad.reporting.shown_figures import COLUMNS

Comparison = Mapping[str, Any]  # what `comparison.json` holds


def named(figure: str) -> str:
    """A figure's name for readers; the key itself where there is none."""
    return COLUMNS.get(figure, figure)


def number(value: float | None, form: str = ".3f") -> str:
    """A number by a format, or a dash in place of none."""
    return NONE if value is None or math.isnan(value) else format(value, form)
