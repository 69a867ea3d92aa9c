"""Thousands of files, and a process that is killed while they come: each is judged once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from fedad.inspection.hot_folder import LOG, OVERLAY, OWN, PLACES, WORKING
from fedad.judging.verdict_words import OK
from tests.inspection.watching import verdict_of

FILES, THERE = 5000, 2000  # all, and those that are there when the first process starts
KILLS = (900, 2300, 3900)  # lines in the log at which a process is killed
LONG = 600.0  # seconds in which all of it is done, on a machine with other work
ODD = (
    b"two\nlines",
    "\N{NUT AND BOLT}\N{VARIATION SELECTOR-16}".encode(),
    b"geh\xe4use",  # of a disk that is not written in Unicode
    b"=1+1",
    b"-rf",
    b"x" * 250,
)


def name_of(number: int) -> bytes:
    """One in a hundred is called as another one, and one oddly."""
    if number % 100 == 50:
        return ODD[number // 100 % len(ODD)] + b".png"
    return b"same.JPG" if number % 100 == 7 else b"%05d.png" % number


def arrive(folder: Path, number: int, *, slowly: bool = False) -> bytes:
    """Write a file as a camera does; one of the same name is waited for. Its name."""
    name, content = name_of(number), b"%d;" % number
    path = os.path.join(os.fsencode(folder), name)
    while os.path.exists(path):
        time.sleep(0.002)
    with open(path, "xb") as file:
        for piece in (content[:1], content[1:]) if slowly else (content,):
            file.write(piece)
            file.flush()
            if slowly:
                time.sleep(0.2)  # longer than a file must be left alone to be picked up
    if number % 100 == 50:
        os.utime(path, (4e9, 4e9))  # by a clock that is ahead
    return name


def start(folder: Path) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "tests.inspection.watching", str(folder)]
    return subprocess.Popen(words, env={**os.environ, "OMP_NUM_THREADS": "1"})


def lines(folder: Path) -> int:
    path = folder / LOG
    return path.read_bytes().count(b"\n") if path.exists() else 0


def until_lines(folder: Path, count: int, process: subprocess.Popen[bytes]) -> None:
    began = time.monotonic()
    while lines(folder) < count:
        assert process.poll() is None, "it ended by itself"
        assert time.monotonic() - began < LONG, f"{lines(folder)} lines of {count}"
        time.sleep(0.01)


def judged(folder: Path) -> Iterator[tuple[str, str, int]]:
    """Of each picture that has moved on: its name, the folder that it is in, its number."""
    for place in {*PLACES.values()}:
        for path in (folder / place).glob("*"):
            if not path.name.endswith(OVERLAY):
                yield path.name, place, int(path.read_text()[:-1])


@pytest.mark.reliability
def test_five_thousand_files_and_three_kills_and_each_is_judged_once(tmp_path):
    (tmp_path / "monday").mkdir()
    (tmp_path / "monday/1.png").write_bytes(b"0;")  # a folder in the folder is nobody's business
    there = [n for n in range(THERE) if n % 100 not in (7, 50)]
    names, come = [arrive(tmp_path, n) for n in there], sorted({*range(FILES)} - {*there})

    def camera() -> None:
        names.extend(arrive(tmp_path, number, slowly=number % 500 == 0) for number in come)

    process, writing = start(tmp_path), threading.Thread(target=camera, daemon=True)
    writing.start()
    for count in KILLS:
        until_lines(tmp_path, count, process)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process = start(tmp_path)
    until_lines(tmp_path, FILES, process)
    writing.join(timeout=LONG)
    time.sleep(0.5)  # in which a file that is judged twice would be
    (tmp_path / "stop").touch()
    assert process.wait(timeout=LONG) == 0

    told = [json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()]
    assert len({row["id"] for row in told}) == len(told) == FILES
    assert sorted(row["score"] for row in told) == list(range(FILES))
    assert Counter(row["image"] for row in told) == Counter(map(os.fsdecode, names))
    where = {number: place for _, place, number in judged(tmp_path)}
    assert len([*judged(tmp_path)]) == FILES
    assert where == {number: PLACES[verdict_of(number)] for number in range(FILES)}
    drawn = len([*tmp_path.glob(f"*/*{OVERLAY}")])
    stopped = sum(verdict_of(number) != OK for number in range(FILES))
    assert stopped - len(KILLS) <= drawn <= stopped  # one that is moved on after a kill has none
    assert not [*(tmp_path / OWN / WORKING).iterdir()]
    assert (tmp_path / "monday/1.png").exists()
