"""One round: ask all who they are, merge their uploads in the order of their names, broadcast."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from logging import INFO, WARNING
from typing import Any

from flwr.app import ArrayRecord, ConfigRecord, Message, MessageType, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Result, Strategy
from flwr.supercore import log

from fedad import __version__, wire
from fedad.capacity import check_bank_size
from fedad.config import Config
from fedad.errors import DataError, FedadError, UploadError
from fedad.findings import Findings
from fedad.metrics import report
from fedad.reporting.record import record_of
from fedad.round import merge
from fedad.types import Bank
from server_app.exchange import exchange


class RunRefusedError(FedadError):
    """The sites did not give what the run needs."""


@dataclass
class SiteLog:
    """What the server knows of a site; all of it may stand in the record."""

    node: int
    about: dict[str, Any]
    told: dict[str, Any] = field(default_factory=dict)


class OneRound(Strategy):
    """Enrol, train, merge, broadcast, evaluate; once.

    After `start`, `merged` is the bank and `record()` says what happened.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.bank: Bank | None = None
        self.findings: dict[str, Findings] = {}
        self.sites: dict[str, SiteLog] = {}
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
            RunRefusedError: a site is missing, refuses or fails.
            UploadError, MismatchError, ConfigError: what the sites sent does not make a bank.
        """
        self.summary()
        knobs, result = self.config.round, Result()
        with self._timed("enrol"):
            self._enrol(grid)
        config = ConfigRecord()
        with self._timed("train"):
            asked = self.configure_train(1, initial_arrays, config, grid)
            replies = self._ask(grid, asked, knobs.train_seconds)
        with self._timed("merge"):
            arrays, told = self.aggregate_train(1, replies)
        result.arrays, result.train_metrics_clientapp[1] = arrays, told
        with self._timed("evaluate"):
            asked = self.configure_evaluate(1, arrays, config, grid)
            replies = self._ask(grid, asked, knobs.evaluate_seconds)
        result.evaluate_metrics_clientapp[1] = self.aggregate_evaluate(1, replies)
        return result

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> list[Message]:
        """Ask every site that has good images for its upload."""
        learning = [site for site in self.sites.values() if site.about["train"]]
        content = RecordDict({"config": config})
        return [self._message(site.node, MessageType.TRAIN, content) for site in learning]

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord, MetricRecord]:
        """Uploads, in the order of their sites' names, -> the bank that is broadcast."""
        uploads = []
        for name, content in self._by_site(replies):
            try:
                upload = wire.unpack_bank(content)
            except UploadError as error:
                raise UploadError(f"site {name}: {error}") from error
            if upload.sites != (name,):
                raise UploadError(f"site {name} sent a bank of {', '.join(upload.sites)}")
            self._note(name, up=content, stage="fit")
            uploads.append(upload)
        self.bank = merge(self.config, uploads)
        told = MetricRecord({"uploaded-rows": sum(map(len, uploads)), "rows": len(self.bank)})
        return wire.pack_bank(self.bank).array_records["bank"], told

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> list[Message]:
        """Broadcast the bank to every site that has test images."""
        content = wire.pack_bank(self.merged)
        judging = {name: site for name, site in self.sites.items() if site.about["test"]}
        for name in judging:
            self._note(name, down=content)
        return [
            self._message(site.node, MessageType.EVALUATE, content) for site in judging.values()
        ]

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> MetricRecord:
        """Counts, which add up over sites, -> the mean figures over categories."""
        for name, content in self._by_site(replies):
            self.findings[name] = wire.unpack_findings(content)
            self._note(name, up=content, stage="evaluate")
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
        if self.bank is None:
            raise RuntimeError("there is no bank before aggregate_train")
        return self.bank

    @property
    def together(self) -> Findings:
        """What all sites found."""
        return sum(self.findings.values(), Findings())

    def record(self) -> dict[str, Any]:
        """What `record.json` says of the run."""
        sites = {
            name: {
                "images_train": site.about["train"],
                "images_test": site.about["test"],
                **site.told,
            }
            for name, site in self.sites.items()
        }
        return record_of(
            self.config,
            self.merged,
            self.findings,
            sites=sites,
            seconds=self.seconds,
            warnings=self.warnings,
        )

    def _enrol(self, grid: Grid) -> None:
        """Learn which node is which site, and refuse a run that cannot end well."""
        nodes = _wait_for_nodes(grid, self.config.data.sites, self.config.round.enrol_seconds)
        asked = [self._message(node, MessageType.QUERY, RecordDict()) for node in nodes]
        for reply in exchange(grid, asked, seconds=self.config.round.enrol_seconds):
            if reply.message is None:
                raise RunRefusedError(reply.reason)
            content = reply.message.content
            name = str(content[wire.SITE]["name"])
            if name in self.sites:
                raise RunRefusedError(
                    f"two nodes say that they are site {name!r}: check node-config"
                )
            about = json.loads(str(content["about"]["json"]))
            self.sites[name] = SiteLog(reply.node, about)
        self.sites = dict(sorted(self.sites.items()))
        self.warnings += _check_sites(self.config, {n: s.about for n, s in self.sites.items()})
        for warning in self.warnings:
            log(WARNING, "%s", warning)

    def _ask(self, grid: Grid, messages: list[Message], seconds: float) -> list[Message]:
        """The answers of all sites asked, each from the site that it says it is."""
        names = {site.node: name for name, site in self.sites.items()}
        answers = []
        for reply in exchange(grid, messages, seconds=seconds):
            if reply.message is None:
                raise RunRefusedError(f"site {names[reply.node]}: {reply.reason}")
            claimed = reply.message.content[wire.SITE]["name"]
            if claimed != names[reply.node]:
                raise RunRefusedError(f"site {names[reply.node]} answers as {claimed!r}")
            answers.append(reply.message)
        return answers

    def _by_site(self, replies: Iterable[Message]) -> list[tuple[str, RecordDict]]:
        """Site names and contents by name: node ids are random, names are not."""
        return sorted(
            ((str(r.content[wire.SITE]["name"]), r.content) for r in replies),
            key=lambda pair: pair[0],
        )

    def _message(self, node: int, kind: str, content: RecordDict) -> Message:
        knobs = self.config.round
        ttl = max(knobs.enrol_seconds, knobs.train_seconds, knobs.evaluate_seconds) + 60
        return Message(content, node, kind, ttl=ttl, group_id="1")

    def _note(
        self,
        name: str,
        *,
        up: RecordDict | None = None,
        down: RecordDict | None = None,
        stage: str = "",
    ) -> None:
        """Add what moved to and from a site, by record, and the seconds that a stage took there."""
        told = self.sites[name].told
        moved = told.setdefault("bytes", {"up": {}, "down": {}})
        for way, content in (("up", up), ("down", down)):
            for record, size in wire.sizes(content or RecordDict()).items():
                moved[way][record] = moved[way].get(record, 0) + size
        if up is not None:
            told[f"seconds_{stage}"] = float(up.metric_records["metrics"]["seconds"])  # type: ignore[arg-type]

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        began = time.perf_counter()
        log(INFO, "%s", stage)
        yield
        self.seconds[stage] = time.perf_counter() - began


def _wait_for_nodes(grid: Grid, count: int, seconds: float) -> list[int]:
    """The nodes, once there are `count`: right after a start Flower may list fewer."""
    deadline = time.monotonic() + seconds
    while len(nodes := sorted(grid.get_node_ids())) < count:
        if time.monotonic() > deadline:
            raise RunRefusedError(
                f"data.sites = {count}, and {len(nodes)} nodes came in {seconds:.0f} s: "
                "are all SuperNodes up, or is num-supernodes lower?"
            )
        time.sleep(0.2)
    return nodes


def _uncalibrated(findings: Mapping[str, Findings]) -> list[str]:
    """Where good images were too few for a threshold at the wished false-reject rate."""
    return [
        f"site {name} has too few good images of {category} for a threshold at score.false-rejects"
        for name, found in findings.items()
        for category, images in found.calibrated.items()
        if not images
    ]


def _check_sites(config: Config, sites: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Refuse what cannot end well, as far as counts of images tell; return warnings."""
    warnings = []
    learned = {category for about in sites.values() for category in about["train"]}
    for name, about in sites.items():
        if about["version"] != __version__:
            raise RunRefusedError(
                f"site {name} runs fedad {about['version']}, the server {__version__}: install one"
            )
        if lost := sorted(set(about["test"]) - learned):
            raise DataError(
                f"site {name} has test images of {lost[0]!r}, of which no site has a good image"
            )
        if not about["train"]:
            warnings.append(
                f"site {name} has no good training image: it takes part in judging only"
            )
    check_bank_size(
        config,
        [about["train"] for about in sites.values()],
        max(about["patches_per_image"] for about in sites.values()),
    )
    return warnings
