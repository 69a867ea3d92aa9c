"""Samples -> sites. Train and test images are dealt alike: a site judges what it makes.

Every draw comes from a stream of the category (and defect), so that adding a category changes
nothing for the others.
"""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from fedad.config import DataKnobs
from fedad.errors import ConfigError, DataError
from fedad.plumbing.files import TOTALS, is_site_name
from fedad.seeding import stream
from fedad.types import Dataset, Sample, Site

Dealt = dict[str, list[Sample]]  # site -> samples
K = TypeVar("K")


def partition(dataset: Dataset, knobs: DataKnobs, *, seed: int) -> tuple[Site, ...]:
    """The sites of a data set in the order of their names, by `data.partition`.

    Raises:
        DataError: a natural partition without, or against, its `sites.csv`.
        ConfigError: more sites than good images; under `category`, a product that can name no site.
    """
    dealt = _PARTITIONS[knobs.partition](dataset, knobs, seed)
    return tuple(
        _hold_out(_site(name, samples), knobs.holdout, seed)
        for name, samples in sorted(dealt.items())
    )


def one_site(name: str, dataset: Dataset, knobs: DataKnobs, *, seed: int) -> Site:
    """All samples of a data set as one plant: what a factory has in its own folder.

    Raises:
        ConfigError: no name of a site.
    """
    return _hold_out(_site(name, dataset.samples), knobs.holdout, seed)


def _site(name: str, samples: Iterable[Sample]) -> Site:
    if not is_site_name(name):
        raise ConfigError(
            f"site {name!a:.200}: expected up to 64 letters that may name a folder, no outer "
            "spaces, without comma and =, which part names in round.expected and merge.weighting, "
            f"and none of {', '.join(TOTALS)}"
        )
    ordered = sorted(samples, key=lambda sample: sample.name)
    return Site(
        name=name,
        train=tuple(sample for sample in ordered if sample.split == "train"),
        test=tuple(sample for sample in ordered if sample.split == "test"),
    )


def _hold_out(site: Site, share: float, seed: int) -> Site:
    """Move a seeded share of each category's good training images aside, for thresholds."""
    held: set[str] = set()
    for category, samples in _grouped(site.train, lambda s: s.category).items():
        order = stream(seed, site.name, "holdout", category).permutation(len(samples))
        held |= {samples[i].name for i in order[: math.floor(share * len(samples))]}
    return Site(
        name=site.name,
        train=tuple(sample for sample in site.train if sample.name not in held),
        test=site.test,
        held=tuple(sample for sample in site.train if sample.name in held),
    )


def _natural(dataset: Dataset, knobs: DataKnobs, seed: int) -> Dealt:
    dealt: Dealt = defaultdict(list)
    listed: dict[Path, dict[str, str]] = {}
    for sample in dataset.samples:
        folder = sample.path.parents[2]
        if folder not in listed:
            listed[folder] = _read_sites(folder / "sites.csv")
        file = sample.path.relative_to(folder).as_posix()
        if file not in listed[folder]:
            raise DataError(
                f"{folder / 'sites.csv'}: {file} is not listed: was the image added later?",
                reason="sites",
            )
        dealt[listed[folder][file]].append(sample)
    return dealt


def _read_sites(path: Path) -> dict[str, str]:
    if not path.is_file():
        raise DataError(
            f"{path}: there is no such file, and data.partition = 'natural' needs the site of each "
            "image in it (columns file,site): set data.partition to iid, category or dirichlet?",
            reason="sites",
        )
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            rows, columns = list(reader), reader.fieldnames or ()
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as a table ({error})", reason="sites") from error
    if not {"file", "site"} <= set(columns):
        raise DataError(
            f"{path}: expected the columns file,site, got {list(columns)[:9]!a:.200}",
            reason="sites",
        )
    listed: dict[str, str] = {}
    for number, row in enumerate(rows, start=2):
        name, site = row.get("file"), row.get("site")
        if not name or not site or not is_site_name(site):
            raise DataError(
                f"{path}: line {number}: expected a file and a site, none of {', '.join(TOTALS)}, "
                "and named by up to 64 letters that may name a folder, no outer spaces, "
                f"without comma and =, got {name!a:.200} and {site!a:.200}",
                reason="sites",
            )
        if listed.setdefault(name, site) != site:
            raise DataError(
                f"{path}: line {number}: {name!a:.200} is of {listed[name]} and of {site}",
                reason="sites",
            )
    return listed


def _iid(dataset: Dataset, knobs: DataKnobs, seed: int) -> Dealt:
    """Deal each category out in turn, the next from where the last one stopped."""
    names = _names(knobs.sites, dataset)
    dealt: Dealt = {name: [] for name in names}
    for split in ("train", "test"):
        at = 0
        for group, samples in _strata(dataset, split):
            order = stream(seed, "partition", split, *group).permutation(len(samples))
            for place, number in enumerate(order, start=at):
                dealt[names[place % len(names)]].append(samples[number])
            at += len(samples)
    return dealt


def _category(dataset: Dataset, knobs: DataKnobs, seed: int) -> Dealt:
    """One factory, one product."""
    return _grouped(dataset.samples, lambda sample: sample.category)


def _dirichlet(dataset: Dataset, knobs: DataKnobs, seed: int) -> Dealt:
    """Each category's shares over the sites are one draw of Dirichlet(alpha)."""
    names = _names(knobs.sites, dataset)
    dealt: Dealt = {name: [] for name in names}
    for split in ("train", "test"):
        for (category, *rest), samples in _strata(dataset, split):
            shares = stream(seed, "dirichlet", category).dirichlet([knobs.alpha] * len(names))
            order = stream(seed, "partition", split, category, *rest).permutation(len(samples))
            cuts = np.round(np.cumsum(shares)[:-1] * len(samples)).astype(int)
            for name, numbers in zip(names, np.split(order, cuts), strict=True):
                dealt[name] += [samples[number] for number in numbers]
    return dealt


_PARTITIONS: dict[str, Callable[[Dataset, DataKnobs, int], Dealt]] = {
    "natural": _natural,
    "iid": _iid,
    "category": _category,
    "dirichlet": _dirichlet,
}


def _names(sites: int, dataset: Dataset) -> list[str]:
    good = sum(sample.split == "train" for sample in dataset.samples)
    if sites > good:
        raise ConfigError(f"data.sites = {sites}: {dataset.root} has {good} good training images")
    width = len(str(sites - 1))
    return [f"site-{number:0{width}d}" for number in range(sites)]


def _strata(dataset: Dataset, split: str) -> list[tuple[tuple[str, ...], list[Sample]]]:
    """The samples of a split by category and defect, in order."""
    samples = [sample for sample in dataset.samples if sample.split == split]
    return sorted(_grouped(samples, lambda sample: (sample.category, sample.defect)).items())


def _grouped(samples: Sequence[Sample], key: Callable[[Sample], K]) -> dict[K, list[Sample]]:
    groups: dict[K, list[Sample]] = defaultdict(list)
    for sample in samples:
        groups[key(sample)].append(sample)
    return groups
