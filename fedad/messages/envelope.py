"""What may leave a site: records and fields by name, of bounded size, bound to a site and a run.

A site sends nothing else than is listed here, and the server takes nothing else. No path, no file
name and no text of an error has a place in it: those stay in the site's own log.

The bond is a record in each reply: which site answers, in which run, what it was asked, and a
sha256 over all that and everything else in the reply. A reply of another run or another site, or
put together from two, does not get in. Nothing is signed: that a site is itself its key says, which
the SuperLink knows (`fedad register`).
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields as dataclass_fields
from typing import Any

from fedad.config import COVERAGE
from fedad.errors import UploadError
from fedad.messages.faults import REFUSED, SKIPPED, USED
from fedad.messages.payload import Payload
from fedad.messages.schema import Perhaps
from fedad.permits.rules import LEDGER
from fedad.policy import Policy, line_of

Content = Mapping[str, Mapping[str, Any]]  # record -> field -> value: a RecordDict reads as this

HELLO, TRAIN, EVALUATE = "hello", "train", "evaluate"  # and COVERAGE
SITE, REFUSAL, METRICS = "site", "refusal", "metrics"
BOND = ("name", "run", "stage", "sha256")
COUNTS = ("columns", "lengths", "images", "negative", "positive", "covered", "pro")
Fields = Mapping[str, tuple[str, ...]]  # record -> its fields; `Perhaps` says which may be away
FIELDS: dict[str, Fields] = {  # what is asked -> what the answer has; of training, the payload says
    HELLO: {"about": ("json",), "probe": ("features",)},
    COVERAGE: {"distances": ("json",)},
    EVALUATE: {
        "counts": COUNTS,
        "counts-header": ("json",),
        "replicates": COUNTS,
        "replicates-header": ("json",),
        "decisions": ("json",),
    },
}
WORDS = (*SKIPPED, *USED, *REFUSED)  # what a site may say of its files
REFUSALS = {  # what a refusal may say, and in which words; a text is heard in simulations alone
    "kind": (
        "BadFileError",
        "ConfigError",
        "DataError",
        "InternalError",
        "MismatchError",
        "PolicyError",
        "UploadError",
    ),
    "reason": (*WORDS, LEDGER, *(line_of(line.name) for line in dataclass_fields(Policy))),
    "text": (),
}
MEASURE = re.compile(rf"seconds|(train|test)\.({'|'.join(WORDS)})")
LONGEST_TEXT = 2**20  # characters
MOST_MEASURES = 2 * len(WORDS) + 1


def train_stage(number: int) -> str:
    """What a site is asked in a round of training."""
    return TRAIN if number == 1 else f"{TRAIN}-{number}"


def fields_of(stage: str, uploads: Sequence[type[Payload]]) -> Fields:
    """What an answer has, by what was asked.

    Args:
        uploads: what goes up in each round of the method.
    """
    if stage in FIELDS:
        return FIELDS[stage]
    stages = [train_stage(number) for number in range(1, 1 + len(uploads))]
    return uploads[stages.index(stage)].travelling()


def check_fields(content: Content, fields: Fields, stage: str) -> None:
    """Refuse a reply that has anything but what may be in it, or lacks something.

    Args:
        fields: as `fields_of` lists them for the stage.

    Raises:
        UploadError: naming the first record or field that is too much or too little.
    """
    listed = {SITE: BOND, **fields}
    wanted = {*listed, *([] if stage == HELLO else [METRICS])}
    if differing := sorted(wanted ^ set(content)):
        raise UploadError(
            f"the record {differing[0]!a:.80} is {_wrong(differing[0] in content)}", "fields"
        )
    for record, values in content.items():
        if record == METRICS:
            _check_measures(values)
        elif differing := sorted(_differing(listed[record], values)):
            raise UploadError(
                f"{record}/{differing[0]!a:.80} is {_wrong(differing[0] in values)}", "fields"
            )
        else:
            _check_values(record, values)


def check_refusal(content: Content) -> None:
    """Refuse a site's refusal that has anything but what may be in it.

    It has no bond: a site that does not know its own name refuses too, and whose message it is the
    SuperLink says.

    Raises:
        UploadError: naming the first record or field that is too much.
    """
    if more := sorted(set(content) - {REFUSAL}) or sorted(set(content[REFUSAL]) - set(REFUSALS)):
        raise UploadError(f"a refusal with {more[0]!a:.80}", "fields")
    _check_values(REFUSAL, content[REFUSAL])


def size_of(content: Content) -> int:
    """Bytes of all arrays, texts and names, by what is there and not by what a header says."""
    return sum(
        len(record) + sum(len(name) + _size(value) for name, value in fields.items())
        for record, fields in content.items()
    )


def digest(content: Content, site: str, run: str, stage: str) -> str:
    """The sha256 that binds everything in a reply but the bond itself."""
    found = hashlib.sha256(f"{site}\n{run}\n{stage}\n".encode(errors="surrogatepass"))
    for record in sorted(set(content) - {SITE}):
        for name, value in sorted(content[record].items()):
            found.update(f"{record}/{name} ".encode(errors="surrogatepass"))
            if hasattr(value, "data"):
                found.update(f"{value.dtype} {value.shape} {len(value.data)} ".encode())
                found.update(value.data)
            else:
                found.update(f"{value!r}\n".encode(errors="surrogatepass"))
    return found.hexdigest()


def bond(content: Content, site: str, run: str, stage: str) -> dict[str, str]:
    """The record `site` of a reply, made last."""
    values = (site, run, stage, digest(content, site, run, stage))
    return dict(zip(BOND, values, strict=True))


def check_bond(content: Content, site: str, run: str, stage: str) -> None:
    """Refuse a reply that is not this site's, of this run, to this question.

    Raises:
        UploadError: for another site, a replayed reply, or one whose parts do not belong together.
    """
    said = content[SITE]
    if said["name"] != site:
        raise UploadError(f"it answers as {said['name']!a:.80}", "identity")
    for what, expected in (("run", run), ("stage", stage)):
        if said[what] != expected:
            raise UploadError(
                f"its answer is to the {what} {said[what]!a:.80}, expected {expected!r}: was an "
                "older one sent again?",
                "replay",
            )
    if said["sha256"] != digest(content, site, run, stage):
        raise UploadError("its answer is not the one that was sealed, by its sha256", "altered")


def _differing(listed: Sequence[str], values: Mapping[str, Any]) -> set[str]:
    """The fields that are too much or missing."""
    away = {name for name in listed if isinstance(name, Perhaps)} - {*values}
    return ({*listed} ^ {*values}) - away


def _check_measures(fields: Mapping[str, Any]) -> None:
    """Seconds, and how often each fault occurred."""
    if "seconds" not in fields or len(fields) > MOST_MEASURES:
        raise UploadError("metrics without seconds, or with too many fields", "fields")
    for name, value in fields.items():
        if not MEASURE.fullmatch(name):
            raise UploadError(f"metrics/{name!a:.80} is not taken", "fields")
        kinds = (int, float) if name == "seconds" else (int,)
        if type(value) not in kinds or not 0 <= value < math.inf:
            raise UploadError(f"metrics/{name} is {value!a:.80}", "counts")


def _check_values(record: str, fields: Mapping[str, Any]) -> None:
    """Arrays and texts: Flower would also carry numbers and lists of texts of any length."""
    for name, value in fields.items():
        if not isinstance(value, str):
            if record == REFUSAL or not hasattr(value, "data"):
                raise UploadError(f"{record}/{name} is a {type(value).__name__}", "kind")
        elif len(value) > LONGEST_TEXT:
            raise UploadError(f"{record}/{name} has {len(value):,} characters", "size")


def _size(value: Any) -> int:
    if hasattr(value, "data"):
        return len(value.data) + len(value.dtype) + len(value.stype) + 8 * len(value.shape)
    if isinstance(value, list):
        return sum(map(_size, value))
    return len(value) if isinstance(value, str | bytes) else 8


def _wrong(there: bool) -> str:
    return "not taken" if there else "missing"
