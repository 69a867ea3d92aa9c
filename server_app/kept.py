"""What the server has of a run: in memory, and on disk where the run has a folder.

    journal.jsonl                  what was done, in order
    uploads/<site>.safetensors     each site's bank as it came; `fedad bank info` reads it
    findings/<site>.safetensors    each site's counts as they came
    bank.safetensors               the bank, once it is merged

A run that ended early goes on from there: what is kept is not asked for again.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from flwr.app import RecordDict

from fedad import wire
from fedad.bank_file import checksum, load_bank, save_bank
from fedad.config import Config
from fedad.errors import ConfigError, DataError
from fedad.findings import Findings
from fedad.journal import Event, Journal
from fedad.reporting.run_folder import BANK
from fedad.types import Bank

Told = dict[str, Any]


class Packed(Mapping[str, Findings]):
    """What each site found, by name, and unpacked whenever it is read.

    Unpacked, the counts of resampled images take twenty times the memory, of every site.
    """

    def __init__(self) -> None:
        self.contents: dict[str, RecordDict] = {}

    def __getitem__(self, site: str) -> Findings:
        return wire.unpack_findings(self.contents[site])

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self.contents))

    def __len__(self) -> int:
        return len(self.contents)


class Kept:
    """A run's uploads, findings and bank; `key` names the run to its sites, resumed or not."""

    def __init__(self, journal: Journal | None = None) -> None:
        self.journal = journal
        self.uploads: dict[str, Bank] = {}
        self.findings = Packed()
        self.bank: Bank | None = None
        begun = journal.last("begun") if journal else None
        self.key = str(begun["key"]) if begun else secrets.token_hex(16)

    @classmethod
    def begin(cls, folder: Path, config: Config) -> Kept:
        """Nothing yet, of a new run.

        Raises:
            TakenError: the folder holds another run.
        """
        journal = Journal.begin(folder, key=secrets.token_hex(16), config=config.flat())
        return cls(journal)

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
            kept = cls(journal)
            kept._load(folder, journal)
        except BaseException:  # what could not be gone on with may be tried again
            journal.close()
            raise
        return kept

    def _load(self, folder: Path, journal: Journal) -> None:
        for site, event in journal.by_site("uploaded").items():
            self.uploads[site] = load_bank(_whole(folder, event))
        for site, event in journal.by_site("judged").items():
            self.findings.contents[site], _ = wire.load(_whole(folder, event))
        if merged := journal.last("merged"):
            self.bank = load_bank(_whole(folder, merged))

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
        """The sites that were left when the bank was merged before this start, if it was."""
        event = self.journal.last("merged") if self.journal else None
        return list(event["sites"]) if event else None

    def keep_site(self, site: str, about: Mapping[str, Any]) -> None:
        self.note("enrolled", site=site, about=dict(about))

    def keep_upload(self, site: str, upload: Bank, told: Told) -> None:
        """An upload, on disk before it counts."""
        self.uploads[site] = upload
        if self.journal:
            file = f"uploads/{site}.safetensors"
            digest = save_bank(self.journal.folder / file, upload)
            self.note("uploaded", site=site, file=file, sha256=digest, told=told)

    def keep_findings(self, site: str, content: RecordDict, told: Told) -> None:
        """A site's findings, on disk before they count, as they came."""
        self.findings.contents[site] = content
        if self.journal:
            file = f"findings/{site}.safetensors"
            digest = wire.save(self.journal.folder / file, content)
            self.note("judged", site=site, file=file, sha256=digest, told=told)

    def keep_bank(self, bank: Bank, sites: Iterable[str]) -> None:
        """The merged bank: from now on no further upload enters it."""
        self.bank = bank
        if self.journal:
            digest = save_bank(self.journal.folder / BANK, bank)
            self.note("merged", file=BANK, sha256=digest, sites=sorted(sites))

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


def _whole(folder: Path, event: Event) -> Path:
    """The file that an event tells of, as it was then; that it is whole its reader will see."""
    path = folder / event["file"]
    if not path.is_file():
        raise DataError(f"{path}: the journal names it, and it is gone: the run cannot go on")
    if checksum(path) != event["sha256"]:
        raise DataError(f"{path}: not the file that the journal names: the run cannot go on")
    return path


def _check_same(before: Mapping[str, Any], config: Config) -> None:
    """Refuse to go on with other knobs than a run was begun with, where results depend on them."""
    now = config.essence()
    differing = [
        f"{key} = {now[key]!r} and was {before.get(key)!r}"
        for key in now
        if now[key] != before.get(key)
    ]
    if differing:
        raise ConfigError(f"round.resume: the run was begun otherwise: {'; '.join(differing)}")
