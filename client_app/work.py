"""What a site computes when it is asked: the part that needs the network's libraries."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from logging import INFO, WARNING
from pathlib import Path

from flwr.app import MetricRecord, RecordDict
from flwr.supercore import log

from client_app.sealed import OWN
from client_app.site import Node, with_known_products
from fedad import wire
from fedad.bank_file import load_bank, save_bank
from fedad.calibration import calibrate
from fedad.covering import distances
from fedad.faults import Fault, lines, tally
from fedad.files import write_json
from fedad.reporting.gallery import Gallery
from fedad.reporting.heatmap import scale_of
from fedad.round import examine, fit, seal
from fedad.sifting import sift


def learn(node: Node, folder: Path) -> RecordDict:
    """The site's upload; its own bank, which never travels, is kept in `folder`."""
    log(INFO, "building the bank")
    began = time.perf_counter()
    site, faults = sift(node.config, replace(node.site, test=()))
    own = fit(node.config, site, node.embed)
    save_bank(folder / OWN, own, private=True)
    content = wire.pack_bank(seal(node.config, node.site.name, own))
    content["metrics"] = _metrics(began, faults)
    return content


def measure(node: Node, folder: Path, broadcast: RecordDict) -> RecordDict:
    """How far the site's good images are from a bank that may still be merged anew."""
    log(INFO, "measuring how well a bank covers us")
    began = time.perf_counter()
    own, bank = load_bank(folder / OWN), wire.unpack_bank(broadcast)
    site, _ = sift(node.config, replace(node.site, test=()))
    content = wire.pack_distances(distances(node.config, site, node.embed, bank, own))
    content["metrics"] = _metrics(began, [])
    return content


def judge(node: Node, folder: Path, broadcast: RecordDict) -> RecordDict:
    """The site's findings with the bank that was broadcast; scores and pictures stay here."""
    log(INFO, "judging")
    began = time.perf_counter()
    bank = wire.unpack_bank(broadcast)
    gallery = Gallery(node.site.name, scale_of(bank))
    own = load_bank(folder / OWN) if node.site.train else None
    site, faults = sift(node.config, with_known_products(node.site, bank))
    config, embed = node.config, node.embed
    thresholds = calibrate(config, site, embed, bank, own)
    findings = examine(config, site, embed, bank, thresholds, own=own, watch=gallery.watch)
    gallery.write(node.folder)
    write_json(
        node.folder / "thresholds.json",
        {name: asdict(threshold) for name, threshold in thresholds.items()},
    )
    content = wire.pack_findings(findings)
    content["metrics"] = _metrics(began, [fault for fault in faults if fault.split == "test"])
    return content


def _metrics(began: float, faults: Sequence[Fault]) -> MetricRecord:
    """Seconds, and how often each fault occurred; which files they are stands in the site's log."""
    for line in lines(faults):
        log(WARNING, "%s", line)
    return MetricRecord({"seconds": time.perf_counter() - began, **tally(faults)})
