"""A payload on disk: one safetensors file, whose header carries a sha256 over all of it.

A file that was cut short or changed is refused. Beside the payload the header may say what it is
`about`, such as the method that it belongs to.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes

from fedad.errors import DataError, UploadError
from fedad.messages.payload import Header, Payload, Tensors
from fedad.plumbing.files import write_atomic
from fedad.plumbing.tensor_files import check_tensors

P = TypeVar("P", bound=Payload)
METHOD = "method"  # what a model's file is about: the method that scores with it
READING = "reading"  # and how the image files were read, where it was not as usual
LISTING = "listing"  # a digest of the images that it was learned from, at the site alone
WHOLE = "sha256"


def save(path: Path, payload: Payload, *, private: bool = False, **about: str) -> str:
    """Write a payload atomically, and return its sha256; `private` keeps what stays."""
    tensors, header = payload.pack(private=private)
    return save_tensors(path, tensors, {**header, **about})


def load(path: Path, kind: type[P]) -> P:
    """Read what `save` wrote, with what stays if it is there.

    Raises:
        DataError: no such file, not a payload of this kind, or not whole: the message names it.
    """
    name = kind.record()
    if not path.is_file():
        raise DataError(f"{path}: there is no such file, expected a {name} (.safetensors)")
    try:
        tensors, header = load_tensors(path)
        for told in (METHOD, READING, LISTING):
            header.pop(told, None)
        return kind.unpack(tensors, header, private=True)
    except (OSError, SafetensorError, ValueError) as error:
        raise DataError(f"{path}: not a whole {name} ({error})") from error


def about(path: Path) -> dict[str, str]:
    """What the header of a file of tensors says, without reading the tensors.

    Raises:
        DataError: no such file, or another kind of file.
    """
    try:
        check_tensors(path)
        with safe_open(path, framework="numpy") as file:
            return dict(file.metadata() or {})
    except (OSError, SafetensorError, ValueError) as error:
        raise DataError(f"{path}: not a whole file of tensors ({error})") from error


def checksum(path: Path) -> str:
    """The sha256 that a file says it has; only reading all of it tells whether that is true."""
    return about(path).get(WHOLE, "")


def save_tensors(path: Path, tensors: Mapping[str, np.ndarray], header: Mapping[str, str]) -> str:
    """Write tensors and a header of text atomically, with a sha256 over all, which is returned."""
    digest = _digest(tensors, header)
    whole = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    write_atomic(path, to_bytes(whole, {**header, WHOLE: digest}))
    return digest


def load_tensors(path: Path) -> tuple[Tensors, Header]:
    """Read what `save_tensors` wrote.

    Raises:
        OSError, SafetensorError, ValueError: no such file, another kind of file, or not whole.
    """
    check_tensors(path)
    with safe_open(path, framework="numpy") as file:
        header = dict(file.metadata() or {})
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    expected = header.pop(WHOLE, "")
    if _digest(tensors, header) != expected:
        raise UploadError("its checksum does not fit: was it changed or cut short?", "altered")
    return tensors, header


def _digest(tensors: Mapping[str, np.ndarray], header: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(dict(header), sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = np.ascontiguousarray(tensors[name])
        digest.update(f"{name} {tensor.shape} {tensor.dtype}".encode())
        digest.update(tensor.tobytes())
    return digest.hexdigest()
