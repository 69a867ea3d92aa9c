"""The rounds of a method over Flower: enrol, then train and merge round for round, then evaluate.

Uploads are merged in the order of the sites' names. Everything that a site gives is kept before it
counts, so that a run that ended early asks only for the rest (`server_app/kept.py`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from logging import INFO
from typing import Any

from flwr.app import ArrayRecord, ConfigRecord, Message, MessageType, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Result, Strategy
from flwr.supercore import log

from fedad import wire
from fedad.banks.bank import Bank
from fedad.banks.origin import pairs
from fedad.config import COVERAGE, Config, words
from fedad.errors import ConfigError
from fedad.evaluation import loose
from fedad.judging import admission
from fedad.judging.findings import Findings
from fedad.judging.thresholds import can_calibrate
from fedad.messages import envelope
from fedad.methods.base import method_of
from fedad.plumbing.shown import for_log
from fedad.privacy.base import as_released, is_private
from fedad.reporting.record import record_of
from fedad.round import agree, merge
from server_app.attendance import Attendance, at_sites, called, learning
from server_app.deadline import Deadline
from server_app.exchange import Reply, exchange
from server_app.kept import Kept
from server_app.quarantine import Door, Introduction, sentence
from server_app.registry import Names, Register, RunRefusedError, check_sites, too_few, wait_for


class MethodStrategy(Strategy):
    """Runs `round.method` over the sites that are there.

    After `start`, `model` is what was broadcast last and `record()` says what happened.
    """

    def __init__(self, config: Config, kept: Kept | None = None) -> None:
        self.config, self.method = config, method_of(config)
        self.kept = kept or Kept(self.method.rounds)
        journal = self.kept.journal
        self.door = Door(config, self.kept.key, journal.folder if journal else None)
        self.attendance = Attendance(config, self.kept)
        self.grid: Grid | None = None
        self.seconds: dict[str, float] = {}
        self.deadline = Deadline(math.inf, "")  # of the merge that goes on

    def summary(self) -> None:
        rounds, sites = len(self.method.rounds), self.config.data.sites
        log(INFO, "%s, %d rounds over %d sites", self.config.round.method, rounds, sites)

    def start(  # noqa: PLR0917 - Flower's signature
        self,
        grid: Grid,
        initial_arrays: ArrayRecord,
        num_rounds: int = 0,
        timeout: float = 3600,
        train_config: ConfigRecord | None = None,
        evaluate_config: ConfigRecord | None = None,
        evaluate_fn: Callable[[int, ArrayRecord], MetricRecord | None] | None = None,
    ) -> Result:
        """The whole run. Deadlines are `round.*-seconds`, not `timeout`; the method says how many
        rounds there are, not `num_rounds`.

        Raises:
            RunRefusedError: more sites are missing, refuse or fail than `round.min-sites` allows.
            MismatchError, ConfigError: what the sites sent does not make a model.
        """
        self.summary()
        self.grid = grid
        knobs, result, config = self.config.round, Result(), ConfigRecord()
        self.attendance.warn(*self.config.unused(), *getattr(self.method, "notes", ()))
        with self._timed("enrol"):
            self._enrol(grid)
        arrays, last = initial_arrays, len(self.method.rounds)
        for number in range(self.kept.turn.number, last + 1):
            asked = self.configure_train(number, arrays, config, grid)
            stage = envelope.train_stage(number)
            replies = self._ask(grid, asked, stage, knobs.train_seconds)
            arrays, told = self.aggregate_train(number, replies)
            result.train_metrics_clientapp[number] = told
        with self._timed("evaluate"):
            asked = self.configure_evaluate(last, arrays, config, grid)
            replies = self._ask(grid, asked, "evaluate", knobs.evaluate_seconds)
            result.evaluate_metrics_clientapp[last] = self.aggregate_evaluate(last, replies)
        return result

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> list[Message]:
        """Ask every site that has good images for its upload, if it is not there yet; from the
        second round on with the model of the round before."""
        stage, some = envelope.train_stage(server_round), self.attendance
        if server_round > 1 and self.method.rejoins:
            some.readmit(stage)
        asked = learning(some.sites, some.present) - {*self.kept.uploads}
        model = self.kept.turn.model
        content = RecordDict({"config": config}) if model is None else wire.pack(model)
        for name in asked if model is not None else ():
            some.sent_to(name, content)
        return self._messages(MessageType.TRAIN, content, asked, stage)

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord, MetricRecord]:
        """Uploads, kept as they come -> the model of the round, which `kept` has: Flower's own
        result stays empty, since nobody reads it."""
        stage = envelope.train_stage(server_round)
        with self._timed(stage):
            for message in replies:
                self._keep(message, stage, self._keep_upload)
            self.attendance.require()
        with self._timed(envelope.train_stage(server_round).replace("train", "merge")):
            model = self._merge()
            last = server_round == len(self.method.rounds)
            if not model.categories and (last or not self.method.rejoins):
                raise RunRefusedError("no site has enough good images of any product to learn from")
            names = {*self.attendance.present, *self.attendance.believed()}
            uploads = len(self.kept.uploads)
            self.kept.keep_model(model, names, self.config.round.method)
        return ArrayRecord(), MetricRecord({"uploads": uploads})

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> list[Message]:
        """Broadcast the last model to every site that has test images that it can judge."""
        content, some = wire.pack(self.model), self.attendance
        judging = {name for name in some.present if self._judges(some.sites[name].about)}
        judging -= {*self.kept.findings}
        for name in judging:
            some.sent_to(name, content)
        return self._messages(MessageType.EVALUATE, content, judging, "evaluate")

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> MetricRecord:
        """Counts, which add up over sites, -> the mean figures over categories."""
        for message in replies:
            self._keep(message, "evaluate", self._keep_findings)
        self.attendance.require()
        self.attendance.warnings += _uncalibrated(self.config, self.findings)
        told = self.together.report
        self.attendance.warn(*loose(told))
        means = told["mean"]
        figures = {key: float(one["value"]) for key, one in means.items()}
        log(INFO, "means over categories, all sites together:")
        for key, value in figures.items():
            log(INFO, "  %-14s %.4f", key, value)
        return MetricRecord(figures)  # type: ignore[arg-type]

    @property
    def model(self) -> Any:
        """The model that the last round ended with."""
        if not self.kept.is_learned:
            raise RuntimeError("there is no model before the last aggregate_train")
        return self.kept.turn.model

    @property
    def findings(self) -> Mapping[str, Findings]:
        """What each site found, by name."""
        return self.kept.findings

    @property
    def together(self) -> Findings:
        """What all sites found."""
        return self.kept.findings.together

    def record(self) -> dict[str, Any]:
        """What `record.json` says of the run."""
        covered, some = self.kept.events("covered"), self.attendance
        sites = {
            name: {
                "images_train": site.about["train"],
                "images_test": site.about["test"],
                **({"fingerprint": site.seen.pin} if site.seen else {}),
                **site.told,
            }
            for name, site in some.sites.items()
        }
        record = record_of(
            self.config,
            self.model,
            self.findings,
            self.together,
            sites=sites,
            seconds=self.seconds,
            warnings=some.warnings,
        )
        return {
            **record,
            "rounds": len(self.method.rounds),
            "missing": some.missing,
            "absences": some.absences,
            "resumed": len(self.kept.events("resumed")),
            "covered": covered[-1]["worst"] if covered else [],
        }

    def _enrol(self, grid: Grid) -> None:
        """Learn which node is which site, and refuse a run that cannot end well."""
        knobs, some = self.config.round, self.attendance
        expected = words(knobs.expected)
        count, through = len(expected) or self.config.data.sites, some.given_before()
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
        register = Register(nodes, expected, knobs)
        who = RecordDict({wire.RUN: ConfigRecord({"key": self.kept.key})})
        asked = [self._message(node, MessageType.QUERY, who) for node in nodes]
        rejoin = knobs.rejoin_seconds
        for one in exchange(grid, asked, seconds=knobs.enrol_seconds, rejoin=rejoin, names=nodes):
            register.enter(one, self._introduction)
        some.warn(*register.close())
        some.take_over(register)
        for name, reason in register.missing.items():
            some.lose(name, "enrol", reason, register.words.get(name, ""))
        some.require()
        about = {name: some.sites[name].about for name in some.present}
        for name, told in about.items():
            self.kept.keep_site(name, told)
        some.warn(*register.left_out, *_embedding_otherwise(self.config, some))
        some.warn(*check_sites(self.config, about, per_image=some.patches_per_image))

    def _ask(
        self, grid: Grid, messages: list[Message], stage: str, seconds: float
    ) -> Iterator[Message]:
        """The answers as they come, each from the site that it says it is."""
        some = self.attendance
        names = {site.node: name for name, site in some.sites.items() if site.node is not None}
        rejoin = self.config.round.rejoin_seconds
        for one in exchange(grid, messages, seconds=seconds, rejoin=rejoin, names=names):
            name = names[one.node]
            if one.message is None:
                some.lose(name, stage, one.reason)
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
        word = self.door.refuse(name, stage, content, error)
        self.attendance.lose(name, stage, sentence(error), word)

    def _introduction(self, one: Reply) -> Introduction:
        content = one.message.content if one.message else RecordDict()
        try:
            return self.door.introduction(content)
        except Exception as error:
            self.door.refuse(f"node {one.node}", envelope.HELLO, content, error)
            raise

    def _keep_upload(self, name: str, content: RecordDict) -> None:
        enrolled, turn = as_released(self.config, self.attendance.enrolled(name)), self.kept.turn
        kind = self.method.rounds[turn.number - 1].upload
        width = self.method.expected(enrolled, turn).features
        sent = wire.unpack(content, kind, sizes={"D": width})
        upload, warnings = admission.admit_upload(self.config, sent, enrolled, turn)
        self.attendance.warn(*warnings)
        self.attendance.heard_from(name, content, "fit")
        self.kept.keep_upload(name, upload, self.attendance.sites[name].told)
        log(INFO, "site %s uploaded a %s", for_log(name), kind.record())

    def _keep_findings(self, name: str, content: RecordDict) -> None:
        found, enrolled = wire.unpack_findings(content), self.attendance.enrolled(name)
        judged = {name for name in enrolled.test if self.method.judges(self.model, name)}
        admission.admit_findings(self.config, found, enrolled, self.model.sites, judged)
        found.report  # noqa: B018 - what cannot be reported must not be kept; it is made once
        self.attendance.heard_from(name, content, "evaluate")
        self.kept.keep_findings(name, content, found, self.attendance.sites[name].told)
        log(INFO, "site %s has judged its images", for_log(name))

    def _merge(self) -> Any:
        """What `_merged` gives, within `round.merge-seconds`.

        Raises:
            LateError: it takes longer; the uploads are kept, and the run may go on with them.
        """
        seconds = self.config.round.merge_seconds
        self.deadline = Deadline(
            seconds,
            f"the merge was not done in round.merge-seconds = {seconds:g}: what the sites uploaded "
            "is kept: raise it and go on by round.resume (--resume), or look for a site whose rows "
            "are odd",
        )
        return self.deadline.run(self._merged)

    def _merged(self) -> Any:
        """The model of the uploads that are believed.

        Who is found lying when it is asked about distances (`merge.weighting = coverage`) leaves
        the bank. What was said of banks with its rows counts for nothing then, and asking anew
        would let the next liar make sites answer without end: weights are by image count.
        """
        some, turn = self.attendance, self.kept.turn
        uploads = some.believed()
        answers = (some.sites[name].about.get("coverage", math.inf) for name in some.present)
        most, config = min(answers, default=math.inf), self._fitting(uploads)
        model, worst = agree(config, [*uploads.values()], self._distances, turn, most)
        if liars := uploads.keys() - some.believed().keys():
            told = ", ".join(map(called, sorted(liars)))
            some.warn(f"the bank is merged without {told}, by image count")
            uploads = some.believed()
            counted = replace(self.config, merge=replace(self.config.merge, weighting="n"))
            return merge(self._fitting(uploads, counted), [*uploads.values()], turn)
        self.deadline.check()  # too late to write anything
        if worst:
            self.kept.note("covered", worst=worst)
        return model

    def _fitting(self, uploads: Mapping[str, Any], config: Config | None = None) -> Config:
        """The configuration, whose `bank.size` is made to fit the uploads if sites may be missing.

        Raises:
            RunRefusedError: there are none.
        """
        config = config or self.config
        if not uploads:
            raise RunRefusedError("no site has a good image: there is nothing to learn from")
        banks = [one for one in uploads.values() if isinstance(one, Bank)]
        rows, least, size = sum(map(len, banks)), pairs(banks), config.bank.size
        if not (config.round.min_sites and banks and size):
            return config
        if size > rows:
            self.attendance.warn(f"bank.size = {size} is lowered to the {rows} rows uploaded")
        elif size < least:
            told = f"{least} pairs of a site and a product that gave rows"
            self.attendance.warn(f"bank.size = {size} is raised to the {told}")
        return replace(config, bank=replace(config.bank, size=min(max(size, least), rows)))

    def _distances(self, bank: Bank) -> dict[str, dict[str, float]]:
        """How far each site's good images are from a bank, where `merge.weighting` is coverage.

        Nothing, which ends the asking, once a site has lied.

        Raises:
            RunRefusedError: fewer sites are left than `round.min-sites`.
        """
        content, found, some = wire.pack(bank), dict[str, dict[str, float]](), self.attendance

        def keep(name: str, answer: RecordDict) -> None:
            told = wire.unpack_distances(answer)
            admission.admit_distances(told, some.enrolled(name))
            found[name] = told
            some.heard_from(name, answer, "coverage")

        learned = learning(some.sites, some.present)
        for name in learned:
            some.sent_to(name, content)
        asked = self._messages(f"{MessageType.QUERY}.{COVERAGE}", content, learned, COVERAGE)
        if self.grid is not None:
            seconds = self.config.round.train_seconds
            with self.deadline.stopped():
                for answer in self._ask(self.grid, asked, COVERAGE, seconds):
                    self._keep(answer, COVERAGE, keep)
        some.require()
        lied = len(some.believed()) < len(self.kept.uploads)
        return {} if lied else dict(sorted(found.items()))

    def _judges(self, about: Mapping[str, Any]) -> bool:
        """Whether a site gets the model: it has test images of what the model knows, or may not say
        whether it has any."""
        if is_private(self.config) and about.get("withheld"):
            return True
        return any(self.method.judges(self.model, category) for category in about["test"])

    def _messages(
        self, kind: str, content: RecordDict, names: Iterable[str], stage: str
    ) -> list[Message]:
        """A request a site; one that is not there cannot be asked."""
        number = min(self.kept.turn.number, len(self.method.rounds))
        content[wire.RUN] = ConfigRecord({"key": self.kept.key, "round": number})
        found = []
        for name in sorted(names):
            node = self.attendance.sites[name].node
            if node is None:
                told = "it did not come back after the run was resumed"
                self.attendance.lose(name, stage, told)
            elif name not in self.attendance.missing:
                found.append(self._message(node, kind, content))
        return found

    def _message(self, node: int, kind: str, content: RecordDict) -> Message:
        knobs = self.config.round
        ttl = max(knobs.enrol_seconds, knobs.train_seconds, knobs.evaluate_seconds) + 60
        return Message(content, node, kind, ttl=ttl, group_id=str(self.kept.turn.number))

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        began = time.perf_counter()
        log(INFO, "%s", stage)
        self.kept.note("stage", stage=stage)
        yield
        self.seconds[stage] = time.perf_counter() - began


def _embedding_otherwise(config: Config, some: Attendance) -> list[str]:
    """Which sites compute with other settings than the run asks for: their node-config's.

    A site that gave all before a run was resumed is not there to say so again.
    """
    return [
        f"site {name} embeds with {knob} = {theirs}, as its node-config says, not {ours}"
        for name in sorted(some.present)
        if some.sites[name].seen
        for knob in ("threads", "batch")
        if (theirs := getattr(some.enrolled(name).fingerprint, knob))
        != (ours := getattr(config.embedder, knob))
    ]


def _uncalibrated(config: Config, findings: Mapping[str, Findings]) -> list[str]:
    """Why there is no threshold at the wished false-reject rate: the method needs images held out,
    or good images were too few."""
    calibrated = any(any(found.calibrated.values()) for found in findings.values())
    if not can_calibrate(config) and not calibrated:
        return [
            f"no site has a threshold: round.method = {config.round.method!r} cannot judge images "
            "that it learned from: hold some out with data.holdout, such as 0.2"
        ]
    lacking: dict[str, list[str]] = {}  # by what they lack: twenty sites may lack the same
    for name, found in sorted(findings.items()):
        if some := ", ".join(c for c, images in found.calibrated.items() if not images):
            lacking.setdefault(some, []).append(name)
    return [
        f"too few good images of {some} for a threshold at score.false-rejects {at_sites(sites)}"
        for some, sites in lacking.items()
    ]
