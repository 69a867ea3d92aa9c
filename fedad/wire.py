"""Banks and findings <-> Flower records. The only file of fedad that knows Flower."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import astuple

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict

from fedad import bank_file, metrics
from fedad.errors import UploadError
from fedad.findings import Findings
from fedad.metrics import Counts, Decisions
from fedad.types import Bank

SITE = "site"  # the record that says who answers
REFUSAL = "refusal"  # the record of a site that cannot do what it was asked


def pack_bank(bank: Bank) -> RecordDict:
    """A sealed bank as two records: its tensors and its header."""
    tensors, header = bank_file.pack(bank)
    return RecordDict({"bank": _arrays(tensors), "header": ConfigRecord(dict(header))})


def unpack_bank(content: RecordDict) -> Bank:
    """The inverse of `pack_bank`, byte for byte.

    Raises:
        UploadError: records or tensors that are missing or do not fit.
    """
    header = {key: str(value) for key, value in _config(content, "header").items()}
    return bank_file.unpack(_numpy(content, "bank"), header)


def pack_findings(findings: Findings) -> RecordDict:
    """Findings as five records: two of sparse counts with their headers, and the decisions."""
    decisions = {name: astuple(made) for name, made in sorted(findings.decisions.items())}
    told = {"decisions": decisions, "calibrated": dict(sorted(findings.calibrated.items()))}
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
        told = json.loads(str(_config(content, "decisions")["json"]))
        decisions = {str(name): Decisions(*made) for name, made in told["decisions"].items()}
        calibrated = {str(name): int(images) for name, images in told["calibrated"].items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UploadError(f"decisions that do not fit: {error}") from error
    return Findings(
        _unpack_counts(content, "counts"),
        _unpack_counts(content, "replicates"),
        decisions,
        calibrated,
    )


def sizes(content: RecordDict) -> dict[str, int]:
    """Bytes of each serialised record, before it is deflated for transport."""
    return {name: record.count_bytes() for name, record in content.items()}


def _pack_counts(name: str, counts: Counts) -> dict[str, ArrayRecord | ConfigRecord]:
    header, arrays = metrics.pack(counts)
    return {name: _arrays(arrays), f"{name}-header": ConfigRecord({"json": json.dumps(header)})}


def _unpack_counts(content: RecordDict, name: str) -> Counts:
    header = json.loads(str(_config(content, f"{name}-header")["json"]))
    return metrics.unpack(header, _numpy(content, name))


def _arrays(tensors: Mapping[str, np.ndarray]) -> ArrayRecord:
    return ArrayRecord({name: Array(tensor) for name, tensor in tensors.items()})


def _numpy(content: RecordDict, name: str) -> dict[str, np.ndarray]:
    if name not in content.array_records:
        raise UploadError(f"a message without the record {name!r}")
    return {key: array.numpy() for key, array in content.array_records[name].items()}


def _config(content: RecordDict, name: str) -> ConfigRecord:
    if name not in content.config_records:
        raise UploadError(f"a message without the record {name!r}")
    return content.config_records[name]
