"""What the server has of a run: in memory, and on disk where the run has a folder.

    journal.jsonl                    what was done, in order
    uploads/<site>.safetensors       each site's upload as it came; uploads-2/ in the second round
    models/round-<r>.safetensors     the model that a round ended with, if another round follows
    findings/<site>.safetensors      each site's counts as they came
    bank.safetensors                 the last model; model.safetensors where it is no bank

A run that ended early goes on from there: what is kept is not asked for again. The uploads of a
round are deleted once its model is journaled, except banks, by which a site can be forgotten: they
stay for `round.keep-days` (`running/old_uploads.py`).
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from flwr.app import RecordDict

from fedad import wire
from fedad.banks.bank import Bank
from fedad.config import Config, every_knob
from fedad.errors import ConfigError, DataError
from fedad.judging.findings import Findings
from fedad.messages.file import checksum, load, save
from fedad.messages.payload import Payload
from fedad.methods.base import Round, Turn, method_of
from fedad.plumbing.journal import Event, Journal
from fedad.reporting.run_folder import model_file

Told = dict[str, Any]


class Judged(Mapping[str, Findings]):
    """What each site found, by name: unpacked once, its report made once, its replicates added to
    the others' and left out, since those of every site would take much memory."""

    def __init__(self) -> None:
        self._each: dict[str, Findings] = {}
        self._sum = Findings()
        self._taken: dict[str, RecordDict | Path] = {}  # as they came, or the file that has it

    def take(
        self,
        site: str,
        content: RecordDict,
        found: Findings | None = None,
        file: Path | None = None,
    ) -> None:
        """What a site found, unpacked already or not; it takes the place of what it said before.

        Args:
            file: which has the content, so that it is not held here too.
        """
        again = site in self._taken
        self._taken[site] = file or content
        if again:
            self._each, self._sum = {}, Findings()
            for name, one in self._taken.items():
                held = wire.load(one)[0] if isinstance(one, Path) else one
                self._add(name, wire.unpack_findings(held))
        else:
            self._add(site, found or wire.unpack_findings(content))

    @property
    def together(self) -> Findings:
        """What all sites found, with replicates."""
        return self._sum

    def _add(self, site: str, found: Findings) -> None:
        self._each[site] = found.reduced()
        self._sum += found

    def __getitem__(self, site: str) -> Findings:
        return self._each[site]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._each))

    def __len__(self) -> int:
        return len(self._each)


class Kept:
    """A run's turn, uploads and findings; `key` names the run to its sites, resumed or not.

    `turn` is the round that is to be asked for next, with the model of the one before; `uploads`
    are what has come in it.
    """

    def __init__(
        self, rounds: Sequence[Round], journal: Journal | None = None, *, keeps_banks: bool = True
    ) -> None:
        self.rounds, self.journal, self.keeps_banks = rounds, journal, keeps_banks
        self.turn = Turn()
        self.uploads: dict[str, Any] = {}
        self.findings = Judged()
        begun = journal.last("begun") if journal else None
        self.key = str(begun["key"]) if begun else secrets.token_hex(16)

    @classmethod
    def begin(cls, folder: Path, config: Config) -> Kept:
        """Nothing yet, of a new run.

        Raises:
            TakenError: the folder holds another run.
        """
        journal = Journal.begin(folder, key=secrets.token_hex(16), config=_noted(config))
        return cls(method_of(config).rounds, journal, keeps_banks=config.round.keep_days > 0)

    @classmethod
    def reopen(cls, folder: Path, config: Config) -> Kept:
        """What there is of a run that ended early.

        Raises:
            DataError: there is no such run, or a file of it was changed.
            ConfigError: a knob that its results depend on has another value now.
        """
        journal = Journal.reopen(folder)
        try:
            _check_same(journal.events[0]["config"], config)
            journal.note("resumed")
            rounds, keeps_banks = method_of(config).rounds, config.round.keep_days > 0
            kept = cls(rounds, journal, keeps_banks=keeps_banks)
            kept._load(folder, journal)
        except BaseException:  # what could not be gone on with may be tried again
            journal.close()
            raise
        return kept

    @property
    def is_learned(self) -> bool:
        """Whether all rounds have ended: `turn.model` is the last model."""
        return self.turn.number > len(self.rounds)

    def _load(self, folder: Path, journal: Journal) -> None:
        if merged := journal.last("merged"):
            kind = self.rounds[merged["round"] - 1].model
            self.turn = Turn(merged["round"] + 1, load(_whole(folder, merged), kind))
        for site, event in journal.by_site("uploaded").items():
            if event["round"] == self.turn.number:
                kind = self.rounds[event["round"] - 1].upload
                self.uploads[site] = load(_whole(folder, event), kind)
        for site, event in journal.by_site("judged").items():
            file = _whole(folder, event)
            self.findings.take(site, wire.load(file)[0], file=file)

    def enrolled(self) -> dict[str, Told]:
        """What sites said of themselves before this start, by name."""
        events = self.journal.by_site("enrolled") if self.journal else {}
        return {site: event["about"] for site, event in events.items()}

    def told(self, site: str) -> Told:
        """What was known of a site's bytes and seconds when it was last heard."""
        for event in reversed(self.journal.events if self.journal else []):
            if event.get("site") == site and "told" in event:
                return dict(event["told"])
        return {}

    def merged_from(self) -> list[str] | None:
        """The sites that were left when the last model was merged before this start, if it was."""
        event = self.journal.last("merged") if self.journal else None
        return list(event["sites"]) if event else None

    def uploaded_before(self) -> set[str]:
        """The sites that have given an upload in any round before this start."""
        return {*self.journal.by_site("uploaded")} if self.journal else set()

    def keep_site(self, site: str, about: Mapping[str, Any]) -> None:
        self.note("enrolled", site=site, about=dict(about))

    def keep_upload(self, site: str, upload: Payload, told: Told) -> None:
        """An upload of the round that goes on, on disk before it counts."""
        self.uploads[site] = upload
        if self.journal:
            number = self.turn.number
            file = f"{_folder(number)}/{site}.safetensors"
            digest = save(self.journal.folder / file, upload)
            self.note("uploaded", site=site, round=number, file=file, sha256=digest, told=told)

    def keep_findings(self, site: str, content: RecordDict, found: Findings, told: Told) -> None:
        """A site's findings, on disk before they count, as they came; `found` is in `content`."""
        path = None
        if self.journal:
            file = f"findings/{site}.safetensors"
            path = self.journal.folder / file
            digest = wire.save(path, content)
            self.note("judged", site=site, file=file, sha256=digest, told=told)
        self.findings.take(site, content, found, path)

    def keep_model(self, model: Payload, sites: Iterable[str], method: str) -> None:
        """The model of the round: from now on no further upload enters it."""
        number = self.turn.number
        last = number == len(self.rounds)
        if self.journal:
            file = model_file(type(model)) if last else f"models/round-{number}.safetensors"
            digest = save(self.journal.folder / file, model, method=method)
            self.note("merged", round=number, file=file, sha256=digest, sites=sorted(sites))
            banks = isinstance(next(iter(self.uploads.values()), None), Bank)
            if not (banks and self.keeps_banks):
                shutil.rmtree(self.journal.folder / _folder(number), ignore_errors=True)
        self.turn, self.uploads = Turn(number + 1, model), {}

    def note(self, event: str, **told: Any) -> None:
        if self.journal:
            self.journal.note(event, **told)

    def close(self) -> None:
        """Let another process go on with the run."""
        if self.journal:
            self.journal.close()

    def events(self, kind: str) -> list[Event]:
        noted = self.journal.events if self.journal else []
        return [one for one in noted if one["event"] == kind]


def _folder(number: int) -> str:
    """Of a round's uploads."""
    return "uploads" if number == 1 else f"uploads-{number}"


def _noted(config: Config) -> Told:
    """The knobs of a run that its results depend on, and those that were turned: a version that
    lacks one of the others goes on with the run, too."""
    essence, shipped = config.essence(), every_knob()
    return {k: v for k, v in config.flat().items() if k in essence or v != shipped.get(k)}


def _whole(folder: Path, event: Event) -> Path:
    """The file that an event tells of, as it was then; that it is whole its reader will see."""
    path = folder / event["file"]
    if not path.is_file():
        raise DataError(f"{path}: the journal names it, and it is gone: the run cannot go on")
    if checksum(path) != event["sha256"]:
        raise DataError(f"{path}: not the file that the journal names: the run cannot go on")
    return path


def _check_same(before: Mapping[str, Any], config: Config) -> None:
    """Refuse to go on with other knobs than a run was begun with, where results depend on them.

    A knob that the version lacked which began the run counts as left alone.
    """
    now, before = config.essence(), {**every_knob(), **before}
    differing = [
        f"{key} = {now[key]!r} and was {before.get(key)!r}"
        for key in now
        if now[key] != before.get(key)
    ]
    if differing:
        raise ConfigError(f"round.resume: the run was begun otherwise: {'; '.join(differing)}")
