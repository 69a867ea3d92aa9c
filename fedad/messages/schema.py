"""What a field of a payload may hold, and how it is read from a message; see `payload.py`.

Everything here is checked before anything is made of it, and what is wrong has a word:
`kind`, `shape`, `finite`, `range`, `column`, `names` or `header`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

import numpy as np

from fedad.errors import UploadError
from fedad.messages.coded import CODED, unpacked
from fedad.plumbing.files import is_name
from fedad.plumbing.parse import from_json

LARGEST = 1e4  # of a feature or a weight: sums of squares stay far from overflow
COUNTS = 2**48  # of images or patches: sums over sites stay far from overflow
FLOATS = ("float32", "float16", CODED)  # float32 in memory, `wire.dtype` on the wire
Dtype = Literal["float32", "float16", "int8"]  # what the floats of a payload were rounded to
DOUBLES = ("float64",)  # on the wire too, whatever `wire.dtype` is
COMMON = ("sites", "categories", "fingerprint")  # fields that every payload has


@dataclass(frozen=True)
class Array:
    """What an array field may hold.

    Args:
        shape: the name of the size of each dimension, such as "M D".
        kinds: dtypes that may travel; arrays in memory have the first one.
        least, most: the range of its values, which are finite.
        into: the field of names that the values number.
        stays: it never leaves; it may then be empty.
        optional: it is left out of messages and files where it is empty, and read as its default.
    """

    shape: str
    kinds: tuple[str, ...]
    least: float = -LARGEST
    most: float = LARGEST
    into: str = ""
    stays: bool = False
    optional: bool = False


@dataclass(frozen=True)
class Names:
    """A tuple of different names that may be files'; `size` is what their number is called."""

    size: str = ""


@dataclass(frozen=True)
class Number:
    """An int or a float from `least` to `most`; `alike` if uploads that differ do not mix."""

    least: float = -math.inf
    most: float = math.inf
    alike: bool = False
    stays: bool = False


Kind = Array | Names | Number | None  # None: a text of a Literal, or a dataclass


class Perhaps(str):
    """The name of a field that a message may be without."""


class Slot(NamedTuple):
    """A field of a payload: its plain type and what its annotation says."""

    type: Any
    kind: Kind
    field: Field[Any]

    @property
    def stays(self) -> bool:
        return isinstance(self.kind, Array | Number) and self.kind.stays

    @property
    def optional(self) -> bool:
        return isinstance(self.kind, Array) and self.kind.optional

    @property
    def needed(self) -> bool:
        """Whether every message has it."""
        return not (self.stays or self.optional)


_KNOWN: dict[type, dict[str, Slot]] = {}


def slots(cls: type) -> dict[str, Slot]:
    """The fields of a payload, in their order, by name.

    Raises:
        TypeError: a field that no rule is known for, or a common field that is missing.
    """
    if cls not in _KNOWN:
        _KNOWN[cls] = _slots(cls)
    return _KNOWN[cls]


def default_of(one: Field[Any]) -> Any:
    return one.default if one.default_factory is MISSING else one.default_factory()


def sizes_of(wanted: Mapping[str, Slot], facts: Mapping[str, Any]) -> dict[str, int]:
    """The sizes that the number of names gives."""
    return {
        slot.kind.size: len(facts[name])
        for name, slot in wanted.items()
        if isinstance(slot.kind, Names) and slot.kind.size
    }


def read_array(
    name: str,
    kind: Array,
    tensor: np.ndarray | None,
    facts: Mapping[str, Any],
    sizes: dict[str, int],
) -> np.ndarray:
    letters = kind.shape.split()
    if tensor is None or tensor.dtype.name not in kind.kinds or tensor.ndim != len(letters):
        got = "a text" if tensor is None else f"{tensor.dtype} of {tensor.ndim} dimensions"
        raise UploadError(
            f"{name} is {got}, expected {' or '.join(kind.kinds)} of {len(letters)}", "kind"
        )
    if kind.kinds == FLOATS and tensor.dtype.name != facts["dtype"]:
        raise UploadError(f"{name} is {tensor.dtype}, its header says {facts['dtype']}", "kind")
    if kind.kinds == FLOATS and facts["dtype"] == CODED:
        tensor = unpacked(name, tensor)
    for letter, size in zip(letters, tensor.shape, strict=True):
        if sizes.setdefault(letter, size) != size:
            raise UploadError(f"{name}: {letter} is {size}, expected {sizes[letter]}", "shape")
    _check_values(name, kind, tensor, facts)
    return tensor.astype(kind.kinds[0], copy=False)


def _check_values(name: str, kind: Array, tensor: np.ndarray, facts: Mapping[str, Any]) -> None:
    if not tensor.size:
        return
    low, high = float(tensor.min()), float(tensor.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        at = np.argwhere(~np.isfinite(tensor))[0].tolist()
        raise UploadError(
            f"{name} holds NaN or infinity at {at}: is the backbone or the mechanism at that site "
            "broken?",
            "finite",
        )
    if kind.into:
        if not 0 <= low <= high < len(facts[kind.into]):
            told = f"{name} points beyond its {len(facts[kind.into])} {kind.into}"
            raise UploadError(told, "column")
    elif not kind.least <= low <= high <= kind.most:
        raise UploadError(
            f"{name} holds values from {low:.3g} to {high:.3g}, expected {kind.least:g} to "
            f"{kind.most:g}",
            "range",
        )


def read_fact(name: str, slot: Slot, text: str | None) -> Any:
    """The value of a field that is no array."""
    if text is None:
        raise UploadError(f"{name} is an array, expected a text", "kind")
    if get_origin(slot.type) is Literal:
        if text not in get_args(slot.type):
            raise UploadError(f"{name} is {text!a:.80}, expected {get_args(slot.type)}", "header")
        return text
    value = _read(name, text)
    if isinstance(slot.kind, Names):
        return _names(name, value, text)
    if isinstance(slot.kind, Number):
        return _number(name, slot.kind, slot.type, value)
    return read_dataclass(name, slot.type, value)


def _read(name: str, text: str) -> Any:
    try:
        return from_json(text)
    except ValueError as error:
        raise UploadError(f"{name} is no JSON: {text!a:.80}", "header") from error


def _names(name: str, value: Any, text: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(n, str) and is_name(n) for n in value):
        raise UploadError(f"{name}: expected names fit for files, got {text!a:.80}", "names")
    if len({*value}) < len(value):
        raise UploadError(f"{name}: a name stands twice in {text!a:.80}", "names")
    return tuple(value)


def _number(name: str, kind: Number, wanted: type, value: Any) -> int | float:
    if type(value) not in ((int, float) if wanted is float else (int,)):
        raise UploadError(f"{name} is no {wanted.__name__}: {value!a:.80}", "header")
    if not (math.isfinite(value) and kind.least <= value <= kind.most):
        raise UploadError(
            f"{name} is {value!a:.80}, expected {kind.least:g} to {kind.most:g}", "range"
        )
    return wanted(value)


def read_dataclass(name: str, kind: Any, value: Any) -> Any:
    """A dataclass of plain fields from the JSON object of its values.

    Raises:
        UploadError: not one, or fields of another type; `name` is what the message calls it.
    """
    hints = get_type_hints(kind)
    if not isinstance(value, dict) or not {*value} <= {*hints}:
        raise UploadError(f"{name} is no {kind.__name__}: {value!a:.80}", "header")
    kinds = {key: get_args(hint) or (hint,) for key, hint in hints.items()}
    if wrong := [key for key, part in value.items() if type(part) not in kinds[key]]:
        wanted = " or ".join(kind.__name__ for kind in kinds[wrong[0]])
        raise UploadError(f"{name}: its {wrong[0]} is no {wanted}", "header")
    try:
        return kind(**value)
    except TypeError as error:
        raise UploadError(f"{name} is no {kind.__name__}: {error!s:.80}", "header") from error


def _slots(cls: type) -> dict[str, Slot]:
    hints = get_type_hints(cls, include_extras=True)
    found = {one.name: _slot(cls, one, hints[one.name]) for one in fields(cls)}
    if missing := [name for name in COMMON if name not in found]:
        raise TypeError(f"{cls.__name__} lacks the field {missing[0]}, which every payload has")
    if any(s.kind.kinds == FLOATS for s in found.values() if isinstance(s.kind, Array)) and (
        "dtype" not in found
    ):
        raise TypeError(f"{cls.__name__} has floats to round, and no field dtype")
    return found


def _slot(cls: type, one: Field[Any], hint: Any) -> Slot:
    plain, *notes = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    kind = next((note for note in notes if isinstance(note, Array | Names | Number)), None)
    fits = {
        Array: plain is np.ndarray,
        Names: plain == tuple[str, ...],
        Number: plain in (int, float),
        type(None): get_origin(plain) is Literal or is_dataclass(plain),
    }
    if not fits[type(kind)]:
        raise TypeError(f"{cls.__name__}.{one.name}: {hint} says not what may travel")
    slot = Slot(plain, kind, one)
    if (slot.stays or slot.optional) and default_of(one) is MISSING:
        away = "stays" if slot.stays else "is optional"
        raise TypeError(f"{cls.__name__}.{one.name} {away}, and has no default for where it is not")
    return slot
