"""A kept model, or a bare file with its thresholds -> an inspector."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from fedad.config import Config, read
from fedad.errors import DataError
from fedad.images.pixels import shown
from fedad.inspection.inspector import Inspector, Opened
from fedad.models.kept import PASSPORT, Kept, check_knobs, kept_at, with_one_at_a_time
from fedad.models.store import models_folder, resolve
from fedad.plumbing.compute import keep_memory
from fedad.running.model_file import embedder_of, open_model
from fedad.running.thresholds_file import Limits, read_limits, thresholds_file

__all__ = ["open_inspector"]


def open_inspector(
    model: Path, changes: Mapping[str, Any] | None = None, *, thresholds: Path | None = None
) -> Inspector:
    """An inspector by a model.

    Args:
        model: the file of a model, with the thresholds that `fedad calibrate` wrote beside it; or
            the folder of a model that a site keeps; or a site's folder of models, of which the
            current one is taken.
        changes: knobs that are set otherwise than the model was made with.
        thresholds: their file, if it does not stand beside the model's.

    Raises:
        DataError: no model there, or no threshold of any product.
        MismatchError: this machine embeds otherwise than the model's sites did.
        ConfigError: a knob that would change what features are.
    """
    knobs = dict(changes or {})
    check_knobs(knobs)
    if not model.exists():
        raise DataError(
            f"{shown(model)}: there is no such file, and no such folder of models: expected a "
            "model's file, or the folder that fedad bank build --models fills"
        )
    if model.is_file():
        opened = _of_file(model, knobs, thresholds)
        file = model
    else:
        is_kept = (model / PASSPORT).is_file()
        kept = kept_at(model if is_kept else resolve(models_folder(model)))
        opened, file = _of_kept(kept, knobs, thresholds), kept.model_file
    keep_memory()
    return Inspector(opened, embedder_of(opened.config, opened.model, file))


def _of_file(file: Path, knobs: Mapping[str, Any], thresholds: Path | None) -> Opened:
    config, model = open_model(with_one_at_a_time(read(knobs)), file)
    limits = _limits(thresholds or thresholds_file(file), file, config)
    return Opened(config, model, limits, file.name)


def _of_kept(kept: Kept, knobs: Mapping[str, Any], thresholds: Path | None) -> Opened:
    told = kept.config(knobs)
    # A kept model's pictures come from where it is asked, not from where it learned.
    told = replace(told, data=replace(told.data, dir="", dataset="auto", categories=""))
    config, model = kept.open(with_one_at_a_time(told))
    limits = _limits(thresholds, kept.model_file, config) if thresholds else kept.limits(config)
    found, (site, _) = kept.judging(config, model), kept.images()
    images = found.images
    if "data.roi" in knobs:  # where else to look than in the pictures that were learned from
        images = tuple(replace(one, roi="") for one in images)
    own = None if thresholds else found.own
    stale = {} if thresholds else kept.stale()
    return Opened(config, found.model, limits, kept.name, site, own, found.source, images, stale)


def _limits(file: Path, model_file: Path, config: Config) -> Mapping[str, Limits]:
    if not file.exists():
        raise DataError(
            f"{file}: there is no such file: fedad calibrate --bank {model_file} --good DIR sets "
            "thresholds from good parts that the model has not seen"
        )
    return read_limits(file, model_file, config.score)
