"""The log of operators' verdicts: nothing is lost, and nothing is changed unseen."""

import fcntl
import json
import os
import subprocess
import sys
import threading
from hashlib import sha256
from pathlib import Path

import pytest

from fedad.errors import BusyError
from fedad.serving import verdict_log
from fedad.serving.verdict_log import BEFORE, FIRST, VerdictLog, broken, last, read
from tests.serving.conftest import pictures, serving

ROOT = Path(__file__).parents[2]


@pytest.fixture
def log(tmp_path):
    """A log of five lines."""
    path = tmp_path / "models" / "verdicts.jsonl"
    for number in range(5):
        VerdictLog(path).add({"number": number})
    return path


def test_each_line_has_the_hash_of_the_line_before(log):
    lines = log.read_bytes().splitlines()
    assert [row["number"] for row in read(log)] == [0, 1, 2, 3, 4]
    assert [row["number"] for row in last(log, 2)] == [4, 3]
    assert read(log)[0][BEFORE] == FIRST
    for before, row in zip(lines, read(log)[1:], strict=False):
        assert row[BEFORE] == sha256(before).hexdigest()
    assert broken(log) == ""
    assert log.stat().st_mode & 0o777 == 0o600
    assert read(log.with_name("none")) == []
    assert broken(log.with_name("none")) == ""


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda lines: [lines[0].replace("0", "9", 1), *lines[1:]], 2),
        (lambda lines: [*lines[:2], *lines[3:]], 3),
        (lambda lines: [lines[1], lines[0], *lines[2:]], 1),
        (lambda lines: [*lines[:3], lines[2], *lines[3:]], 4),
        (lambda lines: [*lines[:3], "by hand", *lines[3:]], 4),
        (lambda lines: lines[1:], 1),
    ],
)
def test_a_line_that_was_changed_dropped_or_moved_is_seen(log, change, line):
    lines = change(log.read_text().splitlines())
    log.write_text("\n".join(lines) + "\n")
    assert f"line {line} " in broken(log)
    VerdictLog(log).add({"number": 5})  # and it goes on
    assert read(log)[-1]["number"] == 5
    assert f"line {line} " in broken(log)


def test_what_a_crash_left_of_a_last_line_is_cut_off(log):
    end = log.with_name("verdicts.end.json")
    whole, counted = log.read_bytes(), end.read_text()
    for torn in (b"{", b'{"number": 5, "before": "12"}', b"\x00" * 3 * verdict_log.BLOCK):
        log.write_bytes(whole + torn)
        end.write_text(counted)
        assert [row["number"] for row in read(log)] == [0, 1, 2, 3, 4]
        VerdictLog(log).add({"number": 5})
        assert broken(log) == ""
        assert [row["number"] for row in read(log)] == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda lines: lines[:-1], "1 of 5 lines missing or changed at its end"),
        (lambda lines: lines[:2], "3 of 5 lines missing or changed at its end"),
        (lambda lines: [], "5 of 5 lines missing or changed at its end"),
        (
            lambda lines: [*lines[:-1], lines[-1].replace('"number": 4', '"number": 9')],
            "1 of 5 lines missing or changed at its end",
        ),
    ],
)
def test_whole_lines_that_are_cut_off_the_end_are_seen(log, change, told):
    lines = log.read_text().splitlines()
    log.write_text("".join(f"{line}\n" for line in change(lines)))
    assert broken(log) == f"{log}: {told}"
    VerdictLog(log).add({"number": "after"})  # which does not make it forgotten
    count = told.split()[0]
    assert broken(log) == f"{log}: {count} lines were gone before later ones were written"


def test_a_log_that_is_gone_is_seen(log):
    log.unlink()
    assert broken(log) == f"{log}: 5 of 5 lines missing or changed at its end"


def test_a_crash_between_a_line_and_its_count_alarms_nobody(log):
    end = log.with_name("verdicts.end.json")
    before = end.read_text()
    assert json.loads(before)["lines"] == 5
    assert end.stat().st_mode & 0o777 == 0o600
    VerdictLog(log).add({"number": 5})
    end.write_text(before)  # as if the process had been killed before it was written
    assert broken(log) == ""
    VerdictLog(log).add({"number": 6})
    assert broken(log) == ""
    assert json.loads(end.read_text()) == {
        "lines": 7,
        "last": sha256(log.read_bytes().splitlines()[-1]).hexdigest(),
        "missing": 0,
    }


def test_a_full_disk_after_a_line_leaves_it_logged(log, monkeypatch):
    def full(path, value):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(verdict_log, "write_json", full)
    for number in (5, 6):
        VerdictLog(log).add({"number": number})
    monkeypatch.undo()
    assert broken(log) == ""
    VerdictLog(log).add({"number": 7})
    assert broken(log) == ""
    assert json.loads(log.with_name("verdicts.end.json").read_text())["lines"] == 8


def test_a_log_of_an_older_version_is_taken_as_it_is(log):
    end = log.with_name("verdicts.end.json")
    end.unlink()
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:-2]))
    assert broken(log) == ""
    VerdictLog(log).add({"number": 3})
    assert (broken(log), json.loads(end.read_text())["lines"]) == ("", 4)


@pytest.mark.parametrize("text", ["", "{", '{"lines": -1, "last": "", "missing": 0}', "[1]"])
def test_a_count_that_is_none_is_told(log, text):
    log.with_name("verdicts.end.json").write_text(text)
    assert "verdicts.end.json: " in broken(log)
    VerdictLog(log).add({"number": 5})
    assert broken(log) == ""


def test_a_long_log_is_read_from_its_end(tmp_path):
    path = tmp_path / "verdicts.jsonl"
    rows = [json.dumps({"number": number, "pad": "x" * 500}) for number in range(3000)]
    path.write_text("\n".join(rows) + "\n")
    VerdictLog(path).add({"number": 3000})
    assert read(path)[-1][BEFORE] == sha256(rows[-1].encode()).hexdigest()
    assert [row["number"] for row in last(path, 3)] == [3000, 2999, 2998]


KILLED = """
import sys
from pathlib import Path
from fedad.serving.verdict_log import VerdictLog
for number in range(100_000):
    VerdictLog(Path(sys.argv[1])).add({"number": number})
    print(number, flush=True)
"""


def test_nothing_that_was_logged_is_lost_by_kill_9(tmp_path):
    path, said = tmp_path / "verdicts.jsonl", 0
    words = [sys.executable, "-c", KILLED, str(path)]
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    for _ in range(20):
        said = int(process.stdout.readline())
    process.kill()
    said = max([said, *map(int, process.stdout.read().split())])
    process.wait()
    process.stdout.close()
    assert [row["number"] for row in read(path)][: said + 1] == [*range(said + 1)]
    VerdictLog(path).add({"number": "after"})
    assert broken(path) == ""


def test_writers_wait_for_one_another(tmp_path, monkeypatch):
    path = tmp_path / "verdicts.jsonl"
    several = [
        threading.Thread(target=lambda: [VerdictLog(path).add({"n": k}) for k in range(20)])
        for _ in range(4)
    ]
    for one in several:
        one.start()
    for one in several:
        one.join()
    assert broken(path) == ""
    assert len(read(path)) == 80
    monkeypatch.setattr(verdict_log, "PATIENCE", 0.0)
    with path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(BusyError, match="another process is writing to it"):
            VerdictLog(path).add({"n": 0})


def test_a_disk_that_is_full_leaves_the_log_as_it_was(log, monkeypatch):
    before = log.read_bytes()

    def full(file):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        VerdictLog(log).add({"number": 5})
    assert log.read_bytes() == before


def test_an_operators_verdict_is_logged_with_what_it_is_of(own, plants):
    path = pictures(plants, "blot")[0]
    (one,) = own.inspect(path).json()["predictions"]
    given = {"id": one["id"], "verdict": "false_alarm", "by": "anna\n"}
    logged = own.client.post("/v1/verdicts", json=given).json()
    expected = {
        name: one[name] for name in ("id", "sha256", "product", "verdict", "score", "model")
    }
    assert expected.items() <= logged.items()
    assert logged["sha256"] == sha256(path.read_bytes()).hexdigest()
    assert (logged["operator"], logged["name"], logged["site"]) == (
        "false_alarm",
        path.name,
        "lyon",
    )
    assert logged["by"] == "anna\\n"
    assert read(own.serving.changes.log) == [logged]
    own.client.post("/v1/verdicts", json={**given, "verdict": "right"})
    told = own.client.get("/v1/verdicts", params={"last": 1}).json()["verdicts"]
    assert [row["operator"] for row in told] == ["right"]
    assert own.client.get(f"/v1/inspections/{one['id']}").json()["operator"] == "right"
    assert (
        'fedad_operator_verdicts_total{verdict="false_alarm"} 1' in own.client.get("/metrics").text
    )
    assert own.client.post("/v1/verdicts", json={**given, "verdict": "maybe"}).status_code == 400
    assert own.client.post("/v1/verdicts", json={**given, "id": "0" * 16}).status_code == 404
    assert own.client.post("/v1/verdicts", json={"id": 7}).status_code == 400


def test_a_broken_chain_is_told_when_a_server_begins(own_models):
    log = own_models / "verdicts.jsonl"
    log.write_text('{"number": 1}\n')
    with serving(own_models) as line:
        warned = [text for text in line.lines if text.startswith("warning: the log of operators'")]
        assert len(warned) == 1
        assert "line 1 does not follow" in warned[0]
        assert warned[0].removeprefix("warning: ") in line.client.get("/ready").json()["notes"]
        assert 'fedad_errors_total{kind="log"} 1' in line.client.get("/metrics").text


def test_lines_that_are_missing_are_told_when_a_server_begins(own_models):
    log = own_models / "verdicts.jsonl"
    for number in range(3):
        VerdictLog(log).add({"number": number})
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:1]))
    with serving(own_models) as line:
        (warned,) = line.lines
        assert warned.endswith(f"{log}: 2 of 3 lines missing or changed at its end")
        assert warned.removeprefix("warning: ") in line.client.get("/ready").json()["notes"]


def test_another_writer_is_a_conflict(own, plants, monkeypatch):
    (one,) = own.inspect(pictures(plants, "good")[0]).json()["predictions"]
    own.serving.changes.log.touch()
    monkeypatch.setattr(verdict_log, "PATIENCE", 0.0)
    with own.serving.changes.log.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        answer = own.client.post("/v1/verdicts", json={"id": one["id"], "verdict": "right"})
    assert answer.status_code == 409
