"""A coded row tells its own numbers and scale, is off by half a step at most, and is checked."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fedad.errors import UploadError
from fedad.messages.coded import MOST, packed, rounded, unpacked

VALUES = st.floats(-1e4, 1e4, width=32)
ROWS = st.tuples(st.integers(0, 4), st.integers(1, 6)).flatmap(
    lambda shape: arrays(np.float32, shape, elements=VALUES)
)


@given(ROWS)
def test_what_was_rounded_is_packed_and_unpacked_without_loss(values):
    once = rounded(values, "int8")
    sent = packed(once, "int8")
    assert (sent.dtype, sent.shape) == (np.int8, (*values.shape[:-1], values.shape[-1] + 4))
    assert unpacked("rows", sent).tobytes() == once.tobytes()
    assert rounded(once, "int8").tobytes() == once.tobytes()


@given(ROWS)
def test_a_value_is_off_by_half_a_step_at_most(values):
    off = np.abs(rounded(values, "int8").astype(float) - values)
    largest = np.abs(values).max(1, keepdims=True).astype(float)
    assert (off <= np.maximum(largest / MOST / 2 * 1.001, 2.0**-100)).all()


def test_rows_may_be_taken_apart_and_joined():
    rng = np.random.default_rng(0)
    rows = rounded(rng.normal(size=(9, 5)).astype(np.float32) * 10.0 ** rng.integers(-9, 4), "int8")
    whole = packed(rows, "int8")
    for some in ([0], [8, 3, 3], range(9)):
        np.testing.assert_array_equal(packed(rows[list(some)], "int8"), whole[list(some)])


@pytest.mark.parametrize("shape", [(7,), (3, 7), (2, 3, 7), (0, 7), (3, 0)])
def test_a_row_is_the_last_axis(shape):
    values = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    sent = packed(rounded(values, "int8"), "int8")
    assert sent.nbytes == values.size + 4 * int(np.prod(shape[:-1]))
    assert unpacked("rows", sent).shape == shape


def test_zeros_and_what_is_next_to_nothing_are_zeros():
    rows = np.array([[0, -0.0, 0], [1e-38, -1e-39, 1e-44]], np.float32)
    once = rounded(rows, "int8")
    assert not once.any()
    assert not np.signbit(once).any()
    assert not packed(once, "int8").any()


def test_other_dtypes_are_as_numpy_rounds_them():
    values = np.random.default_rng(2).normal(size=(4, 3)).astype(np.float32)
    for dtype in ("float16", "float32"):
        np.testing.assert_array_equal(rounded(values, dtype), values.astype(dtype))
        assert packed(values, dtype).tobytes() == values.astype(dtype).tobytes()


def coded():
    values = np.array([[1, -2, 3], [4, 5, 6]], np.float32)
    return packed(rounded(values, "int8"), "int8")


def scaled(scale):
    sent = coded()
    sent[0, -4:] = np.array([scale], "<f4").view(np.int8)
    return sent


def numbered(*numbers):
    sent = coded()
    sent[0, :3] = numbers
    return sent


@pytest.mark.parametrize(
    ("sent", "word"),
    [
        (coded()[:, :3], "shape"),
        (scaled(np.nan), "finite"),
        (scaled(np.inf), "finite"),
        (scaled(-1.0), "range"),
        (scaled(0.0), "range"),
        (scaled(1e-45), "range"),
        (scaled(1 + 2**-20), "range"),
        (numbered(1, 2, 3), "range"),
        (numbered(0, 0, 0), "range"),
        (numbered(-128, 127, 0), "range"),
    ],
)
def test_what_no_row_is_coded_as_is_refused_by_its_word(sent, word):
    with pytest.raises(UploadError) as refused:
        unpacked("rows", sent)
    assert refused.value.reason == word


def test_every_form_that_is_read_is_one_that_is_written():
    """A site has one way to send a row: what is unpacked and packed again is the same bytes."""
    rng = np.random.default_rng(3)
    read = 0
    for _ in range(200):
        sent = packed(rounded(rng.normal(size=(1, 3)).astype(np.float32), "int8"), "int8")
        sent[0, rng.integers(7)] ^= np.int8(1 << rng.integers(7))
        try:
            values = unpacked("rows", sent)
        except UploadError:
            continue
        if np.abs(values).max() > 1e4:  # which its range refuses
            continue
        read += 1
        assert packed(values, "int8").tobytes() == sent.tobytes()
    assert 0 < read < 200
