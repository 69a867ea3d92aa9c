"""What was judged is kept by days, fills the strip after a restart, and never stops judging."""

import json
import os
import shutil
import threading
from datetime import UTC, date, datetime, timedelta

import pytest

from fedad.drift.rows import pictures_of
from fedad.inspection import hot_folder
from fedad.plumbing.files import BLOCK
from fedad.serving import inspected as file
from fedad.serving import verdict_log
from fedad.serving.inspected import Inspected
from fedad.serving.recent import KINDS
from fedad.serving.watched import Watched
from tests.drift.lines import rows
from tests.serving.conftest import pictures, serving
from tests.serving.test_outwards import until


def logged(models):
    """The lines of all days, the oldest first."""
    files = sorted((models / "inspected").glob("*.jsonl"))
    return [json.loads(line) for path in files for line in path.read_text().splitlines()]


@pytest.fixture
def log(tmp_path):
    """A log in a folder, and the lines that it said."""
    said = []
    one = Inspected(tmp_path, say=said.append)
    one.start()
    yield one, said
    one.stop()


def row(number, day="2026-03-02"):
    return {"id": f"{number}", "time": f"{day}T08:00:00Z", "number": number}


def test_each_inspection_is_a_line_of_its_day_and_its_owners_alone(own, fedad, plants):
    path = pictures(plants, "blot")[0]
    (told,) = own.inspect(path).json()["predictions"]
    models = own.serving.served.models
    (line,) = logged(models)  # on disk when the answer comes
    (day,) = (models / "inspected").iterdir()
    assert day.stem == told["time"][:10] == f"{datetime.now(UTC).date()}"
    assert day.stat().st_mode & 0o777 == 0o600
    assert day.parent.stat().st_mode & 0o777 == 0o700
    assert line == {name: told[name] for name in line}
    assert not {*KINDS, "pictures"} & {*line}
    words = ("inspect", path, "--models", models, "--product", "bolt", "--jsonl", "-")
    by_command = json.loads(fedad(*words)[2])
    alike = {name for name in by_command if name not in ("seconds", "time")}
    assert {name: line[name] for name in alike} == {name: by_command[name] for name in alike}
    assert pictures_of([line]).seen[0].values[0] == pytest.approx(
        pictures_of([by_command]).seen[0].values[0]
    )


def test_after_a_restart_the_strip_is_filled_and_verdicts_are_taken(own_models, plants):
    with serving(own_models) as line:
        some = [
            line.inspect(path).json()["predictions"][0]
            for path in (*pictures(plants, "good")[:2], pictures(plants, "blot")[0])
        ]
        line.client.post("/v1/verdicts", json={"id": some[0]["id"], "verdict": "right"})
    day = next((own_models / "inspected").iterdir())
    with day.open("a") as torn:
        torn.write('{"id": "no inspection"}\n{"id": "to')
    with serving(own_models) as line:
        strip = line.client.get("/v1/inspections").json()["inspections"]
        assert [one["id"] for one in strip] == [one["id"] for one in reversed(some)]
        for one, before in zip(reversed(strip), some, strict=True):
            assert one["restored"]
            assert set(one["pictures"].values()) == {None}
            same = {*before} - {"pictures", "operator"}
            assert {name: one[name] for name in same} == {name: before[name] for name in same}
        assert [one["operator"] for one in strip] == [None, None, "right"]
        old = strip[0]
        given = {"id": old["id"], "verdict": "false_alarm", "by": "anna"}
        noted = line.client.post("/v1/verdicts", json=given).json()
        wanted = ("id", "score", "threshold", "verdict", "model", "sha256", "product")
        assert {name: noted[name] for name in wanted} == {name: old[name] for name in wanted}
        assert line.client.get(f"/v1/inspections/{old['id']}/picture.png").status_code == 404
        assert line.client.post("/v1/normals", json={"id": old["id"]}).status_code == 404
        (new,) = line.inspect(pictures(plants, "good")[0]).json()["predictions"]
        assert "restored" not in new
        assert any("bytes of a torn last line were cut off" in said for said in line.lines)
    with serving(own_models) as line:
        strip = line.client.get("/v1/inspections").json()["inspections"]
        assert [one["id"] for one in strip] == [new["id"], *(one["id"] for one in reversed(some))]
        assert [one["operator"] for one in strip] == [None, "false_alarm", None, "right"]


def test_the_last_two_hundred_of_several_days_are_the_strip(own_models):
    for day in ("2026-03-02", "2026-03-03"):
        told = [one | {"id": f"{day} {k}"} for k, one in enumerate(rows(days=1, parts=50))]
        texts = {"sha256": "0" * 64, "threshold": 1.0, "time": f"{day}T08:00:00Z"}
        path = own_models / "inspected" / f"{day}.jsonl"
        file.append(path, b"".join(json.dumps(one | texts).encode() + b"\n" for one in told))
    with serving(own_models) as line:
        strip = line.client.get("/v1/inspections", params={"last": 1000}).json()["inspections"]
        ids = [*(f"2026-03-03 {k}" for k in range(149, -1, -1)), "2026-03-02 149"]
        assert [one["id"] for one in strip][:151] == ids
        assert len(strip) == 200


def test_a_watched_folders_pictures_are_in_it_once(own_models, plants, tmp_path, monkeypatch):
    monkeypatch.setattr(hot_folder, "POLL", 0.01)
    folder = tmp_path / "camera"
    folder.mkdir()
    with serving(own_models, product="bolt") as line:
        watching = Watched(folder, line.serving, line.lines.append)
        watching.start()
        try:
            shutil.copy(pictures(plants, "good")[0], folder / "a.png")
            until((folder / "done/a.png").exists)
        finally:
            watching.stop()
    (kept,) = logged(own_models)
    (own,) = [json.loads(text) for text in (folder / "verdicts.jsonl").read_text().splitlines()]
    assert (kept["image"], kept["watched"]) == ("a.png", own["id"])


def test_files_of_older_days_are_deleted_whole(log, monkeypatch):
    one, _ = log
    one.keep_days = 3
    today = date(2026, 3, 9)
    monkeypatch.setattr(file, "_today", lambda: today)
    for back in range(6):
        file.append(one.folder / f"{today - timedelta(back)}.jsonl", b"{}\n")
    (one.folder / "notes.txt").touch()
    one.add(row(1, f"{today}"))
    until(lambda: len([*one.folder.glob("*.jsonl")]) == 3)
    kept = sorted(path.name for path in one.folder.iterdir())
    assert kept == [f"2026-03-0{k}.jsonl" for k in (7, 8, 9)] + ["notes.txt"]
    assert one.over(today) == [("2026-03-07.jsonl", 3), ("2026-03-08.jsonl", 3)]


def test_a_server_that_begins_keeps_as_many_days_as_it_is_told(own_models):
    for back in range(4):
        day = datetime.now(UTC).date() - timedelta(back)
        file.append(own_models / "inspected" / f"{day}.jsonl", b"{}\n")
    with serving(own_models, keep_days=2) as line:
        until(lambda: len([*(own_models / "inspected").iterdir()]) == 2)
        assert line.lines == []


def test_a_full_disk_is_one_line_and_a_note_and_judging_goes_on(own, plants, monkeypatch):
    def full(handle, line):
        raise OSError(28, "No space left on device")

    path = pictures(plants, "good")[0]
    monkeypatch.setattr(file, "append_line", full)
    for _ in range(3):
        assert own.inspect(path).status_code == 200
    until(lambda: own.serving.inspected._lost == 3)
    assert len(own.lines) == 1
    assert "what is judged is not kept (No space left on device)" in own.lines[0]
    (note,) = own.client.get("/ready").json()["notes"]
    assert note in own.lines[0]
    assert 'fedad_errors_total{kind="log"}' in own.client.get("/metrics").text
    monkeypatch.undo()
    assert own.inspect(path).status_code == 200
    until(lambda: len(own.lines) == 2)
    assert "is kept again; 3 lines are missing" in own.lines[1]
    assert own.client.get("/ready").json()["notes"] == []
    assert len(logged(own.serving.served.models)) == 1


def test_a_slow_disk_lets_nobody_wait_and_what_waits_is_bounded(log, monkeypatch):
    one, _ = log
    monkeypatch.setattr(file, "MOST", 5)
    monkeypatch.setattr(file, "PATIENCE", 0.01)
    free, writing = threading.Event(), threading.Event()
    fsync = os.fsync

    def slow(handle):
        writing.set()
        free.wait(20)
        fsync(handle)

    monkeypatch.setattr(os, "fsync", slow)
    one.add(row(0))
    assert writing.wait(20)
    for number in range(1, 20):
        one.add(row(number))
    free.set()
    one.stop()
    numbers = [told["number"] for told in reversed(one.last(100))]
    assert numbers == [0, 15, 16, 17, 18, 19]


def test_what_a_crash_left_is_cut_off_and_told(log):
    one, said = log
    path = one.folder / "2026-03-02.jsonl"
    one.add(row(1))
    for number, torn in enumerate((b"{", b"\x00" * 3 * BLOCK), start=2):
        with path.open("ab") as handle:
            handle.write(torn)
        one.add(row(number))
        until(lambda count=number: len(one.last(9)) == count)
        assert said[-1] == f"{path}: {len(torn)} bytes of a torn last line were cut off"
    assert [told["number"] for told in one.last(9)] == [3, 2, 1]


def test_two_servers_of_one_folder_write_whole_lines(tmp_path):
    several = [Inspected(tmp_path) for _ in range(2)]
    for one in several:
        one.start()
    writers = [
        threading.Thread(target=lambda o=one, b=base: [o.add(row(b + k)) for k in range(30)])
        for one, base in zip(several, (0, 100), strict=True)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    for one in several:
        one.stop()
    numbers = [told["number"] for told in verdict_log.read(several[0]._days()[0])]
    assert sorted(numbers) == [*range(30), *range(100, 130)]


def test_a_log_that_cannot_be_read_is_one_line(own_models):
    (own_models / "inspected").mkdir()
    (own_models / "inspected" / "2026-03-02.jsonl").mkdir()
    with serving(own_models) as line:
        assert len(line.lines) == 1
        assert "the last inspections are not read (Is a directory)" in line.lines[0]
        assert line.client.get("/ready").status_code == 200
