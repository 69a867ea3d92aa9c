"""The handshake before a run: do all sites' networks see the same in the same images?

A hash of the weights says nothing of the library that resizes, of the order of colours, or of the
arithmetic. So every site embeds six drawn images, the same everywhere, on the way that its own take
(a file's bytes, decoded, resized, through the network), and a few patches of each are compared.
Nothing of a site's own data is in them.

    distance of two sites = |a - b| / |b| over all compared values
    up to 1e-3 accepted, up to 1e-2 accepted with a warning, above it refused

One machine is 0 away from itself, another count of threads 1e-5, weights that were rounded to 16
bits 5e-3, another way to resize or another order of colours 0.3 (`docs/robustness.md`).
"""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

from fedad.errors import UploadError
from fedad.images.pixels import rgb
from fedad.seeding import stream
from fedad.types import Fingerprint

if TYPE_CHECKING:  # who only compares probes needs no network in memory
    from fedad.embedders.embedder import Embedder

IMAGES = 6
SIDES = ((200, 300), (331, 211), (256, 256), (97, 130), (480, 360), (64, 64))  # H, W of each
PATCHES = 32  # of each image that are compared
WIDEST = 2**15  # features of a patch: no network that is known here has a tenth of so many
AT_ONCE = 2**20  # values of all sites' probes of which the median is taken at a time
ACCEPTED, WARNED = 1e-3, 1e-2
PINNED = 3e-2  # from a pin's eight numbers, which tell a distance within a factor of about 2
MARK, DIRECTIONS = 32, 8  # of a pin: hexadecimal digits of its fingerprint, and numbers
REMEMBERED = 2**19  # values of a probe up to which its directions stay in memory, 32 MiB of them
SEED = 20  # of the images and of the choice of patches; it is part of the format


class Probe(NamedTuple):
    """How a site embeds: what it says of it, and what came out, (images, patches, D) float32."""

    fingerprint: Fingerprint
    features: np.ndarray


class Seen(NamedTuple):
    """What stays of a probe once it was compared, without its features."""

    fingerprint: Fingerprint
    width: int  # features a patch
    longest: float  # the length of the longest patch
    pin: str


class Handshake(NamedTuple):
    """Which sites do not fit the others, and why; and what is odd about others."""

    refused: dict[str, str]
    warnings: list[str]


def probe(embed: Embedder) -> Probe:
    """The probe of this very network and this very way to it."""
    backbone = embed.backbone.of_one_tile() if embed.knobs.tile else embed.backbone
    images = [_decoded(content) for content in drawn()]
    at_once = backbone.batch
    grids = [
        backbone(np.stack([backbone.prepare(image) for image in images[at : at + at_once]]))
        for at in range(0, len(images), at_once)
    ]
    return Probe(embed.fingerprint, _chosen(np.concatenate(grids)))


@cache
def drawn() -> tuple[bytes, ...]:
    """The images as PNG files: soft blots and edges of all colours, with a little noise."""
    return tuple(_png(_image(k, side)) for k, side in enumerate(SIDES))


def compare(probes: Mapping[str, Probe], pin: str = "") -> Handshake:
    """Hold the sites against the pin, if there is one, then against the one that most are like.

    With two sites there is no majority: without a pin the first by name is the yardstick, both are
    named, and the pin of each. Where both keep the pin and still differ, one lies, and neither is
    believed.

    Args:
        pin: `round.fingerprint`, as `pin_of` gives it.
    """
    refused, warnings = {}, list[str]()
    if pin:
        refused = {n: _off_pin(n, one, pin) for n, one in probes.items() if not keeps(pin, one)}
        probes = {name: one for name, one in probes.items() if name not in refused}
    if not probes:
        return Handshake(refused, [])
    among = _among(probes)
    if len(probes) == 2 and among.refused:
        (told,) = among.refused.values()
        how = "both keep round.fingerprint, so one of them lies" if pin else _how_to_pin(probes)
        losers = [*probes] if pin else [*among.refused]
        among = Handshake(dict.fromkeys(losers, f"{how}: {told}"), among.warnings)
    return Handshake({**refused, **among.refused}, warnings + among.warnings)


def seen(one: Probe) -> Seen:
    """What stays of it."""
    return Seen(one.fingerprint, one.features.shape[-1], longest(one.features), pin_of(one))


def pin_of(one: Probe) -> str:
    """64 hexadecimal digits that say how a site embeds: a sha256 of its fingerprint, and eight
    numbers that depend on all of its features, which another count of threads hardly moves."""
    return _mark(one.fingerprint) + _sketch(one.features).astype(">f2").tobytes().hex()


def keeps(pin: str, one: Probe) -> bool:
    """Whether a site embeds as a pin says: the same fingerprint, and features as near as the
    handshake's with room for what eight numbers of 16 bits tell."""
    there = np.frombuffer(bytes.fromhex(pin[MARK:]), ">f2").astype(np.float64)
    far = float(np.linalg.norm(there - _sketch(one.features)))
    return pin[:MARK] == _mark(one.fingerprint) and far <= PINNED


def _mark(fingerprint: Fingerprint) -> str:
    means = sorted(vars(replace(fingerprint, threads=0, batch=0)).items())
    return hashlib.sha256(repr(means).encode()).hexdigest()[:MARK]


def _sketch(features: np.ndarray) -> np.ndarray:
    """(8,) float64: features on eight directions drawn once and for all, by their length. Two sites
    are about as far apart in these as in all of their features."""
    values = features.astype(np.float64).ravel()
    known = values.size <= REMEMBERED
    directions = _remembered(values.size) if known else _directions(values.size)
    found = np.array([direction @ values for direction in directions])
    return found / (np.linalg.norm(values) * math.sqrt(DIRECTIONS) or 1.0)


def _directions(size: int) -> Iterator[np.ndarray]:
    """The directions of a pin, (size,) float64 each."""
    rng = stream(SEED, "probe", "pin")
    return (rng.standard_normal(size) for _ in range(DIRECTIONS))


@lru_cache(maxsize=1)
def _remembered(size: int) -> tuple[np.ndarray, ...]:
    """The same: to draw them takes twenty times as long as a site's pin does then."""
    return tuple(_directions(size))


def _off_pin(name: str, one: Probe, pin: str) -> str:
    same = pin[:MARK] == _mark(one.fingerprint)
    what = "its features are not those" if same else "its fingerprint is not that one"
    return (
        f"{name} does not embed as round.fingerprint says ({what}), but as {pin_of(one)}: has it "
        "another backbone, other weights or other layers, or does it decode in another way?"
    )


def _how_to_pin(probes: Mapping[str, Probe]) -> str:
    """With two sites nobody can tell which of them is right, but whoever runs them."""
    pins = " or ".join(f"{pin_of(one)} ({name})" for name, one in sorted(probes.items()))
    return f"set round.fingerprint to the way that is right, {pins}"


def _among(probes: Mapping[str, Probe]) -> Handshake:
    """Hold the sites against the one that most of them are like."""
    yardstick = _most_like_others(probes)
    refused, warnings = {}, []
    for name, one in sorted(probes.items()):
        differing = probes[yardstick].fingerprint.differences(one.fingerprint)
        far = distance(one.features, probes[yardstick].features)
        told = f"the same images embed {far:.1e} apart at {yardstick} and {name}"
        if differing:
            refused[name] = (
                f"{yardstick} and {name} do not embed alike ({'; '.join(differing)}): has one "
                "another backbone, other weights or other layers?"
            )
        elif far > WARNED:
            refused[name] = (
                f"{told}, expected at most {WARNED:g}: does one decode, resize or normalise in "
                "another way?"
            )
        elif far > ACCEPTED:
            warnings.append(f"{told}, more than {ACCEPTED:g}: is the arithmetic of one coarser?")
    return Handshake(refused, warnings)


def distance(one: np.ndarray, other: np.ndarray) -> float:
    """Relative to `other`; infinite where the two cannot be compared."""
    if one.shape != other.shape:
        return float("inf")
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        far = np.linalg.norm(one.astype(np.float64) - other) / np.linalg.norm(
            other.astype(np.float64)
        )
    return float(far) if np.isfinite(far) else float("inf")


def check_features(features: np.ndarray) -> None:
    """Refuse what no network made of the drawn images.

    Raises:
        UploadError: another shape or kind, or values that are not finite.
    """
    fits = features.ndim == 3 and features.shape[0] == IMAGES and features.shape[1] <= PATCHES
    if not fits or features.shape[2] > WIDEST or features.dtype != np.float32:
        raise UploadError(f"a probe of {features.shape} {features.dtype}", "probe")
    if features.size == 0 or not np.isfinite(features).all():
        raise UploadError("a probe that is empty or not finite", "probe")


def longest(features: np.ndarray) -> float:
    """The length of the longest patch: what features of this network are like in size."""
    return float(np.sqrt(np.square(features.astype(np.float64)).sum(-1).max(initial=0)))


def _most_like_others(probes: Mapping[str, Probe]) -> str:
    """Of the sites with the commonest fingerprint, the one nearest to their median value by value,
    which less than half of them cannot move far; of equals the first. Linear in the sites."""
    alike: dict[object, list[str]] = {}
    for name, one in sorted(probes.items()):
        mark = replace(one.fingerprint, threads=0, batch=0)
        alike.setdefault((mark, one.features.shape), []).append(name)
    most = max(alike.values(), key=len)
    if len(most) < 3:
        return most[0]
    middle = _median([probes[name].features for name in most])
    return min(most, key=lambda name: distance(probes[name].features, middle))


def _median(features: Sequence[np.ndarray]) -> np.ndarray:
    """Value by value, without another copy of all of them."""
    flat = [one.reshape(-1) for one in features]
    step = max(1, AT_ONCE // len(flat))
    parts = [
        np.median(np.stack([one[at : at + step] for one in flat]), axis=0)
        for at in range(0, flat[0].size, step)
    ]
    return np.concatenate(parts).reshape(features[0].shape)


def _chosen(grids: np.ndarray) -> np.ndarray:
    """(B, h, w, D) -> (B, 32, D): of each image patches drawn once and for all."""
    patches = grids.reshape(len(grids), -1, grids.shape[-1])
    rng = stream(SEED, "probe", "patches")
    at = rng.permutation(patches.shape[1])[:PATCHES]
    return np.ascontiguousarray(patches[:, np.sort(at)])


def _image(number: int, side: tuple[int, int]) -> np.ndarray:
    rng = stream(SEED, "probe", f"image {number}")
    y, x = np.mgrid[: side[0], : side[1]] / max(side)
    pixels = np.zeros((*side, 3)) + rng.uniform(60, 190, 3)
    for _ in range(12):
        (v, u), width = rng.uniform(0, 1, 2), rng.uniform(0.03, 0.3)
        blot = np.exp(-((y - v) ** 2 + (x - u) ** 2) / width**2)
        pixels += rng.normal(0, 70, 3) * blot[..., None]
    a, b, c = rng.normal(0, 1, 3)
    pixels[a * y + b * x > c / 4] += rng.normal(0, 40, 3)
    pixels += rng.normal(0, 6, pixels.shape)
    return np.clip(np.round(pixels), 0, 255).astype(np.uint8)


def _png(pixels: np.ndarray) -> bytes:
    stream_ = io.BytesIO()
    Image.fromarray(pixels).save(stream_, "PNG")
    return stream_.getvalue()


def _decoded(content: bytes) -> Image.Image:
    where = Path("a drawn image of the handshake")
    return rgb(content, where)
