"""A site: says who it is, uploads a bank of its good images, judges with the merged one."""

from __future__ import annotations

import json
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from logging import ERROR
from pathlib import Path

from flwr.app import ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.supercore import log

from client_app.site import Node, node_of, progress_of
from fedad import __version__, wire
from fedad.bank_file import load_bank, save_bank
from fedad.calibration import calibrate
from fedad.embedders.backbone import grid_of
from fedad.errors import FedadError
from fedad.files import write_json
from fedad.reporting.gallery import Gallery
from fedad.reporting.heatmap import scale_of
from fedad.round import examine, fit, seal

app = ClientApp()


@app.query()
def hello(message: Message, context: Context) -> Message:
    """Who this site is, and how many images it has of what."""

    def introduce(node: Node) -> RecordDict:
        h, w, _ = grid_of(node.config.embedder)
        about = {
            "version": __version__,
            "patches_per_image": h * w,
            "train": Counter(sample.category for sample in node.site.train),
            "test": Counter(sample.category for sample in node.site.test),
        }
        return RecordDict({"about": ConfigRecord({"json": json.dumps(about)})})

    return _answer(message, context, introduce)


@app.train()
def upload(message: Message, context: Context) -> Message:
    """The sealed bank of this site's good images; its own copy stays in the site's folder."""

    def learn(node: Node) -> RecordDict:
        began = time.perf_counter()
        own = fit(node.config, node.site, node.embed)
        save_bank(_own(node, context), own, private=True)
        content = wire.pack_bank(seal(node.config, node.site.name, own))
        content["metrics"] = MetricRecord({"seconds": time.perf_counter() - began})
        return content

    return _answer(message, context, learn)


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    """Counts of this site's test images under the broadcast bank; scores and pictures stay here."""

    def score(node: Node) -> RecordDict:
        began = time.perf_counter()
        bank = wire.unpack_bank(message.content)
        gallery = Gallery(node.site.name, scale_of(bank))
        own = load_bank(_own(node, context)) if node.site.train else None
        config, site, embed = node.config, node.site, node.embed
        thresholds = calibrate(config, site, embed, bank, own)
        findings = examine(config, site, embed, bank, thresholds, own=own, watch=gallery.watch)
        gallery.write(node.folder)
        write_json(
            node.folder / "thresholds.json",
            {name: asdict(threshold) for name, threshold in thresholds.items()},
        )
        content = wire.pack_findings(findings)
        content["metrics"] = MetricRecord({"seconds": time.perf_counter() - began})
        return content

    return _answer(message, context, score)


def _own(node: Node, context: Context) -> Path:
    """Where a site keeps its own bank between being asked to learn and being asked to judge."""
    return node.folder / str(context.run_id) / "own.safetensors"


def _answer(message: Message, context: Context, work: Callable[[Node], RecordDict]) -> Message:
    """Reply with what `work` gives, or with the reason why there is nothing.

    The text of an error may name files, so it stays in the site's log; only in a simulation, where
    all sites are on one machine, does it travel.
    """
    content, simulated = RecordDict(), "partition-id" in context.node_config
    try:
        node = node_of(context)
        with progress_of(node):
            content = work(node)
        content[wire.SITE] = ConfigRecord({"name": node.site.name})
    except Exception as error:
        known = isinstance(error, FedadError)
        log(ERROR, "%s", error if known else traceback.format_exc())
        reason = {"kind": type(error).__name__ if known else "InternalError"}
        if simulated:
            reason["text"] = str(error)
        content = RecordDict({wire.REFUSAL: ConfigRecord(reason)})  # type: ignore[arg-type]
    return Message(content, reply_to=message)
