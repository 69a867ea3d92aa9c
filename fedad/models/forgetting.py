"""A run's bank as it would be without one site: merged anew from the uploads that were kept.

Leaving the site's rows out of the bank would not do: which rows of the others are in it depended on
that site's. Where the uploads are gone, forgetting is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fedad.config import COVERAGE, Config, read
from fedad.errors import ConfigError, DataError
from fedad.messages.file import checksum, load, save
from fedad.messages.payload import Payload
from fedad.methods.base import Round, Turn, method_of
from fedad.plumbing.journal import Event, events_of
from fedad.round import merge
from fedad.running.model_file import as_read


def forget(run: Path, site: str, out: Path) -> Payload:
    """Merge the bank of a finished run without a site, and write it to `out`.

    Raises:
        DataError: no such run, a site that gave it nothing, or uploads that are gone or changed.
        ConfigError: the sites would have to be asked anew, or no site is left.
    """
    events = events_of(run)
    config = read({**events[0]["config"], "round.resume": False})
    if config.merge.weighting == COVERAGE:
        raise ConfigError(
            f"{run}: its sites were weighed by merge.weighting = {COVERAGE!r}, for which they "
            "would have to be asked anew: run it again without the site"
        )
    rounds = method_of(config).rounds
    merged = [one for one in events if one["event"] == "merged"]
    if len(merged) < len(rounds):
        raise DataError(f"{run}: the run has not finished: it has no last bank yet")
    uploads = {
        one["site"]: one
        for one in events
        if one["event"] == "uploaded" and one["round"] == len(rounds)
    }
    given = {name: one for name, one in uploads.items() if name in merged[-1]["sites"]}
    if site not in given:
        known = ", ".join(sorted(given)) or "no site"
        raise DataError(f"{run}: {site!r} gave nothing to its bank, which is of {known}")
    rest = {name: one for name, one in given.items() if name != site}
    if not rest:
        raise ConfigError(f"{run}: without {site} no site is left: delete the run's folder instead")
    model = _merged(config, run, rounds, rest, merged)
    save(out, model, private=False, method=config.round.method, **as_read(config))
    return model


def _merged(
    config: Config,
    run: Path,
    rounds: Any,
    rest: Mapping[str, Event],
    merged: list[Event],
) -> Payload:
    """The merge of these uploads, as the server would make it."""
    last: Round = rounds[-1]
    uploads = [load(_whole(run, one), last.upload) for one in rest.values()]
    before = None
    if len(rounds) > 1:
        before = load(_whole(run, merged[-2]), rounds[-2].model)
    made: Payload = merge(config, uploads, Turn(len(rounds), before))
    return made


def _whole(run: Path, event: Event) -> Path:
    """The file that the journal names, as it was then."""
    path = run / event["file"]
    if not path.is_file():
        raise DataError(
            f"{path}: this upload was not kept, so that the bank cannot be merged without a site: "
            "uploads of banks are, until somebody deletes them"
        )
    if checksum(path) != event["sha256"]:
        raise DataError(f"{path}: not the file that the journal names: was it changed?")
    return path
