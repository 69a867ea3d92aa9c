"""The bytes of one array as they arrive: NumPy's format, whose header says what follows.

NumPy allocates what a header asks for, and 136 bytes may ask for 64 TiB. Here a header is held
against what was announced and against the bytes that are there before an array is made of them.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import numpy as np

from fedad.errors import UploadError

KINDS = (
    *("float16", "float32", "float64", "int8", "int32", "int64"),
    *("uint8", "uint16", "uint32", "uint64"),
)
MOST_DIMENSIONS = 3
LONGEST_HEADER = 1000  # bytes; ours have 118
VERSION = (1, 0)


def read(data: bytes, kind: str, shape: Sequence[int]) -> np.ndarray:
    """The array in `data`, announced as of this kind and shape; it shares the bytes, read-only.

    Raises:
        UploadError: another kind than those that travel, or a header that does not fit what was
            announced or the bytes that are there.
    """
    if kind not in KINDS:
        raise UploadError(f"an array of {kind!a:.80}, expected {', '.join(KINDS)}", "kind")
    wanted = tuple(shape)
    if len(wanted) > MOST_DIMENSIONS or not all(type(n) is int and n >= 0 for n in wanted):
        raise UploadError(f"an array of shape {wanted!a:.80}", "shape")
    found, fortran, dtype, start = _header(data)
    if (found, dtype) != (wanted, np.dtype(kind)) or fortran:
        raise UploadError(
            f"an array announced as {wanted} {kind} whose header says {found!a:.80} {dtype!a:.80}"
            f"{', column by column' * fortran}",
            "header",
        )
    size = math.prod(wanted) * dtype.itemsize
    if len(data) - start != size:
        raise UploadError(
            f"an array of {size:,} bytes by its header, and {len(data) - start:,} are there: was "
            "it cut short?",
            "size",
        )
    return np.frombuffer(data, dtype, offset=start).reshape(wanted)


def _header(data: bytes) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    """Shape, whether columns come first, kind, and where the values begin."""
    stream = io.BytesIO(data)
    try:
        if (version := np.lib.format.read_magic(stream)) != VERSION:
            raise ValueError(f"version {version}")
        header = np.lib.format.read_array_header_1_0(stream, max_header_size=LONGEST_HEADER)
    except Exception as error:  # whatever a hostile header leads its parser to
        raise UploadError(
            f"an array without NumPy's header of version 1.0 ({error!a:.80})", "header"
        ) from error
    return *header, stream.tell()
