"""How the server of a federation stands: who is up, what ran last, which model came of it."""

from __future__ import annotations

import fcntl
import tempfile
from pathlib import Path

from fedad.deploy.link import Link, LinkError
from fedad.deploy.status import Status, certificates, disk, versions
from fedad.errors import DataError, FedadError
from fedad.plumbing.files import read_json
from fedad.plumbing.journal import NAME as JOURNAL
from fedad.plumbing.journal import Event, events_of
from fedad.plumbing.moments import utc_text
from fedad.reporting.run_folder import FAILURE, RECORD
from fedad.running.old_uploads import all_held
from fedad.wire import UNREGISTERED


def server_status(keys: Path, superlink: str, runs: Path) -> Status:
    """Who is up, the last run, the newest model, certificates and disk.

    Args:
        keys: the server's folder of keys.
        superlink: HOST:PORT.
        runs: where run folders go.
    """
    certified, ending = certificates(
        {"the server's certificate": keys / "superlink.crt", "the authority": keys / "ca.crt"}
    )
    hub, sites = _sites(keys, superlink)
    room, low = disk(runs)
    folders, (kept, overdue) = run_folders(runs), _uploads(runs)
    return {
        "machine": "server",
        "time": utc_text(),
        "versions": versions(),
        "superlink": hub,
        "sites": sites,
        "run": run_status(folders[0]) if folders else None,
        "model": next(filter(None, map(_model, folders)), None),
        "uploads": kept,
        "certificates": certified,
        "disk": room,
        "warnings": [*([] if hub["up"] else [hub["told"]]), *ending, *low, *overdue],
    }


def _uploads(runs: Path) -> tuple[Status, list[str]]:
    """What is kept of sites' uploads, and what of it should be gone."""
    held = [*all_held(runs)]
    told = {"runs": len(held), "bytes": sum(one.size for one in held)}
    old = [
        f"{one.run.name}: its uploads are {one.age:.0f} days old, round.keep-days = {one.days}: "
        f"fedad prune {runs}"
        for one in held
        if one.is_over
    ]
    return told, old


def run_folders(runs: Path) -> list[Path]:
    """The folders of runs, the newest first; a link to one of them is none."""
    found = [
        (path.stat().st_mtime, folder)
        for folder in (runs.iterdir() if runs.is_dir() else ())
        if not folder.is_symlink() and folder.is_dir()
        for path in [folder / JOURNAL]
        if path.is_file()
    ]
    return [folder for _, folder in sorted(found, reverse=True)]


def run_status(folder: Path) -> Status:
    """How a run stands, by its folder alone: it finished, failed, goes on, or was cut short."""
    told: Status = {"run": folder.name, "folder": str(folder), "told": "", "missing": {}}
    told["time"] = utc_text((folder / JOURNAL).stat().st_mtime)
    try:
        events = events_of(folder)
        told["stage"] = _last(events, "stage", "stage")
        told["missing"] = {
            one["site"]: one["reason"] for one in events if one["event"] == "missing"
        }
        told["outcome"], told["told"] = _outcome(folder, told["missing"])
    except (FedadError, KeyError) as error:
        told |= {"outcome": "cannot be read", "told": str(error), "stage": ""}
    return told


def _outcome(folder: Path, missing: Status) -> tuple[str, str]:
    if (folder / RECORD).exists():
        return "finished", f"without {', '.join(sorted(missing))}" if missing else ""
    if _goes_on(folder):
        return "goes on", ""
    on = f"fedad submit --resume {folder}"
    if (folder / FAILURE).exists():
        return "failed", f"{read_json(folder / FAILURE, 'why a run ended').get('message')}; {on}"
    return "cut short", f"what the sites gave is kept: {on}"


def _goes_on(folder: Path) -> bool:
    """Whether a process has the run's journal."""
    with (folder / JOURNAL).open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _model(folder: Path) -> Status | None:
    """The last model of a run, if it came so far."""
    try:
        merged = [one for one in events_of(folder) if one["event"] == "merged"]
        if not merged or str(merged[-1]["file"]).startswith("models/"):
            return None
        last, digest = merged[-1], str(merged[-1]["sha256"])
        if (folder / RECORD).exists():  # which is written anew, with how images were read
            digest = str(read_json(folder / RECORD, "a record")["model"].get("sha256", digest))
    except (DataError, KeyError, TypeError, AttributeError):
        return None
    file = str(folder / last["file"])
    return {"sha256": digest, "file": file, "sites": list(last["sites"]), "told": f"in {file}"}


def _last(events: list[Event], kind: str, word: str) -> str:
    return next((str(one[word]) for one in reversed(events) if one["event"] == kind), "")


def _sites(keys: Path, superlink: str) -> tuple[Status, list[Status]]:
    """Whether the SuperLink answers, and each key that may come, whether anybody is there by it."""
    hub: Status = {"address": superlink, "up": False, "told": ""}
    with tempfile.TemporaryDirectory(prefix="fedad-") as scratch:
        try:
            known = Link(superlink, keys / "ca.crt", Path(scratch)).known()
        except LinkError as error:
            return {**hub, "told": str(error)}, []
    sites = [
        {"site": one.site, "number": one.number, "status": one.status, "since": _second(one.since)}
        for one in known
        if one.status != UNREGISTERED
    ]
    named = {one["site"] or one["number"] for one in sites}  # by several keys while one is renewed
    online = {one["site"] or one["number"] for one in sites if one["status"] == "online"}
    told = f"up, {len(online)} of {len(named)} sites online"
    return {**hub, "up": True, "told": told}, sorted(sites, key=_by_name)


def _second(moment: str) -> str:
    """A moment of Flower's, such as 2026-03-01T06:30:00.123456+00:00, without its fraction."""
    whole = moment.partition(".")[0].removesuffix("+00:00")
    return f"{whole}Z" if whole else ""


def _by_name(site: Status) -> tuple[str, str]:
    return str(site["site"]), str(site["number"])
