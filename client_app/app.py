"""A site: says who it is, learns in rounds from its good images, judges."""

from __future__ import annotations

import errno
import json
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from logging import ERROR

from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.supercore import log

from client_app.allowed import Leave
from client_app.draws import UPLOAD
from client_app.sealed import (
    FINDINGS,
    coverage_file,
    forget_old,
    in_round,
    mark,
    once,
    round_of,
    run_folder,
    run_key,
)
from client_app.site import Node, is_virtual, node_of, probe_of, progress_of
from client_app.spending import check_private, spending_of
from client_app.watchdog import watch
from fedad import __version__, wire
from fedad.config import COVERAGE
from fedad.dp.released import IMAGES
from fedad.errors import ConfigError, DataError, FedadError
from fedad.judging.groups import countable
from fedad.messages.envelope import EVALUATE, HELLO, TRAIN, train_stage
from fedad.methods.base import method_of
from fedad.plumbing.files import private_umask
from fedad.plumbing.logs import structure
from fedad.plumbing.shown import for_log, for_log_lines
from fedad.privacy.base import is_private
from fedad.types import VALIDATION

DISK = (errno.EACCES, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOSPC, errno.EROFS)

app = ClientApp()


@app.query()
def hello(message: Message, context: Context) -> Message:
    """Who this site is, how many images it has of what, and how it embeds the drawn images."""

    def introduce(node: Node, leave: Leave) -> RecordDict:
        mark, features = probe_of(node.embed)
        about = {"version": __version__, "fingerprint": asdict(mark), **_counted(node, leave)}
        if (answers := leave.coverage_left()) is not None:
            about["coverage"] = answers
        told = ConfigRecord({"json": json.dumps(about)})
        return RecordDict({"about": told, "probe": wire.pack_probe(features)})

    return _answer(message, context, HELLO, introduce)


def _counted(node: Node, leave: Leave) -> dict[str, object]:
    """How many images of each product the site has, as far as it may be told."""
    site, least = node.site, leave.smallest_group
    test = countable(site.test, least)
    train = Counter(sample.category for sample in site.train)
    given = Counter(s.category for s in site.held if s.split == VALIDATION)
    silent = {s.category for s in site.test} - {s.category for s in test}
    if is_private(node.config):  # which products there are is public, and nothing else
        train = Counter(dict.fromkeys(train, IMAGES))
        if not leave.tells_of_test_images:
            return {"train": train, "test": {}, "withheld": sorted(train)}
    about: dict[str, object] = {"train": train, "test": Counter(s.category for s in test)}
    if given:
        about["validation"] = given
    if silent:
        about["withheld"] = sorted(silent)
    return about


@app.train()
def upload(message: Message, context: Context) -> Message:
    """What this site may send of its good images in a round; the rest stays in its folder."""

    def learned(node: Node, leave: Leave) -> RecordDict:
        from client_app.work import learn

        folder, number = run_folder(node.folder, message), _round(node, message)
        spending = spending_of(
            node, message, number, node_config=context.node_config, label=leave.run
        )
        answer = spending.once if spending else partial(once, in_round(folder, UPLOAD, number))
        content = answer(
            mark(node.config, message.content),
            lambda: learn(node, folder, number, message.content),
            permit=partial(leave.to_answer, train_stage(number)),
        )
        forget_old(node.folder)
        return content

    return _answer(message, context, TRAIN, learned)


@app.query(COVERAGE)
def coverage(message: Message, context: Context) -> Message:
    """How far this site's good images are from a bank: one number a category."""

    def measured(node: Node, leave: Leave) -> RecordDict:
        from client_app.work import measure, receive

        if is_private(node.config):
            raise ConfigError("distances of good images are asked for under a private release")
        folder, made_of = run_folder(node.folder, message), mark(node.config, message.content)
        received = receive(node, folder, message.content, leave)
        return once(
            coverage_file(folder, made_of),
            made_of,
            lambda: measure(node, folder, received, leave),
            permit=partial(leave.to_answer, COVERAGE),
        )

    return _answer(message, context, COVERAGE, measured)


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    """Counts of this site's test images under the broadcast bank; scores and pictures stay here."""

    def judged(node: Node, leave: Leave) -> RecordDict:
        from client_app.work import judge, receive

        folder = run_folder(node.folder, message)
        received = receive(node, folder, message.content, leave)
        return once(
            folder / FINDINGS,
            mark(node.config, message.content),
            lambda: judge(node, folder, received, leave),
            permit=partial(leave.to_answer, EVALUATE),
        )

    return _answer(message, context, EVALUATE, judged)


def _answer(
    message: Message, context: Context, stage: str, work: Callable[[Node, Leave], RecordDict]
) -> Message:
    """Reply with what `work` gives, bound to site and run, or with why there is nothing.

    The text of an error may name files, so it stays in the site's log; only in a simulation, where
    all sites are on one machine, does it travel.
    """
    content, simulated = RecordDict(), is_virtual(context.node_config)
    try:
        private_umask()
        structure(process="client app", run=str(context.run_id), site=_site(context))
        watch()
        node = node_of(context)
        leave = Leave(context, node, message)
        leave.to_work()
        check_private(node, context.node_config, leave.run)
        with progress_of(node):
            content = work(node, leave)
        leave.to_send(content)
        stage = train_stage(_round(node, message)) if stage == TRAIN else stage
        uploads = [kinds.upload for kinds in method_of(node.config).rounds]
        wire.bind(content, node.site.name, run_key(message), stage, uploads)
    except Exception as failed:
        error = _of_disk(failed) or failed
        known = isinstance(error, FedadError)
        for line in [for_log(error)] if known else for_log_lines(traceback.format_exc()):
            log(ERROR, "%s", line)
        reason = {
            "kind": type(error).__name__ if known else "InternalError",
            "reason": str(getattr(error, "reason", "")) if known else "",
        }
        if simulated:
            reason["text"] = str(error)
        content = RecordDict({wire.REFUSAL: ConfigRecord(reason)})  # type: ignore[arg-type]
    return Message(content, reply_to=message)


def _site(context: Context) -> str:
    """Whose log this is: a factory's own alone, since virtual sites share a process."""
    return "" if is_virtual(context.node_config) else str(context.node_config.get("site", ""))


def _round(node: Node, message: Message) -> int:
    return round_of(message, len(method_of(node.config).rounds))


def _of_disk(error: Exception) -> DataError | None:
    """What is wrong with the site's disk, if that is what failed."""
    if not isinstance(error, OSError) or error.errno not in DISK:
        return None
    where = error.filename or "the site's own folder"
    return DataError(f"{where}: cannot be read or written ({error.strerror}): is the disk full?")
