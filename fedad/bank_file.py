"""A bank <-> named tensors and a header of text: what is written to disk and what travels.

On disk it is one safetensors file; its header carries the schema version and a sha256 over all of
it, so that a file that was cut short or changed is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from fedad.errors import DataError, UploadError
from fedad.files import write_atomic
from fedad.types import Bank, Fingerprint

SCHEMA = "1"
COLUMNS = ("category", "site", "row")
TABLES = ("images", "patches")

Tensors = dict[str, np.ndarray]
Header = dict[str, str]


def pack(bank: Bank) -> tuple[Tensors, Header]:
    """The bank's public parts; the column `source` is left to the caller."""
    header = {
        "schema": SCHEMA,
        "dtype": bank.dtype,
        "scope": bank.scope,
        "categories": json.dumps(bank.categories),
        "sites": json.dumps(bank.sites),
        "fingerprint": json.dumps(asdict(bank.fingerprint)),
    }
    columns = {name: getattr(bank, name) for name in (*COLUMNS, *TABLES)}
    tensors = {"rows": bank.rows.astype(bank.dtype), **columns}
    return {name: np.ascontiguousarray(t) for name, t in tensors.items()}, header


def unpack(tensors: Mapping[str, np.ndarray], header: Mapping[str, str]) -> Bank:
    """The bank that `pack` was given, rows as float32.

    Raises:
        UploadError: another schema, a tensor that is missing or does not fit, values that are not
            finite, or numbers that point nowhere. The message says which.
    """
    if header.get("schema") != SCHEMA:
        raise UploadError(
            f"a bank of schema {header.get('schema')!r}, expected {SCHEMA!r}: "
            "was it made by another version of fedad?"
        )
    if missing := [n for n in ("rows", *COLUMNS, *TABLES) if n not in tensors]:
        raise UploadError(f"a bank without {', '.join(missing)}")
    try:
        bank = Bank(
            rows=tensors["rows"].astype(np.float32),
            **{name: tensors[name].astype(np.int32) for name in COLUMNS},
            **{name: tensors[name].astype(np.int64) for name in TABLES},
            categories=_names(header["categories"]),
            sites=_names(header["sites"]),
            fingerprint=Fingerprint(**json.loads(header["fingerprint"])),
            dtype=header["dtype"],
            scope=header["scope"],
            source=tensors.get("source", np.empty(0, np.int64)),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UploadError(f"a bank whose parts do not fit: {error}") from error
    _check(bank)
    return bank


def save_bank(path: Path, bank: Bank, *, private: bool = False) -> str:
    """Write a bank atomically and return its sha256; `private` keeps the column `source`."""
    tensors, header = pack(bank)
    if private and len(bank.source):
        tensors["source"] = bank.source
    digest = _digest(tensors, header)
    write_atomic(path, save(tensors, {**header, "sha256": digest}))
    return digest


def load_bank(path: Path) -> Bank:
    """Read what `save_bank` wrote.

    Raises:
        DataError: no such file, not a bank, or not whole: the message names it.
    """
    if not path.is_file():
        raise DataError(f"{path}: there is no such file, expected a bank (.safetensors)")
    try:
        with safe_open(path, framework="numpy") as file:
            header = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        expected = header.pop("sha256", "")
        if _digest(tensors, header) != expected:
            raise UploadError("its checksum does not fit: was it changed or cut short?")
        return unpack(tensors, header)
    except (OSError, SafetensorError, UploadError) as error:
        raise DataError(f"{path}: not a whole bank ({error})") from error


def _digest(tensors: Mapping[str, np.ndarray], header: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(dict(header), sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = np.ascontiguousarray(tensors[name])
        digest.update(f"{name} {tensor.shape} {tensor.dtype}".encode())
        digest.update(tensor.tobytes())
    return digest.hexdigest()


def _names(text: str) -> tuple[str, ...]:
    names = json.loads(text)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UploadError(f"expected a list of names, got {text[:80]!r}")
    return tuple(names)


def _check(bank: Bank) -> None:
    if not np.isfinite(bank.rows).all():
        bad = int(np.flatnonzero(~np.isfinite(bank.rows).all(axis=1))[0])
        raise UploadError(
            f"row {bad} of the bank of {', '.join(bank.sites)} holds NaN or infinity: "
            "is the backbone or the mechanism at that site broken?"
        )
    for name, column, names in (
        ("category", bank.category, bank.categories),
        ("site", bank.site, bank.sites),
    ):
        if len(column) and not 0 <= column.min() <= column.max() < len(names):
            raise UploadError(f"a bank whose column {name!r} points beyond its {len(names)} names")
    if bank.images.min(initial=0) < 0 or bank.patches.min(initial=0) < 0:
        raise UploadError("a bank that stands for a negative number of images")
