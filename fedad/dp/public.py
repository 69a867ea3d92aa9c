"""The public numbers of an embedding: nothing in them is from an image that a site learns from.

A release computes with few, fixed dimensions, and with centres and lengths that say what is usual.
If these came from the site's own images, they would tell of them without any noise. So they come
from pictures that anybody may have, once for each embedding, in a file that travels with the code
(`fedad/dp/public/*.json`; `benchmarks/public_projection.py` makes one).
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

from fedad.errors import ConfigError, DataError, MismatchError
from fedad.plumbing.files import write_atomic
from fedad.plumbing.parse import from_json
from fedad.types import Fingerprint

FOLDER = Path(__file__).with_name("public")
SCRIPT = "benchmarks/public_projection.py"
SCHEMA = 1
BLOCK = 2048  # patches that are projected at a time
STEPS = 2**22  # that a feature is rounded to, either side of its mean
AXIS_STEPS = 2**23  # that an axis' coordinates are rounded to: float32 holds them exactly
# What of a fingerprint says what a feature means. The size of images and the number of patches do
# not: the same network looks at them, and any public projection is as private as any other.
MEANING = ("backbone", "weights", "layers", "grid", "pool", "transform", "precision")


@dataclass(frozen=True, eq=False)
class Public:
    """What is public of an embedding of D features, brought to d <= 64 dimensions.

    Args:
        mean: (D,) float32, of public patches.
        axes: (D, d) float32, orthonormal: their principal axes, in whole multiples of 2^-23.
        centres: (K, d) float32, of K <= 128 cells of projected public patches.
        radius: three quarters of them are no farther from their centre.
        longest: the length that a released centre has at most.
        step: what features are rounded to before they are projected.
        embedding: what of a `Fingerprint` it belongs to, by the names of `MEANING`.
        source: what pictures it was made of.
    """

    mean: np.ndarray
    axes: np.ndarray
    centres: np.ndarray
    radius: float
    longest: float
    step: float
    embedding: Mapping[str, str | int]
    source: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        (size, axes), arrays = self.axes.shape, (self.mean, self.axes, self.centres)
        fits = self.mean.shape == (size,) and self.centres.shape == (len(self.centres), axes)
        if not fits or not len(self.centres) or any(a.dtype != np.float32 for a in arrays):
            raise ValueError(
                f"a mean {self.mean.shape}, axes {self.axes.shape} and centres "
                f"{self.centres.shape} in float32 do not belong together"
            )
        numbers = (self.radius, self.longest, self.step)
        if not all(np.isfinite(a).all() for a in (*arrays, numbers)) or min(numbers) <= 0:
            raise ValueError("public numbers are finite, and lengths above 0")

    @property
    def size(self) -> int:
        """d: of how many dimensions a projected patch is."""
        return self.axes.shape[1]

    @cached_property
    def digest(self) -> str:
        """The sha256 of all that it computes with, and of what it was made of."""
        told = hashlib.sha256(json.dumps(_texts(self), sort_keys=True).encode())
        for values in (self.mean, self.axes, self.centres):
            told.update(f"{values.shape}".encode())
            told.update(values.astype("<f4").tobytes())
        return told.hexdigest()

    def fits(self, fingerprint: Fingerprint) -> bool:
        """Whether features of this fingerprint are those that it was made for."""
        return self.embedding == meaning(fingerprint)

    def project(self, features: np.ndarray) -> np.ndarray:
        """Features (N, D) -> (N, d) float32; NaN where a feature is not finite.

        The same patch gives the same bytes beside any others and on any machine: features and axes
        are rounded to whole steps, whose products and sums are whole numbers below 2^53, which
        float64 adds exactly in any order. A feature farther from its mean than four times the
        farthest public one is taken to be that far.

        Raises:
            MismatchError: features of another length.
        """
        if features.ndim != 2 or features.shape[1] != len(self.mean):
            raise MismatchError(
                f"features of {features.shape[1:]} do not fit the public projection of "
                f"{len(self.mean)}: were they embedded by another backbone?"
            )
        axes = self.axes.astype(np.float64) * AXIS_STEPS
        found = np.empty((len(features), self.size), np.float32)
        for at in range(0, len(features), BLOCK):
            block = features[at : at + BLOCK].astype(np.float64)
            broken = ~np.isfinite(block).all(1)
            block[broken] = 0
            block -= self.mean
            steps = np.clip(np.rint(block / self.step), -STEPS, STEPS)
            part = steps @ axes * (self.step / AXIS_STEPS)
            part[broken] = np.nan
            found[at : at + BLOCK] = part
        return found


def meaning(fingerprint: Fingerprint) -> dict[str, str | int]:
    """What of a fingerprint says what a feature means."""
    return {name: getattr(fingerprint, name) for name in MEANING}


def public_of(fingerprint: Fingerprint) -> Public:
    """The public numbers of an embedding, from the file that travels with the code.

    Raises:
        ConfigError: there is no such file, naming what makes one.
        DataError: a file there is not whole.
    """
    known = _shipped(FOLDER)
    for public in known:
        if public.fits(fingerprint):
            return public
    there = "; ".join(_words(public.embedding) for public in known) or "none"
    raise ConfigError(
        f"no public projection of {_words(meaning(fingerprint))}: there is {there}: choose that "
        f"embedding, or make the file by {SCRIPT}, the same at all sites"
    )


def load(path: Path) -> Public:
    """The public numbers in a file.

    Raises:
        DataError: no such file, or not whole: the message names it.
    """
    try:
        told: dict[str, Any] = from_json(path.read_text("utf-8"))
        if told.get("schema") != SCHEMA:
            raise ValueError(f"schema {told.get('schema')!r}, expected {SCHEMA}")
        axes = int(told["dimensions"])
        public = Public(
            _array(told["mean"], -1),
            _array(told["axes"], -1, axes),
            _array(told["centres"], -1, axes),
            **{name: told[name] for name in ("radius", "longest", "step", "embedding", "source")},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: not a whole public projection ({error})") from error
    if public.digest != told.get("digest"):
        raise DataError(f"{path}: its checksum does not fit: was it changed or cut short?")
    return public


def save(path: Path, public: Public) -> None:
    """Write a file that `load` reads. It is text, since Flower packs no other file with an app."""
    arrays = {name: getattr(public, name) for name in ("mean", "axes", "centres")}
    content = {
        "schema": SCHEMA,
        "digest": public.digest,
        "dimensions": public.size,
        **_texts(public),
        **{name: _text(values) for name, values in arrays.items()},
    }
    write_atomic(path, json.dumps(content, indent=1) + "\n")


@cache
def _shipped(folder: Path) -> tuple[Public, ...]:
    return tuple(load(path) for path in sorted(folder.glob("*.json")))


def _texts(public: Public) -> dict[str, Any]:
    """What of it is no array."""
    names = [one.name for one in fields(public) if one.name not in ("mean", "axes", "centres")]
    return {name: getattr(public, name) for name in names}


def _words(embedding: Mapping[str, str | int]) -> str:
    told = {**embedding, "weights": str(embedding["weights"])[:8]}
    return ", ".join(f"{name} {value}" for name, value in told.items() if name != "transform")


def _text(values: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(values, "<f4").tobytes()).decode()


def _array(text: str, *shape: int) -> np.ndarray:
    content = base64.b64decode(text, validate=True)
    return np.frombuffer(content, "<f4").reshape(shape).astype(np.float32)
