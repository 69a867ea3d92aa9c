"""Samples -> sites. Train and test images are dealt alike: a site judges what it makes.

Every draw comes from a stream of the category (and defect), so that adding a category changes
nothing for the others.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import chain
from typing import TypeVar

import numpy as np

from fedad.config import DataKnobs
from fedad.datasets.cross_product import cross_product
from fedad.datasets.parts import with_groups
from fedad.datasets.sites_table import sites_of
from fedad.errors import ConfigError
from fedad.images.roi import with_roi
from fedad.plumbing.files import TOTALS, is_site_name
from fedad.seeding import stream
from fedad.types import VALIDATION, Dataset, Sample, Site

Dealt = dict[str, list[Sample]]  # site -> samples
K = TypeVar("K")


def partition(dataset: Dataset, knobs: DataKnobs, *, seed: int) -> tuple[Site, ...]:
    """The sites of a data set in the order of their names, by `data.partition`.

    Raises:
        DataError: a natural partition without, or against, its `sites.csv`.
        ConfigError: more sites than good images; under `category`, a product that can name no site.
    """
    dealt = _PARTITIONS[knobs.partition](with_groups(dataset, knobs.group), knobs, seed)
    seen = {name: with_roi(some, dataset, knobs.roi, name) for name, some in dealt.items()}
    return tuple(
        hold_out(_few(_site(name, samples), knobs.images, seed), knobs.holdout, seed)
        for name, samples in sorted(seen.items())
    )


def one_site(name: str, dataset: Dataset, knobs: DataKnobs, *, seed: int) -> Site:
    """All samples of a data set as one plant: what a factory has in its own folder.

    Raises:
        ConfigError: no name of a site.
    """
    samples = with_roi(with_groups(dataset, knobs.group).samples, dataset, knobs.roi, name)
    return hold_out(_few(_site(name, samples), knobs.images, seed), knobs.holdout, seed)


def _site(name: str, samples: Iterable[Sample]) -> Site:
    if not is_site_name(name):
        raise ConfigError(
            f"site {name!a:.200}: expected up to 64 letters that may name a folder, no outer "
            "spaces, without comma and =, which part names in round.expected and merge.weighting, "
            f"and none of {', '.join(TOTALS)}"
        )
    return site_of(name, samples)


def site_of(name: str, samples: Iterable[Sample]) -> Site:
    """A site of these samples, by their splits, whatever its name; nothing is held out yet."""
    ordered = sorted(samples, key=lambda sample: sample.name)
    return Site(
        name=name,
        train=tuple(sample for sample in ordered if sample.split == "train"),
        test=tuple(sample for sample in ordered if sample.split == "test"),
        held=tuple(sample for sample in ordered if sample.split == VALIDATION),
    )


def _few(site: Site, most: int, seed: int) -> Site:
    """The site with at most so many good images of each category, drawn part by part; with 0 all.

    Fewer are always some of more, so that curves over `data.images` are paired.
    """
    if not most:
        return site
    kept: set[str] = set()
    for category, samples in _grouped(site.train, lambda s: s.category).items():
        of_part = _grouped(samples, lambda sample: sample.part)
        order = stream(seed, site.name, "images", category).permutation(len(of_part))
        parts = [of_part[sorted(of_part)[place]] for place in order.tolist()]
        kept |= {sample.name for sample in [*chain.from_iterable(parts)][:most]}
    return replace(site, train=tuple(sample for sample in site.train if sample.name in kept))


def hold_out(site: Site, share: float, seed: int) -> Site:
    """Move a seeded share of each category's good parts aside, for thresholds: all good images are
    to learn from before, and images of a part stay together."""
    held: set[str] = set()
    for category, samples in _grouped(site.train, lambda s: s.category).items():
        parts = sorted({sample.part for sample in samples})
        order = stream(seed, site.name, "holdout", category).permutation(len(parts))
        held |= {parts[i] for i in order[: math.floor(share * len(parts))]}
    return replace(
        site,
        train=tuple(sample for sample in site.train if sample.part not in held),
        held=(*(sample for sample in site.train if sample.part in held), *site.held),
    )


def _natural(dataset: Dataset, knobs: DataKnobs, seed: int) -> Dealt:
    dealt: Dealt = defaultdict(list)
    sites = sites_of(dataset)
    for sample in dataset.samples:
        dealt[sites[sample.path]].append(sample)
    return dealt


def _iid(dataset: Dataset, knobs: DataKnobs, seed: int) -> Dealt:
    """Deal each category out in turn, the next from where the last one stopped."""
    names = _names(knobs.sites, dataset)
    dealt: Dealt = {name: [] for name in names}
    for split in ("train", "test", VALIDATION):
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
    for split in ("train", "test", VALIDATION):
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
    "cross_product": lambda of, knobs, seed: cross_product(
        of, knobs, _names(knobs.sites, of), seed
    ),
}


def _names(sites: int, dataset: Dataset) -> list[str]:
    good = sum(sample.split == "train" for sample in dataset.samples)
    if sites > good:
        raise ConfigError(f"data.sites = {sites}: {dataset.root} has {good} good training images")
    width = len(str(sites - 1))
    return [f"site-{number:0{width}d}" for number in range(sites)]


def _strata(dataset: Dataset, split: str) -> list[tuple[tuple[str, ...], list[Sample]]]:
    """The samples of a split by category and defect, in the order of their files' names, whatever
    order a layout lists them in."""
    samples = [sample for sample in dataset.samples if sample.split == split]
    samples.sort(key=lambda sample: sample.path)
    return sorted(_grouped(samples, lambda sample: (sample.category, sample.defect)).items())


def _grouped(samples: Sequence[Sample], key: Callable[[Sample], K]) -> dict[K, list[Sample]]:
    groups: dict[K, list[Sample]] = defaultdict(list)
    for sample in samples:
        groups[key(sample)].append(sample)
    return groups
