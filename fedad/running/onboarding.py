"""A model and a plant's new good parts -> thresholds, in a file beside the model.

A model that others taught too knows nothing of how a plant's camera sees a variant that is new
there. A few good parts of it, which nothing is learned from, say what its good parts score.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fedad.config import Config
from fedad.datasets.base import open_folder
from fedad.datasets.parts import NEAR_DUPLICATES, with_groups
from fedad.embedders.embedder import Embedder
from fedad.errors import DataError
from fedad.images.pixels import shown
from fedad.images.reading import dataset_read_so
from fedad.images.roi import with_roi
from fedad.images.usable import survey
from fedad.judging.looks import Look, looks_of
from fedad.judging.parts import Seen
from fedad.judging.promise import Promise, promise
from fedad.judging.thresholds import GoodScore, new_scores
from fedad.judging.verdicts import chunk_of
from fedad.messages.file import checksum
from fedad.methods.base import Method, method_of
from fedad.plumbing.progress import track
from fedad.plumbing.table import read_table
from fedad.running.model_file import embedder_of, open_model, read_notes
from fedad.running.named import named
from fedad.running.thresholds_file import limits_of, thresholds_file, write_limits
from fedad.types import VALIDATION, Features, Sample, Site

SAME = 1e-3  # of the usual gap between rows: a patch so near a row is the one that it was made of
COLUMNS = ("category", "score", "verdict")
GOOD_PART, DEFECTIVE = "good", "defective"  # what an operator may call a part


class Onboarded(NamedTuple):
    """The promise of each product, where it stands, and what to say of the images."""

    promises: dict[str, Promise]
    file: Path
    warnings: list[str]


def onboard(config: Config, model_file: Path, good: Path, verdicts: Path | None) -> Onboarded:
    """Set a plant's thresholds by images of good parts that the model was not made from.

    Args:
        good: any folder of images, all good ones in it are used, or those of its validation split
            where it has one; those of defects are left out.
        verdicts: a table of parts that operators judged since, in the order of time, with the
            columns category, score and verdict (good or defective).

    Raises:
        MismatchError: the images would be embedded otherwise than the model's were.
        DataError: no good image, one that cannot be read, or one that the model was made from.
    """
    asked, (config, model) = config, open_model(config, model_file)
    embed, method = embedder_of(config, model, model_file), method_of(config)
    samples, notes = _good(config, good, model.categories)
    notes = [*read_notes(asked, config), *notes]
    sifted = survey(config, Site("", (), samples))
    if skipped := [fault.text for fault in sifted.faults if fault.skipped]:
        raise DataError(f"{skipped[0]} ({len(skipped)} of {len(samples)} images cannot be used)")
    scores, looks, repeated = _scores(config, method, model, embed, sifted.site.test)
    judged = read_verdicts(verdicts, scores) if verdicts else {}
    promises = {
        name: promise(found, config.score, judged.get(name, ()))
        for name, found in sorted(scores.items())
    }
    file = thresholds_file(model_file)
    write_limits(file, checksum(model_file), config.score, limits_of(promises, scores, looks))
    notes += [
        f"{name}: {count} of {len(scores[name])} images show a part that another one shows too: "
        f"with -c data.group={NEAR_DUPLICATES} they count as one part"
        for name, count in repeated.items()
        if count
    ]
    return Onboarded(promises, file, notes)


def read_verdicts(path: Path, known: Container[str]) -> dict[str, list[float]]:
    """Product -> the scores of parts that operators called good, in the order of the table.

    Raises:
        DataError: no such table, a row that is no verdict, or of a product without good parts.
    """
    try:
        table = read_table(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as a table ({error})") from error
    if missing := [name for name in COLUMNS if name not in table.columns]:
        raise DataError(
            f"{path}: expected the columns {', '.join(COLUMNS)}, there is no {missing[0]} among "
            f"{', '.join(table.columns)}"
        )
    found: dict[str, list[float]] = defaultdict(list)
    for row in table.rows:
        category, text, verdict = (row.cells[name] for name in COLUMNS)
        where = f"{path}: line {row.line}"
        if category not in known:
            raise DataError(f"{where}: product {category!r} has no good image to begin with")
        if verdict not in (GOOD_PART, DEFECTIVE):
            raise DataError(f"{where}: verdict {verdict!r}: expected {GOOD_PART} or {DEFECTIVE}")
        try:
            score = float(text)
        except ValueError:
            score = np.nan
        if not np.isfinite(score):
            raise DataError(f"{where}: score {text!r}: expected a number, as scores.csv has it")
        if verdict == GOOD_PART:
            found[category].append(score)
    return dict(found)


def _good(
    config: Config, folder: Path, known: tuple[str, ...]
) -> tuple[tuple[Sample, ...], list[str]]:
    """The good images of a folder, each of a product that the model knows."""
    opened = open_folder(folder, config.data.dataset, ())
    opened = with_groups(dataset_read_so(opened, config.data), config.data.group)
    dataset = named(opened, known, config.data.categories)
    good = tuple(sample for sample in dataset.samples if sample.is_good)
    if not good:
        raise DataError(f"{folder}: no good image in it")
    held = tuple(sample for sample in good if sample.split == VALIDATION)
    samples, left = held or good, len(dataset.samples) - len(held or good)
    why = "its validation images are there for thresholds" if held else "of defects"
    notes = [*dataset.notes, *([f"{left} images are not used: {why}"] if left else [])]
    return with_roi(samples, dataset, config.data.roi), notes


def _scores(
    config: Config, method: Method, model: Any, embed: Embedder, samples: tuple[Sample, ...]
) -> tuple[dict[str, list[GoodScore]], dict[str, list[Look]], dict[str, int]]:
    """By product the scores of good images, what is measured of each as a whole, and how many are
    near-duplicates that nothing names as such."""
    found: dict[str, list[tuple[Sample, float, str]]] = defaultdict(list)
    looks: dict[str, list[Look]] = defaultdict(list)
    scale, seen = method.scale(model), Seen()
    with track("calibrating", len(samples)) as progress:
        at_once = chunk_of(embed)
        for at in range(0, len(samples), at_once):
            some = samples[at : at + at_once]
            features: Features = embed(some)
            seen.add(features)
            new = new_scores(method, model, features)
            for sample, patches, score, site in zip(some, *new, strict=True):
                _check_new(sample, float(patches.min()), scale[sample.category])
                found[sample.category].append((sample, score, site))
            measured = looks_of(embed, some, new.maps, features.valid)
            for sample, look in zip(some, measured, strict=True):
                looks[sample.category].append(look)
            progress(at + len(some))
    by_group = config.data.group == NEAR_DUPLICATES
    groups = dict(seen.groups()) if by_group else {}
    told = {
        name: [
            GoodScore(score, groups.get(one.name, one.part), site, one.name)
            for one, score, site in some
        ]
        for name, some in found.items()
    }
    return told, dict(looks), {} if config.data.group else seen.repeated()


def _check_new(sample: Sample, nearest: float, scale: tuple[float, float]) -> None:
    """Refuse an image whose patches are rows of the model: its scores promise nothing."""
    low, high = scale
    if low == 0 and nearest <= SAME * high:
        raise DataError(
            f"{shown(sample.path)}: the model was made from this image, or from a copy of it: "
            "give good parts that it has not seen"
        )
