"""A round file by file, for plants without a network: a bank is built here, and merged there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from fedad.banks.admission import clamped
from fedad.banks.bank import Bank
from fedad.config import Config
from fedad.datasets.base import check_trainable, open_dataset
from fedad.embedders.embedder import Embedder
from fedad.errors import ConfigError, DataError, MismatchError, UploadError
from fedad.judging.parts import ready
from fedad.messages.file import load, save
from fedad.methods.base import method_of
from fedad.partition import one_site
from fedad.round import learn, merge


def build(config: Config, site: str, out: Path) -> Bank:
    """Make the sealed bank of one plant's own folder, and write it to `out`.

    Raises:
        ConfigError: a method that takes more than carrying one bank.
        DataError: the folder has no good image of a category.
    """
    _check_by_hand(config)
    dataset = open_dataset(config.data)
    check_trainable(dataset)
    embed = Embedder(config.embedder)
    plant = ready(config, one_site(site, dataset, config.data, seed=config.round.seed), embed).site
    alone = replace(config, bank=replace(config.bank, size=0))
    upload: Bank = learn(alone, [plant], embed).local[site].upload
    save(out, upload, method=config.round.method)
    return upload


def merge_files(config: Config, files: Sequence[Path], out: Path) -> tuple[Bank, list[str]]:
    """Merge sealed banks into the one that the server would broadcast, and write it to `out`.

    What a site says of its images is believed as far as its rows can stand for them; a bank that
    was merged before is taken as it is.

    Returns:
        the bank, and a warning for each count that was not believed.

    Raises:
        ConfigError: a method that takes more than carrying one bank.
        UploadError, MismatchError: banks that do not mix; the message says whose file is whose.
    """
    _check_by_hand(config)
    uploads, warnings = [load(file, Bank) for file in files], list[str]()
    _check_products(files, uploads)
    for number, bank in enumerate(uploads):
        if len(bank.sites) == 1:
            per_image = max(1, bank.fingerprint.patches)
            uploads[number], corrected = clamped(config, bank, per_image=per_image)
            warnings += corrected
    try:
        merged: Bank = merge(config, uploads)
    except (MismatchError, UploadError) as error:
        whose = ", ".join(
            f"{file} is of {'+'.join(bank.sites)}"
            for file, bank in zip(files, uploads, strict=True)
        )
        raise type(error)(f"{error} ({whose})") from error
    save(out, merged, method=config.round.method)
    return merged, warnings


def _check_products(files: Sequence[Path], banks: Sequence[Bank]) -> None:
    """Refuse one product under two spellings: it would be merged as two."""
    seen: dict[str, tuple[str, Path]] = {}
    for file, bank in zip(files, banks, strict=True):
        for name in bank.categories:
            other, where = seen.setdefault(name.casefold(), (name, file))
            if other != name:
                raise DataError(
                    f"{file}: its product {name!r} and {other!r} of {where} differ only in "
                    "capitals: build one of the banks again with the other's name"
                )


def _check_by_hand(config: Config) -> None:
    """Refuse a method that takes more than carrying one bank."""
    rounds = method_of(config).rounds
    if len(rounds) > 1 or not issubclass(rounds[0].upload, Bank):
        raise ConfigError(
            f"round.method = {config.round.method!r}: only banks are carried by hand, and this "
            f"method sends a {rounds[0].upload.record()} in each of {len(rounds)} rounds: run it "
            "over Flower"
        )
