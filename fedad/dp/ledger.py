"""What a site has spent of each of its products, for ever: a chain of lines that only grows.

    <ledger>/<site>/<product>/journal.jsonl   the terms, then a line a debit
    <ledger>/<site>/.lock                     one process at a time draws, seals and debits

Each line has a checksum over itself and all before it. A draw is sealed on the site's disk, then
debited here, then sent: a seal without a debit was not sent, and is debited later; of a debit
without its seal nothing is drawn anew. A site without a ledger of a product releases none of it.
"""

from __future__ import annotations

import fcntl
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from fedad.dp.account import Debit, Draw, Ledger, LedgerError, Terms
from fedad.dp.receipts import RELATION, as_json, receipt_from
from fedad.errors import FedadError
from fedad.plumbing.files import (
    flush_folder,
    is_name,
    is_site_name,
    private_file,
    private_folder,
)
from fedad.plumbing.journal import NAME, Event, Journal, events_of

BEGUN, DEBIT = "begun", "debit"
FORMAT = 1


def create(root: Path, terms: Terms) -> Ledger:
    """Make the ledger of a product, with nothing spent.

    Raises:
        LedgerError: there is one, whatever is in it; or terms that cannot be.
    """
    terms.check()
    folder = _folder(root, terms.site, terms.product)
    with alone(root, terms.site):
        if folder.exists():
            raise LedgerError(
                f"{folder}: there is a ledger of {terms.product!r}, and what is spent stays spent"
            )
        making = folder.with_name(f".{folder.name}.new")  # whole or not there, whatever happens
        shutil.rmtree(making, ignore_errors=True)
        told = {**asdict(terms), "relation": RELATION, "format": FORMAT, "time": time.time()}
        Journal.begin(making, **told).close()
        making.rename(folder)
        flush_folder(folder.parent)
    return read(root, terms.site, terms.product)


def exists(root: Path, site: str, product: str) -> bool:
    """Whether there is a ledger of a product, whatever is in it; of no name there is one."""
    named = is_site_name(site) and is_name(product)
    return named and _folder(root, site, product).exists()


def read(root: Path, site: str, product: str) -> Ledger:
    """The ledger of a product as it is now.

    Raises:
        LedgerError: there is none, or it cannot be believed.
    """
    folder = _folder(root, site, product)
    if not folder.is_dir():
        raise LedgerError(
            f"{folder}: there is no ledger of {product!r} at {site!r}, so nothing of it is "
            f"released: make one by `fedad privacy init`, or was it moved?"
        )
    return read_at(folder)


def ledgers(root: Path) -> list[Path]:
    """The folders of all ledgers below `root`, in order."""
    return sorted(path.parent for path in root.glob(f"*/*/{NAME}") if path.parent.name[0] != ".")


def debit(ledger: Ledger, draw: Draw, *, late: bool = False) -> Ledger:
    """The ledger with a draw that is sealed, on disk when this returns; once, however often.

    It is not asked whether the draw fits: it is there. Only one process at a time may be here
    (`alone`).

    Raises:
        LedgerError: the ledger cannot be believed or written, or it has another draw for the
            same answer.
    """
    now = read_at(ledger.folder)
    if (before := now.of(draw.run, draw.stage)) is not None:
        if before.draw.upload != draw.upload:
            raise LedgerError(
                f"{ledger.folder}: {draw.stage} of the run {draw.run} was debited for other bytes "
                "than are sealed: were files of another copy put there?"
            )
        return now
    if any(one.draw.upload == draw.upload for one in now.debits):
        return now  # the same bytes again tell nothing new
    try:
        journal = Journal.reopen(ledger.folder)
        try:
            told = {**_told(draw), "time": time.time(), "late": late}
            journal.note(DEBIT, **told)
        finally:
            journal.close()
    except (OSError, FedadError) as error:
        raise LedgerError(f"{ledger.folder}: nothing can be debited ({error})") from error
    return read_at(ledger.folder)


def reconcile(ledger: Ledger, sealed: Iterable[Draw]) -> Ledger:
    """The ledger with all draws that are sealed: what a crash kept out of it is debited, late."""
    for draw in sealed:
        ledger = debit(ledger, draw, late=ledger.of(draw.run, draw.stage) is None)
    return ledger


@contextmanager
def alone(root: Path, site: str) -> Iterator[None]:
    """One process at a time draws and debits at a site; another waits.

    Raises:
        LedgerError: the folder cannot be written.
    """
    try:
        lock = private_file(private_folder(_site_folder(root, site)) / ".lock").open("a")
    except OSError as error:
        raise LedgerError(
            f"{error.filename}: {error.strerror}: expected a folder of the site's "
            "own that it may write"
        ) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _folder(root: Path, site: str, product: str) -> Path:
    if not is_name(product):
        raise LedgerError(f"{product!a:.80}: no name of a product")
    return _site_folder(root, site) / product


def _site_folder(root: Path, site: str) -> Path:
    if not is_site_name(site):
        raise LedgerError(f"{site!a:.80}: no name of a site")
    return root / site


def read_at(folder: Path) -> Ledger:
    """The ledger in a folder that `ledgers` found. Raises as `read` does."""
    try:
        first, *rest = events_of(folder)
        terms = _terms(first)
        debits = tuple(map(_debit, rest))
        if (terms.site, terms.product) != (folder.parent.name, folder.name):
            raise LedgerError(f"it is of {terms.product!r} at {terms.site!r}: was it moved here?")
        terms.check()
    except (OSError, FedadError, KeyError, TypeError, ValueError) as error:
        raise LedgerError(
            f"{folder / NAME}: the ledger cannot be believed, so nothing is released ({error}): "
            "put its newest whole copy back"
        ) from error
    return Ledger(folder, terms, debits)


def _terms(event: Event) -> Terms:
    if event["event"] != BEGUN or event["format"] != FORMAT or event["relation"] != RELATION:
        raise LedgerError(f"it begins with {event!a:.200}, expected terms of format {FORMAT}")
    found = {one.name: event[one.name] for one in fields(Terms)}
    return Terms(**{**found, "epsilon": float(found["epsilon"]), "delta": float(found["delta"])})


def _told(draw: Draw) -> dict[str, Any]:
    named = {one.name: getattr(draw, one.name) for one in fields(Draw)}
    return {**named, "receipt": as_json(draw.receipt)}


def draw_from(told: Mapping[str, Any]) -> Draw:
    """A draw as JSON has it. Raises KeyError or ReceiptError where something is missing or off."""
    words = {one.name: str(told[one.name]) for one in fields(Draw) if one.name != "receipt"}
    return Draw(**words, receipt=receipt_from(told["receipt"]))


def _debit(event: Event) -> Debit:
    if event["event"] != DEBIT:
        raise LedgerError(f"a line {event['event']!r}, expected {DEBIT!r}")
    return Debit(draw_from(event), float(event["time"]), bool(event["late"]))
