"""What travels between a site and the server: frozen dataclasses whose annotations are the schema.

    @dataclass(frozen=True, eq=False, kw_only=True)
    class Memory(Payload):
        rows: Annotated[np.ndarray, Array("M D", FLOATS)]            # rounded to wire.dtype
        sizes: Annotated[np.ndarray, Array("M", ("int64",), least=0, most=COUNTS)]
        images: Annotated[int, Number(0, COUNTS)]
        momentum: Annotated[np.ndarray, Array("M D", FLOATS, stays=True)]  # never leaves
        categories: Annotated[tuple[str, ...], Names("C")]
        sites: Annotated[tuple[str, ...], Names("S")]
        fingerprint: Fingerprint
        dtype: Dtype = "float32"

Packing, unpacking, the file format, the list of fields that a server lets in and the checks of
their form all read this one declaration. A size has one name in all fields of a message: `D` is
always the number of features a patch. A field that `stays` never leaves the machine that made it:
at a site it is the site's own, at the server what the next merge needs.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, get_args, get_origin

import numpy as np

from fedad.errors import ConfigError, MismatchError, UploadError
from fedad.messages import coded
from fedad.messages.schema import (
    FLOATS,
    Array,
    Number,
    Perhaps,
    default_of,
    read_array,
    read_fact,
    sizes_of,
    slots,
)

SCHEMA = "1"

Tensors = dict[str, np.ndarray]
Header = dict[str, str]


@dataclass(frozen=True, eq=False, kw_only=True)
class Payload:
    """The base of all that travels; see the module. Subclasses add fields, and laws of their own
    in `check`."""

    SCHEMA: ClassVar[str] = SCHEMA

    if TYPE_CHECKING:  # every subclass declares these, with its own annotations
        sites: Any
        categories: Any
        fingerprint: Any

    @classmethod
    def record(cls) -> str:
        """The name of the record that holds its arrays in a message."""
        return cls.__name__.lower()

    @classmethod
    def travelling(cls) -> dict[str, tuple[str, ...]]:
        """Record -> fields of a message that holds one; nothing that stays."""
        open_ = {name: slot for name, slot in slots(cls).items() if not slot.stays}
        arrays = tuple(
            Perhaps(name) if slot.optional else name
            for name, slot in open_.items()
            if isinstance(slot.kind, Array)
        )
        texts = tuple(name for name in open_ if name not in arrays)
        return {cls.record(): arrays, "header": ("schema", *texts)}

    def check(self) -> None:
        """Laws between fields that no annotation states, of a message that came.

        Raises:
            UploadError: naming what does not fit.
        """

    def stands_for(self) -> set[tuple[str, str]]:
        """(site, category) of the images behind it; no two uploads may share a pair."""
        return {(site, category) for site in self.sites for category in self.categories}

    def replace(self, **changed: Any) -> Self:
        """A copy with these fields changed."""
        return replace(self, **changed)

    def sealed(self, site: str, dtype: str) -> Self:
        """It as it may travel in the name of `site`: floats rounded once to `dtype` (which must
        hold them), and nothing that stays.

        Raises:
            ValueError: a float that is not finite in `dtype`.
        """
        closed = {n: default_of(s.field) for n, s in slots(type(self)).items() if s.stays}
        return replace(self.rounded(dtype), sites=(site,), **closed)

    def rounded(self, dtype: str) -> Self:
        """It with the floats of its arrays rounded to `dtype`, which must hold them.

        Raises:
            ValueError: a float that is not finite in `dtype`.
            ConfigError: floats that are not declared to travel as `dtype`.
        """
        changed: dict[str, Any] = {
            name: _rounded(name, getattr(self, name), dtype)
            for name, slot in slots(type(self)).items()
            if isinstance(slot.kind, Array) and slot.kind.kinds == FLOATS and not slot.stays
        }
        if not changed:
            return self
        self._check_travels_as(dtype)
        return replace(self, **{**changed, "dtype": dtype})

    def _check_travels_as(self, dtype: str) -> None:
        slot = slots(type(self)).get("dtype")
        if slot and get_origin(slot.type) is Literal and dtype not in get_args(slot.type):
            raise ConfigError(
                f"wire.dtype = {dtype!r}: a {self.record()} travels as "
                f"{' or '.join(get_args(slot.type))}"
            )

    def with_own(self, sealed: Self) -> Self:
        """`sealed`, which was made from this one, and what of this one stays."""
        own = {n: getattr(self, n) for n, slot in slots(type(self)).items() if slot.stays}
        return replace(sealed, **own)

    def pack(self, *, private: bool = False) -> tuple[Tensors, Header]:
        """Named tensors and a header of text; `private` includes what stays."""
        tensors: Tensors = {}
        header: Header = {"schema": self.SCHEMA}
        for name, slot in slots(type(self)).items():
            value = getattr(self, name)
            if (slot.stays and not private) or not (slot.needed or _is_there(value)):
                continue
            if isinstance(slot.kind, Array):
                kinds = slot.kind.kinds
                tensors[name] = (
                    coded.packed(value, getattr(self, "dtype", kinds[0]))
                    if kinds == FLOATS
                    else np.ascontiguousarray(value.astype(kinds[0], copy=False))
                )
            else:
                header[name] = _text(value)
        return tensors, header

    @classmethod
    def unpack(
        cls,
        tensors: Mapping[str, np.ndarray],
        header: Mapping[str, str],
        *,
        private: bool = False,
        sizes: Mapping[str, int] | None = None,
    ) -> Self:
        """The inverse of `pack`, checked field by field before anything is made of it.

        Args:
            private: whether what stays may be there.
            sizes: those that are known, by their names, such as {"D": 152}.

        Raises:
            UploadError: by its word: `schema`; `fields` too many or too few; `kind`, `shape` or
                `range` of an array; values that are not `finite`; a `column` that numbers nothing;
                `names` or a `header` that do not fit. The message says which field.
        """
        if header.get("schema") != cls.SCHEMA:
            raise UploadError(
                f"a {cls.record()} of schema {header.get('schema')!a:.80}, expected "
                f"{cls.SCHEMA!r}: was it made by another version of fedad?",
                "schema",
            )
        there = {*tensors, *header}
        wanted = {
            name: slot
            for name, slot in slots(cls).items()
            if slot.needed or (name in there and (private or not slot.stays))
        }
        if differing := sorted({*wanted, "schema"} ^ there):
            told = "not taken" if differing[0] in there else "missing"
            raise UploadError(f"{cls.record()}/{differing[0]!a:.80} is {told}", "fields")
        facts = {
            name: read_fact(f"{cls.record()}/{name}", slot, header.get(name))
            for name, slot in wanted.items()
            if not isinstance(slot.kind, Array)
        }
        known = {**(sizes or {}), **sizes_of(wanted, facts)}
        arrays = {
            name: read_array(f"{cls.record()}/{name}", slot.kind, tensors.get(name), facts, known)
            for name, slot in wanted.items()
            if isinstance(slot.kind, Array)
        }
        made = cls(**arrays, **facts)
        made.check()
        return made


def check_alike(uploads: Sequence[Payload]) -> None:
    """Refuse to merge what does not mix, whatever the method.

    Raises:
        MismatchError: payloads of two kinds, backbones or sizes, with facts that must agree and do
            not, or two of one site and category, whose images would count twice.
    """
    first, seen = uploads[0], set[tuple[str, str]]()
    for one in uploads:
        mixing = f"{first.record()}s of {first.sites[0]} and {one.sites[0]} do not mix"
        if type(one) is not type(first):
            raise MismatchError(
                f"a {first.record()} of {first.sites[0]} and a {one.record()} of {one.sites[0]} do "
                "not mix: do both sites use one method?"
            )
        if differing := first.fingerprint.differences(one.fingerprint):
            raise MismatchError(
                f"{mixing} ({'; '.join(differing)}): was one embedded by another backbone, or with "
                "other weights or layers?"
            )
        for what, ours, theirs in _must_agree(first, one):
            if ours != theirs:
                raise MismatchError(
                    f"{mixing} ({what}: {ours} and {theirs}): do both sites use one configuration?"
                )
        if twice := sorted(seen & one.stands_for()):
            raise MismatchError(f"site {twice[0][0]!r} comes twice: a site uploads once")
        seen |= one.stands_for()


def _is_there(value: Any) -> bool:
    """Whether what may stay away is there: an array with values, a number."""
    return bool(value.size) if isinstance(value, np.ndarray) else not math.isnan(value)


def _rounded(name: str, values: np.ndarray, dtype: str) -> np.ndarray:
    largest = float(np.abs(values).max(initial=0))
    most = coded.largest(dtype)
    if not largest <= most:
        raise ValueError(
            f"{name}: a value is not finite in {dtype}: the largest is {largest:.3g}, and {dtype} "
            f"ends at {most:.6g}"
        )
    return coded.rounded(values, dtype)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(asdict(value) if is_dataclass(value) else value)  # type: ignore[arg-type]


def _must_agree(one: Payload, other: Payload) -> Iterable[tuple[str, Any, Any]]:
    """What two uploads must have in common: the features a patch, and facts that are `alike`."""
    widths = [_width(payload) for payload in (one, other)]
    yield "features", widths[0], widths[1]
    for name, slot in slots(type(one)).items():
        alike = isinstance(slot.kind, Number) and slot.kind.alike
        if alike or get_origin(slot.type) is Literal:
            yield name, getattr(one, name), getattr(other, name)


def _width(payload: Payload) -> int | None:
    """D, where a travelling array has it."""
    for name, slot in slots(type(payload)).items():
        if isinstance(slot.kind, Array) and not slot.stays and "D" in slot.kind.shape.split():
            return int(getattr(payload, name).shape[slot.kind.shape.split().index("D")])
    return None
