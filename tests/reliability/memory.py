"""The most memory that programs take while something goes on."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Self

EVERY = 0.2  # seconds from one look to the next


class Watch(threading.Thread):
    """`most` has, by program, the largest peak in bytes of a process that began below this one."""

    def __init__(self, *programs: str) -> None:
        super().__init__(daemon=True)
        self.most = dict.fromkeys(programs, 0)
        self.done = threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self.done.set()
        self.join()

    def run(self) -> None:
        while not self.done.wait(EVERY):
            for folder in Path("/proc").iterdir():
                if folder.name.isdigit() and (program := self._program(folder)):
                    self.most[program] = max(self.most[program], _peak(folder))

    def _program(self, folder: Path) -> str | None:
        try:
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")[:2]
        except OSError:
            return None
        names = [Path(word).name for word in words]
        found = next((program for program in self.most if program in names), None)
        return found if found and _is_below(int(folder.name), os.getpid()) else None


def _is_below(process: int, ancestor: int) -> bool:
    while process > 1:
        if process == ancestor:
            return True
        process = _number(Path(f"/proc/{process}"), "PPid")
    return False


def _peak(folder: Path) -> int:
    return _number(folder, "VmHWM") * 1024


def _number(folder: Path, name: str) -> int:
    try:
        lines = (folder / "status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), 0)
