"""The knobs for how image files are read -> what each sample of a data set carries of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from fedad.config import DataKnobs, read
from fedad.errors import ConfigError, DataError
from fedad.plumbing.files import read_json
from fedad.plumbing.parse import from_json
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


MAPS = "maps.json"  # beside maps: what is to be known of them
READ_BY = ("bits", "white", "orientation", "profile")


def as_text(knobs: DataKnobs) -> str:
    """The knobs that say how files are read, as far as it is not as usual; empty: as usual."""
    return text_of({name: getattr(knobs, name) for name in READ_BY})


def text_of(values: Mapping[str, object]) -> str:
    """As `as_text`, of values by the knobs' names."""
    usual = DataKnobs()
    told = {name: value for name, value in values.items() if value != getattr(usual, name)}
    return json.dumps(told, sort_keys=True) if told else ""


def remembered(knobs: DataKnobs, text: str) -> DataKnobs:
    """The knobs, those of `READ_BY` that nobody set as a text of `as_text` says.

    Raises:
        ValueError: another text.
    """
    told, usual = from_json(text or "{}"), DataKnobs()
    if not isinstance(told, dict) or not set(told) <= set(READ_BY):
        raise ValueError(f"expected any of {', '.join(READ_BY)}, got {text!a:.80}")
    try:
        asked = read({f"data.{name}": value for name, value in told.items()}).data
    except ConfigError as error:
        raise ValueError(str(error)) from error
    open_ = [name for name in told if getattr(knobs, name) == getattr(usual, name)]
    return replace(knobs, **{name: getattr(asked, name) for name in open_})


def are_turned(maps: Path) -> bool:
    """Whether `fedad score` wrote these maps for pictures that were turned by their tags.

    Raises:
        DataError: what stands beside the maps is not what it writes.
    """
    if not (maps / MAPS).is_file():
        return False
    told = read_json(maps / MAPS, "what fedad score writes beside maps").get("reading") or "{}"
    try:
        return from_json(told).get("orientation") == "apply"
    except (ValueError, TypeError, AttributeError) as error:
        raise DataError(f"{maps / MAPS}: how images were read: {error}") from error


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
