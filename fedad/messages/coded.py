"""Floats as whole numbers of one byte: each row is its numbers times a scale of its own.

A row is divided by its scale, which makes its largest value 127, and rounded. On the wire a row of
P values is P bytes, then the four of its scale, a float32 of 12 significant bits: products with
whole numbers up to 127 are then exact in float32, so that the values tell their own scale and
numbers again. Rounding what was rounded changes nothing, and rows may be taken apart and joined
without another rounding. A row is the last axis of an array.
"""

from __future__ import annotations

import numpy as np

from fedad.errors import UploadError

CODED = "int8"
MOST = 127  # the largest number of a row; -128 is not used
SCALE = 4  # bytes of a row's scale
LEAST = 2.0**-100  # a row whose largest value is below it is all zeros
_KEPT = np.uint32(0xFFFFF000)  # the bits of a float32 of 12 significant bits
_HALF = np.uint32(0x800)


def rounded(values: np.ndarray, dtype: str) -> np.ndarray:
    """The values (..., P) float32 as they are once they travelled as `dtype`."""
    if dtype != CODED:
        return values.astype(dtype).astype(np.float32)
    scales = _scales(values)
    return _numbers(values, scales).astype(np.float32) * scales


def largest(dtype: str) -> float:
    """The largest value that travels as `dtype`."""
    return float(np.finfo("float32" if dtype == CODED else dtype).max)


def packed(values: np.ndarray, dtype: str) -> np.ndarray:
    """The array that travels of rounded values (..., P): of `dtype`, with scales where coded."""
    if dtype != CODED:
        return np.ascontiguousarray(values.astype(dtype, copy=False))
    scales = _scales(values)
    numbers = _numbers(values, scales).astype(np.int8)
    return np.concatenate([numbers, scales.astype("<f4").view(np.int8)], axis=-1)


def unpacked(name: str, array: np.ndarray) -> np.ndarray:
    """The values (..., P) float32 of a coded array (..., P + 4).

    Raises:
        UploadError: rows too short for a scale (`shape`), scales that are not `finite`, or numbers
            and scales that no row is coded as (`range`).
    """
    if array.shape[-1] < SCALE:
        raise UploadError(f"{name} has rows of {array.shape[-1]} bytes, and no scale", "shape")
    numbers, tail = array[..., :-SCALE], np.ascontiguousarray(array[..., -SCALE:])
    scales = tail.view("<f4").astype(np.float32)
    if not np.isfinite(scales).all():
        raise UploadError(f"{name} holds NaN or infinity as a row's scale", "finite")
    most = np.abs(numbers.astype(np.int16)).max(-1, keepdims=True, initial=0)
    wanted = np.where(scales == 0, 0, MOST)
    short = (scales.view(np.uint32) & ~_KEPT) == 0
    if not (short & ((scales >= LEAST / MOST / 2) | (scales == 0)) & (most == wanted)).all():
        raise UploadError(
            f"{name} has a row that is not coded so that its largest number is {MOST}, by a scale "
            "above 0 of 12 bits",
            "range",
        )
    with np.errstate(over="ignore"):  # what is too large is refused by its range
        values: np.ndarray = numbers.astype(np.float32) * scales
    return values


def _scales(values: np.ndarray) -> np.ndarray:
    """(..., 1) float32: the scale of each row, of 12 significant bits; 0 of a row of zeros."""
    most = np.abs(values.astype(np.float32, copy=False)).max(-1, keepdims=True, initial=0)
    bits = (most / np.float32(MOST)).astype(np.float32).view(np.uint32)
    scales: np.ndarray = ((bits + _HALF) & _KEPT).view(np.float32)
    return np.where(most < LEAST, np.float32(0), scales)


def _numbers(values: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """(..., P) whole numbers from -127 to 127 as floats, none of them -0."""
    known = (scales > 0) & np.isfinite(scales)  # of others the scale tells
    divided = np.divide(values, scales, out=np.zeros(values.shape, np.float32), where=known)
    numbers: np.ndarray = np.clip(np.rint(divided), -MOST, MOST) + np.float32(0)
    return numbers
