"""How much memory a new process may have, of the machine's and of its container's."""

from __future__ import annotations

import math
import os
from pathlib import Path


def available() -> int:
    """Bytes that can be had without swapping."""
    return int(min(_of_machine(), _of_container()))


def _of_container() -> float:
    """What the limit of a control group leaves; infinite where there is none."""
    folder = Path("/sys/fs/cgroup")
    try:
        limit, used = ((folder / f"memory.{n}").read_text().strip() for n in ("max", "current"))
        return math.inf if limit == "max" else max(0, int(limit) - int(used))
    except (OSError, ValueError):
        return math.inf


def _of_machine() -> int:
    """Bytes of memory not in use; what the system has, where it does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        told = dict(line.split(":", 1) for line in lines)
        return int(told["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
