"""`fedad submit` and `fedad register`: on the server of a federation, with its SuperLink."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from fedad.config import Config
from fedad.deploy.certificates import same_key
from fedad.deploy.link import KnownError, Link, LinkError
from fedad.errors import DataError
from fedad.plumbing.journal import events_of
from fedad.reporting.run_folder import FAILURE, RECORD, new_folder, point_latest
from fedad.running.flower import RunFailedError, raise_failure
from fedad.running.launch import chosen_config
from fedad.wire import Known

ASK_SECONDS = 10.0  # from one question to Flower how the run stands to the next
LAST_SECONDS = 5.0  # that a run's last file may come after Flower says that it has ended


class Registered(NamedTuple):
    """Flower's number of a site's key, "" where it does not say; and whether it is new there."""

    number: str
    is_new: bool


def register_all(keys: Path, superlink: str, sites: Sequence[str]) -> dict[str, Registered]:
    """Let the sites come whose public keys are in `keys/sites`, or those of them that are named.

    Raises:
        DataError: no such key, or one that was shut out.
        LinkError: the SuperLink cannot be reached.
    """
    found = {path.stem: path for path in sorted((keys / "sites").glob("*.pub"))}
    if unknown := [site for site in sites if site not in found] or (["*"] if not found else []):
        raise DataError(f"{keys / 'sites' / unknown[0]}.pub: there is no such key: see fedad certs")
    with tempfile.TemporaryDirectory(prefix="fedad-") as scratch:
        link = Link(superlink, keys / "ca.crt", Path(scratch))
        return {site: _registered(link, found[site], site) for site in sites or found}


def _registered(link: Link, key: Path, site: str) -> Registered:
    try:
        return Registered(link.register(key, site), is_new=True)
    except KnownError:
        known = [one for one in _asked(link) if same_key(one.key, key)]
    if any(one.shut_out for one in known):
        raise DataError(f"{key}: this key was shut out for good: fedad certs makes another")
    return Registered(known[0].number if known else "", is_new=False)


def _asked(link: Link) -> list[Known]:
    """The keys that a SuperLink knows, or none where it does not list them."""
    try:
        return link.known()
    except LinkError:
        return []


def unregister(keys: Path, superlink: str, who: str) -> str:
    """Shut out whoever has the key of a site, or of a number; return the number.

    Raises:
        DataError: no key of this site is known, or several are.
        LinkError: the SuperLink cannot be reached, or knows no such number.
    """
    with tempfile.TemporaryDirectory(prefix="fedad-") as scratch:
        link = Link(superlink, keys / "ca.crt", Path(scratch))
        number = who if who.isdecimal() else _number(link.known(), who, keys)
        link.unregister(number)
    return number


def _number(known: Sequence[Known], site: str, keys: Path) -> str:
    """The number of the one key that a site may come by."""
    its = [one for one in known if one.site == site and not one.shut_out]
    if len(its) == 1:
        return its[0].number
    if not its:
        names = sorted({one.site for one in known if one.site and not one.shut_out})
        raise DataError(f"{site}: no such site may come: there are {', '.join(names) or 'none'}")
    path = keys / "sites" / f"{site}.pub"
    told = [f"{one.number} ({path})" if same_key(one.key, path) else one.number for one in its]
    raise DataError(f"{site}: it may come by several keys, name a number: {', '.join(told)}")


def submit_run(
    path: Path | None,
    overrides: Sequence[str],
    superlink: str,
    ca: Path,
    *,
    runs: Path,
    resume: Path | None,
) -> Path:
    """Run once over the sites that are up, and return the run folder.

    Raises:
        FedadError: the configuration is wrong, or the run failed, and why.
    """
    config = chosen_config(path, overrides, resume)
    with tempfile.TemporaryDirectory(prefix="fedad-") as scratch:
        return run_on(Link(superlink, ca, Path(scratch)), config, runs)


def run_on(link: Link, config: Config, runs: Path) -> Path:
    """Run once on a SuperLink, on whose machine this is; the run folder is new or the resumed.

    A run that does not start leaves no folder.
    """
    folder = Path(config.round.out) if config.round.resume else new_folder(config.round.name, runs)
    config = replace(config, round=replace(config.round, out=str(folder)))
    (folder / FAILURE).unlink(missing_ok=True)
    try:
        run = link.start(config.flat())
    except BaseException:
        with suppress(OSError):  # it is not empty: of a run that was begun before, or just now
            folder.rmdir()
        raise
    try:
        _follow(link, run, folder)
    except KeyboardInterrupt:
        link.stop(run)
        raise
    raise_failure(folder)
    point_latest(folder)
    return folder


def _follow(link: Link, run: str, folder: Path) -> None:
    """Wait until the run has left its last file, and say what happens meanwhile.

    Raises:
        RunFailedError: Flower says that the run has ended, and there is none.
    """
    shown, asked = 0, time.monotonic()
    while not _has_ended(folder):
        time.sleep(0.3)
        shown = _say(folder, shown)
        if time.monotonic() - asked > ASK_SECONDS:
            status, why = _status(link, run)
            if status.startswith("finished") and not _ends_soon(folder):
                raise RunFailedError(_ended(folder, why))
            if status == "pending":
                print(f"run {run} waits for a SuperExec: is the server's up?", file=sys.stderr)
            asked = time.monotonic()
    _say(folder, shown)


def _has_ended(folder: Path) -> bool:
    return (folder / RECORD).exists() or (folder / FAILURE).exists()


def _ends_soon(folder: Path) -> bool:
    until = time.monotonic() + LAST_SECONDS
    while time.monotonic() < until and not _has_ended(folder):
        time.sleep(0.2)
    return _has_ended(folder)


def _ended(folder: Path, why: str) -> str:
    """Of a run that has left neither record nor failure; `why` is what Flower says of it."""
    cause = why or "without a word: was it killed, or the machine's memory full?"
    return (
        f"the ServerApp ended: {cause} What the sites gave is kept: fedad submit --resume {folder}"
    )


def _status(link: Link, run: str) -> tuple[str, str]:
    try:
        return link.status(run)
    except LinkError as error:  # a SuperLink that is started again answers later
        print(error, file=sys.stderr, flush=True)
        return "unknown", ""


def _say(folder: Path, shown: int) -> int:
    """Print what the journal has after its first `shown` events; return how many it has now."""
    try:
        events = events_of(folder)
    except DataError:  # not begun yet
        return shown
    for event in events[shown:]:
        words = [event[key] for key in ("event", "site", "stage", "reason") if key in event]
        print(" ".join(words), file=sys.stderr, flush=True)
    return len(events)
