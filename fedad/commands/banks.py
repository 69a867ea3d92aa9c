"""`fedad bank ...`: the three steps of a round file by file, for plants without a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.table import Table

from fedad.banks.admission import clamped
from fedad.banks.bank import Bank
from fedad.config import Config
from fedad.datasets.base import check_trainable, open_dataset
from fedad.embedders.embedder import Embedder
from fedad.errors import ConfigError, MismatchError, UploadError
from fedad.images.usable import sift
from fedad.messages.file import load, save
from fedad.methods.base import method_of
from fedad.partition import one_site
from fedad.round import learn, merge
from fedad.running.model_file import open_model


def build(config: Config, site: str, out: Path) -> Bank:
    """The sealed bank of one plant's own folder, written to `out`."""
    _check_by_hand(config)
    dataset = open_dataset(config.data)
    check_trainable(dataset)
    plant = sift(config, one_site(site, dataset, config.data, seed=config.round.seed)).site
    alone = replace(config, bank=replace(config.bank, size=0))
    upload: Bank = learn(alone, [plant], Embedder(config.embedder)).local[site].upload
    save(out, upload, method=config.round.method)
    return upload


def merge_files(config: Config, files: Sequence[Path], out: Path) -> tuple[Bank, list[str]]:
    """The bank that the server would broadcast, from sealed banks, written to `out`; and warnings.

    What a site says of its images is believed as far as its rows can stand for them; a bank that
    was merged before is taken as it is.

    Raises:
        UploadError, MismatchError: banks that do not mix, told by file.
    """
    _check_by_hand(config)
    uploads, warnings = [_load_bank(file) for file in files], list[str]()
    for number, bank in enumerate(uploads):
        if len(bank.sites) == 1:
            per_image = max(1, bank.fingerprint.patches)
            uploads[number], odd = clamped(config, bank, per_image=per_image)
            warnings += odd
    try:
        merged: Bank = merge(config, uploads)
    except (MismatchError, UploadError) as error:
        told = ", ".join(
            f"{file} is of {'+'.join(b.sites)}" for file, b in zip(files, uploads, strict=True)
        )
        raise type(error)(f"{error} ({told})") from error
    save(out, merged, method=config.round.method)
    return merged, warnings


def info_table(path: Path) -> Table:
    """What a model's file holds."""
    config, model = open_model(Config(), path)
    table = Table(title=str(path), show_header=False)
    table.add_row("method", config.round.method)
    for name, value in method_of(config).describe(model).items():
        for row in _rows(name, value):
            table.add_row(*row)
    for name, value in vars(model.fingerprint).items():
        table.add_row(name, str(value))
    return table


def _load_bank(path: Path) -> Bank:
    return load(path, Bank)


def _check_by_hand(config: Config) -> None:
    """Refuse a method that takes more than carrying one bank."""
    rounds = method_of(config).rounds
    if len(rounds) > 1 or not issubclass(rounds[0].upload, Bank):
        raise ConfigError(
            f"round.method = {config.round.method!r}: only banks are carried by hand, and this "
            f"method sends a {rounds[0].upload.record()} in each of {len(rounds)} rounds: run it "
            "over Flower"
        )


def _rows(name: str, value: Any) -> list[tuple[str, str]]:
    """A line for a plain value, or one a site."""
    words = name.replace("_", " ")
    if not isinstance(value, Mapping):
        return [(words, f"{value:,}" if isinstance(value, int) else str(value))]
    return [
        (f"{words.removesuffix(' by site')} of {site}", _listed(part))
        for site, part in value.items()
    ]


def _listed(part: Any) -> str:
    if not isinstance(part, Mapping):
        return str(part)
    return ", ".join(f"{name} {count}" for name, count in part.items())
