"""Models of a plant without a network: the bank that it built, and one that it was brought."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from fedad.banks.beside import beside, plain_bank, plain_own
from fedad.config import Config, read
from fedad.datasets.base import check_trainable, open_dataset
from fedad.embedders.embedder import Embedder
from fedad.errors import DataError
from fedad.judging.parts import ready
from fedad.messages.file import checksum, load, save
from fedad.methods.base import method_of
from fedad.models.adding import Added, Found, add, carried, found_at
from fedad.models.gate import Gate
from fedad.models.kept import Kept
from fedad.models.site_images import site_of
from fedad.models.store import current
from fedad.partition import one_site
from fedad.round import Local, learn
from fedad.running.by_hand import check_by_hand, check_out
from fedad.running.model_file import as_read, embedder_of, open_model
from fedad.running.onboarding import onboard
from fedad.running.thresholds_file import read_limits, thresholds_file
from fedad.types import Site


def build_and_keep(
    config: Config, site: str, out: Path | None, models: Path, gate: Gate
) -> tuple[Added, int]:
    """Make the bank of one plant's own folder, and keep it as a model of its own.

    Args:
        out: where the sealed bank goes that may leave, if anywhere.
        models: the plant's folder of models; it also holds what never leaves.

    Returns:
        what became of it, and how many rows it has.

    Raises:
        ConfigError: a method that takes more than carrying one bank.
        DataError: the folder has no good image of a category.
    """
    check_by_hand(config)
    if out is not None:
        check_out(out)
    dataset = open_dataset(config.data)
    check_trainable(dataset)
    embed = Embedder(config.embedder)
    plant = ready(config, one_site(site, dataset, config.data, seed=config.round.seed), embed).site
    built = build_at(config, plant, embed)
    if out is not None:
        upload = built.local.upload
        save(out, upload, private=False, method=config.round.method, **as_read(config))
    added = built.keep(models, plant, gate, "built alone", dataset.licence)
    return added, len(built.model)


class Built(NamedTuple):
    """What a site makes of its own images alone, and what it finds out about that."""

    config: Config
    model: Any
    local: Local
    found: Found

    def keep(self, models: Path, plant: Site, gate: Gate, source: str, licence: str = "") -> Added:
        """It as a model of the site."""
        return add(
            models,
            self.config,
            self.model,
            site=plant,
            own=self.local.own,
            found=self.found,
            gate=gate,
            source=source,
            licence=licence,
        )


def build_at(config: Config, plant: Site, embed: Embedder) -> Built:
    """The bank of one site's images, and its thresholds."""
    alone = replace(config, bank=replace(config.bank, size=0))
    learned = learn(alone, [plant], embed)
    local = learned.local[plant.name]
    return Built(
        alone, learned.model, local, found_at(alone, plant, embed, learned.model, local.own)
    )


def add_file(
    changes: Mapping[str, Any],
    file: Path,
    models: Path,
    gate: Gate,
    *,
    own_file: Path | None = None,
    thresholds: Path | None = None,
    good: Path | None = None,
    source: str = "",
) -> Added:
    """Keep a model that was brought here.

    What the site knows of its own comes from its current model: its knobs, the rows of its own
    bank, and its images. Thresholds come from a file, from good parts that nothing was learned
    from, or from the site's own images, each left out in turn.

    Args:
        changes: knobs that are set otherwise than the current model has them.
        source: how it came here, if not as a file by its name.

    Raises:
        DataError: nothing says where thresholds are to come from, or a file is not what it should
            be.
    """
    now = current(models)
    kept = Kept(models / now) if now else None
    before = kept.config(changes) if kept else read(changes)
    before = replace(before, data=replace(before.data, dir="", dataset="auto", categories=""))
    config, model = open_model(before, file)
    own = None
    kind = method_of(config).rounds[-1].upload
    if own_file is not None:
        own = load(own_file, kind)
    elif kept is not None:
        own = kept.own(config)
    name, images = kept.images() if kept else ("", ())
    site, extras = Site(name, (), ()), None
    if good is None and thresholds is None and own is not None and images:
        site = site_of(name, images, config.data)
        embed = embedder_of(config, model, file)
        extras = carried(models, model)
        judging: Any = (model, own)
        if (bank := plain_bank(model)) is not None and extras.bank is not None:
            judging = beside(bank, plain_own(own), extras.bank, len(site.train))
        found = found_at(config, ready(config, site, embed).site, embed, *judging)
    else:
        found = _told(config, file, thresholds, good)
    return add(
        models,
        config,
        model,
        site=site,
        own=own,
        found=found,
        gate=gate,
        source=source or f"brought as {file.name} ({checksum(file)[:16]})",
        file=file,
        extras=extras,
        chosen={} if "score.false-rejects" in changes else None,
    )


def _told(config: Config, file: Path, thresholds: Path | None, good: Path | None) -> Found:
    """What a file of thresholds says of a model, or good parts that nothing was learned from."""
    beside = thresholds or thresholds_file(file)
    if good is not None:
        beside = onboard(config, file, good, None).file
    if not beside.exists():
        raise DataError(
            f"{file}: nothing says where its thresholds come from: expected {beside.name} "
            "beside it, as fedad calibrate writes it, or --good with images of good parts"
        )
    return Found(read_limits(beside, file, config.score), (), own_judges=False)
