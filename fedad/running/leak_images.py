"""Which images an attack is tried on: those that a bank was made of, and others like them."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fedad.config import Config
from fedad.datasets.auto import recognise
from fedad.datasets.base import open_folder, pictures
from fedad.datasets.sites_table import sites_of, table_of
from fedad.errors import DataError
from fedad.images.reading import dataset_read_so
from fedad.images.roi import with_roi
from fedad.images.usable import survey
from fedad.running.named import named
from fedad.types import GOOD, Dataset, Sample, Site

PLAIN = ("auto", "folder")  # layouts that a folder of pictures may have


@dataclass(frozen=True)
class Suspects:
    """Good images, each of a product of the bank; `whose` is the site of each, where a `sites.csv`
    says so."""

    members: tuple[Sample, ...]
    others: tuple[Sample, ...]
    whose: dict[Sample, str]
    notes: tuple[str, ...]

    def of_sites(self, sites: Collection[str]) -> tuple[Sample, ...]:
        """The members that a bank of these sites was made of: all of them, unless some are known to
        be of one of the sites."""
        some = tuple(one for one in self.members if self.whose.get(one) in sites)
        return some or self.members


def suspects(config: Config, members: Path, others: Path, known: Sequence[str]) -> Suspects:
    """The images of both folders.

    Members are those to learn from, in a data set that has such; others are all good ones. A file
    that is in both folders is a member, so that one data set may be named twice.

    Args:
        known: the products of the bank.

    Raises:
        DataError: a folder without a good image that can be read, or others that are all members.
        ConfigError: nothing says of which product the images are.
    """
    inside, dataset, said = _good(config, members, known)
    learned = tuple(one for one in inside if one.split == "train") or inside
    whose = _sites(dataset, learned)
    outside, _, more = _good(config, others, known)
    digests = {_digest(one.path) for one in learned}
    rest = tuple(one for one in outside if _digest(one.path) not in digests)
    notes = [*said, *more]
    if shared := len(outside) - len(rest):
        notes.append(f"{others}: {shared} of {len(outside)} images are members too, and count so")
    if not rest:
        raise DataError(
            f"{others}: all {len(outside)} good images are in {members} too: name a folder of "
            "images that the bank was not made of"
        )
    return Suspects(learned, rest, whose, tuple(dict.fromkeys(notes)))


def _good(
    config: Config, folder: Path, known: Sequence[str]
) -> tuple[tuple[Sample, ...], Dataset, list[str]]:
    opened = dataset_read_so(_opened(folder, config.data.dataset), config.data)
    dataset = named(opened, known, config.data.categories)
    samples = tuple(one for one in dataset.samples if one.is_good)
    if not samples:
        raise DataError(f"{folder}: no good image in it")
    samples = with_roi(samples, dataset, config.data.roi)
    sifted = survey(config, Site("", (), samples))
    usable = {one.path for one in sifted.site.test}
    kept = tuple(one for one in samples if one.path in usable)
    broken = [fault.text for fault in sifted.faults if fault.skipped]
    if not kept:
        raise DataError(f"{broken[0]} (none of the {len(samples)} images can be used)")
    notes = [f"{folder}: {note}" for note in dataset.notes[len(opened.notes) :]]
    if broken:
        notes.append(f"{broken[0]} ({len(broken)} of {len(samples)} images are left out)")
    return kept, dataset, notes


def _opened(folder: Path, layout: str) -> Dataset:
    """A data set, or the pictures of a folder that says nothing of what is good: all of them."""
    try:
        return open_folder(folder, layout)
    except DataError:
        if not folder.is_dir() or layout not in PLAIN or recognise(folder).layout is not None:
            raise
    found = pictures(folder)
    good = tuple(replace(one, split="train", defect=GOOD, masks=()) for one in found.samples)
    return replace(found, samples=good)


def _sites(dataset: Dataset, samples: Sequence[Sample]) -> dict[Sample, str]:
    """Whose each image is; nothing where a product has no `sites.csv`."""
    if not all(table_of(dataset, one.category, dataset.folder(one)).is_file() for one in samples):
        return {}
    site = sites_of(dataset)
    return {one: site[one.path] for one in samples if one.path in site}


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
