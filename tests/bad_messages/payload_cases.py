"""The same mutations for any payload, from its own declaration; and a method's own laws."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from flwr.app import ConfigRecord, RecordDict

from fedad import wire
from fedad.averaging.sums import Sums
from fedad.messages import envelope
from fedad.messages.payload import Payload
from fedad.messages.schema import FLOATS, Array, slots
from fedad.methods.discriminator import Heads
from tests.bad_messages.arrays import FAULTS, plain
from tests.bad_messages.cases import LIAR, OTHER_RUN, Case

NO_TEXTS = {  # what no field of text holds -> the word
    "of two megabytes": ("x" * 2_000_000, "size"),
    "of a list": (["lyon"], "kind"),
    "of bytes": (b"lyon", "kind"),
    "of a number": (1, "kind"),
}
METHODS = {  # how each is tested: its uploads, and knobs that make it quick
    "discriminator": (
        Heads,
        {
            "discriminator.rounds": 2,
            "discriminator.hidden": 8,
            "discriminator.batch": 64,
            "discriminator.epochs": 1,
        },
    ),
    "gaussian": (
        Sums,
        {"gaussian.least-images": 2, "gaussian.block": 4, "gaussian.dimensions": 8},
    ),
    "subspace": (Sums, {"subspace.least-images": 2, "subspace.dimensions": 8}),
}


def cases_of(method: str) -> list[Case]:
    """Everything malformed that a site can send in a round of this method."""
    kind, knobs = METHODS[method]
    stages = [envelope.train_stage(k + 1) for k in range(knobs.get(f"{method}.rounds", 1))]
    return [
        case
        for stage in stages
        for case in (
            *_arrays(kind, stage),
            *_texts(kind, stage),
            *_claims(kind, stage),
            *_bonds(stage),
            *_OWN[method](stage),
        )
    ]


def _arrays(kind: type[Payload], stage: str) -> Iterator[Case]:
    record = kind.record()
    for name, slot in slots(kind).items():
        if not isinstance(slot.kind, Array) or slot.stays:
            continue
        for what, (change, word) in FAULTS.items():
            if what == "of doubles" and slot.kind.kinds == ("float64",):
                continue
            yield Case(f"{record}/{name} {what}", stage, _bytes(record, name, change), word)
        for what, change, word in _numbers(slot.kind):
            yield Case(f"{record}/{name} {what}", stage, _values(record, name, change), word)
        yield Case(f"no {name}", stage, _dropped(record, name), "fields")


def _numbers(kind: Array) -> Iterator[tuple[str, Callable[[np.ndarray], np.ndarray], str]]:
    """Other numbers in a well-formed array."""
    floats = kind.kinds[0].startswith("float")
    for value in (np.nan, np.inf, -np.inf) if floats else ():
        yield f"with {value}", _with_first(value), "finite"
    yield "below its range", _with_first(kind.least * 2 if kind.least else -1), "range"
    yield "above its range", _with_first(kind.most * 2), "range"
    yield "without its last entries", lambda t: t[:-1], "shape"
    yield "of another kind", lambda t: t.astype(_other(kind)), "kind"
    yield "of another dimension", lambda t: t.reshape(-1) if t.ndim > 1 else t[None], "kind"
    yield "of nothing", lambda t: t[:0], "shape"


def _other(kind: Array) -> str:
    if kind.kinds == FLOATS:
        return "float16"  # which may travel, and is not what the header says
    return "float32" if kind.kinds[0] == "float64" else "int32"


def _texts(kind: type[Payload], stage: str) -> Iterator[Case]:
    for name in kind.travelling()["header"]:
        yield Case(f"no header/{name}", stage, _dropped("header", name), "fields")
        for what, (value, word) in NO_TEXTS.items():
            yield Case(f"header/{name} {what}", stage, _set("header", name, value), word)
    yield Case("another schema", stage, _set("header", "schema", "99"), "schema")
    for name in ("categories", "sites", "fingerprint"):
        change = _set("header", name, "[" * 100_000)
        yield Case(f"header/{name} nested deep", stage, change, "header")
    yield Case("a fingerprint of a list", stage, _set("header", "fingerprint", "[1]"), "header")
    yield Case("products twice", stage, _set("header", "categories", '["bolt", "bolt"]'), "names")
    yield Case(
        "a path as a product", stage, _set("header", "categories", '["bolt", "../x"]'), "names"
    )
    yield Case(
        "a product too many", stage, _set("header", "categories", '["a", "b", "c"]'), "shape"
    )


def _claims(kind: type[Payload], stage: str) -> Iterator[Case]:
    """Well formed, and not what this site can have sent."""
    images = _values(kind.record(), "images", _with_first(3))
    yield Case("more images than enrolled", stage, images, "counts")
    none = _values(kind.record(), "images", np.zeros_like)
    yield Case("of no image", stage, none, "counts")
    yield Case("an unknown product", stage, _set("header", "categories", '["bolt", "x"]'), "names")
    yield Case("another site's name", stage, _set("header", "sites", '["graz"]'), "identity")
    yield Case("two sites' names", stage, _set("header", "sites", '["lyon", "graz"]'), "identity")
    yield Case("a fingerprint of other weights", stage, _other_weights, "fingerprint")


def _bonds(stage: str) -> Iterator[Case]:
    other = "train" if stage == "train-2" else "train-2"
    yield Case("of another round", stage, _unchanged, "replay", bound_to=other)
    yield Case("of another run", stage, _of_another_run(stage), "replay", sealed=False)
    yield Case("with a file's path", stage, _more, "fields")
    yield Case("of another method", stage, _renamed, "fields")
    yield Case("without metrics", stage, _dropped("metrics", ""), "fields")


def _heads(stage: str) -> Iterator[Case]:
    def wider(content: RecordDict) -> None:
        for name in ("offset", "gain", "bias", "out"):
            _values("heads", name, lambda t: np.concatenate([t, t], 1))(content)
        _values("heads", "hidden", lambda t: np.concatenate([t, t], 1))(content)

    yield Case("heads of more neurons", stage, wider, "shape")
    for scale in (1e-20, 1e-40):
        tiny = _values(
            "heads", "hidden", lambda t, s=scale: (t.astype(np.float64) * s).astype(np.float32)
        )
        yield Case(f"weights {scale:g} times as large", stage, tiny, "norm")
    square = _values("heads", "adapt", lambda t: t[..., :-1])
    yield Case("an adaptor that is not square", stage, square, "shape")


def _sums(stage: str) -> Iterator[Case]:
    def scaled(factor: float) -> Callable[[RecordDict], None]:
        def change(content: RecordDict) -> None:
            _values("sums", "sums", lambda t: t * factor)(content)
            _values("sums", "products", lambda t: t * factor**2)(content)

        return change

    yield Case("patches 1,000 times as long", stage, scaled(1000.0), "norm")
    for scale in (1e-6, 1e-20, 1e-40, 1e-100):
        yield Case(f"patches {scale:g} times as long", stage, scaled(scale), "norm")

    def finer(content: RecordDict) -> None:
        for name in ("count", "sums", "products"):
            _values(
                "sums", name, lambda t: np.repeat(t // 2 if t.dtype.kind == "i" else t / 2, 2, 1)
            )(content)

    yield Case("twice as many cells, half as full", stage, finer, "shape")
    less = _values("sums", "products", lambda t: -t)
    yield Case("variances below 0", stage, less, "counts")
    fewer = _values("sums", "count", lambda t: t - 1)
    yield Case("a patch less than its images have", stage, fewer, "counts")

    def narrow(content: RecordDict) -> None:
        _values("sums", "sums", lambda t: t[..., :-1])(content)
        size = content["sums"]["sums"].numpy().shape[2]
        _values("sums", "products", lambda t: t[..., : size * (size + 1) // 2])(content)

    yield Case("moments of a dimension less", stage, narrow, "shape")
    other = _set("header", "features", "7")
    yield Case(
        "a triangle of another size",
        stage,
        _values("sums", "products", lambda t: t[..., :-1]),
        "shape",
    )
    yield Case("features that are no number", stage, _set("header", "features", '"7"'), "header")
    yield Case("of so many features", stage, _set("header", "features", "1e9"), "header")
    yield Case("of other features than its probe", stage, other, "shape")


_OWN: dict[str, Callable[[str], Iterator[Case]]] = {
    "discriminator": _heads,
    "gaussian": _sums,
    "subspace": _sums,
}


def _bytes(record: str, name: str, change: Callable[[Any], Any]) -> Callable[[RecordDict], None]:
    def apply(content: RecordDict) -> None:
        content[record][name] = change(content[record][name])

    return apply


def _values(
    record: str, name: str, change: Callable[[np.ndarray], np.ndarray]
) -> Callable[[RecordDict], None]:
    return _bytes(record, name, lambda array: plain(change(array.numpy().copy())))


def _with_first(value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(tensor: np.ndarray) -> np.ndarray:
        tensor.reshape(-1)[0] = value
        return tensor

    return change


def _set(record: str, name: str, value: Any) -> Callable[[RecordDict], None]:
    def apply(content: RecordDict) -> None:
        content[record][name] = value

    return apply


def _dropped(record: str, name: str) -> Callable[[RecordDict], None]:
    def apply(content: RecordDict) -> None:
        del (content[record] if name else content)[name or record]

    return apply


def _other_weights(content: RecordDict) -> None:
    mark = json.loads(content["header"]["fingerprint"])
    content["header"]["fingerprint"] = json.dumps({**mark, "weights": "f" * 64})


def _unchanged(content: RecordDict) -> None:
    pass


def _of_another_run(stage: str) -> Callable[[RecordDict], None]:
    def apply(content: RecordDict) -> None:
        content[wire.SITE] = ConfigRecord({**envelope.bond(content, LIAR, OTHER_RUN, stage)})

    return apply


def _more(content: RecordDict) -> None:
    content["debug"] = ConfigRecord({"path": "/data/secret/0001.png"})


def _renamed(content: RecordDict) -> RecordDict:
    known = {*(kind.record() for kind, _ in METHODS.values())}
    names = {name: "bank" if name in known else name for name in content}
    return RecordDict({names[name]: content[name] for name in content})
