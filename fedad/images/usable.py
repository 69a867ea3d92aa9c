"""A site's files, before anything is learned or judged: what can be used, and what is wrong.

Each file is read once in full. What was found good is remembered by its bytes, so that a second run
only hashes. A site above its skip budget refuses: what it has is not what its cameras saw.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from fedad.config import Config
from fedad.errors import BadFileError, DataError
from fedad.images.pixels import ENDINGS, decode, read_file, read_region, shown, strict, to_rgb
from fedad.images.remembered import ImageFacts, KnownImages
from fedad.messages.faults import USED, Fault, check_budget
from fedad.plumbing.progress import track
from fedad.types import Sample, Site

LEAST_SIDE = 16  # pixels; less is no photograph
LONGEST = 10  # sides: more is a strip
CONTRAST = 8  # grey levels from the darkest to the brightest pixel; less is hardly a picture
DIM = 4096  # of 65,536 levels: what a camera of 12 bits writes into 16
READERS = 2  # images decoded at a time
ORIENTATION = 0x112  # EXIF's tag


class Sifted(NamedTuple):
    """A site with the files that can be used, and what is wrong with these and with the others."""

    site: Site
    faults: list[Fault]


def sift(config: Config, site: Site) -> Sifted:
    """The site without images that cannot be used, and without those whose mask cannot.

    Raises:
        DataError: more than `data.skip-budget` of the training or of the test images cannot be
            used, or no training image of a category: the site must not take part.
    """
    sifted = survey(config, site)
    learning = (*site.train, *site.held)
    for split, images in (("train", learning), ("test", site.test)):
        faults = [fault for fault in sifted.faults if fault.split == split]
        check_budget(faults, len(images), config.data.skip_budget, f"{split} images")
    left = {sample.category for sample in (*sifted.site.train, *sifted.site.held)}
    if lost := sorted({sample.category for sample in learning} - left):
        first = next(fault for fault in sifted.faults if fault.skipped)
        raise DataError(
            f"{lost[0]}: none of its training images can be used; {first.text}", reason="budget"
        )
    return sifted


def survey(config: Config, site: Site) -> Sifted:
    """As `sift`, however much of it cannot be used."""
    known = KnownImages.of(config.embedder)
    learning, train = _looked((*site.train, *site.held), known, {})
    leaked = {look.digest: "leaked" for look in learning.values()}
    judging, test = _looked(site.test, known, leaked)
    known.save()
    usable = replace(
        site,
        train=tuple(sample for sample in site.train if sample in learning),
        held=tuple(sample for sample in site.held if sample in learning),
        test=tuple(sample for sample in site.test if sample in judging),
    )
    return Sifted(usable, train + test)


def facts_of(path: Path, known: KnownImages) -> ImageFacts:
    """What there is to know of a good image file.

    Raises:
        BadFileError: it cannot be used; see `faults.SKIPPED`.
    """
    if not path.name.isprintable():
        raise BadFileError(f"{shown(path)}: its name is no printable Unicode: rename it?", "name")
    content = read_file(path)
    digest = hashlib.sha256(content).hexdigest()
    return known.get(digest) or known.add(_look(content, path, digest))


def _looked(
    samples: Sequence[Sample], known: KnownImages, seen: dict[str, str]
) -> tuple[dict[Sample, ImageFacts], list[Fault]]:
    """The samples that can be used; a digest that was `seen` is the fault that stands beside it."""
    good: dict[Sample, ImageFacts] = {}
    faults: list[Fault] = []
    with track("reading", len(samples)) as progress, strict(), ThreadPoolExecutor(READERS) as pool:
        found = pool.map(partial(_attempt, known=known), samples)
        for done, (sample, look) in enumerate(zip(samples, found, strict=True), start=1):
            progress(done)
            if isinstance(look, BadFileError):
                faults.append(Fault(look.reason, str(look), sample.split))
                continue
            good[sample] = look
            words = [*look.notes, *([seen[look.digest]] if look.digest in seen else [])]
            if sample.path.suffix.lower() not in ENDINGS[look.format]:
                words.append("ending")
            seen.setdefault(look.digest, "duplicate")
            faults += [Fault(w, f"{shown(sample.path)}: {USED[w]}", sample.split) for w in words]
    return good, faults


def _attempt(sample: Sample, known: KnownImages) -> ImageFacts | BadFileError:
    try:
        look = facts_of(sample.path, known)
        _check_masks(sample, look.size)
    except BadFileError as error:
        return error
    return look


def _check_masks(sample: Sample, size: tuple[int, int]) -> None:
    for channel in sample.masks or ():
        try:
            read_region(channel, size)
        except BadFileError as error:
            reason = error.reason if error.reason.startswith("mask-") else "mask-file"
            raise BadFileError(str(error), reason) from error


def _look(content: bytes, path: Path, digest: str) -> ImageFacts:
    image = decode(content, path)
    notes = [word for word, holds in _NOTES.items() if holds(image)]
    pixels = to_rgb(image, path)
    low, high = np.array(pixels.getextrema()).T
    if min(image.size) < LEAST_SIDE:
        raise BadFileError(
            f"{shown(path)}: {image.width} x {image.height} pixels, expected {LEAST_SIDE} or more "
            "a side: is it a thumbnail?",
            "small",
        )
    if (low == high).all():
        raise BadFileError(
            f"{shown(path)}: all pixels are {tuple(low.tolist())}: is the camera dead?", "constant"
        )
    notes += ["flat"] if (high - low).max() <= CONTRAST else []
    kind = "JPEG" if image.format == "MPO" else image.format or ""
    return ImageFacts(digest, kind, (image.height, image.width), tuple(notes))


def _is_rotated(image: Image.Image) -> bool:
    try:
        return image.getexif().get(ORIENTATION, 1) != 1
    except Exception:  # whatever a broken tag leads Pillow to: it is not followed anyway
        return False


def _is_transparent(image: Image.Image) -> bool:
    if image.mode in ("RGBA", "LA", "PA"):
        return image.getchannel("A").getextrema() != (255, 255)
    return "transparency" in image.info


_NOTES: dict[str, Callable[[Image.Image], bool]] = {
    "alpha": _is_transparent,
    "cmyk": lambda image: image.mode == "CMYK",
    "deep": lambda image: image.mode.startswith("I;16"),
    "dim": lambda image: image.mode.startswith("I;16") and np.asarray(image).max() < DIM,
    "frames": lambda image: bool(getattr(image, "is_animated", False)),
    "rotated": _is_rotated,
    "shape": lambda image: max(image.size) > LONGEST * min(image.size),
}
