"""What there is to know of a good image file, found by reading it once."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from fedad.errors import BadFileError
from fedad.images.near_duplicates import THUMBNAIL, thumbnail
from fedad.images.orientation import told
from fedad.images.pixels import Picture, picture, read_file, shown
from fedad.images.profile import BROKEN, name_of, profile_of
from fedad.images.remembered import ImageFacts, KnownImages
from fedad.messages.faults import USED
from fedad.types import Reading

LEAST_SIDE = 16  # pixels; less is no photograph
LONGEST = 10  # sides: more is a strip
CONTRAST = 8  # grey levels from the darkest to the brightest pixel; less is hardly a picture
DIM = 4  # times less than white: two bits that are not used
NOTHING_TO_FOLLOW = ("", "sRGB", BROKEN)
CAMERAS = (8, 10, 12, 14, 16)  # bits


def facts_of(path: Path, known: KnownImages, reading: Reading) -> ImageFacts:
    """What there is to know of a good image file.

    Raises:
        BadFileError: it cannot be used; see `faults.SKIPPED`.
    """
    if not path.name.isprintable():
        raise BadFileError(f"{shown(path)}: its name is no printable Unicode: rename it?", "name")
    content = read_file(path, reading)
    digest = hashlib.sha256(content).hexdigest()
    return known.get(digest, reading) or known.add(_look(content, path, digest, reading), reading)


def thumbnail_of(facts: ImageFacts) -> np.ndarray:
    """The small grey picture (s, s) uint16 that near-duplicates are told by."""
    raw = np.frombuffer(base64.b64decode(facts.thumbnail), "<u2")
    return raw.reshape(THUMBNAIL, THUMBNAIL)


def sentence(word: str, path: Path, facts: ImageFacts) -> str:
    """What is odd about an image, and which knob changes it."""
    said = f"{shown(path)}: {USED[word]}"
    if word == "dim":
        bits = next((n for n in CAMERAS if facts.largest < 2**n), 16)
        return (
            f"{said}, {bits} bits by its largest value, {facts.largest:g} ({_knob('bits', bits)})"
        )
    if word == "clipped":
        return f"{said}: up to {facts.largest:g} ({_knob('bits', 16)})"
    if word == "rotated":
        return f"{said}: {told(facts.tag)}, which {_knob('orientation', 'apply')} does"
    if word == "profile":
        return f"{said}: {facts.profile} ({_knob('profile', 'apply')})"
    return said


def _knob(name: str, value: object) -> str:
    return f"data.{name} = {value!r}, or {name} in a site's node-config,"[:-1]


def _look(content: bytes, path: Path, digest: str, reading: Reading) -> ImageFacts:
    found = picture(content, path, reading)
    width, height = found.rgb.size
    low, high = np.array(found.rgb.getextrema()).T
    if min(width, height) < LEAST_SIDE:
        raise BadFileError(
            f"{shown(path)}: {width} x {height} pixels, expected {LEAST_SIDE} or more a side: is "
            "it a thumbnail?",
            "small",
        )
    if (low == high).all():
        raise BadFileError(
            f"{shown(path)}: all pixels are {tuple(low.tolist())}: is the camera dead?", "constant"
        )
    notes = [word for word, holds in _NOTES.items() if holds(found.image)]
    notes += [word for word, holds in _SETTINGS.items() if holds(found, reading)]
    notes += ["flat"] if (high - low).max() <= CONTRAST else []
    kind = "JPEG" if found.image.format == "MPO" else found.image.format or ""
    small = thumbnail(found.rgb).astype("<u2").tobytes()
    return ImageFacts(
        digest=digest,
        format=kind,
        size=(height, width),
        notes=tuple(notes),
        bits=found.bits,
        tag=found.tag,
        profile=name_of(profile_of(found.image)),
        largest=found.largest,
        thumbnail=base64.b64encode(small).decode("ascii"),
    )


def _is_transparent(image: Image.Image) -> bool:
    if image.mode in ("RGBA", "LA", "PA"):
        return image.getchannel("A").getextrema() != (255, 255)
    return "transparency" in image.info


def _is_deep(found: Picture, reading: Reading) -> bool:
    return found.bits == 16 and not reading.bits and reading.white is None


_NOTES: dict[str, Callable[[Image.Image], bool]] = {
    "alpha": _is_transparent,
    "cmyk": lambda image: image.mode == "CMYK",
    "frames": lambda image: bool(getattr(image, "is_animated", False)),
    "shape": lambda image: max(image.size) > LONGEST * min(image.size),
}
# What a knob changes of how a file is read.
_SETTINGS: dict[str, Callable[[Picture, Reading], bool]] = {
    "clipped": lambda found, reading: found.bits > 8 and found.largest > found.white,
    "deep": _is_deep,
    "dim": lambda found, reading: found.bits > 8 and found.largest * DIM < found.white,
    "profile": lambda found, reading: (
        not reading.profile and name_of(profile_of(found.image)) not in NOTHING_TO_FOLLOW
    ),
    "rotated": lambda found, reading: found.tag != 1 and not reading.orientation,
}
