"""How many tensors a safetensors file may announce: looked at before anything is made of them.

A header of 12 MB announces 200,000 empty tensors, and safetensors takes a minute to hand them out.
"""

from __future__ import annotations

import re
from pathlib import Path

MOST_TENSORS = 4096  # the largest backbones of timm have 1,500
LONGEST_HEADER = 10**8  # bytes; safetensors' own limit
LENGTH = 8  # bytes in which a file says how long its header is
_OBJECT = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|\{', re.DOTALL)  # a string, or where an object begins


def check_tensors(path: Path) -> None:
    """Refuse a file of more tensors than any of ours has; what else is wrong its reader sees.

    Raises:
        OSError: it cannot be read.
        ValueError: it announces too many tensors, or too long a header.
    """
    with path.open("rb") as file:
        size = int.from_bytes(file.read(LENGTH), "little")
        if size > LONGEST_HEADER:
            raise ValueError(f"a header of {size:,} bytes, expected {LONGEST_HEADER:,} at most")
        header = file.read(size)
    _check_objects(header)


def check_announced(data: bytes) -> bytes:
    """The header of such a file in memory, if it announces no more tensors than any of ours has.

    Raises:
        ValueError: it does, or it is longer than the file.
    """
    size = int.from_bytes(data[:LENGTH], "little")
    header = data[LENGTH : LENGTH + size]
    if size > LONGEST_HEADER or len(header) < size:
        raise ValueError(f"a header of {size:,} bytes in {len(data):,}")
    _check_objects(header)
    return header


def _check_objects(header: bytes) -> None:
    objects = 0  # one is the header's own, one is for its texts, and each other is a tensor
    for found in _OBJECT.finditer(header):
        objects += found[0] == b"{"
        if objects > MOST_TENSORS + 2:
            raise ValueError(f"more than {MOST_TENSORS:,} tensors")
