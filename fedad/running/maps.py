"""A model and new images -> the anomaly maps that `fedad evaluate` reads."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from fedad.config import Config
from fedad.datasets.auto import recognise
from fedad.datasets.base import open_folder, pictures
from fedad.errors import ConfigError, DataError
from fedad.images.pixels import shown
from fedad.images.reading import MAPS, as_text, dataset_read_so
from fedad.images.roi import with_roi
from fedad.images.usable import survey
from fedad.judging.verdicts import Verdict, judge
from fedad.methods.base import method_of
from fedad.plumbing.files import write_atomic, write_json
from fedad.plumbing.shown import csv_text
from fedad.reporting.heatmap import relative
from fedad.running.model_file import embedder_of, open_model, read_notes
from fedad.running.named import named
from fedad.running.thresholds_file import read_thresholds
from fedad.types import Dataset, Sample, Site

HEADROOM = 4.0  # a 16-bit map ends at so many times the top of the colour scale
LONGEST = 255  # bytes of a file's name
MOST_NAMED = 20  # images of which an error says why they have no score


class Written(NamedTuple):
    """How many maps were written, how the folder was understood, and what of it is not judged."""

    maps: int
    notes: tuple[str, ...]


def write_maps(config: Config, folder: Path, model_file: Path, out: Path, *, form: str) -> Written:
    """Judge the images of `folder`, and write a map of each, and `scores.csv`.

    Args:
        folder: a data set, of which the test images are judged, any folder of images, or an image.
        model_file: with the thresholds beside it that `fedad calibrate` wrote, if there are any.
        out: `<category>/test/<defect>/<stem>`, or the image's place in `folder`, gets its ending.
            What is there already is not judged.
        form: "npy" and "tiff" write float32, "png" 16 bits: the way from the low to the high end
            of the category's scale in 65,535 steps, cut off at both ends. The scale comes from the
            model and stands in `maps.json`, as does how files were read, where it was not as usual.

    Raises:
        MismatchError: the images would be embedded otherwise than the model's were.
        ConfigError: maps would take the place of images.
        DataError: no image, or one of a category that the model does not know; in the end, when all
            others have their map, an image that cannot be read: its score is empty.
    """
    asked, (config, model) = config, open_model(config, model_file)
    embed, notes = embedder_of(config, model, model_file), read_notes(asked, config)
    dataset = dataset_read_so(to_judge(config, folder, model.categories, out), config.data)
    dataset = replace(dataset, samples=with_roi(dataset.samples, dataset, config.data.roi))
    places = {sample: _place(sample, dataset) for sample in dataset.samples}
    _check_out(out, folder, dataset.samples, places)
    _check_names(places, form)
    scales = {
        category: (low, low + HEADROOM * (high - low))
        for category, (low, high) in method_of(config).scale(model).items()
    }
    sifted = survey(config, Site("", (), dataset.samples))
    thresholds, scores = read_thresholds(model_file, config.score), dict[Sample, float]()
    limits: dict[Sample, float] = {}
    write_atomic(out / "scores.csv", _csv(dataset.samples, places, scores, limits))  # marks it
    for verdict in judge(config, sifted.site.test, embed, model, traced=bool(thresholds)):
        sample, trace = verdict.sample, verdict.trace
        _write(out / places[sample], verdict, form, scales[sample.category])
        scores[sample] = verdict.scored.image_score
        if (threshold := thresholds.get(sample.category)) is not None:
            limits[sample] = threshold.limit(trace.oddest if trace else "")
    write_atomic(out / "scores.csv", _csv(dataset.samples, places, scores, limits))
    told: dict[str, object] = {}
    if as_text(config.data):
        told["reading"] = as_text(config.data)
    if form == "png":
        told["scale"] = scales
    if told:
        write_json(out / MAPS, told)
    lost = [fault.text for fault in sifted.faults if fault.skipped]
    if skipped := [*dict.fromkeys(lost)]:
        more = f"; and {len(skipped) - MOST_NAMED} more" * (len(skipped) > MOST_NAMED)
        raise DataError(
            f"{'; '.join(skipped[:MOST_NAMED])}{more} ({len(lost)} of {len(dataset.samples)} "
            f"images have no score; those of the others are in {out / 'scores.csv'})"
        )
    return Written(len(scores), (*notes, *_notes(dataset)))


def to_judge(
    config: Config,
    folder: Path,
    known: Sequence[str],
    out: Path | None = None,
    *,
    recognised: bool = False,
) -> Dataset:
    """The images to judge, each of a category; where a defect is does not matter here.

    Args:
        folder: a data set, of which the test images are judged, any folder of images, or an image.
        known: the categories of the model.
        out: where results go, which may lie below it.
        recognised: see `named`.

    Raises:
        DataError: no image, or one of a category that the model does not know.
    """
    name, text = config.data.dataset, config.data.categories
    if name == "folder" or (name == "auto" and recognise(folder).layout is None):
        below = out.absolute() if out else folder
        inside = below != folder and below.is_relative_to(folder)
        dataset = pictures(folder, without=below if inside else None)
        return named(dataset, known, text, recognised=recognised)
    dataset = open_folder(folder, name)
    samples = tuple(
        replace(one, masks=() if one.is_good else None)
        for one in dataset.samples
        if one.split == "test"
    )
    if not samples:
        raise DataError(f"{folder}: no test image in it: name the folder of those to judge")
    dataset = replace(dataset, samples=samples, notes=dataset.notes[:1])
    return named(dataset, known, text, recognised=recognised)


def _place(sample: Sample, dataset: Dataset) -> Path:
    """Where a sample's map goes, below the folder of all maps and without its ending."""
    return Path(sample.file if dataset.name == "folder" else sample.name)


def _check_out(
    out: Path, folder: Path, samples: Sequence[Sample], places: Mapping[Sample, Path]
) -> None:
    """Refuse to write over the images that are judged, or among them."""
    if out.exists() and not out.is_dir():
        raise ConfigError(f"--maps {shown(out)}: it is a file, expected a folder for the maps")
    taken = {sample.path.resolve() for sample in samples}
    clash = [p for p in places.values() if (out / f"{p}.png").resolve() in taken]
    if clash or out.resolve() == folder.resolve():
        raise ConfigError(
            f"--maps {shown(out)}: maps would stand among the images that they are of: name "
            "another folder"
        )


def _check_names(places: Mapping[Sample, Path], form: str) -> None:
    """Refuse, before anything is judged, images whose map could not be called after them."""
    for sample, place in places.items():
        longest = max(
            len(os.fsencode(name)) for name in (*place.parts[:-1], f"{place.name}.{form}")
        )
        if longest > LONGEST:
            raise DataError(
                f"{shown(sample.path)}: its map's name would have {longest} bytes, of which a disk "
                f"takes {LONGEST}: give it a shorter name"
            )


def _notes(dataset: Dataset) -> tuple[str, ...]:
    left = [f"not judged: {shown(path)} ({why})" for path, why in dataset.unused]
    more = [f"not judged: {len(left) - MOST_NAMED} more files"] * (len(left) > MOST_NAMED)
    return (*dataset.notes, *left[:MOST_NAMED], *more)


def _write(place: Path, verdict: Verdict, form: str, scale: tuple[float, float]) -> None:
    scores = verdict.scored.map
    buffer = io.BytesIO()
    if form == "npy":
        np.save(buffer, scores, allow_pickle=False)
    elif form == "tiff":  # as MVTec's evaluator reads them
        Image.fromarray(scores.astype(np.float32)).save(buffer, "TIFF")
    else:
        levels = np.rint(np.clip(relative(scores, scale), 0, 1) * 65535).astype(np.uint16)
        Image.fromarray(levels).save(buffer, "PNG")
    write_atomic(place.with_name(f"{place.name}.{form}"), buffer.getvalue())


def _csv(
    samples: Sequence[Sample],
    places: Mapping[Sample, Path],
    scores: Mapping[Sample, float],
    limits: Mapping[Sample, float],
) -> str:
    """A row an image; one that cannot be read has no score, and no verdict one of a product that
    no threshold was calibrated for."""

    def told(one: Sample) -> tuple[str, ...]:
        score, limit = scores.get(one), limits.get(one)
        verdict = "" if score is None or limit is None else ("nok" if score > limit else "ok")
        shown = ("" if number is None else f"{number:.9g}" for number in (score, limit))
        return (places[one].as_posix(), one.category, *shown, verdict)

    return csv_text(("image", "category", "score", "threshold", "verdict"), map(told, samples))
