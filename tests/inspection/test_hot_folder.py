"""A folder that a camera writes into: each picture once, whenever what is killed."""

import json
import os
import shutil
import threading

import pytest
from PIL import Image

from fedad.errors import ConfigError
from fedad.inspection import hot_folder as file
from fedad.inspection.hot_folder import LOG, OWN, WORKING, HotFolder
from fedad.judging.verdict_words import NOK, OK, UNREADABLE


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture
def folder(plants, tmp_path):
    """Two good parts and two blotted ones have come."""
    made = tmp_path / "hot"
    made.mkdir()
    for defect in ("good", "blot"):
        for path in sorted((plants / "bolt/test" / defect).iterdir())[:2]:
            shutil.copy(path, made / f"{defect}-{path.name}")
    return made


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    monkeypatch.setattr(file, "POLL", 0.0)


def watched(folder, inspector, **how):
    return HotFolder(folder, inspector, "bolt", settle=0.0, **how)


def until_idle(folder, inspector, most=50, **how):
    """The lines, until no picture is left in the folder."""
    left = iter(range(most))
    stop = lambda: not any(map(str.strip, names(folder))) or next(left, None) is None  # noqa: E731
    return list(watched(folder, inspector, **how).watch(stop))


def names(folder):
    return sorted(path.name for path in folder.iterdir() if path.suffix == ".png")


def told(folder):
    return [json.loads(line) for line in (folder / LOG).read_text().splitlines()]


def moved(folder):
    """Where each picture is now, without overlays."""
    return {
        path.name: path.parent.name
        for place in ("done", "NOK", "again", "unreadable")
        for path in (folder / place).glob("*.png")
        if not path.name.endswith(file.OVERLAY)
    }


def test_every_picture_moves_to_where_its_verdict_says(folder, inspector):
    came = names(folder)
    rows = until_idle(folder, inspector)
    assert sorted(row["image"] for row in rows) == came == sorted(moved(folder))
    for row in rows:
        assert moved(folder)[row["image"]] == {OK: "done", NOK: "NOK"}.get(row["verdict"], "again")
    stopped = [row["image"] for row in rows if row["verdict"] == NOK]
    assert stopped
    assert all((folder / "NOK" / f"{name}{file.OVERLAY}").exists() for name in stopped)


def test_a_name_that_comes_again_is_another_picture(folder, inspector):
    name = names(folder)[0]
    content = (folder / name).read_bytes()
    until_idle(folder, inspector)
    (folder / name).write_bytes(content)
    rows = until_idle(folder, inspector)
    assert [row["image"] for row in rows] == [name]
    assert len(moved(folder)) == 5


def test_a_half_written_file_waits_until_it_is_whole(folder, inspector):
    content = (folder / names(folder)[0]).read_bytes()
    (folder / "slow.png").write_bytes(content[:400])
    rows = until_idle(folder, inspector, most=8, patience=60.0)
    assert len(rows) == 4
    assert names(folder) == ["slow.png"]
    (folder / "slow.png").write_bytes(content)
    assert [row["image"] for row in until_idle(folder, inspector)] == ["slow.png"]


def test_a_file_that_never_becomes_a_picture_is_put_aside(folder, inspector):
    (folder / "torn.png").write_bytes(b"no picture")
    os.utime(folder / "torn.png", (1, 1))
    rows = until_idle(folder, inspector)
    assert {row["image"]: row["verdict"] for row in rows}["torn.png"] == UNREADABLE
    assert moved(folder)["torn.png"] == "unreadable"


def test_a_file_of_a_clock_that_is_ahead_is_put_aside_as_well(folder, inspector):
    (folder / "torn.png").write_bytes(b"no picture")
    os.utime(folder / "torn.png", (4e9, 4e9))
    rows = until_idle(folder, inspector, patience=0.0)
    assert {row["image"]: row["verdict"] for row in rows}["torn.png"] == UNREADABLE


def test_a_file_that_still_grows_is_not_picked_up(folder, inspector):
    now = [0.0]
    one = HotFolder(folder, inspector, "bolt", settle=1.0, clock=lambda: now[0])
    assert not one._ready()
    now[0] = 2.0
    grown = folder / names(folder)[0]
    grown.write_bytes(grown.read_bytes() + b" ")
    ready = one._ready()
    assert len(ready) == 3
    assert grown not in ready
    now[0] = 4.0
    assert len(one._ready()) == 4


def steps(monkeypatch, at):
    """The process ends before the `at`-th call that changes the disk."""
    count = [0]

    def ending(inside):
        def call(*words, **more):
            count[0] += 1
            if count[0] == at:
                raise Killed
            return inside(*words, **more)

        return call

    for name in ("rename", "replace", "write", "fsync"):
        monkeypatch.setattr(os, name, ending(getattr(os, name)))
    return count


def test_nothing_is_lost_or_judged_twice_wherever_it_is_killed(folder, inspector, monkeypatch):
    pristine = folder.with_name("pristine")
    shutil.copytree(folder, pristine)
    came, at = names(folder), 0
    while True:
        at += 3
        shutil.rmtree(folder)
        shutil.copytree(pristine, folder)
        with monkeypatch.context() as patched:
            steps(patched, at)
            try:
                until_idle(folder, inspector)
                ended = False
            except Killed:
                ended = True
        until_idle(folder, inspector)
        rows = told(folder)
        assert sorted(row["image"] for row in rows) == came, at
        assert sorted(moved(folder)) == came, at
        assert not list((folder / OWN / WORKING).iterdir())
        assert len({row["id"] for row in rows}) == len(rows)
        if not ended:
            break
    assert at > 12


def test_one_process_watches_a_folder(folder, inspector):
    going, done = threading.Event(), threading.Event()
    first = watched(folder, inspector).watch(lambda: going.set() or done.is_set())
    next(first)
    try:
        with pytest.raises(ConfigError, match="another process watches it"):
            next(watched(folder, inspector).watch())
    finally:
        done.set()
        first.close()
    with pytest.raises(ConfigError, match="did you mean 'bolt'"):
        next(HotFolder(folder, inspector, "bolts").watch())
    with pytest.raises(ConfigError, match="no such folder"):
        next(watched(folder / "nowhere", inspector).watch())


def test_pictures_come_in_any_form_that_is_read(folder, inspector):
    Image.open(folder / names(folder)[0]).save(folder / "x.jpg", quality=98)
    rows = until_idle(folder, inspector)
    assert "x.jpg" in {row["image"] for row in rows} or (folder / "x.jpg").exists()
