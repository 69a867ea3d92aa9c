"""Who takes part in a run, who is missing since when and why, and what the record says of each.

At each deadline a run goes on with the sites that are left, if they are `round.min-sites`. A site
that missed a round of training may come back in the next if the method allows it (`rejoins`), but
never one that sent what no honest site can have sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from logging import WARNING
from typing import Any

from flwr.app import RecordDict
from flwr.supercore import log

from fedad import wire
from fedad.config import Config
from fedad.messages import envelope
from fedad.messages.faults import REFUSED, SKIPPED, USED
from fedad.plumbing.shown import for_log
from fedad.types import Enrolled
from server_app.kept import Kept
from server_app.registry import LONGEST_REASON, Register, RunRefusedError, SiteLog

Told = dict[str, Any]
NAMED = 5  # sites, of many that have one thing in common


class Attendance:
    """The sites of one run; `warnings` are for its record."""

    def __init__(self, config: Config, kept: Kept) -> None:
        self.config, self.kept = config, kept
        self.sites: dict[str, SiteLog] = {}
        self.missing: dict[str, dict[str, str]] = {}  # site -> stage, reason, perhaps a word
        self.absences: dict[str, list[str]] = {}  # site -> stages that it missed and came back from
        self.warnings: list[str] = []

    @property
    def present(self) -> list[str]:
        """The sites that take part and have not been lost, by name."""
        return [name for name in self.sites if name not in self.missing]

    @property
    def patches_per_image(self) -> int:
        """What the sites agreed on, so that the server needs no network; 0 where none has said."""
        said = [site.seen.fingerprint for site in self.sites.values() if site.seen]
        kept = [upload.fingerprint for upload in self.kept.uploads.values()]
        return next((mark.patches for mark in said + kept), 0)

    def enrolled(self, name: str) -> Enrolled:
        """What a site said of itself before it was asked for anything."""
        site = self.sites[name]
        if site.seen is None:
            raise RuntimeError(f"{name} was asked for something before it said who it is")
        about, seen = site.about, site.seen
        good = (about["train"], about["test"], seen.fingerprint, seen.width, seen.longest)
        return Enrolled(name, *good, about.get("validation", {}))

    def given_before(self) -> set[str]:
        """The sites of a resumed run that have given all there is to ask them for."""
        if not self.kept.is_learned:
            return set()
        enrolled = self.kept.enrolled().items()
        return {n for n, told in enrolled if n in self.kept.findings or not told["test"]}

    def take_over(self, register: Register) -> None:
        """The sites that came, and of a run that is resumed those that gave something before."""
        sites, given = register.sites, self.kept.uploaded_before() | {*self.kept.findings}
        for name, about in self.kept.enrolled().items():
            if name in given and name not in sites:
                sites[name] = SiteLog(None, about)
                register.missing.pop(name, None)
            if name in sites:
                sites[name].told = self.kept.told(name)
        self.sites = dict(sorted(sites.items()))
        merged_from = self.kept.merged_from() if self.kept.is_learned else None
        for name in self.sites:
            if merged_from is not None and name not in merged_from:
                register.missing[name] = "it came after the bank was merged without it"

    def readmit(self, stage: str) -> None:
        """Take the sites back that were silent or gone in the round before, for the next one."""
        for name, told in list(self.missing.items()):
            if name in self.sites and "word" not in told and told["stage"] != "enrol":
                del self.missing[name]
                self.absences.setdefault(name, []).append(told["stage"])
                self.kept.note("back", site=name, stage=stage)

    def lose(self, name: str, stage: str, reason: str, word: str = "") -> None:
        """Go on without a site; `word` is there where it sent what cannot be used."""
        self.missing[name] = {"stage": stage, "reason": reason} | ({"word": word} if word else {})
        self.kept.note("missing", site=name, **self.missing[name])
        self.warn(f"{called(name)}: {reason}")

    def lied(self, name: str) -> bool:
        """Whether a site sent what no honest site can have sent. One that was cut off, or says
        itself that it cannot go on, did not lie."""
        return self.missing.get(name, {}).get("word", envelope.REFUSAL) != envelope.REFUSAL

    def believed(self) -> dict[str, Any]:
        """The uploads of the round but of sites that lied, in whatever stage."""
        return {n: one for n, one in self.kept.uploads.items() if not self.lied(n)}

    def require(self) -> None:
        """Refuse to go on with fewer sites than `round.min-sites`; 0 is all.

        Raises:
            RunRefusedError: who is missing, and why.
        """
        least = self.config.round.min_sites
        if self.missing and len(self.present) < (least or len(self.present) + 1):
            told = "; ".join(f"{called(n)}: {one['reason']}" for n, one in self.missing.items())
            left = f" ({len(self.present)} sites are left, round.min-sites = {least})"
            raise RunRefusedError(told + left * bool(least))

    def warn(self, *warnings: str) -> None:
        self.warnings += warnings
        for warning in warnings:
            log(WARNING, "%s", for_log(warning, LONGEST_REASON))

    def sent_to(self, name: str, content: RecordDict) -> None:
        """Count what moves to a site, by record."""
        self._moved(name, "down", content)

    def heard_from(self, name: str, content: RecordDict, stage: str) -> None:
        """Count what came from a site, the seconds that a stage took there, and what was wrong
        with its files."""
        self._moved(name, "up", content)
        told = self.sites[name].told
        measures = dict(content.metric_records["metrics"])
        seconds = float(measures.pop("seconds"))  # type: ignore[arg-type]
        told[f"seconds_{stage}"] = told.get(f"seconds_{stage}", 0.0) + seconds
        known = told.setdefault("faults", {})
        self.warn(*_faulty(name, {k: n for k, n in measures.items() if known.get(k) != n}))
        known.update(measures)

    def _moved(self, name: str, way: str, content: RecordDict) -> None:
        told, sizes = self.sites[name].told, wire.sizes(content)
        moved = told.setdefault("bytes", {"up": {}, "down": {}})[way]
        for record, size in sizes.items():
            moved[record] = moved.get(record, 0) + size
        if not self.kept.is_learned:
            number = str(self.kept.turn.number)
            of_round = told.setdefault("rounds", {}).setdefault(number, {"up": 0, "down": 0})
            of_round[way] += sum(sizes.values())


def called(name: str) -> str:
    """A site, or a node that has not said which site it is, as it is called in a sentence."""
    return name if name.startswith("node ") else f"site {name}"


def at_sites(names: Sequence[str]) -> str:
    """Where something was: so many sites, and the first few of them by name."""
    shown, more = ", ".join(names[:NAMED]), len(names) - NAMED
    if len(names) == 1:
        return f"at site {shown}"
    return f"at {len(names)} sites: {shown}" + f" and {more} more" * (more > 0)


def learning(sites: Mapping[str, SiteLog], names: Iterable[str]) -> set[str]:
    """Of the named sites those that have good images to learn from."""
    return {name for name in names if sites[name].about["train"]}


def _faulty(name: str, faults: Mapping[str, Any]) -> list[str]:
    """What was wrong with a site's files, in words; which files they are stands in its own log."""
    told = {**SKIPPED, **USED, **REFUSED}
    return [
        f"site {name} {'skipped' if word in SKIPPED else 'used'} {count} {split} images: "
        f"{told[word]}"
        for measure, count in sorted(faults.items())
        for split, word in [measure.split(".")]
    ]
