"""A small federation of real processes, a run on it, and kill -9 at a chosen moment."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fedad.config import Config
from fedad.deploy.federation import Federation
from fedad.deploy.link import Link
from fedad.deploy.rehearsal import factory_config
from fedad.deploy.services import Kit
from fedad.errors import DataError
from fedad.plumbing.journal import events_of
from fedad.reporting.run_folder import FAILURE, RECORD
from fedad.running.overlay import resumed_config
from tests.conftest import LENIENT

SITES = ("graz", "lyon", "turin")
VICTIM = "lyon"
# Each process type of the kill matrix: the service that it runs in, and its program.
PROCESSES = {
    "SuperLink": ("superlink", "flower-superlink"),
    "SuperExec": ("superexec", "flower-superexec"),
    "ServerApp": ("superexec", "flwr-serverapp"),
    "SuperNode": (f"{VICTIM}-supernode", "flower-supernode"),
    "ClientApp": (f"{VICTIM}-superexec", "flwr-clientapp"),
}
# What says that a phase has begun: a stage in the server's journal, or a line in a site's log.
STAGES = {"enrol": "enrol", "aggregate": "merge", "broadcast": "evaluate"}
LINES = {"build": r"learning, round", "upload": r"sealed upload", "evaluate": r"judging"}
PHASES = ("enrol", "build", "upload", "aggregate", "broadcast", "evaluate")
TINY = {"embedder.weights": "random", "embedder.batch": 4, "embedder.threads": 1}
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class NeverCameError(AssertionError):
    """What was waited for did not come in time."""


class Plants(Federation):
    """Factories that let the small network's runs in, as many as a test begins."""

    def __init__(self, work: Path, sites: dict[str, Path], settings: dict | None = None) -> None:
        super().__init__(work, sites, settings or TINY)

    def kit(self, site: str) -> Kit:
        (self.work / "policy.toml").write_text(LENIENT)
        return super().kit(site)._replace(policy=self.work / "policy.toml")


@dataclass
class Template:
    """Keys and a SuperLink's database that knows them, made once and copied for each federation."""

    folder: Path
    plants: dict[str, Path]

    @contextlib.contextmanager
    def federation(self, work: Path, kind: type[Federation] = Plants) -> Iterator[Federation]:
        """A federation that is up in `work`; whatever happens, none of its processes is left."""
        shutil.copytree(self.folder, work, dirs_exist_ok=True)
        up = kind(work, self.plants, TINY)
        sessions: list[int] = []
        try:
            with up:
                sessions += [process.pid for process in up.processes.values()]
                yield up
        finally:
            assert not left_of(sessions), "a process outlived its federation"


def make_template(folder: Path, plants: dict[str, Path]) -> Template:
    """Register the sites once, with a SuperLink that is stopped again."""
    with Plants(folder, plants):
        pass
    for name in ("logs", "homes", "output", "nginx"):
        shutil.rmtree(folder / name, ignore_errors=True)
    return Template(folder, plants)


@dataclass
class Attempt:
    """A run on a federation: its folder, and how often it was gone on with."""

    up: Federation
    config: Config
    folder: Path
    link: Link = field(init=False)
    resumed: int = 0

    def __post_init__(self) -> None:
        self.link = self.up.link()
        self.folder.mkdir(parents=True)
        round_ = replace(self.config.round, out=str(self.folder))
        self.link.start(replace(self.config, round=round_).flat())

    def resume(self) -> None:
        self.resumed += 1
        self.link.start(resumed_config(self.folder, []).flat())

    @property
    def ended(self) -> bool:
        return (self.folder / RECORD).exists() or (self.folder / FAILURE).exists()

    def wait(self, seconds: float) -> bool:
        """Whether the run has left a record."""
        wait_until(lambda: self.ended, seconds, f"an end of the run in {self.folder}")
        return (self.folder / RECORD).exists()

    def finish(self, seconds: float, resumes: int = 2) -> dict[str, Any]:
        """The record of the run, which is gone on with where it failed."""
        while not self.wait(seconds):
            told = (self.folder / FAILURE).read_text()
            if self.resumed >= resumes:
                raise AssertionError(f"the run failed again: {told}")
            self.resume()
        return dict(json.loads((self.folder / RECORD).read_text()))

    def events(self) -> list[dict[str, Any]]:
        """What the server has noted so far."""
        try:
            return events_of(self.folder)
        except DataError:  # not begun yet
            return []

    def wait_for_phase(self, phase: str, seconds: float = 120) -> None:
        """Wait until a phase has begun, at the server or at the site that is to be killed."""
        if phase in LINES:
            wait_for_line(self.up.log(f"{VICTIM}-superexec"), LINES[phase], seconds)
            return
        stage = STAGES[phase]

        def began() -> bool:
            noted = [one for one in self.events() if one["event"] == "stage"]
            return stage in [one["stage"] for one in noted]

        wait_until(began, seconds, f"the stage {stage!r}", pause=0.005)


def quick(config: Config, **knobs: Any) -> Config:
    """The configuration for factories, with deadlines of seconds; two sites of three will do."""
    deadlines = {f"{stage}_seconds": 75.0 for stage in ("enrol", "train", "evaluate")}
    chosen = factory_config(config, SITES)
    knobs = {**deadlines, "min_sites": 2, "rejoin_seconds": 100.0, **knobs}
    return replace(
        chosen,
        score=replace(chosen.score, replicates=20),
        round=replace(chosen.round, **knobs),
    )


def wait_until(true: Callable[[], bool], seconds: float, what: str, pause: float = 0.02) -> None:
    until = time.monotonic() + seconds
    while not true():
        if time.monotonic() > until:
            raise NeverCameError(f"{what} did not come in {seconds:.0f} s")
        time.sleep(pause)


def wait_for_line(log: Path, pattern: str, seconds: float, *, after: int = 0) -> None:
    """Wait until a line of `log`, after so many bytes, fits."""
    wanted = re.compile(pattern, re.MULTILINE)

    def there() -> bool:
        if not log.exists():
            return False
        text = log.read_bytes()[after:].decode(errors="replace")
        return bool(wanted.search(COLOUR.sub("", text)))

    wait_until(there, seconds, f"{pattern!r} in {log.name}")


def pids(up: Federation, service: str, program: str) -> list[int]:
    """The living processes of a program in a service, oldest first."""
    session = up.processes[service].pid
    return [pid for pid in members([session]) if program in Path(words_of(pid, 1)).name]


def kill(up: Federation, process: str) -> int | None:
    """kill -9 one process of a type; its number, or None where none is running now."""
    there = pids(up, *PROCESSES[process])
    if not there:
        return None
    os.kill(there[-1], signal.SIGKILL)
    return there[-1]


def members(sessions: list[int]) -> list[int]:
    """The living processes of sessions, zombies left out, by number."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            state, session = _state(int(folder.name))
            if session in sessions and state not in "ZX":
                found.append(int(folder.name))
    return sorted(found)


def left_of(sessions: list[int], patience: float = 5.0) -> list[int]:
    until = time.monotonic() + patience
    while (left := members(sessions)) and time.monotonic() < until:
        time.sleep(0.1)
    return left


def words_of(pid: int, number: int) -> str:
    """One word of a process's command line."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        return words[number].decode()
    except (OSError, IndexError):
        return ""


def is_alive(pid: int) -> bool:
    return _state(pid)[0] not in "ZX"


def _state(pid: int) -> tuple[str, int]:
    try:
        rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return rest[0], int(rest[3])
    except (OSError, IndexError):
        return "X", -1
