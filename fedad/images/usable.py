"""A site's files, before anything is learned or judged: what can be used, and what is wrong.

Each file is read once in full. What was found good is remembered by its bytes, so that a second run
only hashes. A site above its skip budget refuses: what it has is not what its cameras saw.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np

from fedad.config import Config
from fedad.errors import BadFileError, DataError
from fedad.images.facts import facts_of, sentence
from fedad.images.files import ENDINGS, strict, tag_in_header
from fedad.images.mixtures import mixtures
from fedad.images.pixels import read_region
from fedad.images.remembered import ImageFacts, KnownImages
from fedad.images.roi import region_of
from fedad.messages.faults import Fault, check_budget
from fedad.plumbing.progress import track
from fedad.types import Sample, Site

READERS = 2  # images decoded at a time
MOST_MARKED = 0.5  # of an image, by a mask; more, and all corners, is rather the background


class Sifted(NamedTuple):
    """A site with the files that can be used, and what is wrong with these and with the others."""

    site: Site
    faults: list[Fault]


class Surveyed(NamedTuple):
    """The same with what is known of each file that can be used."""

    site: Site
    faults: list[Fault]
    facts: Mapping[Sample, ImageFacts]


def sift(config: Config, site: Site) -> Sifted:
    """The site without images that cannot be used, and without those whose mask cannot.

    Raises:
        DataError: more than `data.skip-budget` of the training or of the test images cannot be
            used, or no training image of a category: the site must not take part.
    """
    sifted = survey(config, site)
    check_usable(config, site, sifted)
    return sifted


def check_usable(config: Config, site: Site, sifted: Sifted) -> None:
    """Whether a site may take part with what is left of it; raises as `sift` does."""
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


def survey(config: Config, site: Site) -> Sifted:
    """As `sift`, however much of it cannot be used."""
    return Sifted(*surveyed(config, site)[:2])


def surveyed(config: Config, site: Site) -> Surveyed:
    """As `survey`, with what was found out about the files that can be used."""
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
    facts = {**learning, **judging}
    return Surveyed(usable, train + test + mixtures(facts), facts)


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
                faults.append(Fault(look.reason, str(look), _of(sample)))
                continue
            good[sample] = look
            words = [*look.notes, *([seen[look.digest]] if look.digest in seen else [])]
            if sample.path.suffix.lower() not in ENDINGS[look.format]:
                words.append("ending")
            if any(tag_in_header(channel.path) != look.tag for channel in sample.masks or ()):
                words.append("turned-mask")
            seen.setdefault(look.digest, "duplicate")
            faults += [Fault(w, sentence(w, sample.path, look), _of(sample)) for w in words]
    return good, faults


def _of(sample: Sample) -> str:
    """Of which images a fault is counted: those to judge, or good ones that are there for more."""
    return "test" if sample.split == "test" else "train"


def _attempt(sample: Sample, known: KnownImages) -> ImageFacts | BadFileError:
    try:
        look = facts_of(sample.path, known, sample.reading)
        notes = _mask_notes(sample, look.size)
    except BadFileError as error:
        return error
    return look._replace(notes=(*look.notes, *notes))


def _mask_notes(sample: Sample, size: tuple[int, int]) -> list[str]:
    """What is odd about the masks of an image; raises where they cannot be used."""
    region_of(sample, size)
    notes = list[str]()
    for channel in sample.masks or ():
        try:
            mask = read_region(channel, size).mask
        except BadFileError as error:
            reason = error.reason if error.reason.startswith("mask-") else "mask-file"
            raise BadFileError(str(error), reason) from error
        notes += ["inverted"] if _is_inverted(mask) else []
    return notes


def _is_inverted(mask: np.ndarray) -> bool:
    """Whether a mask marks what is usually background: most of the image, and its corners."""
    return bool(mask.mean() > MOST_MARKED and mask[:: len(mask) - 1, :: mask.shape[1] - 1].all())
