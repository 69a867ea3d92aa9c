"""A round file by file, for plants without a network: a bank is built here, and merged there."""

from __future__ import annotations

import logging
import os
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
from fedad.messages.file import READING, about, load, save
from fedad.methods.base import method_of
from fedad.partition import one_site
from fedad.plumbing.alike import in_what, pairs_alike
from fedad.plumbing.files import private_folder
from fedad.round import learn, merge
from fedad.running.model_file import as_read

log = logging.getLogger(__name__)


def build(config: Config, site: str, out: Path) -> Bank:
    """Make the sealed bank of one plant's own folder, and write it to `out`.

    Raises:
        ConfigError: a method that takes more than carrying one bank.
        DataError: the folder has no good image of a category.
    """
    check_by_hand(config)
    check_out(out)
    for note in getattr(method_of(config), "notes", ()):
        log.warning("%s", note)
    dataset = open_dataset(config.data)
    check_trainable(dataset)
    embed = Embedder(config.embedder)
    plant = ready(config, one_site(site, dataset, config.data, seed=config.round.seed), embed).site
    alone = replace(config, bank=replace(config.bank, size=0))
    upload: Bank = learn(alone, [plant], embed).local[site].upload
    save(out, upload, private=False, method=config.round.method, **as_read(config))
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
    check_by_hand(config)
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
    ways = {about(file).get(READING, "") for file in files}
    if len(ways) > 1:
        warnings.append(
            f"image files were read in {len(ways)} ways, {' and '.join(map(_way, sorted(ways)))}: "
            "who scores with this bank says how its own are: data.bits, data.orientation and others"
        )
    told = {READING: way} if (way := max(ways)) and len(ways) == 1 else {}
    save(out, merged, private=False, method=config.round.method, **told)
    return merged, warnings


def _way(told: str) -> str:
    return told or "as usual"


def _check_products(files: Sequence[Path], banks: Sequence[Bank]) -> None:
    """Refuse one product under two spellings: it would be merged as two."""
    pairs = [(file, bank) for file, bank in zip(files, banks, strict=True)]
    whose = {name: file for file, bank in reversed(pairs) for name in bank.categories}
    for one, other in pairs_alike(whose):
        raise DataError(
            f"{whose[other]}: its product {other!a:.200}, and {one!a:.200} of {whose[one]}: "
            f"{in_what(one, other)}: build one of the banks again with the other's name"
        )


def check_out(out: Path) -> None:
    """Find out before images are embedded, not after, that a file cannot be written."""
    if out.is_dir():
        raise ConfigError(f"--out {out}: it is a folder, expected the file to write")
    private_folder(out.parent)
    if not os.access(out.parent, os.W_OK):
        raise ConfigError(f"--out {out}: its folder may not be written")


def check_by_hand(config: Config) -> None:
    """Refuse a method that takes more than carrying one bank."""
    rounds = method_of(config).rounds
    if len(rounds) > 1 or not issubclass(rounds[0].upload, Bank):
        raise ConfigError(
            f"round.method = {config.round.method!r}: only banks are carried by hand, and this "
            f"method sends a {rounds[0].upload.record()} in each of {len(rounds)} rounds: run it "
            "over Flower"
        )
