"""Run once on the server of a federation, by its SuperLink, and follow the run to its end."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from fedad.config import Config
from fedad.deploy.link import Link, LinkError
from fedad.errors import DataError
from fedad.plumbing.console import say
from fedad.plumbing.journal import events_of
from fedad.reporting.run_folder import FAILURE, RECORD, new_folder, point_latest
from fedad.running.flower import RunFailedError, raise_failure
from fedad.running.overlay import chosen_config

ASK_SECONDS = 10.0  # from one question to Flower how the run stands to the next
LAST_SECONDS = 5.0  # that a run's last file may come after Flower says that it has ended


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

    Args:
        path, overrides: the configuration of a new run.
        superlink: HOST:PORT.
        ca: the authority's certificate.
        runs: where run folders go.
        resume: the folder of a run to go on with, in place of `path`.

    Raises:
        FedadError: the configuration is wrong, or the run failed, and why.
    """
    config = chosen_config(path, overrides, resume)
    with tempfile.TemporaryDirectory(prefix="fedad-") as scratch:
        return run_on(Link(superlink, ca, Path(scratch)), config, runs)


def run_on(link: Link, config: Config, runs: Path) -> Path:
    """Run once on a SuperLink of this machine; return the run folder, a new one or the resumed.

    A run that does not start leaves no folder.

    Raises:
        FedadError: the run does not start, or it failed, and why.
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
    except KeyboardInterrupt as stop:
        stop.add_note(_stopped(link, run, folder))
        raise
    raise_failure(folder)
    point_latest(folder)
    return folder


def _stopped(link: Link, run: str, folder: Path) -> str:
    """End a run, and say what there is of it, and how to go on."""
    try:
        link.stop(run)
    except LinkError as error:
        return f"the run goes on, as it could not be ended: {error}: see fedad status server"
    return f"what the sites gave is kept: fedad submit --resume {folder} goes on"


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
                say(f"run {run} waits for a SuperExec: is the server's up?", error=True)
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
    """What to say of a run that has left neither record nor failure.

    Args:
        why: what Flower says of it.
    """
    cause = why or "without a word: was it killed, or the machine's memory full?"
    return (
        f"the ServerApp ended: {cause} What the sites gave is kept: fedad submit --resume {folder}"
    )


def _status(link: Link, run: str) -> tuple[str, str]:
    try:
        return link.status(run)
    except LinkError as error:  # a SuperLink that is started again answers later
        say(error, error=True)
        return "unknown", ""


def _say(folder: Path, shown: int) -> int:
    """Print what the journal has after its first `shown` events; return how many it has now."""
    try:
        events = events_of(folder)
    except DataError:  # not begun yet
        return shown
    for event in events[shown:]:
        words = [event[key] for key in ("event", "site", "stage", "reason") if key in event]
        say(" ".join(words), error=True)
    return len(events)
