"""One round: ask all who they are, merge their uploads in the order of their names, broadcast.

At each deadline the run goes on with the sites that are left, if they are `round.min-sites`; who
was missing and why stands in the record. Everything that a site gives is kept before it counts, so
that a run that ended early asks only for the rest (`server_app/kept.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from logging import INFO, WARNING
from typing import Any

from flwr.app import ArrayRecord, ConfigRecord, Message, MessageType, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Result, Strategy
from flwr.supercore import log

from fedad import admission, reply, wire
from fedad.config import COVERAGE, Config, words
from fedad.errors import ConfigError
from fedad.faults import REFUSED, SKIPPED, USED
from fedad.findings import Findings
from fedad.metrics import report
from fedad.probe import longest
from fedad.reporting.record import record_of
from fedad.types import Bank
from server_app.exchange import Reply, exchange
from server_app.kept import Kept
from server_app.quarantine import Door, Introduction, sentence
from server_app.registry import (
    Names,
    Register,
    RunRefusedError,
    SiteLog,
    check_sites,
    too_few,
    wait_for,
)


class OneRound(Strategy):
    """Enrol, train, merge, broadcast, evaluate; once.

    After `start`, `merged` is the bank and `record()` says what happened.
    """

    def __init__(self, config: Config, kept: Kept | None = None) -> None:
        self.config = config
        self.kept = kept or Kept()
        journal = self.kept.journal
        self.door = Door(config, self.kept.key, journal.folder if journal else None)
        self.grid: Grid | None = None
        self.sites: dict[str, SiteLog] = {}
        self.missing: dict[str, dict[str, str]] = {}  # site -> stage, reason
        self.seconds: dict[str, float] = {}
        self.warnings: list[str] = []

    def summary(self) -> None:
        log(INFO, "one round of %s over %d sites", self.config.round.method, self.config.data.sites)

    def start(  # noqa: PLR0917 - Flower's signature
        self,
        grid: Grid,
        initial_arrays: ArrayRecord,
        num_rounds: int = 1,
        timeout: float = 3600,
        train_config: ConfigRecord | None = None,
        evaluate_config: ConfigRecord | None = None,
        evaluate_fn: Callable[[int, ArrayRecord], MetricRecord | None] | None = None,
    ) -> Result:
        """The whole run. Deadlines are `round.*-seconds`, not `timeout`; there is one round.

        Raises:
            RunRefusedError: more sites are missing, refuse or fail than `round.min-sites` allows.
            MismatchError, ConfigError: what the sites sent does not make a bank.
        """
        self.summary()
        self.grid = grid
        knobs, result, config = self.config.round, Result(), ConfigRecord()
        with self._timed("enrol"):
            self._enrol(grid)
        asked = self.configure_train(1, initial_arrays, config, grid)
        replies = self._ask(grid, asked, "train", knobs.train_seconds)
        arrays, told = self.aggregate_train(1, replies)
        result.arrays, result.train_metrics_clientapp[1] = arrays, told
        with self._timed("evaluate"):
            asked = self.configure_evaluate(1, arrays, config, grid)
            replies = self._ask(grid, asked, "evaluate", knobs.evaluate_seconds)
            result.evaluate_metrics_clientapp[1] = self.aggregate_evaluate(1, replies)
        return result

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> list[Message]:
        """Ask every site that has good images for its upload, if it is not there yet."""
        if self.kept.bank is not None:
            return []
        return self._messages(
            MessageType.TRAIN,
            RecordDict({"config": config}),
            {n for n, site in self.sites.items() if site.about["train"]} - {*self.kept.uploads},
            "train",
        )

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord, MetricRecord]:
        """Uploads, kept as they come -> the bank that is broadcast, in the order of their names."""
        with self._timed("train"):
            for message in replies:
                self._keep(message, "train", self._keep_upload)
            self._require()
        with self._timed("merge"):
            if self.kept.bank is None:
                bank = self._merge()
                self.kept.keep_bank(bank, {*self.present, *self._believed()})
        uploaded = sum(map(len, self.kept.uploads.values()))
        told = MetricRecord({"uploaded-rows": uploaded, "rows": len(self.merged)})
        return wire.pack_bank(self.merged).array_records["bank"], told

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> list[Message]:
        """Broadcast the bank to every site that has test images that it can judge."""
        content = wire.pack_bank(self.merged)
        judging = {name for name in self.present if self._judgeable(self.sites[name].about)}
        judging -= {*self.kept.findings}
        for name in judging:
            self._note(name, down=content)
        return self._messages(MessageType.EVALUATE, content, judging, "evaluate")

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> MetricRecord:
        """Counts, which add up over sites, -> the mean figures over categories."""
        for message in replies:
            self._keep(message, "evaluate", self._keep_findings)
        self._require()
        self.warnings += _uncalibrated(self.findings)
        means = report(self.together.counts)["mean"]
        figures = {key: float(one["value"]) for key, one in means.items()}
        log(INFO, "means over categories, all sites together:")
        for key, value in figures.items():
            log(INFO, "  %-14s %.4f", key, value)
        return MetricRecord(figures)  # type: ignore[arg-type]

    @property
    def merged(self) -> Bank:
        """The bank that is broadcast."""
        if self.kept.bank is None:
            raise RuntimeError("there is no bank before aggregate_train")
        return self.kept.bank

    @property
    def findings(self) -> Mapping[str, Findings]:
        """What each site found, by name."""
        return self.kept.findings

    @property
    def together(self) -> Findings:
        """What all sites found."""
        return sum(self.findings.values(), Findings())

    @property
    def present(self) -> list[str]:
        """The sites that take part and have not been lost, by name."""
        return [name for name in self.sites if name not in self.missing]

    def record(self) -> dict[str, Any]:
        """What `record.json` says of the run."""
        covered = self.kept.events("covered")
        sites = {
            name: {
                "images_train": site.about["train"],
                "images_test": site.about["test"],
                **site.told,
            }
            for name, site in self.sites.items()
        }
        record = record_of(
            self.config,
            self.merged,
            self.findings,
            sites=sites,
            seconds=self.seconds,
            warnings=self.warnings,
        )
        return {
            **record,
            "missing": self.missing,
            "resumed": len(self.kept.events("resumed")),
            "covered": covered[-1]["worst"] if covered else [],
        }

    def _enrol(self, grid: Grid) -> None:
        """Learn which node is which site, and refuse a run that cannot end well."""
        knobs, expected = self.config.round, words(self.config.round.expected)
        count, through = len(expected) or self.config.data.sites, self._through()
        awaited = tuple(name for name in expected if name not in through)
        if knobs.min_sites > count:
            raise ConfigError(
                f"round.min-sites = {knobs.min_sites}: expected at most the {count} sites of "
                f"{'round.expected' if expected else 'data.sites'}"
            )
        left = count - len(through)
        nodes = Names()
        if left > 0:
            nodes, self.door.virtual = wait_for(grid, awaited, left, knobs.enrol_seconds)
        if len(nodes) + len(through) < (knobs.min_sites or count):
            raise RunRefusedError(too_few(self.config, nodes))
        register = Register(nodes, expected)
        who = RecordDict({wire.RUN: ConfigRecord({"key": self.kept.key})})
        asked = [self._message(node, MessageType.QUERY, who) for node in nodes]
        rejoin = knobs.rejoin_seconds
        for one in exchange(grid, asked, seconds=knobs.enrol_seconds, rejoin=rejoin, names=nodes):
            register.enter(one, self._introduction)
        self._warn(*register.close())
        self._take_over(register)
        for name, reason in register.missing.items():
            self._lose(name, "enrol", reason, register.words.get(name, ""))
        self._require()
        about = {name: self.sites[name].about for name in self.present}
        for name, told in about.items():
            self.kept.keep_site(name, told)
        self._warn(*register.left_out)
        self._warn(*check_sites(self.config, about, per_image=self._patches_per_image))

    def _through(self) -> set[str]:
        """The sites of a resumed run that have given all there is to ask them for."""
        if self.kept.bank is None:
            return set()
        enrolled = self.kept.enrolled().items()
        return {n for n, told in enrolled if n in self.kept.findings or not told["test"]}

    def _take_over(self, register: Register) -> None:
        """The sites that came, and of a run that is resumed those that gave something before."""
        sites, given = register.sites, {*self.kept.uploads, *self.kept.findings}
        for name, about in self.kept.enrolled().items():
            if name in given and name not in sites:
                sites[name] = SiteLog(None, about)
                register.missing.pop(name, None)
            if name in sites:
                sites[name].told = self.kept.told(name)
        self.sites = dict(sorted(sites.items()))
        merged_from = self.kept.merged_from()
        for name in self.sites:
            if merged_from is not None and name not in merged_from:
                register.missing[name] = "it came after the bank was merged without it"

    def _ask(
        self, grid: Grid, messages: list[Message], stage: str, seconds: float
    ) -> Iterator[Message]:
        """The answers as they come, each from the site that it says it is."""
        names = {site.node: name for name, site in self.sites.items() if site.node is not None}
        rejoin = self.config.round.rejoin_seconds
        for one in exchange(grid, messages, seconds=seconds, rejoin=rejoin, names=names):
            name = names[one.node]
            if one.message is None:
                self._lose(name, stage, one.reason)
                continue
            try:
                self.door.check(one.message.content, name, stage)
            except Exception as error:  # whatever a hostile message leads to
                self._refuse(name, stage, one.message.content, error)
            else:
                yield one.message

    def _keep(self, message: Message, stage: str, keep: Callable[[str, RecordDict], None]) -> None:
        """Keep an answer, or lose its site where the answer is not what was asked for."""
        name = str(message.content.config_records[wire.SITE]["name"])
        try:
            keep(name, message.content)
        except OSError:  # of the server's own disk
            raise
        except Exception as error:
            self._refuse(name, stage, message.content, error)

    def _refuse(self, name: str, stage: str, content: RecordDict, error: Exception) -> None:
        self._lose(name, stage, sentence(error), self.door.refuse(name, stage, content, error))

    def _introduction(self, one: Reply) -> Introduction:
        content = one.message.content if one.message else RecordDict()
        try:
            return self.door.introduction(content)
        except Exception as error:
            self.door.refuse(f"node {one.node}", reply.HELLO, content, error)
            raise

    def _enrolled(self, name: str) -> admission.Enrolled:
        site = self.sites[name]
        if site.probe is None:
            raise RuntimeError(f"{name} was asked for something before it said who it is")
        mark, features = site.probe
        about, most = site.about, longest(features)
        return admission.Enrolled(
            name, about["train"], about["test"], mark, features.shape[-1], most
        )

    @property
    def _patches_per_image(self) -> int:
        """What the sites agreed on, so that the server needs no network; 0 where none has said."""
        said = [site.probe.fingerprint for site in self.sites.values() if site.probe]
        kept = [upload.fingerprint for upload in self.kept.uploads.values()]
        return next((mark.patches for mark in said + kept), 0)

    def _keep_upload(self, name: str, content: RecordDict) -> None:
        upload, warnings = admission.admit_bank(
            self.config,
            wire.unpack_bank(content),
            self._enrolled(name),
            per_image=self._patches_per_image,
        )
        self._warn(*warnings)
        self._note(name, up=content, stage="fit")
        self.kept.keep_upload(name, upload, self.sites[name].told)
        log(INFO, "site %s uploaded %d rows", name, len(upload))

    def _keep_findings(self, name: str, content: RecordDict) -> None:
        found = wire.unpack_findings(content)
        admission.admit_findings(self.config, found, self._enrolled(name), self.merged.sites)
        report(found.counts, found.replicates)  # what cannot be reported must not be kept
        self._note(name, up=content, stage="evaluate")
        self.kept.keep_findings(name, content, self.sites[name].told)
        log(INFO, "site %s has judged its images", name)

    def _merge(self) -> Bank:
        """The bank of the uploads that are believed.

        Who is found lying when it is asked about distances (`merge.weighting = coverage`) leaves
        the bank. What was said of banks with its rows counts for nothing then, and asking anew
        would let the next liar make sites answer without end: weights are by image count.
        """
        from fedad.round import agree, merge

        uploads = self._believed()
        bank, worst = agree(self._fitting(uploads), [*uploads.values()], self._distances)
        if liars := uploads.keys() - self._believed().keys():
            told = ", ".join(map(_called, sorted(liars)))
            self._warn(f"the bank is merged without {told}, by image count")
            uploads = self._believed()
            return merge(self._fitting(uploads), [*uploads.values()])
        if worst:
            self.kept.note("covered", worst=worst)
        return bank

    def _believed(self) -> dict[str, Bank]:
        """The uploads but of sites that sent later what no honest site can have sent.

        Those of a site that was cut off since, or says itself that it cannot go on, stay.
        """
        return {n: b for n, b in self.kept.uploads.items() if not self._lied(n)}

    def _lied(self, name: str) -> bool:
        return self.missing.get(name, {}).get("word", reply.REFUSAL) != reply.REFUSAL

    def _fitting(self, uploads: Mapping[str, Bank]) -> Config:
        """The configuration, whose `bank.size` is lowered to the uploads if sites may be missing.

        Raises:
            RunRefusedError: there are none.
        """
        config, rows = self.config, sum(map(len, uploads.values()))
        if not uploads:
            raise RunRefusedError("no site has a good image: there is nothing to learn from")
        if config.round.min_sites and config.bank.size > rows:
            self._warn(f"bank.size = {config.bank.size} is lowered to the {rows} rows uploaded")
            config = replace(config, bank=replace(config.bank, size=rows))
        return config

    def _distances(self, bank: Bank) -> dict[str, dict[str, float]]:
        """How far each site's good images are from a bank, where `merge.weighting` is coverage.

        Nothing, which ends the asking, once a site has lied.

        Raises:
            RunRefusedError: fewer sites are left than `round.min-sites`.
        """
        content, found = wire.pack_bank(bank), dict[str, dict[str, float]]()

        def keep(name: str, answer: RecordDict) -> None:
            told = wire.unpack_distances(answer)
            admission.admit_distances(told, self._enrolled(name))
            found[name] = told
            self._note(name, up=answer, stage="coverage")

        learned = {name for name in self.present if self.sites[name].about["train"]}
        for name in learned:
            self._note(name, down=content)
        asked = self._messages(f"{MessageType.QUERY}.{COVERAGE}", content, learned, COVERAGE)
        if self.grid is not None:
            for answer in self._ask(self.grid, asked, COVERAGE, self.config.round.train_seconds):
                self._keep(answer, COVERAGE, keep)
        self._require()
        lied = len(self._believed()) < len(self.kept.uploads)
        return {} if lied else dict(sorted(found.items()))

    def _judgeable(self, about: Mapping[str, Any]) -> bool:
        known = about["test"] if self.merged.scope == "mixed" else self.merged.categories
        return any(category in known for category in about["test"])

    def _messages(
        self, kind: str, content: RecordDict, names: Iterable[str], stage: str
    ) -> list[Message]:
        """A request a site; one that is not there cannot be asked."""
        content[wire.RUN] = ConfigRecord({"key": self.kept.key})
        found = []
        for name in sorted(names):
            node = self.sites[name].node
            if node is None:
                self._lose(name, stage, "it did not come back after the run was resumed")
            elif name not in self.missing:
                found.append(self._message(node, kind, content))
        return found

    def _message(self, node: int, kind: str, content: RecordDict) -> Message:
        knobs = self.config.round
        ttl = max(knobs.enrol_seconds, knobs.train_seconds, knobs.evaluate_seconds) + 60
        return Message(content, node, kind, ttl=ttl, group_id="1")

    def _lose(self, name: str, stage: str, reason: str, word: str = "") -> None:
        """Go on without a site; `word` is there where it sent what cannot be used."""
        self.missing[name] = {"stage": stage, "reason": reason} | ({"word": word} if word else {})
        self.kept.note("missing", site=name, **self.missing[name])
        self._warn(f"{_called(name)}: {reason}")

    def _require(self) -> None:
        """Refuse to go on with fewer sites than `round.min-sites`; 0 is all.

        Raises:
            RunRefusedError: who is missing, and why.
        """
        least = self.config.round.min_sites
        if self.missing and len(self.present) < (least or len(self.present) + 1):
            told = "; ".join(f"{_called(n)}: {one['reason']}" for n, one in self.missing.items())
            left = f" ({len(self.present)} sites are left, round.min-sites = {least})"
            raise RunRefusedError(told + left * bool(least))

    def _warn(self, *warnings: str) -> None:
        self.warnings += warnings
        for warning in warnings:
            log(WARNING, "%s", warning)

    def _note(
        self,
        name: str,
        *,
        up: RecordDict | None = None,
        down: RecordDict | None = None,
        stage: str = "",
    ) -> None:
        """Add what moved to and from a site, by record, the seconds that a stage took there, and
        what was wrong with its files."""
        told = self.sites[name].told
        moved = told.setdefault("bytes", {"up": {}, "down": {}})
        for way, content in (("up", up), ("down", down)):
            for record, size in wire.sizes(content or RecordDict()).items():
                moved[way][record] = moved[way].get(record, 0) + size
        if up is not None:
            measures = dict(up.metric_records["metrics"])
            told[f"seconds_{stage}"] = float(measures.pop("seconds"))  # type: ignore[arg-type]
            told.setdefault("faults", {}).update(measures)
            self._warn(*_faulty(name, measures))

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        began = time.perf_counter()
        log(INFO, "%s", stage)
        self.kept.note("stage", stage=stage)
        yield
        self.seconds[stage] = time.perf_counter() - began


def _called(name: str) -> str:
    return name if name.startswith("node ") else f"site {name}"


def _faulty(name: str, faults: Mapping[str, Any]) -> list[str]:
    """What was wrong with a site's files, in words; which files they are stands in its own log."""
    told = {**SKIPPED, **USED, **REFUSED}
    return [
        f"site {name} {'skipped' if word in SKIPPED else 'used'} {count} {split} images: "
        f"{told[word]}"
        for measure, count in sorted(faults.items())
        for split, word in [measure.split(".")]
    ]


def _uncalibrated(findings: Mapping[str, Findings]) -> list[str]:
    """Where good images were too few for a threshold at the wished false-reject rate."""
    return [
        f"site {name} has too few good images of {category} for a threshold at score.false-rejects"
        for name, found in findings.items()
        for category, images in found.calibrated.items()
        if not images
    ]
