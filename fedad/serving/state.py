"""All that routes share: the model that judges, what was seen, counts, and where verdicts go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from fedad.drift.rows import WATCHED
from fedad.errors import BadFileError, FedadError
from fedad.inspection.inspection import Inspection
from fedad.inspection.results import unreadable
from fedad.judging.verdict_words import WORDS
from fedad.plumbing.shown import for_terminal
from fedad.serving import verdict_log
from fedad.serving.access import Access
from fedad.serving.bodies import Held
from fedad.serving.changes import Changes
from fedad.serving.drifting import Drifting
from fedad.serving.inspected import Inspected
from fedad.serving.metrics import ERRORS, OPERATORS, Gauge, Metrics
from fedad.serving.outbox import Outbox
from fedad.serving.recent import Recent, Seen
from fedad.serving.refusals import RefusedError, bad, unknown
from fedad.serving.served import Served, Upload
from fedad.serving.teachings import Teachings

LONGEST_BY = 80  # letters of who gave a verdict
SAID = 2000  # operators' last verdicts, in which those on the restored inspections are looked for


@dataclass
class Serving:
    """What one server is made of.

    Args:
        product: of which pictures are, where a request does not say.
        notes: what is not as it should be, by what it is of, beside the model.
    """

    served: Served
    changes: Changes
    teachings: Teachings
    metrics: Metrics
    inspected: Inspected
    drifting: Drifting
    access: Access = field(default_factory=Access)
    product: str = ""
    outboxes: Sequence[Outbox] = ()
    recent: Recent = field(default_factory=Recent)
    held: Held = field(default_factory=Held)
    notes: dict[str, str] = field(default_factory=dict)

    def upload(self, one: Upload) -> Upload:
        """A picture with the product that all are of, where it names none."""
        return one._replace(product=one.product or self.product)

    def record(self, one: Inspection, content: bytes, *, watched: str = "") -> Seen:
        """Remember a verdict, count it, keep it in the log, and send it on.

        Args:
            watched: the id of its line in a watched folder's own log.
        """
        self.metrics.judged(one.product, one.verdict, one.seconds)
        seen = self.recent.add(one, content)
        self.inspected.add({**seen.told, WATCHED: watched} if watched else seen.told)
        message = {**one.told(), "id": seen.id, "time": seen.told["time"]}
        for outbox in self.outboxes:
            outbox.put(message)
        return seen

    def outcome(self, found: Inspection | BaseException, upload: Upload) -> dict[str, Any]:
        """What is said of one of several pictures: a file that is none spoils no other.

        Raises:
            BaseException: what is wrong is not the picture.
        """
        if isinstance(found, BadFileError):
            self.metrics.count(ERRORS, kind="picture")
            return unreadable(upload.name, str(found))
        if isinstance(found, BaseException):
            raise found
        return self.record(found, upload.content).as_json()

    def operator(self, id_: str, word: str, by: str) -> dict[str, Any]:
        """Log what an operator says of a verdict.

        Raises:
            RefusedError: another word, or an inspection that is not in memory.
            BusyError: another process writes to the log.
        """
        if word not in WORDS:
            raise bad(f"verdict {word!a:.40}: expected one of {', '.join(WORDS)}")
        seen = self.seen(id_)
        told, now = seen.told, datetime.now(UTC).isoformat(timespec="milliseconds")
        inspector = self.served.inspector
        row = {
            "time": now.replace("+00:00", "Z"),
            **{name: told[name] for name in ("id", "sha256")},
            "name": told["image"],
            **{name: told[name] for name in ("product", "verdict")},
            "operator": word,
            **{name: told[name] for name in ("score", "threshold", "model")},
            "site": inspector.opened.site if inspector else "",
            "by": for_terminal(by[:LONGEST_BY]),
        }
        logged = verdict_log.VerdictLog(self.changes.log).add(row)
        seen.operator = word
        self.metrics.count(OPERATORS, verdict=word)
        return logged

    def seen(self, id_: str) -> Seen:
        """An inspection by its id.

        Raises:
            RefusedError: 404.
        """
        if (found := self.recent.get(id_)) is None:
            raise unknown(f"inspection {id_!a:.40}: it is none of the last {self.recent.most}")
        return found

    def ready(self) -> tuple[bool, dict[str, Any]]:
        """Whether pictures are judged, and by which model; and what is not as it should be."""
        inspector, trouble = self.served.inspector, self.served.trouble
        notes = [*filter(None, (trouble, self.inspected.trouble, *self.notes.values()))]
        if inspector is None:
            return False, {"status": trouble or "no model judges yet", "notes": notes}
        return True, {"status": "ready", "model": inspector.opened.name, "notes": notes}

    def gauges(self) -> list[Gauge]:
        """What is so now, for `/metrics`."""
        found: list[Gauge] = [
            ("fedad_queue_length", "Pictures that wait to be judged.", {}, self.served.queued)
        ]
        if inspector := self.served.inspector:
            labels = {"model": inspector.opened.name, "site": inspector.opened.site}
            found.append(("fedad_model_info", "The model that judges.", labels, 1))
        return found

    def start(self) -> None:
        """Look at the logs, take up the last inspections, and begin to judge.

        Raises:
            FedadError: the current model cannot be opened.
        """
        if why := verdict_log.broken(self.changes.log):
            self.notes["log"] = f"the log of operators' verdicts is not whole: {why}"
            self.metrics.count(ERRORS, kind="log")
            self.served.note(f"warning: {self.notes['log']}")
        self._restore()
        self.inspected.start()
        self.served.start()

    def _restore(self) -> None:
        """The last inspections as the log has them, and what operators said of them."""
        try:
            said = reversed(verdict_log.last(self.changes.log, SAID))
            operators = {f"{row.get('id')}": f"{row.get('operator')}" for row in said}
            rows = self.inspected.last(self.recent.most)
            plain = ({key: row[key] for key in row if key != WATCHED} for row in rows)
            self.recent.restore(plain, operators)
        except OSError as error:
            why = f"{error.filename}: the last inspections are not read ({error.strerror})"
            self.served.note(f"warning: {why}")

    def stop(self) -> None:
        """End all that runs beside the requests."""
        self.teachings.stop()
        self.drifting.stop()
        self.served.stop()
        self.inspected.stop()
        for outbox in self.outboxes:
            outbox.stop()


def status_of(error: Exception) -> RefusedError:
    """An error that a user can mend, as a request is answered with it."""
    from fedad.errors import BusyError

    if isinstance(error, RefusedError):
        return error
    if isinstance(error, BusyError):
        return RefusedError(409, str(error), "busy")
    if isinstance(error, BadFileError):
        return bad(str(error), "picture")
    if isinstance(error, FedadError):
        return bad(str(error))
    raise error
