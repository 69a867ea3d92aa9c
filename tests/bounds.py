"""The bounds of one bad input, whatever it is: ten seconds, and a gigabyte."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SECONDS, BYTES = 10.0, 2**30


@contextmanager
def bounded(most: int = BYTES) -> Iterator[None]:
    """Inside, ten seconds pass and `most` bytes are taken at most.

    The peak is that of the time inside: a larger one from before would hide it.
    """
    start_peak()
    before, began = resident("VmRSS"), time.monotonic()
    yield
    assert time.monotonic() - began < SECONDS
    assert resident("VmHWM") - before < most


def start_peak() -> None:
    """Let this process's peak, VmHWM, start anew."""
    Path("/proc/self/clear_refs").write_text("5")


def resident(what: str) -> int:
    """Bytes of this process in memory: VmRSS now, VmHWM at most."""
    (line,) = (x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith(what))
    return int(line.split()[1]) * 1024
