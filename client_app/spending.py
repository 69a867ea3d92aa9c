"""One draw, debited once: a private release is sealed, then debited, then sent, whatever crashes.

    draw     under a lock, so that two tasks at once do not draw twice; it has to fit before
    seal     the answer and its receipt in one file, on disk before its name is there
    debit    a line in the ledger of each product, and in its mirror where the site has one, on disk
             before the answer is returned
    send     by who asked; a killed site is asked again, and what is sealed is sent as it is

A seal without a debit was not sent: it is debited when the site is asked next. A debit without its
seal, or with one that cannot be read, is refused: another draw would tell more than was debited.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from logging import INFO, WARNING
from pathlib import Path
from typing import Any

from flwr.app import Message, RecordDict
from flwr.supercore import log

from client_app.contents import hold
from client_app.draws import MADE_OF, RECEIPT, UPLOAD, drawn
from client_app.own import ledgers_of, mirror_of, policy_of
from client_app.sealed import KEY, in_round, run_key
from client_app.site import Node
from fedad import wire
from fedad.dp import mirror
from fedad.dp.account import Draw, Ledger, LedgerError
from fedad.dp.ledger import alone, debit, exists, read, reconcile
from fedad.dp.receipts import (
    Receipt,
    ReceiptError,
    as_json,
    receipt_from,
)
from fedad.errors import ConfigError, DataError
from fedad.messages.envelope import train_stage
from fedad.messages.file import LISTING, about
from fedad.permits.rules import LEDGER, Policy
from fedad.plumbing.files import private_folder, read_json, write_atomic
from fedad.plumbing.shown import for_log
from fedad.policy import PolicyError, note
from fedad.privacy.base import is_private, planned


@dataclass(frozen=True)
class Spending:
    """The account that one answer of a site is drawn on.

    Args:
        root: the folder of the site's ledgers.
        node: of the site; its own folder has the seals of all runs.
        run, number: whose upload it is, in which round.
        policy: how many releases of a product there may be, and whether one is given again.
        label: what the audit calls the run.
        mirror: the folder of the ledgers' copies, if the site has them; see `dp/mirror.py`.
    """

    root: Path
    node: Node
    run: str
    number: int
    policy: Policy
    label: str
    mirror: Path | None = None

    @property
    def stage(self) -> str:
        return train_stage(self.number)

    @property
    def products(self) -> list[str]:
        return sorted({sample.category for sample in self.node.site.train})

    def once(
        self, made_of: str, make: Callable[[], RecordDict], permit: Callable[[str], None]
    ) -> RecordDict:
        """The answer that is sealed; at the first time what `make` gives, sealed and debited.

        Args:
            made_of, permit: see `sealed.once`.
            make: it leaves the receipt of what it gives in the run's folder.

        Raises:
            PolicyError: it may not be made, or does not fit into what is left; a ledger is not
                there or cannot be believed; a seal is lost or cannot be read. The audit says so.
            ConfigError: the same run asks for something else than before.
        """
        with self._refusing(), alone(self.root, self.node.site.name):
            self._mirrored(mirror.check)
            self._reconcile()
            self._mirrored(mirror.follow)
            ledgers = self._ledgers()
            path = self._file(UPLOAD)
            if path.exists():
                return self._sealed(path, made_of)
            self._check_lost(ledgers)
            if self.policy.reuse_releases and self._reuse(made_of):
                return self._sealed(path, made_of)
            self._check(ledgers, planned(self.node.config), but=self.run)
            permit(made_of)
            content = make()
            receipt = receipt_from(read_json(self._file("receipt.json"), "a receipt"))
            self._check(ledgers, receipt)
            draw = self._seal(path, made_of, content, receipt)
            self._debit(draw)
            self._mirrored(mirror.follow)
            return content

    def _ledgers(self) -> list[Ledger]:
        return [read(self.root, self.node.site.name, name) for name in self.products]

    def _mirrored(self, look: Callable[[Ledger, Path], None]) -> None:
        """Check or follow the copy of each ledger, before anything is drawn or sent."""
        if self.mirror:
            for ledger in self._ledgers():
                look(ledger, self.mirror)

    def _sealed(self, path: Path, made_of: str) -> RecordDict:
        """What is sealed already, and debited since."""
        content, told = wire.load(path)
        if told[MADE_OF] != made_of:
            raise ConfigError(f"{path}: the same run has asked for something else before")
        if RECEIPT not in told:
            raise LedgerError(f"{path}: what is sealed has no receipt: it was made without privacy")
        log(INFO, "sent as sealed before")
        return content

    def _reuse(self, made_of: str) -> bool:
        """Take what another run asked for with the same words, of the same images: its bytes have
        been debited, and cost nothing again."""
        if self.number > 1:  # what came before in the run is another question
            return False
        listing = hold(self.node.site, private_folder(self.node.folder / self.run))
        for draw in self._draws():
            there = self.node.folder / draw.run
            own = there / "own.safetensors"
            if (draw.mark, draw.stage) != (made_of, self.stage) or not own.exists():
                continue
            if about(own).get(LISTING) == listing:
                for name in ("own.safetensors", "receipt.json", UPLOAD):
                    write_atomic(self._file(name), (there / name).read_bytes())
                log(INFO, "the release of the run %s is given again", draw.run)
                return True
        return False

    def _check_lost(self, ledgers: Iterable[Ledger]) -> None:
        for ledger in ledgers:
            if ledger.of(self.run, self.stage):
                raise LedgerError(
                    f"{self._file('upload.safetensors')}: it was debited and is not there any "
                    "more: nothing is drawn in its place: put it back, or begin a new run"
                )

    def _check(self, ledgers: Iterable[Ledger], receipt: Receipt, but: str = "") -> None:
        for ledger in ledgers:
            runs = {one.draw.run for one in ledger.debits} - {self.run}
            if len(runs) >= self.policy.releases_in_all:
                name, told = ledger.terms.product, f"{len(runs)} releases have been made"
                note(self.node.folder, "refused", run=self.label, line="releases-in-all", told=told)
                raise PolicyError(
                    f"the site's policy refuses (releases-in-all): {told} of {name!r}",
                    "releases-in-all",
                )
            ledger.check(receipt, but=but)

    def _seal(self, path: Path, made_of: str, content: RecordDict, receipt: Receipt) -> Draw:
        told = {MADE_OF: made_of, RECEIPT: json.dumps(as_json(receipt))}
        try:
            digest = wire.save(path, content, **told)
        except OSError as error:
            raise DataError(
                f"{path}: cannot be written ({error.strerror}): is the disk full?"
            ) from error
        log(INFO, "sealed %s", path.name)
        return Draw(self.run, self.stage, made_of, digest, receipt)

    def _debit(self, draw: Draw) -> None:
        site = self.node.site.name
        for name in _products(draw):
            ledger = debit(read(self.root, site, name), draw)
            self._note(ledger, draw)

    def _reconcile(self) -> None:
        """Debit what a crash kept out of the ledgers, of whichever run."""
        site = self.node.site.name
        for draw in self._draws():
            for name in _products(draw):
                before = read(self.root, site, name)
                after = reconcile(before, [draw])
                if len(after.debits) > len(before.debits):
                    self._note(after, draw)

    def _note(self, ledger: Ledger, draw: Draw) -> None:
        spent = ledger.spent
        told: dict[str, Any] = {"categories": [ledger.terms.product], "stage": draw.stage}
        told |= {
            "of": draw.run,
            "epsilon": spent.epsilon,
            "delta": spent.delta,
            "accountant": spent.accountant,
        }
        note(self.node.folder, "debited", run=self.label, **told)

    def _draws(self) -> Iterator[Draw]:
        """All that is sealed with a receipt. Of another run, a seal that cannot be read was debited
        before it was sent, if it was."""
        mine = self._file(UPLOAD)
        for path in sorted(self.node.folder.glob("*/upload*.safetensors")):
            if not KEY.fullmatch(path.parent.name):
                continue
            try:
                draw = drawn(path)
            except DataError as error:
                if path == mine:
                    told = "a draw is not made anew: put it back, or begin a new run"
                    raise LedgerError(f"{error}: {told}") from error
                log(WARNING, "%s", for_log(error))
            else:
                if draw:
                    yield draw

    def _file(self, name: str) -> Path:
        return in_round(self.node.folder / self.run, name, self.number)

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        try:
            yield
        except (LedgerError, ReceiptError) as error:
            note(self.node.folder, "refused", run=self.label, line=LEDGER, told=str(error))
            raise PolicyError(str(error), LEDGER) from error


def spending_of(
    node: Node, message: Message, number: int, *, node_config: Mapping[str, Any], label: str
) -> Spending | None:
    """What an upload is drawn on; None at a virtual site, which has no account, and of an upload
    without privacy where the site has no ledger of any of its products."""
    if node.simulated:
        return None
    policy = node.policy or policy_of(node_config, label)
    root = ledgers_of(node_config)
    copy = mirror_of(node_config)
    found = Spending(root, node, run_key(message), number, policy, label, copy)
    has = any(exists(root, node.site.name, name) for name in found.products)
    return found if has or is_private(node.config) else None


def check_private(node: Node, node_config: Mapping[str, Any], label: str) -> None:
    """Whether a run may have anything of the site's: where a product has a ledger, counts and
    judgements without privacy would tell what releases hide.

    Raises:
        PolicyError: it asks without privacy; a line of it is in the site's audit.
    """
    if node.simulated or is_private(node.config):
        return
    site, root = node.site, ledgers_of(node_config)
    names = {sample.category for sample in (*site.train, *site.held, *site.test)}
    if kept := [name for name in sorted(names) if exists(root, site.name, name)]:
        told = (
            f"privacy.release = {node.config.privacy.release!r}: {kept[0]!r} has a ledger here, "
            "and nothing of it leaves without differential privacy"
        )
        note(node.folder, "refused", run=label, line=LEDGER, told=told)
        raise PolicyError(told, LEDGER)


def _products(draw: Draw) -> list[str]:
    return sorted(draw.receipt.images)
