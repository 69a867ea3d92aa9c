"""A model and what a site knows of it -> its folder, the gate, and perhaps `current`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from fedad.banks.beside import plain_bank
from fedad.config import Config
from fedad.embedders.embedder import Embedder
from fedad.judging.looks import good_looks
from fedad.judging.promise import promise
from fedad.judging.thresholds import Threshold, calibrate
from fedad.judging.verdicts import judge
from fedad.messages.file import checksum, save
from fedad.messages.payload import Payload
from fedad.methods.base import method_of
from fedad.models.added_normals import Extras, write_extras
from fedad.models.checked import Checked, Watch, checked, held_to, write_checked
from fedad.models.gate import Decision, Gate, decide
from fedad.models.kept import KEYED, MODEL, PASSPORT, THRESHOLDS, Kept, write_own
from fedad.models.passport import passport_of
from fedad.models.site_images import OwnImage, images_of, write_images
from fedad.models.store import accept, current, publish
from fedad.plumbing.files import private_file, write_json
from fedad.running.model_file import as_read
from fedad.running.thresholds_file import Limits, limits_of, write_limits
from fedad.types import Site

NO_EXTRAS = Extras()
NOT_COUNTED = "the threshold was set without the added normals"


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


@dataclass(frozen=True, eq=False, kw_only=True)
class Contents:
    """All that a model's folder holds.

    `file` is where the model is already, and is copied as it is. `stale` says of products why their
    thresholds must be set anew.
    """

    config: Config
    model: Payload
    own: Payload | None
    found: Found
    site: str
    images: Sequence[OwnImage]
    source: str
    file: Path | None = None
    extras: Extras = NO_EXTRAS
    stale: Mapping[str, str] = field(default_factory=dict)
    receipt: Mapping[str, Any] | None = None
    licence: str = ""

    def write(self, folder: Path) -> None:
        """Fill a folder that nobody sees yet."""
        config, found = self.config, self.found
        if self.file is None:
            about = as_read(config)
            save(folder / MODEL, self.model, private=False, method=config.round.method, **about)
        else:
            _copy(self.file, folder / MODEL)
        if self.own is not None:
            write_own(folder, self.own)
        write_extras(folder, self.extras)
        if found.limits:
            digest = checksum(folder / MODEL)
            write_limits(folder / THRESHOLDS, digest, config.score, found.limits)
        write_checked(folder, found.checked)
        write_images(folder, self.site, self.images)
        told = passport_of(
            config,
            self.model,
            site=self.site,
            source=self.source,
            own_judges=found.own_judges,
            found=found.checked,
            receipt=self.receipt,
            licence=self.licence,
        )
        beside = {"stale": dict(self.stale), "extras": len(self.extras.pictures)}
        write_json(folder / PASSPORT, {**told, **beside})


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
    extras: Extras | None = None,
    chosen: Mapping[str, float] | None = None,
) -> Added:
    """Keep a model, and let it judge if the gate has nothing against it.

    Args:
        models: the folder of the site's models.
        own: what the site kept of its own images, if it learned.
        found: what the site found out about the model.
        source: how it came here, in words.
        file: where the model is already; it is copied as it is.
        receipt: of the site's own upload.
        extras: the added normals that `found` took into account. If not told, those of the current
            model that fit this one are kept beside it, and their products' thresholds are stale.
        chosen: product -> the rate that its threshold is to be at; if not told, those that were set
            at the current model otherwise than its configuration has it.

    Raises:
        OSError: the disk is full; the current model is as it was.
    """
    stale = dict[str, str]()
    if extras is None:
        extras = carried(models, model)
        stale = {name: NOT_COUNTED for name in extras.products if name in found.limits}
    rates = chosen_rates(models) if chosen is None else chosen
    contents = Contents(
        config=config,
        model=model,
        own=own,
        found=_at_rates(found, config, rates),
        site=site.name,
        images=images_of(site),
        source=source,
        file=file,
        extras=extras,
        stale=stale,
        receipt=receipt,
        licence=licence,
    )
    return keep(models, contents, gate)


def keep(models: Path, contents: Contents, gate: Gate) -> Added:
    """Bring a model to disk, and let it judge if the gate has nothing against it.

    Raises:
        OSError: the disk is full; the current model is as it was.
    """
    now = current(models)
    name, _ = publish(models, contents.write, KEYED)
    kept, found = Kept(models / name), contents.found
    before = Kept(models / now).checked() if now and now != name else None
    rates = {product: one.promise.rate for product, one in found.limits.items() if one.promise.kept}
    decision = decide(before, found.checked, rates, gate)
    kept.write_decision(decision)
    if decision.accepted:
        accept(models, name)
    return Added(name, decision, current(models) == name)


def chosen_rates(models: Path) -> dict[str, float]:
    """Product -> the wished rate that was set at the current model and not by its configuration."""
    if (now := current(models)) is None:
        return {}
    kept = Kept(models / now)
    config = kept.config()
    rates = {name: one.promise.rate for name, one in kept.limits(config).items()}
    return {name: rate for name, rate in rates.items() if rate != config.score.false_rejects}


def _at_rates(found: Found, config: Config, rates: Mapping[str, float]) -> Found:
    """The same with some products' thresholds at other wished rates, as far as good parts go."""
    limits, pictures = dict(found.limits), list(found.checked)
    for product, rate in rates.items():
        if product not in limits:
            continue
        one = limits[product]
        promised = promise(one.good, replace(config.score, false_rejects=rate))
        if promised.kept and not one.promise.judged:
            limits[product] = replace(one, promise=promised)
            pictures = held_to(pictures, product, limits[product].threshold)
    return found._replace(limits=limits, checked=pictures)


def carried(models: Path, model: Payload) -> Extras:
    """The added normals of the current model, as far as they can be scored beside another."""
    now, bank = current(models), plain_bank(model)
    extras = Kept(models / now).extras() if now else Extras()
    if extras.bank is None or bank is None or bank.scope == "mixed" or bank.fingerprint.projection:
        return Extras()
    if extras.bank.fingerprint.differences(bank.fingerprint):
        return Extras()
    for number in reversed(range(len(extras.pictures))):
        if extras.pictures[number].product not in bank.categories:
            extras = extras.less(number)
    return extras


def _copy(source: Path, to: Path) -> None:
    """A file, on disk when this returns."""
    with source.open("rb") as old, private_file(to).open("wb") as new:
        shutil.copyfileobj(old, new)
        new.flush()
        os.fsync(new.fileno())
