"""Whatever bytes a loader gets: an array or a bank, or one error with a word; nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save as save_safetensors

from fedad.banks.bank import Bank
from fedad.errors import DataError, UploadError
from fedad.messages import array_bytes
from fedad.messages.file import load, save
from tests.bad_messages.arrays import plain, with_header
from tests.bounds import bounded
from tests.conftest import bank_of

QUICK, LONG = 600, 25_000  # inputs a property; four properties
WORDS = {"kind", "shape", "header", "size", "schema", "names", "finite", "norm", "column", "counts"}
WORDS |= {"fields", "altered"}

GOOD = plain(np.arange(12, dtype=np.float32).reshape(3, 4))
SHAPES = st.lists(st.integers(-3, 2**70) | st.integers(0, 5), max_size=5).map(tuple)
ANNOUNCED = st.sampled_from([*array_bytes.KINDS, "object", "float64", "V9", "<f4", ""])
DESCRIPTIONS = st.sampled_from(
    ["'<f4'", "'|O'", "'>f4'", "'<f2'", "[('a','<f4',(9999,9999))]", "7", "'("]
)
HEADERS = st.builds(
    "{{'descr': {}, 'fortran_order': {}, 'shape': {}, }}".format,
    DESCRIPTIONS,
    st.sampled_from(["False", "True", "None", "7"]),
    SHAPES.map(str) | st.sampled_from(["(3, 4)", "(12,)", "()", "7", "((((", "(3.5,)"]),
)


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """Some good bytes with a few of them changed, cut out, put in or doubled."""
    damage = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(damage)))
        what = draw(st.sampled_from(["flip", "cut", "put", "double", "drop"]))
        if what == "flip" and at < len(damage):
            damage[at] ^= draw(st.integers(1, 255))
        elif what == "cut":
            del damage[at:]
        elif what == "put":
            damage[at:at] = draw(st.binary(min_size=1, max_size=9))
        elif what == "double":
            damage += damage[at:]
        else:
            del damage[at : at + draw(st.integers(1, 99))]
    return bytes(damage)


def harmless(load, file: Path | None = None) -> None:
    """`load` ends with a value or a known error, in time and within memory.

    A message has a word for what is wrong with it; a file is named.
    """
    refused: list[UploadError | DataError] = []
    with bounded():
        try:
            load()
        except (UploadError, DataError) as error:
            refused.append(error)
    for error in refused:
        assert len(str(error)) < 1000
        if isinstance(error, UploadError):
            assert error.reason in WORDS
        else:
            assert str(error).startswith(f"{file}: not a whole ")


def properties(folder: Path, count: int):
    """Four properties, each of `count` inputs, by name."""
    bank = bank_of(np.arange(24).reshape(6, 4))
    save(folder / "bank.safetensors", bank)
    whole = (folder / "bank.safetensors").read_bytes()
    tensors, header = bank.pack()
    file = folder / "damaged.safetensors"
    many = settings(
        max_examples=count,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )

    @many
    @given(damaged(GOOD.data) | st.binary(max_size=200) | HEADERS.map(_as_file), ANNOUNCED, SHAPES)
    def arrays(data, kind, shape):
        harmless(lambda: array_bytes.read(data, kind, shape))

    @many
    @given(st.data())
    def banks(data):
        changed = dict(tensors)
        for name in data.draw(
            st.lists(st.sampled_from([*tensors, "source", "more"]), min_size=1, max_size=2)
        ):
            changed[name] = data.draw(ARRAYS)
        for name in data.draw(st.lists(st.sampled_from([*tensors]), max_size=1)):
            changed.pop(name, None)
        harmless(lambda: Bank.unpack(changed, header))

    @many
    @given(st.dictionaries(st.sampled_from([*header, "radius", "more"]), TEXTS, min_size=1))
    def headers(changed):
        harmless(lambda: Bank.unpack(tensors, {**header, **changed}))

    @many
    @given(damaged(whole) | damaged(save_safetensors(tensors, header)) | st.binary(max_size=300))
    def files(content):
        file.write_bytes(content)
        harmless(lambda: load(file, Bank), file)

    return {"arrays": arrays, "banks": banks, "headers": headers, "files": files}


def _as_file(header: str) -> bytes:
    return with_header(header.encode()) + bytes(48)


def _filled(kind: str, shape: tuple[int, ...], number: float) -> np.ndarray:
    with np.errstate(all="ignore"):
        return np.full(shape, number, np.float64).astype(kind)


NUMBERS = st.sampled_from([0, 1, -1, np.nan, np.inf, 1e5, 1e30, 2**31 - 1, 2**62])
ARRAYS = st.builds(
    _filled,
    st.sampled_from(["float32", "float16", "int32", "int64", "uint8", "float64", "bool", "S3"]),
    st.lists(st.integers(0, 7), max_size=3).map(tuple),
    NUMBERS,
)
TEXTS = (
    st.text(max_size=20)
    | st.sampled_from(
        [
            "[" * 5000,
            "{}",
            "[]",
            '["a", "a"]',
            "null",
            "NaN",
            '[1, "b"]',
            '{"backbone": 7}',
            "1",
            "2",
        ]
    )
    | st.from_regex(r"\[(\"[a-z/.]{0,3}\",?){0,4}\]", fullmatch=True)
)


@pytest.mark.parametrize("name", ["arrays", "banks", "headers", "files"])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_any_input_ends_with_a_value_or_a_word(name, tmp_path):
    properties(tmp_path, QUICK)[name]()


@pytest.mark.reliability
@pytest.mark.parametrize("name", ["arrays", "banks", "headers", "files"])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_hundred_thousand_inputs(name, tmp_path):
    """R1: four times 25,000."""
    properties(tmp_path, LONG)[name]()


def test_what_is_whole_is_read(tmp_path):
    bank = bank_of(np.arange(24).reshape(6, 4))
    save(tmp_path / "bank.safetensors", bank)
    np.testing.assert_array_equal(load(tmp_path / "bank.safetensors", Bank).rows, bank.rows)
    np.testing.assert_array_equal(array_bytes.read(GOOD.data, "float32", (3, 4)), GOOD.numpy())
