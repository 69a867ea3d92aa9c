"""Moments as files and terminals have them: UTC, in ISO 8601."""

from __future__ import annotations

import time


def utc_text(moment: float | None = None) -> str:
    """A moment, or this one, as `2026-03-01T06:30:00Z`.

    Args:
        moment: seconds since 1970.
    """
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))
