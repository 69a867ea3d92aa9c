"""How a product's patches are described: in words that a bank's fingerprint carries.

A fingerprint says how images are brought to a network (`transform`). Where features are described
further before rows are taken of them, it goes on to say how, product by product: two banks mix, and
images are scored by a bank, only where they were described alike. Whoever does not know of it sees
another transform, and refuses.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache
from typing import Any

from fedad.errors import MismatchError
from fedad.types import Fingerprint

MARK = "; described "
ALL = ""  # in place of a product: any of which nothing else is said
DIGITS = 6  # of a number, so that all sites write the same


@dataclass(frozen=True)
class Settings:
    """How a product's patches are described and scored; all 0: as the network gives them.

    `scale` is the spread of the product's features, which `position` counts in.
    """

    position: float = 0.0
    scale: float = 0.0
    standardise: float = 0.0
    density: float = 0.0
    smoothed_maximum: float = 0.0


OFF = Settings()
Table = Mapping[str, Settings]  # by product, or of `ALL`


def settings_of(table: Table, product: str) -> Settings:
    """Those of a product; off where nothing is said of it."""
    return table.get(product, table.get(ALL, OFF))


def joins(table: Table) -> bool:
    """Whether positions are joined to the features of any product, and so to all."""
    return any(settings.position for settings in table.values())


def described(mark: Fingerprint, table: Table, evidence: Mapping[str, Any]) -> Fingerprint:
    """The fingerprint of features of `mark` that are described so.

    Args:
        evidence: why, by product: plain values that JSON holds.
    """
    if all(settings == OFF for settings in table.values()) and not evidence:
        return mark
    told = {
        name: {
            **{key: _short(value) for key, value in asdict(settings).items() if value},
            **({"evidence": evidence[name]} if name in evidence else {}),
        }
        for name, settings in table.items()
    }
    text = json.dumps(told, sort_keys=True, separators=(",", ":"))
    return replace(mark, transform=f"{embedded(mark).transform}{MARK}{text}")


def embedded(mark: Fingerprint) -> Fingerprint:
    """How the features were made before they were described."""
    return replace(mark, transform=mark.transform.partition(MARK)[0])


def table_of(mark: Fingerprint) -> Table:
    """How features of this fingerprint are described, by product; empty: they are not.

    Raises:
        MismatchError: it says so in words that this version does not know.
    """
    return _read(mark.transform.partition(MARK)[2])[0]


def evidence_of(mark: Fingerprint) -> dict[str, Any]:
    """Why features of this fingerprint are described as they are, by product."""
    return _read(mark.transform.partition(MARK)[2])[1]


@lru_cache(maxsize=64)
def _read(text: str) -> tuple[Table, dict[str, Any]]:
    if not text:
        return {}, {}
    names = {one.name for one in fields(Settings)}
    table, evidence = dict[str, Settings](), dict[str, Any]()
    try:
        for product, told in json.loads(text).items():
            table[product] = Settings(**{k: float(v) for k, v in told.items() if k in names})
            evidence |= {product: told["evidence"]} if "evidence" in told else {}
            if unknown := sorted({*told} - names - {"evidence"}):
                raise ValueError(f"{unknown[0]} is not known")
    except (ValueError, TypeError, AttributeError) as error:
        raise MismatchError(
            f"features that were described as {text!a:.80} ({error!s:.80}): was the bank made by a "
            "later version of fedad?"
        ) from error
    return table, evidence


def _short(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
