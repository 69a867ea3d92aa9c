"""Banks and counts <-> Flower records. The only file of fedad that knows Flower."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict

from fedad import bank_file, metrics
from fedad.errors import UploadError
from fedad.metrics import Counts
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


def pack_counts(counts: Counts) -> RecordDict:
    """Counts as two records: sparse arrays and a JSON header."""
    header, arrays = metrics.pack(counts)
    return RecordDict(
        {"counts": _arrays(arrays), "counts-header": ConfigRecord({"json": json.dumps(header)})}
    )


def unpack_counts(content: RecordDict) -> Counts:
    """The inverse of `pack_counts`."""
    header = json.loads(str(_config(content, "counts-header")["json"]))
    return metrics.unpack(header, _numpy(content, "counts"))


def sizes(content: RecordDict) -> dict[str, int]:
    """Bytes of each serialised record, before it is deflated for transport."""
    return {name: record.count_bytes() for name, record in content.items()}


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
