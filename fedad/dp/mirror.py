"""A second copy of a site's ledger, elsewhere: it tells when an older ledger was put back.

A ledger believes its own chain of checksums, and an older copy of it, with the seals of that time,
is a whole chain too: what was spent since would be spent again. The mirror is a folder on another
disk or machine, where whoever restores the ledger does not restore it. It has the same files,
copied by hand once, and each debit is added to them before an answer is sent. A ledger that does
not begin with what its mirror has is not believed.

Whoever puts older copies of ledger, seals and mirror back together is not found out.
"""

from __future__ import annotations

from pathlib import Path

from fedad.dp.account import Ledger, LedgerError
from fedad.plumbing.files import write_atomic
from fedad.plumbing.journal import NAME


def check(ledger: Ledger, mirror: Path) -> None:
    """Whether the ledger has all that its mirror has.

    Raises:
        LedgerError: it has not: it is older, or another; or the mirror cannot be read.
    """
    own, kept = _lines(ledger.folder / NAME), _lines(place(ledger, mirror))
    if own[: len(kept)] != kept:
        what = "older than" if kept[: len(own)] == own else "another than"
        raise LedgerError(
            f"{ledger.folder / NAME}: it is {what} its mirror {place(ledger, mirror)}, so nothing "
            f"is released ({len(own) - 1} debits, and {len(kept) - 1} there): was a copy put back? "
            "The mirror's has all that was sent"
        )


def follow(ledger: Ledger, mirror: Path) -> None:
    """Bring the mirror to where the ledger is; on disk when this returns.

    Raises:
        LedgerError: see `check`; or the mirror cannot be written.
    """
    check(ledger, mirror)
    path, own = place(ledger, mirror), _lines(ledger.folder / NAME)
    if own == _lines(path):
        return
    try:
        write_atomic(path, b"".join(own).decode())
    except OSError as error:
        raise LedgerError(f"{path}: the mirror cannot be written ({error.strerror})") from error


def place(ledger: Ledger, mirror: Path) -> Path:
    """The file of the mirror that follows a ledger."""
    return mirror / ledger.terms.site / ledger.terms.product / NAME


def _lines(path: Path) -> list[bytes]:
    """The lines that were written whole."""
    try:
        return [line for line in path.read_bytes().splitlines(True) if line.endswith(b"\n")]
    except OSError as error:
        raise LedgerError(
            f"{path}: there is no such copy of the ledger ({error.strerror}): is its disk there? "
            "The first copy is made by hand, of the newest ledger: cp -r LEDGER MIRROR"
        ) from error
