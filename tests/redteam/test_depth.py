"""Depth, counts and numbers that overflow a parser: one line each, within seconds."""

from __future__ import annotations

import ast
import json
import struct
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import PIL
import pytest
from flwr.app import ArrayRecord, ConfigRecord, RecordDict
from hypothesis import given
from hypothesis import strategies as st

from client_app.bundle import _own_names
from fedad import wire
from fedad.banks.bank import Bank
from fedad.compare.plan import read_plan
from fedad.config import EmbedderKnobs
from fedad.datasets._tree import read_saturation
from fedad.embedders.cache import Cache
from fedad.embedders.weights import _from_file
from fedad.errors import ConfigError, DataError, FedadError, UploadError
from fedad.images.remembered import KnownImages
from fedad.messages.file import about, load
from fedad.messages.payload import Payload
from fedad.permits.audit import audit_of
from fedad.permits.rules import read_policy
from fedad.plumbing.files import read_json
from fedad.plumbing.journal import NAME, _mark, events_of
from fedad.plumbing.parse import MOST_DEPTH, from_json, from_toml, from_yaml
from fedad.plumbing.tensor_files import MOST_TENSORS, check_tensors
from fedad.reporting.gallery import read_index
from fedad.reporting.per_image import FILE, read_per_image
from fedad.reporting.report import read_curves
from fedad.reporting.run_folder import RECORD, read_record
from fedad.reporting.scores import read_scores
from fedad.running.overlay import read_config, read_toml
from tests.conftest import bank_of

ROOT = Path(__file__).parents[2]
SECONDS = 8.0  # of a reader; without its bounds minutes or all memory
TENSORS = 200_000


@contextmanager
def soon(seconds: float = SECONDS):
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


JSON = {
    "lists": "[" * 100_000,
    "lists that end": "[" * 5000 + "]" * 5000,
    "objects": '{"a":' * 100_000,
    "a whole number": '{"a": ' + "9" * 5000 + "}",
    "a number behind a minus": '{"a": -' + "9" * 5000 + "}",
    "a key twice": '{"a": 1, "a": 2}',
    "many keys and one twice": "{" + ",".join(f'"{k}": 1' for k in range(50_000)) + ',"0": 1}',
    "quotes without end": '"' + '\\"' * 500_000,
    "half a file": '{"a": ',
    "nothing": "",
}
TOML = {
    "lists": "x = " + "[" * 100_000,
    "tables in tables": "x = " + "{a=" * 20_000,
    "a key of many dots": "a." * 100_000 + "b = 1",
    "a key of quoted dots": "'a' . " * 40_000 + "b = 1",
    "a header of many dots": "[" + "a." * 100_000 + "b]",
    "dots behind a value": "x = {y = 1.5, " + "a." * 80_000 + "b = 1}",
    "a whole number": "a = " + "9" * 5000,
    "a hexadecimal number": "a = 0x" + "f" * 30_000,
    "a key twice": "a = 1\na = 2",
    "too long": "# " + "x" * 2**19,
}
LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + k)}: &{chr(98 + k)} [{', '.join([f'*{chr(97 + k)}'] * 9)}]\n" for k in range(9)
)
YAML = {
    "lists": "[" * 20_000,
    "objects": "{a: " * 20_000,
    "dashes": "- " * 20_000,
    "question marks": "? " * 20_000,
    "indents": "\n".join(" " * k + "a:" for k in range(300)),
    "a billion laughs": LAUGHS,
    "an alias of itself": "a: &a [*a]",
    "an alias of nothing": "a: *b",
    "many words": "[" + "[]," * 40_000 + "]",
    "too long": "a" * 2**18,
    "a whole number": "a: " + "9" * 5000,
    "a hexadecimal number": "a: 0x" + "f" * 30_000,
    "a number of sixties": "a: 1" + ":59" * 30_000,
    "a fraction of sixties": "a: 1" + ":59" * 30_000 + ".5",
    "a key twice": "a: 1\na: 2",
    "a key that is no number": ".nan: 1\n.NaN: 2",
    "a key that is nothing": "~: 1",
    "a key that is a list": "? [a]\n: 1",
    "a tag of python": "!!python/object/apply:os.system ['true']",
    "a bool that is none": "a: !!bool maybe",
    "a number that is none": "a: !!int ''",
    "a time that is none": "a: !!timestamp soon",
    "a day that is none": "a: 2024-13-45",
    "two documents": "a: 1\n---\nb: 1",
    "a control byte": "a: \x07",
}
TEXTS = {"JSON": (JSON, from_json), "TOML": (TOML, from_toml), "YAML": (YAML, from_yaml)}


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, (texts, _) in TEXTS.items() for name in texts]
)
def test_a_text_that_overflows_is_refused_on_one_line(kind, name):
    texts, read = TEXTS[kind]
    with soon(), pytest.raises(ValueError, match=r".") as told:
        read(texts[name])
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 400


@pytest.mark.parametrize("read", [from_json, from_toml, from_yaml])
def test_what_is_no_unicode_is_said(read):
    with pytest.raises(ValueError, match="no UTF-8: byte 0 is 0xff"):
        read(b"\xff")


VALUES = st.recursive(
    st.integers(-(2**63), 2**63 - 1) | st.text(max_size=9) | st.booleans(),
    lambda some: (
        st.lists(some, max_size=4) | st.dictionaries(st.text(max_size=5), some, max_size=4)
    ),
    max_leaves=20,
)


@given(VALUES)
def test_what_is_ours_is_read_as_before(value):
    assert from_json(json.dumps(value)) == value


def test_brackets_in_texts_and_comments_are_no_depth():
    many = "[{" * 1000
    assert from_json(json.dumps({"a": many, "b": '"' + many})) == {"a": many, "b": '"' + many}
    assert from_toml(f"a = \"{many}\"\nb = '''{many}\n{many}'''\n# {many}\n")["a"] == many
    assert from_yaml(f"a: '{many}'\n# {many}\n") == {"a": many}
    assert from_toml("a = [" + "0.5, " * 1000 + "]")["a"] == [0.5] * 1000


def test_depth_up_to_the_bound_is_read():
    depth = MOST_DEPTH
    assert from_json("[" * depth + "]" * depth)
    assert from_toml("a = " + "[" * depth + "]" * depth)
    assert from_yaml("[" * depth + "]" * depth)
    for read in (from_json, from_yaml):
        with pytest.raises(ValueError, match=f"more than {MOST_DEPTH} levels deep"):
            read("[" * (depth + 1) + "]" * (depth + 1))


def test_an_alias_and_a_merge_are_read():
    text = "a: &x {b: 1}\nc: *x\nd: {<<: *x, e: 2}\n0.5: {}"
    assert from_yaml(text) == {"a": {"b": 1}, "c": {"b": 1}, "d": {"b": 1, "e": 2}, 0.5: {}}


# Every reader of a file, with each of the texts that overflow its format.


def into(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def curve(text):
    return lambda tmp: read_curves(into(tmp / "a.csv", text))


def journal(tmp, text):
    into(tmp / NAME, f"{_mark('', text)} {text}\n")
    events_of(tmp)


def scores(tmp, text):
    into(tmp / "scores.csv", "category,defect,score\n")
    into(tmp / "thresholds.json", text)
    read_scores(tmp)


JSON_FILES = {
    "a file of JSON": lambda tmp, text: read_json(into(tmp / "a.json", text), "it"),
    "a record": lambda tmp, text: read_record(into(tmp / RECORD, text).parent),
    "a journal": journal,
    "pictures": lambda tmp, text: read_index(into(tmp / "pictures/index.json", text).parents[1]),
    "thresholds": scores,
    "saturations": lambda tmp, text: read_saturation(into(tmp / "defects_config.json", text)),
}
TOML_FILES = {
    "a configuration": lambda tmp, text: read_config(into(tmp / "a.toml", text), ()),
    "an overlay": lambda tmp, text: read_toml(into(tmp / "a.toml", text)),
    "a policy": lambda tmp, text: read_policy(into(tmp / "policy.toml", text)),
}
YAML_FILES = {"a matrix": lambda tmp, text: read_plan(into(tmp / "a.yaml", text))}
FILES = [
    (reader, text)
    for readers, texts in ((JSON_FILES, JSON), (TOML_FILES, TOML), (YAML_FILES, YAML))
    for reader in readers
    for text in texts
]
READERS = {**JSON_FILES, **TOML_FILES, **YAML_FILES}


@pytest.mark.parametrize(("reader", "text"), FILES)
def test_a_reader_names_the_file_that_overflows(reader, text, tmp_path):
    kind = JSON if reader in JSON_FILES else TOML if reader in TOML_FILES else YAML
    with soon(), pytest.raises(FedadError) as told:
        READERS[reader](tmp_path, kind[text])
    assert str(tmp_path) in str(told.value)
    assert "\n" not in str(told.value)


def test_a_deep_override_is_a_text_that_no_knob_takes():
    for value in ("[" * 5000, "{a=" * 3000, "9" * 5000, "0x" + "f" * 30_000):
        with soon(), pytest.raises(ConfigError, match=r"^round\.seed = "):
            read_config(None, [f"round.seed={value}"])


@pytest.mark.parametrize(
    "lines", ["a,b\n1,x\n", "a,b\n1\n", "", "a\n" + "1" * 200_000 + "\n"], ids=str.__len__
)
def test_curves_and_scores_that_are_none_are_named(lines, tmp_path):
    with pytest.raises(DataError, match=r"a\.csv"):
        curve(lines)(tmp_path)
    into(tmp_path / "scores.csv", lines.replace("a", "category", 1))
    if "1" in lines:
        with pytest.raises(DataError, match=r"scores\.csv"):
            read_scores(tmp_path)


def test_a_line_that_overflows_what_is_remembered_is_forgotten(tmp_path):
    into(tmp_path / f"looks-{PIL.__version__}.jsonl", "[" * 100_000 + "\n")
    with soon():
        assert KnownImages.of(EmbedderKnobs(cache=str(tmp_path))).known == {}


def test_a_line_that_overflows_an_audit_is_left_out(tmp_path):
    into(tmp_path / "audit.jsonl", "[" * 100_000 + "\n")
    with soon():
        assert not [*audit_of(tmp_path)]


def test_the_project_of_an_app_does_not_overflow(tmp_path):
    import io
    import zipfile

    for text in TOML.values():
        bundle = io.BytesIO()
        with zipfile.ZipFile(bundle, "w") as file:
            file.writestr("pyproject.toml", text)
        with soon(), pytest.raises(ValueError, match="not TOML"):
            _own_names(bundle.getvalue())


# Messages.


@pytest.mark.parametrize("text", JSON)
def test_a_message_that_overflows_has_a_word(text):
    findings = RecordDict({"decisions": ConfigRecord({"json": JSON[text]})})
    distances = RecordDict({"distances": ConfigRecord({"json": JSON[text]})})
    for unpack, content in (
        (wire.unpack_findings, findings),
        (wire.unpack_distances, distances),
    ):
        with soon(), pytest.raises(UploadError):
            unpack(content)
    tensors, header = bank_of(np.eye(4)).pack()
    for name in ("categories", "fingerprint"):
        with soon(), pytest.raises(UploadError) as told:
            Bank.unpack(tensors, {**header, name: JSON[text]})
        assert told.value.reason in ("header", "names")


def test_a_distance_beyond_floats_is_refused():
    content = RecordDict({"distances": ConfigRecord({"json": '{"bolt": 1' + "0" * 400 + "}"})})
    with pytest.raises(UploadError):
        wire.unpack_distances(content)


class Uncounted(dict):
    """A record of many arrays, of which none may be looked at."""

    def items(self):
        raise AssertionError("an array was made before they were counted")


def test_arrays_are_counted_before_any_is_made():
    many = Uncounted((f"a{k}", None) for k in range(TENSORS))
    content = SimpleNamespace(
        array_records={"bank": many}, config_records={"header": ConfigRecord({"schema": "1"})}
    )
    with soon(1.0), pytest.raises(UploadError, match="200,000 arrays") as told:
        wire.unpack(content, Bank)
    assert told.value.reason == "fields"


def test_as_many_arrays_as_payloads_have_are_read():
    most = max(len(slots) for kind in payloads() for slots in [kind.travelling()[kind.record()]])
    assert 4 * most < wire.MOST_ARRAYS
    content = RecordDict({"bank": ArrayRecord({"rows": wire.Array(np.eye(2))})})
    assert [*wire._numpy(content, "bank")] == ["rows"]


def payloads():
    import fedad.methods.discriminator
    import fedad.methods.gaussian
    import fedad.methods.patchcore  # noqa: F401

    todo = [Payload]
    while todo:
        kind = todo.pop()
        todo += kind.__subclasses__()
        if kind is not Payload and kind.__module__.startswith("fedad."):
            yield kind


@pytest.fixture(scope="module")
def many_tensors(tmp_path_factory):
    """A safetensors file of 12 MB whose header announces 200,000 tensors without a value."""
    path = tmp_path_factory.mktemp("many") / "bank.safetensors"
    entry = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    header = json.dumps({f"t{k}": entry for k in range(TENSORS)}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    return path


@pytest.mark.parametrize(
    "read",
    [lambda path: load(path, Bank), about, _from_file, wire.load],
    ids=["load", "about", "weights", "message"],
)
def test_tensors_are_counted_before_any_is_made(read, many_tensors):
    with soon(1.0), pytest.raises(DataError, match=f"more than {MOST_TENSORS:,} tensors") as told:
        read(many_tensors)
    assert str(many_tensors) in str(told.value)


def test_a_sites_own_file_and_its_cache_are_counted_too(many_tensors, tmp_path):
    (tmp_path / FILE).symlink_to(many_tensors)
    with soon(1.0), pytest.raises(DataError, match="tensors"):
        read_per_image(tmp_path)
    with soon(1.0):
        assert Cache(tmp_path, 1).get(many_tensors) is None


def test_names_cannot_hide_tensors_nor_texts_look_like_some(tmp_path):
    """An escaped key is a tensor as well; a text full of braces is none."""
    hidden = ",".join(f'"\\u0074{k}": {{"\\u0064type": "F32"}}' for k in range(5000))
    path = tmp_path / "a.safetensors"
    for header, fits in (
        (f"{{{hidden}}}", False),
        (json.dumps({"__metadata__": {"json": json.dumps([{"a": 1}] * 9000)}}), True),
    ):
        path.write_bytes(struct.pack("<Q", len(header)) + header.encode())
        if fits:
            check_tensors(path)
        else:
            with pytest.raises(ValueError, match="tensors"):
                check_tensors(path)
    path.write_bytes(struct.pack("<Q", 2**62))
    with pytest.raises(ValueError, match="a header of"):
        check_tensors(path)


# What holds for code that is still to be written.

SOURCES = [p for room in ("fedad", "server_app", "client_app") for p in (ROOT / room).rglob("*.py")]
PARSERS = ("json.loads", "json.load", "json.JSONDecoder", "tomllib.load", "tomllib.loads")
PARSERS += ("yaml.safe_load", "yaml.parse", "yaml.compose", "yaml.safe_load_all")
TENSOR_READERS = ("safe_open", "load_file")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nobody_else_parses(path):
    tree = ast.parse(path.read_text())
    used = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    brought = {
        one.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module in ("json", "tomllib", "yaml")
        for one in node.names
    }
    if path.relative_to(ROOT).as_posix() != "fedad/plumbing/parse.py":
        assert not used & {*PARSERS}
        assert not brought - {"dumps"}
    if names & {*TENSOR_READERS}:
        assert "check_tensors" in names, f"{path} opens tensors that nobody counted"
