"""A model and new images -> the anomaly maps that `fedad evaluate` reads."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from fedad.config import Config
from fedad.datasets.autovi import autovi
from fedad.embedders.embedder import Embedder
from fedad.errors import ConfigError, DataError, MismatchError
from fedad.images.pixels import SUFFIXES
from fedad.images.usable import survey
from fedad.judging.verdicts import Verdict, judge
from fedad.methods.base import method_of
from fedad.plumbing.files import write_atomic, write_json
from fedad.plumbing.shown import csv_text
from fedad.reporting.heatmap import relative
from fedad.running.model_file import open_model
from fedad.types import Sample, Site

HEADROOM = 4.0  # a 16-bit map ends at so many times the top of the colour scale


def write_maps(config: Config, folder: Path, model_file: Path, out: Path, *, form: str) -> int:
    """Judge the images of `folder`, and write a map of each, and `scores.csv`; return how many.

    Args:
        folder: a data set in AutoVI's layout, of which the test images are judged, or any folder
            of images.
        out: `<category>/test/<defect>/<stem>`, or the image's place in `folder`, gets its ending.
        form: "npy" writes float32, "png" 16 bits: the way from the low to the high end of the
            category's scale in 65,535 steps, cut off at both ends. The scale comes from the model
            and stands in `maps.json`.

    Raises:
        MismatchError: the images would be embedded otherwise than the model's were.
        DataError: no image, or one of a category that the model does not know; in the end, when all
            others have their map, an image that cannot be read.
    """
    config, model = open_model(config, model_file)
    samples = _samples(folder, model.categories, config.data.categories)
    embed = Embedder(config.embedder)
    if differing := model.fingerprint.differences(embed.fingerprint):
        raise MismatchError(
            f"{model_file}: the model and this embedder differ ({'; '.join(differing)}): "
            "set embedder.weights to the file that the model was made with"
        )
    scales = {
        category: (low, low + HEADROOM * (high - low))
        for category, (low, high) in method_of(config).scale(model).items()
    }
    rows = []
    sifted = survey(config, Site("", (), tuple(samples)))
    for verdict in judge(config, sifted.site.test, embed, model):
        place = _place(verdict.sample, folder)
        _write(out / place, verdict, form, scales[verdict.sample.category])
        rows.append((place.as_posix(), verdict.sample.category, verdict.scored.image_score))
    write_atomic(out / "scores.csv", _csv(rows))
    if form == "png":
        write_json(out / "maps.json", {"scale": scales})
    if skipped := [fault.text for fault in sifted.faults if fault.skipped]:
        raise DataError(
            f"{skipped[0]} ({len(skipped)} of {len(samples)} images have no score; those of the "
            f"others are in {out / 'scores.csv'})"
        )
    return len(rows)


def _samples(folder: Path, known: Sequence[str], category: str) -> Sequence[Sample]:
    """The test images of a data set, or all images below a folder, of one category."""
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder")
    if any(folder.glob("*/test")) or any(folder.glob("*/*/test")):
        dataset = autovi(folder, categories=[category] if category else ())
        return [sample for sample in dataset.samples if sample.split == "test"]
    if not category and len(known) > 1:
        raise ConfigError(
            f"{folder} has no category folders, and the model knows {', '.join(known)}: "
            "say which with -c data.categories=NAME"
        )
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not files:
        raise DataError(f"{folder}: no image in it; expected {', '.join(SUFFIXES)}")
    name = category or known[0]
    return [Sample(name, "test", "unknown", path, masks=None) for path in files]


def _place(sample: Sample, folder: Path) -> Path:
    """Where a sample's map goes, below the folder of all maps and without its ending."""
    if sample.defect == "unknown":
        return sample.path.relative_to(folder).with_suffix("")
    return Path(sample.name)


def _write(place: Path, verdict: Verdict, form: str, scale: tuple[float, float]) -> None:
    scores = verdict.scored.map
    buffer = io.BytesIO()
    if form == "npy":
        np.save(buffer, scores, allow_pickle=False)
    else:
        levels = np.rint(np.clip(relative(scores, scale), 0, 1) * 65535).astype(np.uint16)
        Image.fromarray(levels).save(buffer, "PNG")
    write_atomic(place.with_name(f"{place.name}.{form}"), buffer.getvalue())


def _csv(rows: Sequence[tuple[str, str, float]]) -> str:
    told = ((image, category, f"{score:.9g}") for image, category, score in rows)
    return csv_text(("image", "category", "score"), told)
