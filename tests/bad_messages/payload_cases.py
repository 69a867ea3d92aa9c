"""The same mutations for any payload, from its own declaration; and a method's own laws."""

from __future__ import annotations

import json
import lzma
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from flwr.app import ConfigRecord, RecordDict

from fedad import wire
from fedad.averaging.counted import Counted
from fedad.averaging.sums import Sums
from fedad.banks.bank import Bank
from fedad.banks.coded import FILTERS, CodedBank
from fedad.config import read
from fedad.ensembles.blocks import BlockSums
from fedad.ensembles.calibrating import ScoreCounts, ScoreSums
from fedad.ensembles.combining import Coefficients, Trees
from fedad.ensembles.selecting import Measures
from fedad.messages import envelope
from fedad.messages.coded import CODED
from fedad.messages.payload import Payload
from fedad.messages.schema import FLOATS, Array, Slot, slots
from fedad.methods._evidence import Evidence
from fedad.methods._experts import Projections, Routes, SiteBank, SiteHeads, Tally, Votes
from fedad.methods._layers import LAYERS
from fedad.methods._memory import Memory
from fedad.methods.base import method_of
from fedad.methods.discriminator import Heads
from fedad.methods.reconpatch import Maps
from tests.bad_messages.arrays import FAULTS, plain
from tests.bad_messages.cases import LIAR, OTHER_RUN, Case

NO_TEXTS = {  # what no field of text holds -> the word
    "of two megabytes": ("x" * 2_000_000, "size"),
    "of a list": (["lyon"], "kind"),
    "of bytes": (b"lyon", "kind"),
    "of a number": (1, "kind"),
}
METHODS: dict[str, dict[str, Any]] = {  # how each is tested: knobs that make it quick
    "discriminator": {
        "discriminator.rounds": 2,
        "discriminator.hidden": 8,
        "discriminator.batch": 64,
        "discriminator.epochs": 1,
    },
    "ensemble with a head": {
        "ensemble.members": "patchcore",
        "ensemble.combine": "logistic",
        "ensemble.head": "nearest",
        "ensemble.dimensions": 4,
        "ensemble.rounds": 1,
        "ensemble.draws": 1,
        "ensemble.least-images": 1,
    },
    "ensemble that selects": {
        "ensemble.members": "patchcore,subspace",
        "ensemble.combine": "selected",
        "ensemble.folds": 2,
        "ensemble.draws": 1,
        "ensemble.least-images": 1,
        "subspace.least-images": 1,
        "subspace.dimensions": 8,
    },
    "ensemble of a forest": {
        "ensemble.members": "patchcore",
        "ensemble.combine": "forest",
        "ensemble.trees": 2,
        "ensemble.draws": 1,
        "ensemble.least-images": 1,
    },
    "gaussian": {"gaussian.least-images": 2, "gaussian.block": 4, "gaussian.dimensions": 8},
    "subspace": {"subspace.least-images": 2, "subspace.dimensions": 8},
    "feddymem": {"feddymem.rounds": 1, "feddymem.rows": 16, "feddymem.dimensions": 8},
    "feddymem of int8": {
        "feddymem.rounds": 1,
        "feddymem.rows": 16,
        "feddymem.dimensions": 8,
        "wire.dtype": "int8",
    },
    "experts": {"experts.calibrate": "quantile", "experts.held": 2},
    "experts projected": {
        "experts.subclasses": "given",
        "experts.pattern": r"(\d)$",
        "experts.projection": 4,
        "experts.projection-rounds": 1,
        "experts.projection-steps": 2,
    },
    "experts of heads": {
        "experts.expert": "discriminator",
        "experts.adapt": "median",
        "experts.router": "pooled",
        "discriminator.rounds": 1,
        "discriminator.hidden": 8,
        "discriminator.epochs": 1,
    },
    "reconpatch": {
        "reconpatch.rounds": 1,
        "reconpatch.steps": 2,
        "reconpatch.dimensions": 8,
        "reconpatch.projected": 4,
    },
    "coded_patchcore": {"coded_patchcore.loss": 0.01},
    "patchcore classic": {"patchcore.preset": "classic"},
    "patchcore of auto": {"patchcore.preset": "auto", "patchcore.least-images": 1},
    "patchcore of int8": {"wire.dtype": "int8"},
}


ROUNDS = {"experts projected": (3,)}  # of the others `experts` has the cases, for one expert each

# Those whose rows have positions, and so sums.
DESCRIBED = ("coded_patchcore", "patchcore of int8")


def settings_of(name: str) -> dict[str, Any]:
    """The run-config of a method, or of one of its variants."""
    return {"round.method": name.split(" ", maxsplit=1)[0], "score.replicates": 2, **METHODS[name]}


def cases_of(name: str) -> list[Case]:
    """Everything malformed that a site can send in any round of this method."""
    config = read(settings_of(name))
    return [
        case
        for number, kinds in enumerate(method_of(config).rounds, start=1)
        if number in ROUNDS.get(name, (number,))
        for case in _cases(
            kinds.upload,
            envelope.train_stage(number),
            config.wire.dtype,
            every=name in DESCRIBED,
        )
    ]


def _cases(kind: type[Payload], stage: str, dtype: str, *, every: bool) -> Iterator[Case]:
    yield from _arrays(kind, stage, dtype, every=every)
    yield from _texts(kind, stage)
    yield from _claims(kind, stage)
    yield from _bonds(stage)
    for more in (_OWN, *([] if dtype == CODED else [_NOT_CODED])):
        if kind in more:
            yield from more[kind](stage)


def _arrays(kind: type[Payload], stage: str, dtype: str, *, every: bool) -> Iterator[Case]:
    record = kind.record()
    for name, slot in slots(kind).items():
        if not isinstance(slot.kind, Array) or slot.stays:
            continue
        if name == "ranks":  # of a part of a bank, and in no upload
            yield Case(f"{record}/{name} of its own", stage, _added(record, name), "kind")
            continue
        if slot.kind.optional and not every:
            yield Case(f"{record}/{name} of its own", stage, _added(record, name), "fields")
            continue
        for what, (change, word) in FAULTS.items():
            if what == "of doubles" and slot.kind.kinds == ("float64",):
                continue
            yield Case(f"{record}/{name} {what}", stage, _bytes(record, name, change), word)
        for what, change, word in _numbers(slot.kind, dtype):
            yield Case(f"{record}/{name} {what}", stage, _values(record, name, change), word)
        yield Case(f"no {name}", stage, _dropped(record, name), "fields")


Numbers = Iterator[tuple[str, Callable[[np.ndarray], np.ndarray], str]]


def _added(record: str, name: str) -> Callable[[RecordDict], None]:
    """A table that such uploads do not have."""

    def change(content: RecordDict) -> None:
        dtype = np.float64 if name == "squares" else np.int64
        content[record][name] = plain(np.ones((1, 2), dtype))

    return change


def _numbers(kind: Array, dtype: str) -> Numbers:
    """Other numbers in a well-formed array."""
    travels = dtype if kind.kinds == FLOATS else kind.kinds[0]
    if kind.kinds == FLOATS and dtype == CODED:
        yield from _coded()
    else:
        yield from _out_of_range(kind, np.dtype(travels))
    alone = kind.shape == "Z"  # of which no other array tells how long it is
    yield "without its last entries", lambda t: t[:-1], "size" if alone else "shape"
    yield "of nothing", lambda t: t[:0], "size" if alone else "shape"
    yield "of another kind", lambda t: t.astype(_other(kind)), "kind"
    yield "of another dimension", lambda t: t.reshape(-1) if t.ndim > 1 else t[None], "kind"


def _out_of_range(kind: Array, dtype: np.dtype) -> Numbers:
    floats = dtype.kind == "f"
    for value in (np.nan, np.inf, -np.inf) if floats else ():
        yield f"with {value}", _with_first(value), "finite"
    word = "column" if kind.into else "range"
    least, most = (0, 2**15) if kind.into else (kind.least, kind.most)
    for what, value in (
        ("below", least - max(1, abs(least))),
        ("above", most + max(1, abs(most))),
    ):
        if floats or np.iinfo(dtype).min <= value <= np.iinfo(dtype).max:  # else it is not sent
            yield f"{what} its range", _with_first(value), word


def _coded() -> Numbers:
    """Rows that are coded otherwise than any row is: their last four bytes are a scale."""

    def scaled(scale: float) -> Callable[[np.ndarray], np.ndarray]:
        def change(tensor: np.ndarray) -> np.ndarray:
            tensor.reshape(-1, tensor.shape[-1])[0, -4:] = np.array([scale], "<f4").view(np.int8)
            return tensor

        return change

    for scale in (np.nan, np.inf):
        yield f"with the scale {scale}", scaled(scale), "finite"
    for scale in (-1.0, 0.0, 1e-45, 1 + 2**-20, 2.0**99):
        yield f"with the scale {scale:g}", scaled(scale), "range"
    yield (
        "without a largest number",
        lambda t: np.concatenate([t[..., :-4] // 2, t[..., -4:]], -1),
        ("range"),
    )
    yield "shorter than a scale", lambda t: t[..., :3], "shape"


def _other(kind: Array) -> str:
    """A kind that is not the one that is sent; of floats one that may travel, and is not what the
    header says."""
    other = {"float64": "float32", "float32": "float64", "int32": "int64"}
    return "float16" if kind.kinds == FLOATS else other.get(kind.kinds[0], "int32")


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
    if issubclass(kind, Counted):  # a bank's rows are held against its patches
        none = _values(kind.record(), "images", np.zeros_like)
        yield Case("of no image", stage, none, "counts")
    yield Case("an unknown product", stage, _set("header", "categories", '["bolt", "x"]'), "names")
    yield Case("another site's name", stage, _set("header", "sites", '["graz"]'), "identity")
    tables = any("S" in s.kind.shape.split() for s in slots(kind).values() if _is_array(s))
    word = "shape" if tables else "identity"
    yield Case("two sites' names", stage, _set("header", "sites", '["lyon", "graz"]'), word)
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
    for name in LAYERS:
        far = _values("heads", name, _far_last)
        yield Case(f"a weight of {name} farther than training goes", stage, far, "norm")
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


def _memories(stage: str) -> Iterator[Case]:
    def row(name: str, value: float, what: str, word: str) -> Case:
        return Case(f"a row of {what}", stage, _values("memory", name, _with_first(value)), word)

    yield row("patches", 2**48, "more patches than there are", "counts")
    yield row("whose", 2, "a product too many", "column")
    yield row("whose", 2**31 - 1, "the last product", "column")
    for moved in ("-1", "3", "NaN", '"far"', "[0]"):
        word = "range" if moved in ("-1", "3", "NaN") else "header"
        yield Case(f"moved by {moved}", stage, _set("header", "moved", moved), word)
    yield Case("of a scope of its own", stage, _set("header", "scope", "../.."), "header")


def _memories_of_floats(stage: str) -> Iterator[Case]:
    yield Case("of another scope", stage, _set("header", "scope", "mixed"), "column")
    for scale in (0.0, 1e-6, 0.9, 1e3):
        rows = _values("memory", "rows", lambda t, s=scale: t * np.float32(s))
        yield Case(f"rows of the length {scale:g}", stage, rows, "norm")
    for scale in (1e-20, 1e-40):
        tiny = _values("memory", "linear", lambda t, s=scale: _times(t, s))
        yield Case(f"a generator {scale:g} times as large", stage, tiny, "norm")
    yield Case("rows in half precision", stage, _values("memory", "rows", np.float16), "kind")


def _maps(stage: str) -> Iterator[Case]:
    for scale in (1e-20, 1e-40):
        tiny = _values("maps", "modulation", lambda t, s=scale: _times(t, s))
        yield Case(f"an f {scale:g} times as large", stage, tiny, "norm")
    less = _values("maps", "projection", lambda t: t[:, :-1])
    yield Case("a g of a dimension less", stage, less, "shape")
    narrow = _values("maps", "projection", lambda t: t[..., :-1])
    yield Case("a g of another f", stage, narrow, "shape")
    yield Case("of another scope", stage, _set("header", "scope", "mixed"), "shape")


def _coded_banks(stage: str) -> Iterator[Case]:
    def packed(what: str, change: Callable[[np.ndarray], np.ndarray]) -> Case:
        return Case(f"codes {what}", stage, _values("codedbank", "packed", change), "size")

    yield packed("of 100,000,000 numbers", lambda t: _compressed(10**8))
    yield packed("of three numbers", lambda t: _compressed(3))
    yield packed("with others behind", lambda t: np.r_[t, t])
    yield packed("of noise", lambda t: np.arange(999).astype(np.uint8))
    yield packed("of zeros", lambda t: np.zeros(999, np.uint8))
    huge = _values("codedbank", "step", lambda t: np.full_like(t, 9e3))
    yield Case("steps beyond any feature", stage, huge, "range")
    none = _both(
        _values("codedbank", "step", np.zeros_like), _values("codedbank", "mean", np.zeros_like)
    )
    yield Case("rows of zeros", stage, none, "norm")
    yield Case("all rows of one rank", stage, _ranked(0), "column")
    yield Case("ranks below 0", stage, _ranked(-1), "range")
    yield Case("ranks of three rows", stage, _ranked(0, 3), "shape")
    less = _values("codedbank", "held", _with_first(0))
    yield Case("no rows of one product", stage, less, "size")
    most = _values("codedbank", "held", lambda t: np.full_like(t, 2**31 - 1))
    yield Case("more rows than anybody has memory for", stage, most, "size")
    yield Case("more axes than features", stage, _set("header", "axes", "60000"), "shape")
    patches = _values("codedbank", "patches", np.zeros_like)
    yield Case("rows of no patches", stage, patches, "counts")
    yield Case("another scope", stage, _set("header", "scope", "mixed"), "header")
    yield Case("rows that were to stay", stage, _staying, "fields")


def _evidence(stage: str) -> Iterator[Case]:
    def of(name: str, change: Callable[[np.ndarray], np.ndarray], what: str, word: str) -> Case:
        return Case(f"{name} {what}", stage, _values("evidence", name, change), word)

    for name in ("held", "defects", "pairs"):
        yield of(name, lambda t: t + 1, "one too many", "counts")
        yield of(name, lambda t: t - 1, "one too few", "counts")
    for name in ("looked", "placed", "defective", "ordered", "found"):
        yield of(name, lambda t: t * 0 + 2**40, "more than there are", "counts")
    for name in ("pairs", "defects", "held", "looked", "ordered", "found"):
        yield of(name, lambda t: t * 0 + 2**62, "whose product overflows", "range")
    more = _values("evidence", "ordered", lambda t: np.concatenate([t, t], 1))
    yield Case("pairs of more candidates", stage, more, "shape")
    yield of("found", lambda t: t[..., :-1], "at fewer levels", "shape")
    yield of("found", lambda t: t[..., ::-1].copy() + _rising(t), "that fall with levels", "counts")


def _rising(found: np.ndarray) -> np.ndarray:
    """Added to counts turned round: they are not all alike."""
    return (np.arange(found.shape[-1]) == 0).astype(found.dtype)


def _routes(stage: str) -> Iterator[Case]:
    def values(what: str, name: str, change: Callable[[np.ndarray], np.ndarray], word: str) -> Case:
        return Case(what, stage, _values("routes", name, change), word)

    yield values("signatures of the length 99", "centroids", lambda t: t * 0 + 99, "norm")
    yield values("what is usual twice as long", "usual", lambda t: 9 * t + 1, "norm")
    yield values("all of one product", "product", np.zeros_like, "shape")
    yield values("an image more than there are", "routed", lambda t: t + 1, "counts")
    yield values("keys that nobody asked for", "key", lambda t: t + 7, "column")

    def narrow(content: RecordDict) -> None:
        for name in ("centroids", "usual"):
            _values("routes", name, lambda t: t[:, :-1])(content)

    yield Case("signatures of a number less", stage, narrow, "shape")
    for scale in (1e-20, 1e-40):
        tiny = _values("routes", "centroids", lambda t, s=scale: t * 0 + np.float32(s))
        yield Case(f"signatures of {scale:g}", stage, tiny, "norm")


def _votes(stage: str) -> Iterator[Case]:
    def values(what: str, name: str, change: Callable[[np.ndarray], np.ndarray], word: str) -> Case:
        return Case(what, stage, _values("votes", name, change), word)

    yield values("images that go nowhere", "routed", np.zeros_like, "counts")
    yield values("silhouettes of 2", "silhouette", lambda t: t * 0 + 99, "counts")
    yield values("a patch too many", "patches", lambda t: t + 1, "counts")
    yield values("variances below 0", "squares", np.zeros_like, "counts")

    def scaled(factor: float) -> Callable[[RecordDict], None]:
        def change(content: RecordDict) -> None:
            _values("votes", "sums", lambda t: t * factor)(content)
            _values("votes", "squares", lambda t: t * factor**2)(content)

        return change

    yield Case("patches 1,000 times as long", stage, scaled(1000.0), "norm")
    yield Case("patches 1e-20 times as long", stage, scaled(1e-20), "norm")


def _projections(stage: str) -> Iterator[Case]:
    def values(what: str, name: str, change: Callable[[np.ndarray], np.ndarray], word: str) -> Case:
        return Case(what, stage, _values("projections", name, change), word)

    yield values("a projection farther than training goes", "matrix", _far_last, "norm")
    yield values("centres of the length 99", "targets", lambda t: t * 0 + 99, "norm")
    yield values("an image more than there are", "routed", lambda t: t + 1, "counts")

    def narrow(content: RecordDict) -> None:
        _values("projections", "matrix", lambda t: t[:, :-1])(content)
        _values("projections", "targets", lambda t: t[:, :-1])(content)

    yield Case("a projection of a number less", stage, narrow, "shape")


def _tallies(stage: str) -> Iterator[Case]:
    def values(what: str, change: Callable[[np.ndarray], np.ndarray]) -> Case:
        return Case(what, stage, _values("tally", "counts", change), "counts")

    yield values("scores of more patches than there are", lambda t: t + 1000)
    yield values("2^48 scores in each bin", lambda t: t * 0 + 2**48)

    def fewer(content: RecordDict) -> None:
        _values("tally", "counts", lambda t: t[:, :-1])(content)

    yield Case("counts of a bin less", stage, fewer, "shape")


def _score_sums(stage: str) -> Iterator[Case]:
    def narrow(content: RecordDict) -> None:
        for name in ("count", "sums", "squares"):
            _values("scoresums", name, lambda t: t[:, :-1])(content)

    yield Case("scores of an output less", stage, narrow, "shape")
    fewer = _values("scoresums", "count", lambda t: t - 1)
    yield Case("a score less than its images have", stage, fewer, "counts")
    none = _values("scoresums", "squares", np.zeros_like)
    yield Case("scores whose variance is below 0", stage, none, "counts")


def _score_counts(stage: str) -> Iterator[Case]:
    def narrow(content: RecordDict) -> None:
        for name in ("good", "drawn"):
            _values("scorecounts", name, lambda t: t[:, :, :-1])(content)

    yield Case("scores in a bin less", stage, narrow, "shape")
    more = _values("scorecounts", "good", lambda t: t + 1)
    yield Case("a score more in each bin", stage, more, "counts")
    drawn = _values("scorecounts", "defects", lambda t: t + 99)
    yield Case("more drawn defects than asked for", stage, drawn, "counts")


def _measures(stage: str) -> Iterator[Case]:
    def narrow(content: RecordDict) -> None:
        _values("measures", "sums", lambda t: t[:, :, :-1])(content)

    yield Case("measures of a candidate less", stage, narrow, "shape")
    far = _values("measures", "sums", lambda t: t + 99)
    yield Case("measures beyond those of any image", stage, far, "counts")
    less = _values("measures", "products", lambda t: -1 - t)
    yield Case("measures whose variance is below 0", stage, less, "counts")
    fewer = _values("measures", "count", lambda t: t - 1)
    yield Case("measures of an image less", stage, fewer, "counts")


def _block_sums(stage: str) -> Iterator[Case]:
    less = _values("blocksums", "products", lambda t: -t)
    yield Case("channels whose variance is below 0", stage, less, "counts")
    fewer = _values("blocksums", "count", lambda t: t - 1)
    yield Case("a patch less than its images have", stage, fewer, "counts")
    narrow = _values("blocksums", "sums", lambda t: t[:, :-1])
    yield Case("sums of a channel less", stage, narrow, "shape")


def _coefficients(stage: str) -> Iterator[Case]:
    narrow = _values("coefficients", "values", lambda t: t[:, :-1])
    yield Case("a coefficient less", stage, narrow, "shape")
    far = _values("coefficients", "values", _with_first(9e3))
    yield Case("a coefficient far off", stage, far, "norm")


def _trees(stage: str) -> Iterator[Case]:
    def narrow(content: RecordDict) -> None:
        for name in ("asks", "limit", "share"):
            _values("trees", name, lambda t: t[:, :, :-1])(content)

    yield Case("trees of a node less", stage, narrow, "shape")
    asks = _values("trees", "asks", _with_first(99))
    yield Case("a tree that asks another member", stage, asks, "shape")
    behind = _values("trees", "behind", lambda t: t + 1)
    yield Case("trees of more images", stage, behind, "counts")


_OWN: dict[type[Payload], Callable[[str], Iterator[Case]]] = {
    Heads: _heads,
    Projections: _projections,
    Routes: _routes,
    SiteBank: lambda stage: iter(()),
    SiteHeads: lambda stage: iter(()),
    Sums: _sums,
    Tally: _tallies,
    Votes: _votes,
    Memory: _memories,
    Maps: _maps,
    BlockSums: _block_sums,
    ScoreSums: _score_sums,
    ScoreCounts: _score_counts,
    Measures: _measures,
    Coefficients: _coefficients,
    Trees: _trees,
    CodedBank: _coded_banks,
    Evidence: _evidence,
}
_NOT_CODED: dict[type[Payload], Callable[[str], Iterator[Case]]] = {Memory: _memories_of_floats}


def _far_last(values: np.ndarray) -> np.ndarray:
    values.reshape(-1)[-1] += 10
    return values


def _times(values: np.ndarray, scale: float) -> np.ndarray:
    return (values.astype(np.float64) * scale).astype(np.float32)


def _compressed(count: int) -> np.ndarray:
    made = lzma.compress(bytes(count), format=lzma.FORMAT_RAW, filters=FILTERS)
    return np.frombuffer(made, np.uint8)


def _ranked(value: int, count: int = 0) -> Callable[[RecordDict], None]:
    """The same rank for all rows, or for so many."""

    def change(content: RecordDict) -> None:
        rows = count or int(content["codedbank"]["held"].numpy().sum())
        content["codedbank"]["ranks"] = plain(np.full(rows, value, np.int32))

    return change


def _staying(content: RecordDict) -> None:
    content["codedbank"]["rows"] = plain(np.ones((3, 3), np.float32))


def _both(*changes: Callable[[RecordDict], None]) -> Callable[[RecordDict], None]:
    def apply(content: RecordDict) -> None:
        for change in changes:
            change(content)

    return apply


def _is_array(slot: Slot) -> bool:
    return isinstance(slot.kind, Array) and not slot.stays


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
    known = {kind.record() for kind in (*_OWN, Bank)}
    other = {name: "heads" if name == "bank" else "bank" for name in known}
    return RecordDict({other.get(name, name): content[name] for name in content})
