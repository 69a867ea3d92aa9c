"""What a release did to one upload. Epsilon is computed from these receipts, never from claims."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from fedad.errors import FedadError

Unit = Literal["image", "part"]
RELATION = "add/remove"  # of one unit of one product at one site: replacing one costs about twice


class ReceiptError(FedadError):
    """A receipt that cannot be read, or accounted for."""


@dataclass(frozen=True)
class Receipt:
    """What a release did to one upload, for whoever accounts for it later. It stays at the site.

    Args:
        release: the release's name.
        images: how many images it stands for, by category.
    """

    release: str
    images: dict[str, int]


@dataclass(frozen=True)
class Unprotected(Receipt):
    """Nothing was done: whoever holds the upload may learn anything. It costs infinite epsilon."""


@dataclass(frozen=True)
class Gaussians(Receipt):
    """Sums over all units of a category, each with Gaussian noise of its own.

    Each category has all of them over its own images alone, so what one of them costs, all do.

    Args:
        epsilon: what was asked for, at `delta`.
        unit: what one is added or removed of: an image, or all images of a part.
        noise: of each sum, the standard deviation of its noise over its sensitivity, which is the
            Euclidean length by which one unit changes it at most.
        private: whether the noise was the operating system's; else epsilon is infinite.
    """

    epsilon: float
    delta: float
    unit: Unit
    noise: tuple[float, ...]
    private: bool


@dataclass(frozen=True)
class SampledGaussians(Receipt):
    """Steps of DP-SGD: each over a Poisson sample of the units, with Gaussian noise.

    Args:
        epsilon, delta, unit, private: see `Gaussians`.
        noise: the standard deviation of a step's noise over the clipping norm.
        rate: the probability with which each unit is in a step.
        steps: how many there were.
    """

    epsilon: float
    delta: float
    unit: Unit
    noise: float
    rate: float
    steps: int
    private: bool


KINDS = {kind.__name__: kind for kind in (Unprotected, Gaussians, SampledGaussians)}


def as_json(receipt: Receipt) -> dict[str, Any]:
    """A receipt as a site keeps it: its fields, and which `kind` it is."""
    return {"kind": type(receipt).__name__, **asdict(receipt)}


def receipt_from(told: Mapping[str, Any]) -> Receipt:
    """The receipt that `as_json` gave.

    Raises:
        ReceiptError: a kind that nobody here knows, or other fields than it has.
    """
    rest = dict(told)
    kind = KINDS.get(str(rest.pop("kind", None)))
    if kind is None:
        raise ReceiptError(
            f"a receipt of the kind {told.get('kind')!r}: expected {', '.join(KINDS)}; was it "
            "made by a newer fedad?"
        )
    if strange := sorted({*rest} ^ {one.name for one in fields(kind)}):
        raise ReceiptError(
            f"a receipt of the kind {told['kind']!r}: {strange[0]} is too much or missing"
        )
    try:  # as JSON, in which a tuple is a list, and nothing else is taken for what it is not
        found: Receipt = TypeAdapter(kind).validate_json(json.dumps(rest), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ReceiptError(f"a receipt with {where} = {first['input']!r}: {first['msg']}") from None
    return found
