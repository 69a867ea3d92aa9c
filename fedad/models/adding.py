"""A model and what a site knows of it -> its folder, the gate, and perhaps `current`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from fedad.config import Config
from fedad.embedders.embedder import Embedder
from fedad.judging.looks import good_looks
from fedad.judging.promise import promise
from fedad.judging.thresholds import Threshold, calibrate
from fedad.judging.verdicts import judge
from fedad.messages.file import checksum, save
from fedad.messages.payload import Payload
from fedad.methods.base import method_of
from fedad.models.checked import Checked, Watch, checked, write_checked
from fedad.models.gate import Decision, Gate, decide
from fedad.models.kept import KEYED, MODEL, PASSPORT, THRESHOLDS, Kept, write_own
from fedad.models.passport import passport_of
from fedad.models.site_images import write_images
from fedad.models.store import accept, current, publish
from fedad.plumbing.files import private_file, write_json
from fedad.running.model_file import as_read
from fedad.running.thresholds_file import Limits, limits_of, write_limits
from fedad.types import Site


class Found(NamedTuple):
    """What a site found out about a model: the limits of each product, and how it judged the
    site's own pictures."""

    limits: Mapping[str, Limits]
    checked: Sequence[Checked]
    own_judges: bool


@dataclass(frozen=True)
class Added:
    """A model's name, what the gate said, and whether it is the current one now."""

    name: str
    decision: Decision
    is_current: bool

    def told(self) -> list[str]:
        """In lines."""
        if self.is_current:
            lines = [f"model {self.name} judges from now on"]
        else:
            lines = [f"model {self.name} waits: {reason}" for reason in self.decision.reasons]
            lines.append(f"fedad model accept {self.name} takes it nevertheless")
        return lines + [f"changed: {one.told()}" for one in self.decision.changed]


def found_at(
    config: Config, site: Site, embed: Embedder, model: Payload, own: Payload | None
) -> Found:
    """What a site finds out about a model by all images that it has, as a run does.

    Args:
        site: its images, of which training images are those that `own` is of, in that order.
    """
    thresholds = calibrate(config, site, embed, model, own)
    watch, method = Watch(), method_of(config)
    known = [one for one in site.test if method.judges(model, one.category)]
    for _ in watch.watch(judge(config, known, embed, model, own=own, site=site.name)):
        pass
    return found_by(config, site, embed, model, own, thresholds=thresholds, watch=watch)


def found_by(
    config: Config,
    site: Site,
    embed: Embedder,
    model: Payload,
    own: Payload | None,
    *,
    thresholds: Mapping[str, Threshold],
    watch: Watch,
) -> Found:
    """As `found_at`, where thresholds are set and test images were judged."""
    good = {name: one.good for name, one in thresholds.items() if one.good}
    promises = {name: promise(some, config.score) for name, some in good.items()}
    looks = good_looks(config, site, embed, model, own)
    return Found(
        limits_of(promises, good, looks), checked(watch, thresholds), own_judges=own is not None
    )


def add(
    models: Path,
    config: Config,
    model: Payload,
    *,
    site: Site,
    own: Payload | None,
    found: Found,
    gate: Gate,
    source: str,
    file: Path | None = None,
    receipt: Mapping[str, Any] | None = None,
    licence: str = "",
) -> Added:
    """Keep a model, and let it judge if the gate has nothing against it.

    Args:
        models: the folder of the site's models.
        own: what the site kept of its own images, if it learned.
        found: what the site found out about the model.
        source: how it came here, in words.
        file: where the model is already; it is copied as it is.
        receipt: of the site's own upload.

    Raises:
        OSError: the disk is full; the current model is as it was.
    """

    def fill(folder: Path) -> None:
        if file is None:
            save(
                folder / MODEL, model, private=False, method=config.round.method, **as_read(config)
            )
        else:
            _copy(file, folder / MODEL)
        if own is not None:
            write_own(folder, own)
        if found.limits:
            digest = checksum(folder / MODEL)
            write_limits(folder / THRESHOLDS, digest, config.score, found.limits)
        write_checked(folder, found.checked)
        write_images(folder, site)
        told = passport_of(
            config,
            model,
            site=site.name,
            source=source,
            own_judges=found.own_judges,
            found=found.checked,
            receipt=receipt,
            licence=licence,
        )
        write_json(folder / PASSPORT, told)

    now = current(models)
    name, _ = publish(models, fill, KEYED)
    kept = Kept(models / name)
    before = Kept(models / now).checked() if now and now != name else None
    rates = {product: one.promise.rate for product, one in found.limits.items() if one.promise.kept}
    decision = decide(before, found.checked, rates, gate)
    kept.write_decision(decision)
    if decision.accepted:
        accept(models, name)
    return Added(name, decision, current(models) == name)


def _copy(source: Path, to: Path) -> None:
    """A file, on disk when this returns."""
    with source.open("rb") as old, private_file(to).open("wb") as new:
        shutil.copyfileobj(old, new)
        new.flush()
        os.fsync(new.fileno())
