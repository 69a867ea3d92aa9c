"""The file of a plant's thresholds: what each product's pictures are held against, and why.

It stands beside a model's file, as `fedad calibrate` leaves it, or in the folder of a model that
the site keeps. Scores of good parts are in it, so that it stays at the plant.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fedad.config import ScoreKnobs
from fedad.errors import DataError
from fedad.judging.looks import Look, Looks
from fedad.judging.promise import Promise
from fedad.judging.thresholds import GoodScore, Threshold
from fedad.messages.file import checksum
from fedad.plumbing.files import json_number, read_json, write_json

ENDING = ".thresholds.json"
SCHEMA = 1


@dataclass(frozen=True)
class Limits:
    """What a product's pictures are held against: a promise, the good scores that it rests on, and
    the limits of pictures as a whole, where good images were there to measure."""

    promise: Promise
    good: tuple[GoodScore, ...] = ()
    looks: Looks | None = None

    @property
    def threshold(self) -> Threshold:
        """The score above which a part is stopped."""
        one = self.promise
        return Threshold(one.threshold, one.parts, by_site=one.by_site, good=self.good)


def limits_of(
    promises: Mapping[str, Promise],
    good: Mapping[str, Sequence[GoodScore]],
    looks: Mapping[str, Sequence[Look]],
) -> dict[str, Limits]:
    """The limits of each product that something is promised of."""
    return {
        name: Limits(
            promise,
            tuple(sorted(good.get(name, ()), key=lambda one: one.score)),
            Looks.of(looks[name]) if looks.get(name) else None,
        )
        for name, promise in promises.items()
    }


def thresholds_file(model_file: Path) -> Path:
    """Where the thresholds of a model's file stand: beside it."""
    return model_file.with_name(model_file.name + ENDING)


def write_limits(file: Path, model: str, knobs: ScoreKnobs, products: Mapping[str, Limits]) -> None:
    """Write the limits of products.

    Args:
        model: the checksum of the model that scores.
        knobs: `score.*`, by which it does.
    """
    told = {name: _told(one) for name, one in products.items()}
    write_json(file, {"schema": SCHEMA, "model": model, "scored": _scored(knobs), "products": told})


def read_thresholds(model_file: Path, knobs: ScoreKnobs) -> dict[str, Threshold]:
    """Product -> the threshold beside a model's file; none of a product without. See `read_limits`.

    Raises:
        DataError: the file is there, and is not what `write_limits` wrote, or is of another model
            or of scores that are made otherwise.
    """
    file = thresholds_file(model_file)
    if not file.exists():
        return {}
    limits = read_limits(file, model_file, knobs)
    return {name: one.threshold for name, one in limits.items() if one.promise.kept}


def read_limits(file: Path, model_file: Path, knobs: ScoreKnobs) -> dict[str, Limits]:
    """Product -> its limits.

    Args:
        knobs: `score.*`, by which images are to be scored.

    Raises:
        DataError: no such file, or as `read_thresholds`.
    """
    told = read_json(file, "a plant's thresholds")
    try:
        made_for = told["model"]
        made_by = dict(told.get("scored", {}))  # files from before did not say so
        found = {name: _limits(one) for name, one in told["products"].items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{file}: not a plant's thresholds ({error!r})") from error
    if made_for != checksum(model_file):
        raise DataError(
            f"{file}: these thresholds are of another model than {model_file}: calibrate again "
            "with fedad calibrate, or remove the file"
        )
    for name, value in _scored(knobs).items():
        if made_by.get(name, value) != value:
            raise DataError(
                f"{file}: these thresholds are of scores with {name} = {made_by[name]!r}, and now "
                f"it is {value!r}: give the same -c {name}, or calibrate again"
            )
    return found


def _told(one: Limits) -> dict[str, Any]:
    promise = one.promise
    return {
        **asdict(promise),
        "threshold": json_number(promise.threshold),
        "by_site": {site: json_number(value) for site, value in promise.by_site.items()},
        "told": promise.told(),
        "good": [good.score for good in one.good],
        "good_parts": [good.part for good in one.good],
        "good_sites": [good.site for good in one.good],
        "good_images": [good.image for good in one.good],
        "looks": asdict(one.looks) if one.looks else None,
    }


def _limits(told: Mapping[str, Any]) -> Limits:
    """What `_told` says; files from before name no parts, sites and images."""
    scores = [float(score) for score in told.get("good", ())]
    names = [f"{number}" for number in range(len(scores))]
    columns = (
        told.get("good_parts", names),
        told.get("good_sites", [""] * len(scores)),
        told.get("good_images", names),
    )
    looks, threshold = told.get("looks"), told["threshold"]
    rate = float(told.get("rate", math.nan))
    promise = Promise(
        math.nan if threshold is None else _number(threshold),
        rate,
        int(told["parts"]),
        int(told.get("images", len(scores))),
        float(told.get("level", rate)),
        int(told.get("judged", 0)),
        int(told.get("stopped", 0)),
        {site: _number(limit) for site, limit in told["by_site"].items()},
    )
    good = [GoodScore(*row) for row in zip(scores, *columns, strict=True)]
    return Limits(promise, tuple(good), Looks(**looks) if looks else None)


def _scored(knobs: ScoreKnobs) -> dict[str, str | int]:
    """The knobs that an image's score hangs on."""
    told: dict[str, str | int] = {"score.scoring": knobs.scoring}
    return told | {"score.neighbours": knobs.neighbours, "score.q": knobs.q}


def _number(value: Any) -> float:
    """A limit as `json_number` writes it.

    Raises:
        ValueError: it is none, such as NaN.
    """
    if math.isnan(number := float(value)):
        raise ValueError(f"{value!r} is no limit")
    return number
