"""The knobs for how image files are read -> what each sample of a data set carries of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from fedad.config import DataKnobs
from fedad.types import Dataset, Reading, Sample


def reading_of(knobs: DataKnobs) -> Reading:
    """How a site's files are read, by `data.bits`, `.white`, `.orientation`, `.profile` and
    `.most-megapixels`."""
    white = knobs.white or (2.0**knobs.bits - 1 if 0 < knobs.bits < 16 else None)
    return Reading(
        white=white,
        bits=knobs.bits == 0,
        orientation=knobs.orientation == "apply",
        profile=knobs.profile == "apply",
        most_pixels=int(knobs.most_megapixels * 1e6),
    )


def dataset_read_so(dataset: Dataset, knobs: DataKnobs) -> Dataset:
    """The data set, whose files and masks are read as the knobs have it. A mask that `data.roi`
    names is neither an image of it nor unused."""
    return dataset_as(_without(dataset, knobs.roi), reading_of(knobs))


def dataset_as(dataset: Dataset, reading: Reading) -> Dataset:
    """The data set, whose files and masks are read so."""
    if reading == Reading():
        return dataset
    return replace(dataset, samples=tuple(_with(sample, reading) for sample in dataset.samples))


def _without(dataset: Dataset, roi: str) -> Dataset:
    if not (name := Path(roi).name):
        return dataset
    samples = tuple(sample for sample in dataset.samples if sample.path.name != name)
    unused = tuple(one for one in dataset.unused if one.path.name != name)
    return replace(dataset, samples=samples, unused=unused)


def _with(sample: Sample, reading: Reading) -> Sample:
    masks = sample.masks
    if masks:
        masks = tuple(replace(channel, reading=reading) for channel in masks)
    return replace(sample, reading=reading, masks=masks)
