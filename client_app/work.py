"""What a site computes when it is asked: the part that needs the network's libraries."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from logging import INFO, WARNING
from pathlib import Path
from typing import NamedTuple

from flwr.app import MetricRecord, RecordDict
from flwr.supercore import log

from client_app.allowed import Leave
from client_app.contents import hold
from client_app.sealed import in_round, last_own
from client_app.site import Node
from fedad import wire
from fedad.banks.bank import Bank
from fedad.banks.origin import lacking
from fedad.dp.receipts import as_json
from fedad.errors import ConfigError, FedadError
from fedad.judging.distances import distances
from fedad.judging.findings import Findings
from fedad.judging.parts import ready, repetitions
from fedad.judging.thresholds import Threshold, calibrate
from fedad.judging.verdicts import Verdict
from fedad.messages.faults import Fault, lines, tally
from fedad.messages.file import save
from fedad.messages.payload import Payload
from fedad.methods.base import Turn, method_of
from fedad.models.adding import add, found_by
from fedad.models.checked import Watch, checked, write_checked
from fedad.models.gate import Gate
from fedad.models.store import MODELS
from fedad.permits.rules import Policy
from fedad.plumbing.files import read_json, write_json
from fedad.plumbing.shown import for_log
from fedad.privacy.base import is_private
from fedad.reporting.gallery import Gallery
from fedad.round import examine, fit
from fedad.types import Site


class Received(NamedTuple):
    """A model that was broadcast, and what this site has kept since it learned, if it did: with a
    digest of the images that it learned from."""

    model: Payload
    own: Payload | None
    listing: str


def learn(node: Node, folder: Path, number: int, asked: RecordDict) -> RecordDict:
    """The site's upload of a round; what stays, and the receipt, are kept in `folder`."""
    log(INFO, "learning, round %d", number)
    began = time.perf_counter()
    rounds = method_of(node.config).rounds
    before, learned_from = last_own(folder, rounds, number - 1)
    listing = hold(node.site, folder, learned_from)
    model = wire.unpack(asked, rounds[number - 2].model) if number > 1 else None
    site, faults = ready(node.config, replace(node.site, test=()), node.embed)
    local = fit(node.config, site, node.embed, Turn(number, model), before)
    save(in_round(folder, "own.safetensors", number), local.own, private=True, listing=listing)
    write_json(in_round(folder, "receipt.json", number), as_json(local.receipt))
    content = wire.pack(local.upload)
    content["metrics"] = _metrics(began, faults, private=is_private(node.config))
    return content


def measure(node: Node, folder: Path, received: Received, leave: Leave) -> RecordDict:
    """How far the site's good images are from a bank that may still be merged anew."""
    log(INFO, "measuring how well a bank covers us")
    began = time.perf_counter()
    bank, own, listing = received
    if not isinstance(bank, Bank) or not isinstance(own, Bank):
        raise ConfigError(f"{folder}: there is no bank of this site: it was not asked to train")
    hold(node.site, folder, listing)
    site, _ = ready(node.config, replace(node.site, test=()), node.embed)
    least = leave.smallest_group
    told = distances(node.config, site, node.embed, bank, own, smallest=least)
    content = wire.pack_distances(told)
    content["metrics"] = _metrics(began, [])
    return content


def receive(node: Node, folder: Path, broadcast: RecordDict, leave: Leave) -> Received:
    """A model that this site answers about: one of few sites, its own among them.

    Raises:
        PolicyError: it does not.
    """
    rounds = method_of(node.config).rounds
    model = wire.unpack(broadcast, rounds[-1].model)
    own, listing = last_own(folder, rounds, len(rounds))
    lost: Sequence[str] = ()
    if isinstance(model, Bank) and isinstance(own, Bank):
        lost = lacking(model, own, node.site.name)
    leave.to_judge(model.sites, lost)
    return Received(model, own, listing)


def judge(node: Node, folder: Path, received: Received, leave: Leave) -> RecordDict:
    """The site's findings with the model that was broadcast; scores and pictures stay here.

    Under a private release what leaves is found by the model alone, and only where the site's
    policy says that its test images are no part of what is protected. With its own exact bank the
    site judges for itself, and keeps what it finds.
    """
    log(INFO, "judging")
    began = time.perf_counter()
    hold(node.site, folder, received.listing)
    config, embed, method = node.config, node.embed, method_of(node.config)
    model, private = received.model, is_private(node.config)
    gallery = Gallery(node.site.name, method.scale(model))
    own = received.own if node.site.train else None
    known = tuple(s for s in node.site.test if method.judges(model, s.category))
    site, faults = ready(config, replace(node.site, test=known), embed)
    least = 1 if private else leave.smallest_group
    seen, watch = partial(_judged, node, site, model), Watch()
    thresholds, findings = seen(
        own, watch=lambda verdicts: gallery.watch(watch.watch(verdicts)), smallest=least
    )
    for name, threshold in thresholds.items():
        faults += repetitions(threshold.repeated, name)
    gallery.write(node.folder, thresholds)
    write_json(
        node.folder / "thresholds.json",
        {name: asdict(threshold) for name, threshold in thresholds.items()},
    )
    _keep(node, folder, site, received, own=own, thresholds=thresholds, watch=watch)
    if private:
        findings = Findings()
        if leave.tells_of_test_images:
            _, findings = seen(None, smallest=leave.smallest_group)
    content = wire.pack_findings(findings)
    told = [one for one in faults if one.split == "test" or one.reason == "repeated"]
    content["metrics"] = _metrics(began, told, private=private)
    return content


def _keep(
    node: Node,
    folder: Path,
    site: Site,
    received: Received,
    *,
    own: Payload | None,
    thresholds: Mapping[str, Threshold],
    watch: Watch,
) -> None:
    """Keep the model for `fedad inspect`; at a virtual site `fedad run` does, from this table.

    What fails here costs the run nothing: the answer is made already.
    """
    write_checked(node.folder, checked(watch, thresholds))
    if node.simulated:
        return
    number = len(method_of(node.config).rounds)
    receipt = in_round(folder, "receipt.json", number)
    try:
        added = add(
            node.folder / MODELS,
            node.config,
            received.model,
            site=site,
            own=own,
            found=found_by(
                node.config,
                site,
                node.embed,
                received.model,
                own,
                thresholds=thresholds,
                watch=watch,
            ),
            gate=Gate.of(node.policy or Policy()),
            source=f"run {folder.name}",
            receipt=read_json(receipt, "a receipt") if receipt.exists() else None,
        )
    except (FedadError, OSError) as error:
        log(WARNING, "the model is not kept: %s", for_log(error))
        return
    for line in added.told():
        log(INFO, "%s", for_log(line))


def _judged(
    node: Node,
    site: Site,
    model: Payload,
    own: Payload | None,
    *,
    smallest: int,
    watch: Callable[[Iterable[Verdict]], Iterable[Verdict]] = iter,
) -> tuple[dict[str, Threshold], Findings]:
    """The thresholds of a site's products, and what it found by those that enough parts support."""
    thresholds = calibrate(node.config, site, node.embed, model, own)
    supported = _supported(thresholds, smallest)
    findings = examine(
        *(node.config, site, node.embed, model, supported), own=own, watch=watch, smallest=smallest
    )
    return thresholds, findings


def _supported(thresholds: Mapping[str, Threshold], least: int) -> dict[str, Threshold]:
    """The thresholds that enough good parts stand behind; of the others nothing is told."""
    return {
        name: one if one.parts >= least else Threshold(math.nan, 0)
        for name, one in thresholds.items()
    }


def _metrics(began: float, faults: Sequence[Fault], *, private: bool = False) -> MetricRecord:
    """Seconds, and how often each fault occurred; which files they are stands in the site's log.

    Where the answer is `private` both would tell of images, and neither leaves.
    """
    for line in lines(faults):
        log(WARNING, "%s", for_log(line))
    if private:
        return MetricRecord({"seconds": 0.0})
    return MetricRecord({"seconds": time.perf_counter() - began, **tally(faults)})
