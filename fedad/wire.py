"""Payloads and findings <-> Flower records. The only file of fedad that knows Flower."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict
from safetensors import SafetensorError

from fedad import evaluation
from fedad.errors import DataError, UploadError
from fedad.evaluation import Counts, Decisions
from fedad.judging.findings import Borrowed, Findings
from fedad.messages import array_bytes, envelope
from fedad.messages.file import load_tensors, save_tensors
from fedad.messages.payload import Payload
from fedad.plumbing.parse import from_json

P = TypeVar("P", bound=Payload)

SITE = envelope.SITE  # the record that says who answers, in which run, and what
REFUSAL = envelope.REFUSAL  # the record of a site that cannot do what it was asked
MOST_ARRAYS = 256  # of a record; the payloads that there are have up to 8
STYPE = "numpy.ndarray"  # how Flower says that an array's bytes are in NumPy's format
DECISIONS = {"decisions", "calibrated", "nearest", "borrowed"}  # in the JSON of the record
UNREGISTERED = "unregistered"  # the status of a node whose key is shut out
RUN = "run"  # the record that says which run a request belongs to; it outlives a resumed run


def pack(payload: Payload) -> RecordDict:
    """What is sealed as two records: its arrays, under the name of its kind, and its header."""
    tensors, header = payload.pack()
    return RecordDict({payload.record(): _arrays(tensors), "header": ConfigRecord(dict(header))})


def unpack(content: RecordDict, kind: type[P], *, sizes: Mapping[str, int] | None = None) -> P:
    """The inverse of `pack`, byte for byte.

    Raises:
        UploadError: records or arrays that are missing or do not fit; see `Payload.unpack`.
    """
    header = {key: str(value) for key, value in _config(content, "header").items()}
    return kind.unpack(_numpy(content, kind.record()), header, sizes=sizes)


def pack_findings(findings: Findings) -> RecordDict:
    """Findings as five records: two of sparse counts with their headers, and the decisions."""
    told = {
        "decisions": {name: astuple(made) for name, made in sorted(findings.decisions.items())},
        "calibrated": dict(sorted(findings.calibrated.items())),
        "nearest": {
            name: dict(sorted(patches.items()))
            for name, patches in sorted(findings.nearest.items())
        },
        "borrowed": {name: astuple(made) for name, made in sorted(findings.borrowed.items())},
    }
    return RecordDict(
        {
            **_pack_counts("counts", findings.counts),
            **_pack_counts("replicates", findings.replicates),
            "decisions": ConfigRecord({"json": json.dumps(told)}),
        }
    )


def unpack_findings(content: RecordDict) -> Findings:
    """The inverse of `pack_findings`.

    Raises:
        UploadError: records that are missing, or that no images could give.
    """
    try:
        told = from_json(str(_config(content, "decisions")["json"]))
        if more := sorted({*told} - DECISIONS):
            raise ValueError(f"there is no {more[0]!a:.80}")
        decisions = {
            name: Decisions(*map(_whole, made)) for name, made in told["decisions"].items()
        }
        calibrated = {name: _whole(images) for name, images in told["calibrated"].items()}
        nearest = {name: _patches(counts) for name, counts in told["nearest"].items()}
        borrowed = {name: Borrowed(*map(_whole, made)) for name, made in told["borrowed"].items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UploadError(f"decisions that do not fit: {error!s:.300}", "counts") from error
    return Findings(
        _unpack_counts(content, "counts"),
        _unpack_counts(content, "replicates"),
        decisions,
        calibrated,
        nearest,
        borrowed,
    )


def pack_distances(distances: Mapping[str, float]) -> RecordDict:
    """How far a site's good images of each category are from a bank, as one record."""
    return RecordDict({"distances": ConfigRecord({"json": json.dumps(dict(distances))})})


class Known(NamedTuple):
    """A key that a SuperLink knows."""

    number: str  # Flower's, of the key
    site: str  # the name that it was registered with, or ""
    key: bytes  # public, PEM
    shut_out: bool  # it stays known: nobody can register it again
    status: str = ""  # Flower's word: registered, online, offline or unregistered
    since: str = ""  # when whoever has it last came, in UTC; "" if nobody has


def unpack_known(body: bytes) -> list[Known]:
    """What a SuperLink answers when it is asked for its nodes.

    Raises:
        DataError: not such an answer.
    """
    from flwr.proto.control_pb2 import ListNodesResponse  # on the server alone
    from google.protobuf.message import DecodeError

    try:
        nodes = ListNodesResponse.FromString(body).nodes_info
    except DecodeError as error:
        raise DataError("the SuperLink's answer is no list of its nodes") from error
    return [
        Known(
            str(one.node_id),
            one.name,
            one.public_key,
            one.status == UNREGISTERED,
            one.status,
            one.last_activated_at,
        )
        for one in nodes
    ]


def unpack_distances(content: RecordDict) -> dict[str, float]:
    """The inverse of `pack_distances`.

    Raises:
        UploadError: no such record, or a number that is no distance.
    """
    text = str(_config(content, "distances").get("json", ""))
    try:
        found = {name: float(far) for name, far in from_json(text).items()}
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise UploadError(f"distances that do not fit: {error!s:.300}", "counts") from error
    if not all(0 <= far < math.inf for far in found.values()):
        raise UploadError(f"distances that are none: {text[:80]!a}", "counts")
    return found


def _whole(number: object) -> int:
    if type(number) is not int:
        raise ValueError(f"{number!a:.80} is no number of images or patches")
    return number


def _patches(counts: Mapping[str, int]) -> Counter[str]:
    found = Counter({site: _whole(patches) for site, patches in counts.items()})
    if any(patches < 0 for patches in found.values()):
        raise ValueError(f"a negative number of patches: {found}")
    return found


def save(path: Path, content: RecordDict, **about: str) -> str:
    """Write what travels as one checked file, with what it is `about`; return its sha256."""
    tensors = {
        f"{record}/{name}": _array(array)
        for record, arrays in content.array_records.items()
        for name, array in arrays.items()
    }
    rest = {
        "arrays": list(content.array_records),
        "config": {name: dict(record) for name, record in content.config_records.items()},
        "metrics": {name: dict(record) for name, record in content.metric_records.items()},
    }
    return save_tensors(path, tensors, {**about, "content": json.dumps(rest)})


def load(path: Path) -> tuple[RecordDict, dict[str, str]]:
    """What `save` wrote: the content, and what it is about.

    Raises:
        DataError: no such file, or not whole: the message names it.
    """
    try:
        tensors, about = load_tensors(path)
        rest = from_json(about.pop("content"))
    except (OSError, SafetensorError, UploadError, KeyError, ValueError) as error:
        raise DataError(f"{path}: not a whole message ({error})") from error
    arrays: dict[str, dict[str, np.ndarray]] = {name: {} for name in rest["arrays"]}
    for key, tensor in tensors.items():
        record, _, name = key.partition("/")
        arrays[record][name] = tensor
    records: dict[str, ArrayRecord | ConfigRecord | MetricRecord] = {
        **{name: _arrays(held) for name, held in arrays.items()},
        **{name: ConfigRecord(held) for name, held in rest["config"].items()},
        **{name: MetricRecord(held) for name, held in rest["metrics"].items()},
    }
    return RecordDict(records), about


def pack_probe(features: np.ndarray) -> ArrayRecord:
    """What a site's network made of the drawn images of the handshake."""
    return _arrays({"features": features})


def unpack_probe(content: RecordDict) -> np.ndarray:
    """The inverse of `pack_probe`.

    Raises:
        UploadError: no such record, or no such array.
    """
    features = _numpy(content, "probe")["features"]
    if features.dtype != np.float32:
        raise UploadError(f"a probe of {features.dtype}", "kind")
    return features


def bind(
    content: RecordDict, site: str, run: str, stage: str, uploads: Sequence[type[Payload]] = ()
) -> None:
    """Bind a reply to the site and the run that it is of; see `fedad/messages/envelope.py`.

    Args:
        uploads: what goes up in each round of the method.
    """
    fields = envelope.fields_of(stage, uploads)
    envelope.check_fields({**content, SITE: dict.fromkeys(envelope.BOND, "")}, fields, stage)
    content[SITE] = ConfigRecord({**envelope.bond(content, site, run, stage)})


def sizes(content: RecordDict) -> dict[str, int]:
    """Bytes of each serialised record, before it is deflated for transport."""
    return {name: record.count_bytes() for name, record in content.items()}


def _pack_counts(name: str, counts: Counts) -> dict[str, ArrayRecord | ConfigRecord]:
    header, arrays = evaluation.pack(counts)
    return {name: _arrays(arrays), f"{name}-header": ConfigRecord({"json": json.dumps(header)})}


def _unpack_counts(content: RecordDict, name: str) -> Counts:
    try:
        header = from_json(str(_config(content, f"{name}-header")["json"]))
        return evaluation.unpack(header, _numpy(content, name))
    except UploadError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UploadError(f"counts that do not fit: {error!s:.300}", "header") from error


def _arrays(tensors: Mapping[str, np.ndarray]) -> ArrayRecord:
    return ArrayRecord({name: Array(np.ascontiguousarray(t)) for name, t in tensors.items()})


def _numpy(content: RecordDict, name: str) -> dict[str, np.ndarray]:
    if name not in content.array_records:
        raise UploadError(f"a message without the record {name!r}", "fields")
    if (count := len(content.array_records[name])) > MOST_ARRAYS:  # before any of them is made
        raise UploadError(f"a record {name!r} of {count:,} arrays", "fields")
    return {key: _array(array) for key, array in content.array_records[name].items()}


def _array(array: Array) -> np.ndarray:
    if array.stype != STYPE:
        raise UploadError(f"an array serialised as {array.stype!a:.80}, expected {STYPE}", "kind")
    return array_bytes.read(array.data, array.dtype, array.shape)


def _config(content: RecordDict, name: str) -> ConfigRecord:
    if name not in content.config_records:
        raise UploadError(f"a message without the record {name!r}", "fields")
    return content.config_records[name]
