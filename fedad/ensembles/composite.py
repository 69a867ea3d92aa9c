"""A model made of others: each part is a payload of its own kind, and all travel as one array.

The array is a safetensors file in memory: the parts' tensors by `part/field`, and their headers as
one text. A part is read as the kind that the run's method expects, by that kind's own checks.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Self, TypeVar

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as from_bytes
from safetensors.numpy import save as to_bytes

from fedad.errors import UploadError
from fedad.messages.payload import Header, Payload, Tensors
from fedad.messages.schema import Array, Names
from fedad.plumbing.parse import from_json
from fedad.plumbing.tensor_files import check_announced
from fedad.types import Fingerprint

P = TypeVar("P", bound=Payload)
TEXTS = "parts"  # the one text of the file: part -> its header


@dataclass(frozen=True, eq=False, kw_only=True)
class Composite(Payload):
    """Parts by name, in the Z bytes of a file of tensors, and what all of them know of."""

    parts: Annotated[np.ndarray, Array("Z", ("uint8",), least=0, most=255)]
    categories: Annotated[tuple[str, ...], Names("C")]
    sites: Annotated[tuple[str, ...], Names("S")]
    fingerprint: Fingerprint

    def check(self) -> None:
        """Refuse bytes that are no parts."""
        _ = self._opened

    def __len__(self) -> int:
        """How many parts there are."""
        return len(self._opened)

    def has(self, name: str) -> bool:
        """Whether there is such a part."""
        return name in self._opened

    def part(self, name: str, kind: type[P]) -> P:
        """The part of this name, read once and checked as any payload of its kind.

        Raises:
            UploadError: no such part, or not of this kind.
        """
        if name not in self._read:
            if name not in self._opened:
                raise UploadError(f"a model without its part {name!a:.80}", "fields")
            tensors, header = self._opened[name]
            self._read[name] = kind.unpack(tensors, header)
        found = self._read[name]
        if not isinstance(found, kind):
            raise UploadError(f"the part {name!a:.80} is no {kind.record()}", "fields")
        return found

    def mark(self, name: str) -> str:
        """A digest of a part: what was made with one that has another is made anew."""
        if name not in self._marks:
            tensors, header = self._opened[name]
            digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
            for key in sorted(tensors):
                digest.update(f"{key} {tensors[key].shape} {tensors[key].dtype}".encode())
                digest.update(tensors[key].tobytes())
            self._marks[name] = digest.hexdigest()
        return self._marks[name]

    def sizes(self) -> dict[str, int]:
        """How many bytes the tensors of each part take."""
        return {
            name: sum(tensor.nbytes for tensor in tensors.values())
            for name, (tensors, _) in self._opened.items()
        }

    def with_part(self, name: str, payload: Payload) -> Self:
        """It with a part more, or in place of the one that had the name."""
        opened = {**self._opened, name: payload.pack()}
        return self.replace(parts=_packed(opened), **_about(self, payload))

    def without(self, names: Collection[str]) -> Self:
        """It less the parts of these names."""
        opened = {name: part for name, part in self._opened.items() if name not in names}
        return self.replace(parts=_packed(opened))

    @cached_property
    def _opened(self) -> dict[str, tuple[Tensors, Header]]:
        return _unpacked(self.parts)

    @cached_property
    def _read(self) -> dict[str, Any]:
        return {}

    @cached_property
    def _marks(self) -> dict[str, str]:
        return {}


def composite(before: Composite | None, name: str, payload: Payload) -> Composite:
    """The model so far with a part more; the first part begins one."""
    if before is not None:
        return before.with_part(name, payload)
    return Composite(
        parts=_packed({name: payload.pack()}),
        categories=payload.categories,
        sites=payload.sites,
        fingerprint=payload.fingerprint,
    )


def _about(model: Composite, payload: Payload) -> dict[str, Any]:
    """The names that parts of several rounds know of together."""
    return {
        "categories": tuple(sorted({*model.categories, *payload.categories})),
        "sites": tuple(sorted({*model.sites, *payload.sites})),
    }


def _packed(opened: Mapping[str, tuple[Tensors, Header]]) -> np.ndarray:
    tensors = {
        f"{part}/{name}": np.ascontiguousarray(tensor)
        for part in sorted(opened)
        for name, tensor in sorted(opened[part][0].items())
    }
    texts = {part: opened[part][1] for part in sorted(opened)}
    data = to_bytes(tensors, {TEXTS: json.dumps(texts, sort_keys=True)})
    return np.frombuffer(data, np.uint8)


def _unpacked(parts: np.ndarray) -> dict[str, tuple[Tensors, Header]]:
    """The inverse of `_packed`.

    Raises:
        UploadError: bytes that are none.
    """
    data = parts.tobytes()
    try:
        header = from_json(check_announced(data))
        texts = from_json(header["__metadata__"][TEXTS])
        found: dict[str, tuple[Tensors, Header]] = {part: ({}, texts[part]) for part in texts}
        for key, tensor in from_bytes(data).items():
            part, _, name = key.partition("/")
            found[part][0][name] = tensor
        for _, text in found.values():
            if not all(isinstance(value, str) for value in text.values()):
                raise ValueError("a header that is no text")
    except (SafetensorError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise UploadError(f"a model whose parts cannot be read ({error!s:.200})", "kind") from error
    return found
