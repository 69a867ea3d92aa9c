"""Latency of `fedad serve` under 1, 4 and 20 clients, and its memory in ten minutes of 20.

    python benchmarks/serving.py [--size 256] [--good 60] [--seconds 60] [--minutes 10]
                                 [--clients 1 4 20] [--keep DIR]

The server is a process of its own, by a model that is built alone from good parts of one drawn
product. Clients are threads here, each of which sends its next picture (a JPEG of 640 x 480) once
it has the verdict on the one before. In the last stage every fifth picture is one of the bad ones
of tests/bad_data: each has to be refused in one line, and nothing else may be. Wall seconds hang on
what else the machine does; processor milliseconds of the server a picture, less so. With --keep
the pictures and the model stay in DIR, and another call begins with them.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
from common import heading, row
from inspecting import drawn

from fedad.config import read
from fedad.models.by_hand import build_and_keep
from fedad.models.gate import Gate

ROOT = Path(__file__).resolve().parents[1]
TICKS = os.sysconf("SC_CLK_TCK")
SERVE = "from fedad.cli import main; main()"


class Server:
    """A server as a process, the lines that it wrote, and what it takes."""

    def __init__(self, models: Path) -> None:
        words = [sys.executable, "-c", SERVE, "serve", "--port", "0", "--models", str(models)]
        self.process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        self.lines, first = [], ""
        while not (found := re.match(r"(http://\S+)/ ", first)):
            first = self.process.stderr.readline()
            if not first:
                raise SystemExit(f"the server ended: {self.lines}")
            self.lines.append(first)
        self.address = found[1]
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.lines.extend(self.process.stderr)

    @property
    def memory(self) -> int:
        """Bytes in memory now."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    @property
    def used(self) -> float:
        """Processor seconds so far."""
        told = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(told[11]) + int(told[12])) / TICKS

    def end(self) -> int:
        """Tell it to end; its exit code."""
        self.process.terminate()
        return self.process.wait(60)


class Load:
    """So many clients at once for so many seconds: what they were answered, and after how long."""

    def __init__(self, server: Server, good: list[Path], bad: list[Path]) -> None:
        self.server, self.good, self.bad = server, good, bad
        self.seconds: list[float] = []
        self.answers: Counter[int] = Counter()
        self.memory: list[int] = []

    def run(self, clients: int, seconds: float) -> None:
        """Ask."""
        end = time.monotonic() + seconds
        asking = [threading.Thread(target=self._ask, args=(n, end)) for n in range(clients)]
        for one in asking:
            one.start()
        while any(one.is_alive() for one in asking):
            self.memory.append(self.server.memory)
            time.sleep(1)
        for one in asking:
            one.join()

    def _ask(self, number: int, end: float) -> None:
        at = number
        with httpx.Client(base_url=self.server.address, timeout=300) as client:
            while time.monotonic() < end:
                at += 1
                is_bad = self.bad and at % 5 == 0
                path = (
                    self.bad[at // 5 % len(self.bad)] if is_bad else self.good[at % len(self.good)]
                )
                content, began = path.read_bytes(), time.perf_counter()
                answer = client.post(
                    "/v1/inspect",
                    params={"name": path.name},
                    content=content,
                    headers={"Content-Type": "image/jpeg"},
                )
                self.answers[answer.status_code] += 1
                if answer.status_code == 200:
                    self.seconds.append(time.perf_counter() - began)


def built(folder: Path, size: int, threads: int) -> None:
    """Make the models of a plant that learned alone from the pictures below `learn`."""
    knobs = {
        "data.dataset": "auto",
        "data.dir": str(folder / "learn"),
        "embedder.size": size,
        "embedder.threads": threads,
        "embedder.cache": "off",
    }
    build_and_keep(read(knobs), "here", None, folder / "models", Gate(false_rejects=1.0))


def bad_pictures(folder: Path) -> list[Path]:
    """The files of tests/bad_data that are no pictures that can be read."""
    sys.path.insert(0, str(ROOT))
    from tests.bad_data.cases import train_file
    from tests.bad_data.image_cases import BOMBS, BROKEN, CUT, FOREIGN

    found = []
    for number, case in enumerate((*CUT, *FOREIGN, *BROKEN, *BOMBS)):
        place = train_file(folder / f"{number}").parent
        place.mkdir(parents=True)
        case.build(folder / f"{number}")
        found += [one for one in place.iterdir() if one.stat().st_size < 2**26]
    return found


def told(name: str, load: Load, wall: float, used: float) -> None:
    """A row of what clients saw and of what the server took."""
    at = [1000 * float(np.quantile(load.seconds, share)) for share in (0.5, 0.99)]
    done = sum(load.answers.values())
    row(
        name,
        f"{at[0]:.0f}",
        f"{at[1]:.0f}",
        f"{done / wall:.1f}",
        f"{1000 * used / done:.0f}",
        f"{load.memory[0] / 2**20:.0f}",
        f"{max(load.memory) / 2**20:.0f}",
        f"{load.memory[-1] / 2**20:.0f}",
        ", ".join(f"{count} of {status}" for status, count in sorted(load.answers.items())),
    )


def told_memory(name: str, memory: list[int], of: Callable[[list[int]], float]) -> None:
    """A line of what the server held in each minute, of a reading a second."""
    minutes = [memory[at : at + 60] for at in range(0, len(memory), 60)]
    each = ", ".join(f"{of(one) / 2**20:.0f}" for one in minutes)
    print(f"memory in MB, {name} of each minute: {each}")


def measured(name: str, load: Load, clients: int, seconds: float) -> None:
    """Run a load, and say what came of it."""
    began, used = time.perf_counter(), load.server.used
    load.run(clients, seconds)
    told(name, load, time.perf_counter() - began, load.server.used - used)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 20])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--good", type=int, default=60)
    parser.add_argument("--keep", type=Path)
    asked = parser.parse_args()
    heading()
    columns = ("median ms", "99th ms", "a second", "processor ms", "MB first", "most", "last")
    row("clients", *columns, "answers")
    with tempfile.TemporaryDirectory() as place:
        folder = asked.keep or Path(place)
        if not (folder / "new").exists():
            drawn(folder, asked.good, 60)
        pictures, models = sorted((folder / "new").iterdir()), folder / "models"
        if not models.exists():
            built(folder, asked.size, asked.threads)
        server = Server(models)
        try:
            for clients in asked.clients:
                measured(f"{clients}", Load(server, pictures, []), clients, asked.seconds)
            load = Load(server, pictures, bad_pictures(Path(place) / "bad"))
            name = f"{max(asked.clients)}, bad ones between, {asked.minutes:g} min"
            measured(name, load, max(asked.clients), 60 * asked.minutes)
            told_memory("highest", load.memory, max)
            told_memory("median", load.memory, np.median)
        finally:
            code = server.end()
        refused = load.answers[400]
        others = [line for line in server.lines[1:] if " 400: " not in line]
        print(
            f"ended with {code}; {len(server.lines) - 1} lines logged, {refused} pictures refused"
        )
        print(f"lines that are of no bad picture: {others[:5] or 'none'}")


if __name__ == "__main__":
    main()
