"""The presets of members: `small`, which trains on a CPU, and `paper`, which has its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, Literal, TypeVar

from fedad.errors import ConfigError

Preset = Literal["small", "paper"]
K = TypeVar("K", bound=Any)


def settled(knobs: K, table: str, paper: Mapping[str, Any]) -> K:
    """The knobs of a member as its preset has them: of `small` they are as they stand.

    Args:
        table: what its knobs are called by in a run-config.
        paper: what the paper's preset sets.

    Raises:
        ConfigError: a knob that the preset would not heed.
    """
    if knobs.preset != "paper":
        return knobs
    for one in fields(knobs):
        if one.name in paper and getattr(knobs, one.name) not in (one.default, paper[one.name]):
            raise ConfigError(
                f"{table}.{one.name.replace('_', '-')} = {getattr(knobs, one.name)!r}: expected "
                f"{paper[one.name]!r}, the paper's, with {table}.preset = 'paper': set "
                f"{table}.preset = 'small' to choose each"
            )
    return replace(knobs, **paper)
