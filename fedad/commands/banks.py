"""`fedad bank ...`: the three steps of a round file by file, for plants without a network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from fedad.admission import clamped
from fedad.bank_file import load_bank, save_bank
from fedad.config import Config
from fedad.datasets.base import check_trainable, open_dataset
from fedad.embedders.embedder import Embedder
from fedad.errors import MismatchError, UploadError
from fedad.partition import one_site
from fedad.reporting.record import describe_bank
from fedad.round import fit, merge, seal
from fedad.sifting import sift
from fedad.types import Bank


def build(config: Config, site: str, out: Path) -> Bank:
    """The sealed bank of one plant's own folder, written to `out`."""
    dataset = open_dataset(config.data)
    check_trainable(dataset)
    plant = sift(config, one_site(site, dataset, config.data, seed=config.round.seed)).site
    sealed = seal(config, site, fit(config, plant, Embedder(config.embedder)))
    save_bank(out, sealed)
    return sealed


def merge_files(config: Config, files: Sequence[Path], out: Path) -> tuple[Bank, list[str]]:
    """The bank that the server would broadcast, from sealed banks, written to `out`; and warnings.

    What a site says of its images is believed as far as its rows can stand for them; a bank that
    was merged before is taken as it is.

    Raises:
        UploadError, MismatchError: banks that do not mix, told by file.
    """
    uploads, warnings = [load_bank(file) for file in files], list[str]()
    for number, bank in enumerate(uploads):
        if len(bank.sites) == 1:
            per_image = max(1, bank.fingerprint.patches)
            uploads[number], odd = clamped(config, bank, per_image=per_image)
            warnings += odd
    try:
        merged = merge(config, uploads)
    except (MismatchError, UploadError) as error:
        told = ", ".join(
            f"{file} is of {'+'.join(b.sites)}" for file, b in zip(files, uploads, strict=True)
        )
        raise type(error)(f"{error} ({told})") from error
    save_bank(out, merged)
    return merged, warnings


def info_table(path: Path) -> Table:
    """What a bank file holds."""
    bank = load_bank(path)
    about = describe_bank(bank)
    table = Table(title=str(path), show_header=False)
    table.add_row("rows x features", f"{about['rows']} x {about['features']} {about['dtype']}")
    table.add_row("scope", bank.scope)
    table.add_row("stands for", f"{bank.images.sum()} images, {about['patches']} patches")
    for site, rows in about["rows_by_site"].items():
        parts = ", ".join(f"{name} {count}" for name, count in rows.items())
        table.add_row(f"rows of {site}", parts)
    for name, value in vars(bank.fingerprint).items():
        table.add_row(name, str(value))
    return table
