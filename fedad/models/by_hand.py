"""Models of a plant without a network: the bank that it built, and one that it was brought."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from fedad.config import Config, read
from fedad.datasets.base import check_trainable, open_dataset
from fedad.embedders.embedder import Embedder
from fedad.errors import DataError
from fedad.judging.parts import ready
from fedad.messages.file import checksum, load, save
from fedad.methods.base import method_of
from fedad.models.adding import Added, Found, add, found_at
from fedad.models.gate import Gate
from fedad.models.kept import Kept
from fedad.models.site_images import site_of
from fedad.models.store import current
from fedad.partition import one_site
from fedad.round import learn
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
    alone = replace(config, bank=replace(config.bank, size=0))
    learned = learn(alone, [plant], embed)
    local = learned.local[site]
    if out is not None:
        upload = local.upload
        save(out, upload, private=False, method=config.round.method, **as_read(config))
    found = found_at(alone, plant, embed, learned.model, local.own)
    added = add(
        models,
        alone,
        learned.model,
        site=plant,
        own=local.own,
        found=found,
        gate=gate,
        source="built alone",
        licence=dataset.licence,
    )
    return added, len(learned.model)


def add_file(
    changes: Mapping[str, Any],
    file: Path,
    models: Path,
    gate: Gate,
    *,
    own_file: Path | None = None,
    thresholds: Path | None = None,
    good: Path | None = None,
) -> Added:
    """Keep a model that was brought here.

    What the site knows of its own comes from its current model: its knobs, the rows of its own
    bank, and its images. Thresholds come from a file, from good parts that nothing was learned
    from, or from the site's own images, each left out in turn.

    Args:
        changes: knobs that are set otherwise than the current model has them.

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
    site = Site(name, (), ())
    if good is None and thresholds is None and own is not None and images:
        site = site_of(name, images, config.data)
        embed = embedder_of(config, model, file)
        found = found_at(config, ready(config, site, embed).site, embed, model, own)
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
        source=f"brought as {file.name} ({checksum(file)[:16]})",
        file=file,
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
