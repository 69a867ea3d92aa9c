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
from fedad.files import is_name, write_atomic
from fedad.types import Bank, Fingerprint

SCHEMA = "1"
COLUMNS = ("category", "site", "row")
TABLES = ("images", "patches")
KINDS: dict[str, tuple[tuple[str, ...], int]] = {  # tensor -> what it may be made of, dimensions
    "rows": (("float32", "float16"), 2),
    **dict.fromkeys(COLUMNS, (("int32",), 1)),
    **dict.fromkeys(TABLES, (("int64",), 2)),
    "source": (("int64",), 1),
}
MOST_IMAGES = 2**48  # behind a bank, or patches: sums over sites stay far from overflow
LARGEST = 1e4  # of a feature; no network comes near it, and sums of squares stay far from overflow

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
            f"a bank of schema {header.get('schema')!a:.80}, expected {SCHEMA!r}: "
            "was it made by another version of fedad?",
            "schema",
        )
    _check_kinds(tensors, header)
    try:
        bank = Bank(
            rows=tensors["rows"].astype(np.float32),
            **{name: tensors[name] for name in (*COLUMNS, *TABLES)},
            categories=_names(header["categories"]),
            sites=_names(header["sites"]),
            fingerprint=read_fingerprint(header["fingerprint"]),
            dtype=header["dtype"],
            scope=header["scope"],
            source=tensors.get("source", np.empty(0, np.int64)),
            radius=float(header.get("radius", "nan")),
        )
    except UploadError:
        raise
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise UploadError(f"a bank whose parts do not fit: {error!s:.300}", "shape") from error
    _check(bank)
    return bank


def save_bank(path: Path, bank: Bank, *, private: bool = False) -> str:
    """Write a bank atomically and return its sha256; `private` keeps `source` and `radius`."""
    tensors, header = pack(bank)
    if private and len(bank.source):
        tensors["source"] = bank.source
        header["radius"] = repr(bank.radius)
    return save_tensors(path, tensors, header)


def save_tensors(path: Path, tensors: Mapping[str, np.ndarray], header: Mapping[str, str]) -> str:
    """Write tensors and a header of text atomically, with a sha256 over all, which is returned."""
    digest = _digest(tensors, header)
    whole = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    write_atomic(path, save(whole, {**header, "sha256": digest}))
    return digest


def load_bank(path: Path) -> Bank:
    """Read what `save_bank` wrote.

    Raises:
        DataError: no such file, not a bank, or not whole: the message names it.
    """
    if not path.is_file():
        raise DataError(f"{path}: there is no such file, expected a bank (.safetensors)")
    try:
        return unpack(*load_tensors(path))
    except (OSError, SafetensorError, UploadError) as error:
        raise DataError(f"{path}: not a whole bank ({error})") from error


def load_tensors(path: Path) -> tuple[Tensors, Header]:
    """Read what `save_tensors` wrote.

    Raises:
        OSError, SafetensorError, UploadError: no such file, another kind of file, or not whole.
    """
    with safe_open(path, framework="numpy") as file:
        header = dict(file.metadata() or {})
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    expected = header.pop("sha256", "")
    if _digest(tensors, header) != expected:
        raise UploadError("its checksum does not fit: was it changed or cut short?", "altered")
    return tensors, header


def checksum(path: Path) -> str:
    """The sha256 that a file says it has; whether it is true only reading it all tells."""
    try:
        with safe_open(path, framework="numpy") as file:
            return str((file.metadata() or {}).get("sha256", ""))
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path}: not a whole file of tensors ({error})") from error


def _digest(tensors: Mapping[str, np.ndarray], header: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(dict(header), sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = np.ascontiguousarray(tensors[name])
        digest.update(f"{name} {tensor.shape} {tensor.dtype}".encode())
        digest.update(tensor.tobytes())
    return digest.hexdigest()


def _names(text: str) -> tuple[str, ...]:
    names = json.loads(text)
    if not isinstance(names, list) or not all(
        isinstance(name, str) and is_name(name) for name in names
    ):
        raise UploadError(f"expected a list of names fit for files, got {text[:80]!a}", "names")
    if len(set(names)) < len(names):
        raise UploadError(f"a name stands twice in {text[:80]!a}", "names")
    return tuple(names)


def _check(bank: Bank) -> None:
    if not np.isfinite(bank.rows).all():
        bad = int(np.flatnonzero(~np.isfinite(bank.rows).all(axis=1))[0])
        raise UploadError(
            f"row {bad} of the bank of {', '.join(bank.sites)} holds NaN or infinity: "
            "is the backbone or the mechanism at that site broken?",
            "finite",
        )
    largest = max(float(bank.rows.max(initial=0)), -float(bank.rows.min(initial=0)))
    if largest > LARGEST:
        raise UploadError(
            f"the bank of {', '.join(bank.sites)} holds the value {largest:.3g}, expected features "
            f"up to {LARGEST:g}: is the backbone or the mechanism at that site broken?",
            "norm",
        )
    for name, column, names in (
        ("category", bank.category, bank.categories),
        ("site", bank.site, bank.sites),
    ):
        if len(column) and not 0 <= column.min() <= column.max() < len(names):
            raise UploadError(
                f"a bank whose column {name!r} points beyond its {len(names)} names", "column"
            )
    if bank.row.min(initial=0) < 0:
        raise UploadError("a bank with a negative row number", "column")
    counts = np.concatenate([bank.images.ravel(), bank.patches.ravel()])
    if counts.min(initial=0) < 0 or counts.max(initial=0) > MOST_IMAGES:
        raise UploadError(
            "a bank that stands for a negative number of images, or for too many", "counts"
        )


def _check_kinds(tensors: Mapping[str, np.ndarray], header: Mapping[str, str]) -> None:
    """Names, kinds and dimensions, before anything is converted."""
    if missing := [name for name in ("rows", *COLUMNS, *TABLES) if name not in tensors]:
        raise UploadError(f"a bank without {', '.join(missing)}", "fields")
    for name, tensor in tensors.items():
        dtypes, dimensions = KINDS.get(name, ((), 0))
        if tensor.dtype not in dtypes or tensor.ndim != dimensions:
            expected = (
                f"{' or '.join(dtypes)} of {dimensions}" if dtypes else "nothing of that name"
            )
            raise UploadError(
                f"a bank whose {name!a:.80} is {tensor.dtype} of {tensor.ndim} dimensions, "
                f"expected {expected}",
                "kind",
            )
    for name, values in (("dtype", ("float32", "float16")), ("scope", ("category", "mixed"))):
        if header.get(name) not in values:
            raise UploadError(
                f"a bank whose {name} is {header.get(name)!a:.80}, expected {values}", "header"
            )
    if (kind := tensors["rows"].dtype.name) != header["dtype"]:
        raise UploadError(f"a bank said to be {header['dtype']} whose rows are {kind}", "kind")


def read_fingerprint(text: str) -> Fingerprint:
    """The inverse of a fingerprint's JSON.

    Raises:
        UploadError, ValueError, TypeError: not one, or fields of another type.
    """
    mark = Fingerprint(**json.loads(text))
    kinds = {
        name: type(value) for name, value in vars(Fingerprint("", "", "", "", 0, 0, "")).items()
    }
    if wrong := [name for name, value in vars(mark).items() if type(value) is not kinds[name]]:
        raise UploadError(
            f"a fingerprint whose {wrong[0]} is no {kinds[wrong[0]].__name__}", "header"
        )
    return mark
