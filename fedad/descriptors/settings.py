"""How a product's patches are described: in words that a bank's fingerprint carries.

A fingerprint says how images are brought to a network (`transform`). Where features are described
further before rows are taken of them, it goes on to say how, product by product: two banks mix, and
images are scored by a bank, only where they were described alike. Whoever does not know of it sees
another transform, and refuses.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any

from fedad.errors import MismatchError
from fedad.messages.schema import LARGEST
from fedad.plumbing.parse import from_json
from fedad.types import Fingerprint

MARK = "; described "
WHY = "evidence"
ALL = ""  # in place of a product: any of which nothing else is said
DIGITS = 6  # of a number, so that all sites write the same
LONGEST = 2**22  # characters of what is said of all products: of ten thousand with evidence
MOST = {  # of each setting: what it may be in a fingerprint, which anybody may have written
    "position": 100.0,
    "scale": 1e9,
    "standardise": 1.0,
    "density": 4.0,
    "smoothed_maximum": 1.0,
}


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
            **({WHY: evidence[name]} if name in evidence else {}),
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
    table, evidence = dict[str, Settings](), dict[str, Any]()
    try:
        if len(text) > LONGEST:
            raise ValueError(f"more than {LONGEST:,} characters")
        for product, told in from_json(text).items():
            numbers = {name: _number(name, value) for name, value in told.items() if name != WHY}
            table[product] = _settings(numbers)
            evidence |= {product: told[WHY]} if WHY in told else {}
    except (ValueError, TypeError, AttributeError) as error:
        raise MismatchError(
            f"features that were described as {text[:80]!a:.80} ({error!s:.120}): was the bank "
            "made by a later version of fedad, or its fingerprint changed?"
        ) from error
    return table, evidence


def _settings(numbers: Mapping[str, float]) -> Settings:
    made = Settings(**numbers)
    if (reach := made.position * made.scale) > LARGEST:
        raise ValueError(f"positions that reach {reach:.3g}, expected {LARGEST:g} at most")
    return made


def _number(name: str, value: Any) -> float:
    if name not in MOST:
        raise ValueError(f"{name[:40]} is not known")
    if type(value) not in (int, float) or not 0 <= value <= MOST[name]:  # NaN is neither
        raise ValueError(f"{name} is {value!a:.40}, expected 0 to {MOST[name]:g}")
    return float(value)


def _short(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
