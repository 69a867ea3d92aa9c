"""Replies that no honest site sends: each with the question it answers and the word it is refused
with. They are made from genuine ones, and bound anew wherever who has a site's key could do so."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from flwr.app import ConfigRecord, MetricRecord, RecordDict

from fedad import wire
from fedad.banks.bank import SUMS, Bank
from fedad.config import COVERAGE
from fedad.evaluation import Counts
from fedad.evaluation.tally import Line
from fedad.messages import envelope
from fedad.messages.envelope import EVALUATE, HELLO, TRAIN
from tests.bad_messages.arrays import FAULTS, plain

LIAR = "lyon"
OTHER_RUN = "0" * 32
Genuine = Mapping[str, RecordDict]  # stage -> what the liar would have answered
Change = Callable[[RecordDict], RecordDict | None]  # in place, or another one


class Case(NamedTuple):
    """One malformed answer; `sealed` is bound to site and run as an honest one is."""

    name: str
    stage: str
    change: Change
    word: str
    sealed: bool = True
    bound_to: str = ""  # the stage that it is bound to, where that is another one

    def made_of(self, genuine: Genuine, run: str) -> RecordDict:
        content = copy.deepcopy(genuine[self.stage])
        changed = self.change(content)
        content = content if changed is None else changed
        if self.sealed:
            bond = envelope.bond(content, LIAR, run, self.bound_to or self.stage)
            content[wire.SITE] = ConfigRecord({**bond})
        return content


def _with(record: str, name: str, value: Any) -> Change:
    def change(content: RecordDict) -> None:
        content[record][name] = value

    return change


def _array(record: str, name: str, change: Callable[[Any], Any]) -> Change:
    def apply(content: RecordDict) -> None:
        content[record][name] = change(content[record][name])

    return apply


def _numbers(record: str, name: str, change: Callable[[np.ndarray], Any]) -> Change:
    """Other numbers in an array that is well formed."""

    def apply(content: RecordDict) -> None:
        tensor = content[record][name].numpy().copy()
        changed = change(tensor)
        content[record][name] = plain(tensor if changed is None else changed)

    return apply


def _json(record: str, change: Callable[[Any], Any], name: str = "json") -> Change:
    """Another value in a field that holds JSON."""

    def apply(content: RecordDict) -> None:
        value = json.loads(content[record][name])
        changed = change(value)
        content[record][name] = json.dumps(value if changed is None else changed)

    return apply


def _set(*path: Any, value: Any) -> Callable[[Any], None]:
    def change(told: Any) -> None:
        for key in path[:-1]:
            told = told[key]
        told[path[-1]] = value

    return change


def _first(value: Any) -> Callable[[np.ndarray], None]:
    def change(tensor: np.ndarray) -> None:
        tensor.reshape(-1)[0] = value

    return change


LISTED = {**envelope.FIELDS, TRAIN: Bank.travelling()}  # stage -> record -> fields
ARRAYS = {
    HELLO: [("probe", "features")],
    TRAIN: [("bank", name) for name in Bank.travelling()["bank"]],
    EVALUATE: [(r, n) for r in ("counts", "replicates") for n in envelope.COUNTS],
}
BYTES = [
    Case(f"{record}/{name} {what}", stage, _array(record, name, change), word)
    for stage, arrays in ARRAYS.items()
    for record, name in arrays
    for what, (change, word) in FAULTS.items()
    if (name, what) != ("squares", "of doubles")
]

NO_NAMES = [  # of a product, which becomes a file's
    "",
    "..",
    ".hidden",
    "../../../out/owned",
    "/tmp/owned",
    "a\\b",
    "x" * 65,
    "\U00010348" * 41,
    "\x1b[2J",
    "\ud800",
]


def _products(name: str) -> Change:
    return _with("header", "categories", json.dumps(["bolt", name]))


def _twice(content: RecordDict) -> None:
    """Every row of the bank twice, well formed."""
    bank = wire.unpack(content, Bank)
    twice = bank.take(np.tile(np.arange(len(bank)), 2))
    content.update(wire.pack(twice.replace(row=np.arange(len(twice), dtype=np.int32))))


def _scaled(scale: float, first: int | None = None) -> Callable[[np.ndarray], None]:
    """All rows, or the first ones, so many times as long."""

    def change(rows: np.ndarray) -> None:
        rows[:first] = rows[:first].astype(np.float64) * scale

    return change


def _drop(record: str, name: str = "") -> Change:
    def change(content: RecordDict) -> None:
        del (content[record] if name else content)[name or record]

    return change


def _outside(place: float) -> Callable[[np.ndarray], None]:
    """A row's x."""

    def change(rows: np.ndarray) -> None:
        rows[0, -2] = place

    return change


def _all_but_one(scale: float) -> Callable[[np.ndarray], None]:
    """As long as before, by one feature alone; the others are tiny."""

    def change(rows: np.ndarray) -> None:
        lengths = np.linalg.norm(rows.astype(np.float64), axis=1)
        rows[:] = scale * (1 + np.arange(rows.size).reshape(rows.shape) % 7)
        rows[:, -3] = lengths  # the last feature before x and y

    return change


NOT_FINITE = [np.nan, np.inf, -np.inf]
BANKS = [
    *(
        Case(f"a row with {v}", TRAIN, _numbers("bank", "rows", _first(v)), "finite")
        for v in NOT_FINITE
    ),
    Case("rows too large to square", TRAIN, _numbers("bank", "rows", lambda r: r * 1e30), "range"),
    Case("rows 1,000 times as long", TRAIN, _numbers("bank", "rows", lambda r: 999 * r), "norm"),
    *(
        Case(
            f"rows {scale:g} times as long", TRAIN, _numbers("bank", "rows", _scaled(scale)), "norm"
        )
        for scale in (1e-6, 1e-10, 1e-20, 1e-30, 1e-40, 0.0)
    ),
    *(
        Case(
            f"one row {scale:g} times as long",
            TRAIN,
            _numbers("bank", "rows", _scaled(scale, first=1)),
            "norm",
        )
        for scale in (1e-6, 1e-10, 1e-20, 1e-40, 0.0)
    ),
    *(
        Case(
            f"rows of one feature, the others {scale:g}",
            TRAIN,
            _numbers("bank", "rows", _all_but_one(scale)),
            "norm",
        )
        for scale in (1e-19, 1e-40)
    ),
    Case("rows of a feature less", TRAIN, _numbers("bank", "rows", lambda r: r[:, 1:]), "shape"),
    Case("rows of no feature", TRAIN, _numbers("bank", "rows", lambda r: r[:, :0]), "shape"),
    Case("a row less than columns", TRAIN, _numbers("bank", "rows", lambda r: r[1:]), "shape"),
    Case("rows in half precision", TRAIN, _numbers("bank", "rows", np.float16), "kind"),
    Case("a row of product -1", TRAIN, _numbers("bank", "category", _first(-1)), "column"),
    Case("a row of product 2^31", TRAIN, _numbers("bank", "category", _first(2**31 - 1)), "column"),
    Case("a row of another site", TRAIN, _numbers("bank", "site", _first(1)), "column"),
    Case("a row numbered -1", TRAIN, _numbers("bank", "row", _first(-1)), "range"),
    Case("all rows of one rank", TRAIN, _numbers("bank", "row", np.zeros_like), "column"),
    Case("a rank left out", TRAIN, _numbers("bank", "row", lambda r: r + 1), "column"),
    Case("all rows of one product", TRAIN, _numbers("bank", "category", np.zeros_like), "shape"),
    Case("minus one image", TRAIN, _numbers("bank", "images", _first(-1)), "range"),
    Case("2^62 images", TRAIN, _numbers("bank", "images", _first(2**62)), "range"),
    Case("2^62 patches", TRAIN, _numbers("bank", "patches", _first(2**62)), "range"),
    Case("no patches", TRAIN, _numbers("bank", "patches", np.zeros_like), "counts"),
    Case("an image more than enrolled", TRAIN, _numbers("bank", "images", _first(3)), "counts"),
    Case("a patch more than enrolled", TRAIN, _numbers("bank", "patches", _first(129)), "counts"),
    Case("more rows than are kept", TRAIN, _twice, "counts"),
    Case("patches far from their mean", TRAIN, _numbers("bank", "squares", _first(1e9)), "norm"),
    Case("squares that are negative", TRAIN, _numbers("bank", "squares", _first(-1.0)), "range"),
    Case("squares that overflow", TRAIN, _numbers("bank", "squares", _first(1e300)), "range"),
    Case("squares of NaN", TRAIN, _numbers("bank", "squares", _first(np.nan)), "finite"),
    Case("more patches in place", TRAIN, _numbers("bank", "placed", lambda t: t + 999), "counts"),
    Case("more patches looked at", TRAIN, _numbers("bank", "looked", _first(2**40)), "counts"),
    Case("2^62 patches looked at", TRAIN, _numbers("bank", "looked", _first(2**62)), "range"),
    Case("a row outside its image", TRAIN, _numbers("bank", "rows", _outside(2.0)), "range"),
    Case("a row far outside", TRAIN, _numbers("bank", "rows", _outside(-9e3)), "range"),
    *(Case(f"no {name}", TRAIN, _drop("bank", name), "fields") for name in SUMS),
    Case("a table of two sites", TRAIN, _numbers("bank", "images", lambda t: t.T), "shape"),
    Case("another schema", TRAIN, _with("header", "schema", "99"), "schema"),
    Case("another dtype", TRAIN, _with("header", "dtype", "float64"), "header"),
    Case("another scope", TRAIN, _with("header", "scope", "mixed"), "header"),
    Case("a scope of its own", TRAIN, _with("header", "scope", "../.."), "header"),
    Case("products that are no JSON", TRAIN, _with("header", "categories", "bolt"), "header"),
    Case("products nested deep", TRAIN, _with("header", "categories", "[" * 100_000), "header"),
    Case("a product twice", TRAIN, _with("header", "categories", '["bolt", "bolt"]'), "names"),
    Case("products that are numbers", TRAIN, _with("header", "categories", "[1, 2]"), "names"),
    Case("an unknown product", TRAIN, _with("header", "categories", '["bolt", "x"]'), "names"),
    Case(
        "products out of order", TRAIN, _with("header", "categories", '["hose", "bolt"]'), "names"
    ),
    Case("a product that rings", TRAIN, _with("header", "categories", '["\\u0007", "b"]'), "names"),
    Case("a product too many", TRAIN, _with("header", "categories", '["a", "b", "c"]'), "shape"),
    Case("another site's name", TRAIN, _with("header", "sites", '["graz"]'), "identity"),
    Case("two sites' names", TRAIN, _with("header", "sites", '["lyon", "graz"]'), "shape"),
    Case("a path as a site's name", TRAIN, _with("header", "sites", '["../lyon"]'), "names"),
    *(Case(f"rows of {name[:12]!r}", TRAIN, _products(name), "names") for name in NO_NAMES),
    Case("no fingerprint", TRAIN, _with("header", "fingerprint", "{}"), "header"),
    Case("a fingerprint of a list", TRAIN, _with("header", "fingerprint", "[1]"), "header"),
    Case(
        "a fingerprint of other weights",
        TRAIN,
        _json("header", _set("weights", value="f" * 64), "fingerprint"),
        "fingerprint",
    ),
    Case(
        "a fingerprint whose size is a text",
        TRAIN,
        _json("header", _set("size", value="64"), "fingerprint"),
        "fingerprint",
    ),
    Case(
        "a fingerprint whose size is a list",
        TRAIN,
        _json("header", _set("size", value=[64]), "fingerprint"),
        "header",
    ),
    Case(
        "a fingerprint with more fields",
        TRAIN,
        _json("header", _set("path", value="/data"), "fingerprint"),
        "header",
    ),
]


def _add(record: str, value: Any) -> Change:
    def change(content: RecordDict) -> None:
        content[record] = value

    return change


def _refusal(**said: Any) -> Change:
    return lambda content: RecordDict({wire.REFUSAL: ConfigRecord(said)})


def _many(content: RecordDict) -> None:
    content["metrics"] = MetricRecord({f"k{number}": 1.0 for number in range(100_000)})


def _swap(content: RecordDict) -> RecordDict:
    """The same records, each under the next one's name."""
    names = list(content)
    return RecordDict(
        {name: content[other] for name, other in zip(names, names[1:] + names[:1], strict=True)}
    )


FIELDS = [
    *(
        Case(f"{stage} without {record}", stage, _drop(record), "fields")
        for stage, records in LISTED.items()
        for record in records
    ),
    *(
        Case(
            f"{stage} with a file's path",
            stage,
            _add("debug", ConfigRecord({"path": "/data/secret/0001.png"})),
            "fields",
        )
        for stage in LISTED
    ),
    Case("a bank without rows", TRAIN, _drop("bank", "rows"), "fields"),
    Case(
        "a bank with a private column",
        TRAIN,
        _with("bank", "source", plain(np.arange(3))),
        "fields",
    ),
    Case("a header without schema", TRAIN, _drop("header", "schema"), "fields"),
    Case("a header with a radius", TRAIN, _with("header", "radius", "1.0"), "fields"),
    Case("a header of two megabytes", TRAIN, _with("header", "sites", "x" * 2_000_000), "size"),
    Case("a header of a list", TRAIN, _with("header", "sites", ["lyon"]), "kind"),
    Case("a header of bytes", TRAIN, _with("header", "sites", b"lyon"), "kind"),
    Case("a header of a number", TRAIN, _with("header", "schema", 1), "kind"),
    *(
        Case(f"{stage} that is refused", stage, _refusal(kind="DataError"), "refusal", sealed=False)
        for stage in LISTED
    ),
    Case("a refusal by a path", TRAIN, _refusal(path="/data"), "fields", sealed=False),
    Case("a refusal by a list", TRAIN, _refusal(reason=["tree"]), "kind", sealed=False),
    Case("a refusal of two megabytes", TRAIN, _refusal(text="x" * 2**21), "size", sealed=False),
    Case(
        "a refusal beside a bank",
        TRAIN,
        _add(wire.REFUSAL, ConfigRecord({"kind": "DataError"})),
        "fields",
    ),
    Case("half a fault", TRAIN, _with("metrics", "train.cut", 0.5), "counts"),
    Case("nothing at all", TRAIN, lambda content: RecordDict(), "fields", sealed=False),
    Case("each record under the next one's name", TRAIN, _swap, "fields"),
    Case("metrics by a file's name", TRAIN, _with("metrics", "train.0001.png", 1), "fields"),
    Case("metrics without seconds", TRAIN, _drop("metrics", "seconds"), "fields"),
    Case("minus one second", TRAIN, _with("metrics", "seconds", -1.0), "counts"),
    Case("NaN seconds", TRAIN, _with("metrics", "seconds", float("nan")), "counts"),
    Case("endless seconds", TRAIN, _with("metrics", "seconds", float("inf")), "counts"),
    Case("a list of seconds", TRAIN, _with("metrics", "seconds", [1.0] * 10), "counts"),
    Case("a negative count of faults", TRAIN, _with("metrics", "train.cut", -3), "counts"),
    Case("100,000 metrics", TRAIN, _many, "fields"),
]


def _bound(**said: str) -> Change:
    def change(content: RecordDict) -> None:
        values = {**dict(zip(envelope.BOND, ("", "", "", ""), strict=True)), **said}
        content[wire.SITE] = ConfigRecord(values)

    return change


def _replayed(stage: str) -> Change:
    """The genuine answer, as it was sealed in another run."""

    def change(content: RecordDict) -> None:
        content[wire.SITE] = ConfigRecord({**envelope.bond(content, LIAR, OTHER_RUN, stage)})

    return change


BONDS = [
    *(
        Case(f"{stage} of another run", stage, _replayed(stage), "replay", sealed=False)
        for stage in LISTED
    ),
    Case("without a bond", TRAIN, _drop(wire.SITE), "fields", sealed=False),
    Case("as another site", TRAIN, _bound(name="graz"), "identity", sealed=False),
    Case("of no run", TRAIN, _bound(name=LIAR), "replay", sealed=False),
]


def _nothing(*records: str) -> Change:
    """Some counts of no image at all, well formed."""

    def change(content: RecordDict) -> None:
        for record in records:
            content.update(wire._pack_counts(record, Counts()))

    return change


def _defect(name: str) -> Change:
    """A defect of another name in all counts."""

    def change(content: RecordDict) -> None:
        for record in ("counts", "replicates"):
            _json(f"{record}-header", _set("cells", 0, 1, value=name))(content)

    return change


def _rows(record: str, rows: Sequence[int], bins: np.ndarray, number: int) -> Change:
    """The same number in some bins of some rows of all cells, well packed."""

    def apply(content: RecordDict) -> None:
        counts = wire._unpack_counts(content, record)
        line = Line(bins, np.full((*counts.batch, len(bins)), number))
        changed = {
            cell: [line if r in rows else counts.row(r, cell.__eq__) for r in range(5)]
            for cell in counts.cells
        }
        content.update(wire._pack_counts(record, Counts.made_of(changed, counts.binning)))

    return apply


def _filled(record: str, row: int, number: int) -> Change:
    """The same number in many bins of one row."""
    return _rows(record, [row], np.arange(256 if record == "replicates" else 4096), number)


FINDINGS = [
    Case("decisions that are no JSON", EVALUATE, _with("decisions", "json", "{"), "counts"),
    Case("decisions nested deep", EVALUATE, _with("decisions", "json", "[" * 100_000), "counts"),
    Case("decisions that are a number", EVALUATE, _with("decisions", "json", "7"), "counts"),
    Case("decisions that are NaN", EVALUATE, _with("decisions", "json", "NaN"), "counts"),
    Case(
        "more rejected than there are",
        EVALUATE,
        _json("decisions", _set("decisions", value={"bolt": [1, 9, 0, 0]})),
        "counts",
    ),
    Case(
        "a thousand million good images",
        EVALUATE,
        _json("decisions", _set("decisions", value={"bolt": [10**9, 0, 0, 0]})),
        "counts",
    ),
    Case(
        "decisions on an unknown product",
        EVALUATE,
        _json("decisions", _set("decisions", value={"/etc/passwd": [0, 0, 0, 0]})),
        "names",
    ),
    Case(
        "decisions of five numbers",
        EVALUATE,
        _json("decisions", _set("decisions", value={"bolt": [0, 0, 0, 0, 0]})),
        "counts",
    ),
    Case(
        "a threshold by more images than there are",
        EVALUATE,
        _json("decisions", _set("calibrated", value={"bolt": 3})),
        "counts",
    ),
    Case(
        "a threshold by minus one image",
        EVALUATE,
        _json("decisions", _set("calibrated", value={"bolt": -1})),
        "counts",
    ),
    Case(
        "4,300 nines of patches nearest",
        EVALUATE,
        _json("decisions", _set("nearest", value={"bolt": {"graz": int("9" * 4300)}})),
        "counts",
    ),
    Case(
        "a patch more than there are",
        EVALUATE,
        _json("decisions", _set("nearest", value={"bolt": {"graz": 4 * 64 + 1}})),
        "counts",
    ),
    *(
        Case(
            f"{part} of {number!r} images",
            EVALUATE,
            _json("decisions", _set(part, value={"bolt": [number] * 4 if many else number})),
            "counts",
        )
        for part, many in (("decisions", True), ("borrowed", True), ("calibrated", False))
        for number in (0.5, True, "1")
    ),
    Case(
        "half a patch nearest",
        EVALUATE,
        _json("decisions", _set("nearest", value={"bolt": {"graz": 0.5}})),
        "counts",
    ),
    Case(
        "a file's path beside the decisions",
        EVALUATE,
        _json("decisions", _set("path", value="/data/secret/0001.png")),
        "counts",
    ),
    Case("findings of nothing", EVALUATE, _nothing("counts", "replicates"), "counts"),
    Case("counts without replicates", EVALUATE, _nothing("replicates"), "counts"),
    Case("replicates without counts", EVALUATE, _nothing("counts"), "counts"),
    Case(
        "replicates of another defect",
        EVALUATE,
        _json("replicates-header", _set("cells", 0, 1, value="a")),
        "counts",
    ),
    Case("a defect that erases", EVALUATE, _defect("\x1b[2J"), "names"),
    Case("a defect of 300 letters", EVALUATE, _defect("b" * 300), "names"),
    Case(
        "more images drawn than there are",
        EVALUATE,
        _filled("replicates", 0, 1),
        "counts",
    ),
    *(
        Case(f"{n:,} pixels a bin, row {row}", EVALUATE, _filled("counts", row, n), "counts")
        for row in (1, 2)
        for n in (2**50, 2**53 - 1, 10**7)
    ),
    Case(
        "replicates of 10,000,000 pixels a bin",
        EVALUATE,
        _filled("replicates", 1, 10**7),
        "counts",
    ),
    Case(
        "pixel scores in every bin",
        EVALUATE,
        _rows("counts", [1], np.arange(2**15 + 1), 1),
        "size",
    ),
    Case(
        "pixel scores far apart",
        EVALUATE,
        _rows("counts", [1], 64 * np.arange(600), 1),
        "size",
    ),
    Case("replicates in every bin", EVALUATE, _rows("replicates", [1], np.arange(4096), 1), "size"),
    Case(
        "replicates of other pixel scores",
        EVALUATE,
        _rows("replicates", [1], np.array([9000]), 7),
        "counts",
    ),
    Case(
        "regions that replicates alone find",
        EVALUATE,
        _rows("replicates", [3, 4], np.array([3]), 2**12),
        "counts",
    ),
    Case(
        "a thousand regions an image and more",
        EVALUATE,
        _rows("counts", [3, 4], np.array([7]), 2001 * 2**32),
        "counts",
    ),
    Case(
        "counts that unfold to 800 MB",
        EVALUATE,
        _json(
            "counts-header",
            _set("cells", value=[["bolt", f"{k:05d}", ""] for k in range(5000)]),
        ),
        "shape",
    ),
    Case(
        "minus one patch nearest",
        EVALUATE,
        _json("decisions", _set("nearest", value={"bolt": {"graz": -1}})),
        "counts",
    ),
    Case(
        "patches nearest to a stranger",
        EVALUATE,
        _json("decisions", _set("nearest", value={"bolt": {"oslo": 1}})),
        "names",
    ),
    Case(
        "more relieved than there are",
        EVALUATE,
        _json("decisions", _set("borrowed", value={"bolt": [1, 2, 0, 0]})),
        "counts",
    ),
    Case(
        "a threshold by a text",
        EVALUATE,
        _json("decisions", _set("calibrated", value={"bolt": "many"})),
        "counts",
    ),
    Case(
        "counts of another schema",
        EVALUATE,
        _json("counts-header", _set("schema", value="9")),
        "schema",
    ),
    Case(
        "counts of the first schema",
        EVALUATE,
        _json("counts-header", _set("schema", value=1)),
        "schema",
    ),
    Case(
        "counts in other bins",
        EVALUATE,
        _json("counts-header", _set("binning", value="uint8")),
        "column",
    ),
    Case(
        "counts in bins of its own",
        EVALUATE,
        _json("counts-header", _set("binning", value="x")),
        "header",
    ),
    Case(
        "counts without cells", EVALUATE, _json("counts-header", _set("cells", value=7)), "header"
    ),
    Case(
        "a cell twice",
        EVALUATE,
        _json("counts-header", lambda h: h["cells"].append(h["cells"][0])),
        "header",
    ),
    Case(
        "a cell of another shape",
        EVALUATE,
        _json("counts-header", lambda h: h["cells"].append(["a"])),
        "header",
    ),
    Case(
        "2^40 replicates", EVALUATE, _json("counts-header", _set("batch", value=[2**40])), "header"
    ),
    Case(
        "minus one replicate",
        EVALUATE,
        _json("counts-header", _set("batch", value=[-1])),
        "header",
    ),
    Case(
        "replicates too few",
        EVALUATE,
        _json("replicates-header", _set("batch", value=[3])),
        "shape",
    ),
    Case("counts that are no JSON", EVALUATE, _with("counts-header", "json", "["), "header"),
    Case("counts that are a list", EVALUATE, _with("counts-header", "json", "[]"), "header"),
    Case(
        "counts nested deep", EVALUATE, _with("counts-header", "json", '{"a":' * 50_000), "header"
    ),
    Case(
        "columns that do not ascend",
        EVALUATE,
        _numbers("counts", "columns", lambda c: c[::-1]),
        "column",
    ),
    Case(
        "a column beyond all bins",
        EVALUATE,
        _numbers("counts", "columns", lambda c: c + 2**31),
        "column",
    ),
    Case("a column twice", EVALUATE, _numbers("counts", "columns", np.zeros_like), "column"),
    Case("a row a column longer", EVALUATE, _numbers("counts", "lengths", _first(9)), "shape"),
    Case(
        "a row of 2^32 columns", EVALUATE, _numbers("counts", "lengths", _first(2**32 - 1)), "shape"
    ),
    Case("a cell of no image", EVALUATE, _numbers("counts", "images", np.zeros_like), "counts"),
    Case("a value too few", EVALUATE, _numbers("counts", "negative", lambda v: v[1:]), "shape"),
    Case(
        "values beyond 2^53",
        EVALUATE,
        _numbers("counts", "negative", lambda v: v.astype(np.uint64) + 2**60),
        "counts",
    ),
    Case(
        "signed values",
        EVALUATE,
        _numbers("counts", "negative", lambda v: v.astype(np.int32)),
        "kind",
    ),
    Case(
        "values doubled",
        EVALUATE,
        _numbers("counts", "images", lambda v: 2 * v.astype(np.uint64)),
        "counts",
    ),
]

ABOUT = [
    Case("about that is no JSON", HELLO, _with("about", "json", "x"), "header"),
    Case("about nested deep", HELLO, _with("about", "json", "[" * 100_000), "header"),
    Case("about without a version", HELLO, _json("about", lambda a: a.pop("version")), "header"),
    Case(
        "a version of a thousand letters",
        HELLO,
        _json("about", _set("version", value="1" * 1000)),
        "header",
    ),
    Case(
        "a version that erases", HELLO, _json("about", _set("version", value="\x1b[2J")), "identity"
    ),
    Case(
        "a version of no letter", HELLO, _json("about", _set("version", value="\ud800")), "identity"
    ),
    Case("a path about itself", HELLO, _json("about", _set("path", value="/data")), "fields"),
    Case("another version", HELLO, _json("about", _set("version", value="0.0.1")), "identity"),
    *(
        Case(
            f"{value!r} images",
            HELLO,
            _json("about", _set("train", value={"bolt": value})),
            "header",
        )
        for value in (-1, True, 1.5, "many", None, [1], 2**60)
    ),
    Case("images of a list", HELLO, _json("about", _set("test", value=[1])), "header"),
    *(
        Case(
            f"{split} images of {name[:12]!r}",
            HELLO,
            _json("about", _set(split, value={name: 1})),
            "header",
        )
        for split in ("train", "test")
        for name in NO_NAMES
    ),
    Case(
        "2,000 products",
        HELLO,
        _json("about", _set("train", value={f"p{k}": 1 for k in range(2000)})),
        "header",
    ),
    Case("no fingerprint at all", HELLO, _json("about", _set("fingerprint", value=None)), "header"),
    Case("a probe of NaN", HELLO, _numbers("probe", "features", _first(np.nan)), "probe"),
    Case("a probe of five images", HELLO, _numbers("probe", "features", lambda f: f[1:]), "probe"),
    Case("an empty probe", HELLO, _numbers("probe", "features", lambda f: f[:, :0]), "probe"),
    Case("a probe of zeros", HELLO, _numbers("probe", "features", np.zeros_like), "probe"),
    Case("a probe of another sign", HELLO, _numbers("probe", "features", lambda f: -f), "probe"),
    Case(
        "a probe of a feature less",
        HELLO,
        _numbers("probe", "features", lambda f: f[..., 1:]),
        "probe",
    ),
    Case(
        "a probe a percent off", HELLO, _numbers("probe", "features", lambda f: 1.02 * f), "probe"
    ),
    Case(
        "other layers",
        HELLO,
        _json("about", _set("fingerprint", "layers", value="layer1")),
        "probe",
    ),
]

DISTANCES = [
    Case(f"distances {text[:20]}", COVERAGE, _with("distances", "json", text), "counts")
    for text in ("x", "[", "7", "[1]", '{"bolt": -1}', '{"bolt": NaN}', '{"bolt": Infinity}')
] + [
    Case("distances nested deep", COVERAGE, _with("distances", "json", "[" * 100_000), "counts"),
    Case("distances of a stranger", COVERAGE, _with("distances", "json", '{"x": 1}'), "names"),
]

CASES = [*BYTES, *BANKS, *FIELDS, *BONDS, *FINDINGS, *ABOUT, *DISTANCES]
