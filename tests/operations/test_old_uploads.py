"""Uploads stay for `round.keep-days`, and no longer."""

import json
import os
import time

import pytest

from fedad.deploy.server_status import _uploads
from fedad.plumbing.journal import Journal
from fedad.running.old_uploads import all_held, delete, held
from server_app.app import _delete_old_uploads

DAY = 86_400.0
KEY = "f" * 32


def finished(folder, *, days=None, age=0.0, ended=True, file="uploads/lyon.safetensors"):
    """A run whose one upload came so many days ago."""
    config = {} if days is None else {"round.keep-days": days}
    journal = Journal.begin(folder, key=KEY, config=config)
    path = folder / file
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"rows")
    os.utime(path, 2 * (time.time() - age * DAY,))
    journal.note("uploaded", site="lyon", round=1, file=file, sha256="a" * 64, told={})
    if ended:
        journal.note("finished")
    journal.close()
    (folder / "bank.safetensors").write_bytes(b"a model")
    return path


@pytest.fixture
def runs(tmp_path):
    """Folders of runs by what is to become of their uploads."""
    folder = tmp_path / "runs"
    folder.mkdir()
    return folder


def test_what_is_older_than_its_run_keeps_it_is_deleted_and_nothing_else(runs, fedad):
    old = finished(runs / "old", days=30, age=31)
    young = finished(runs / "young", days=30, age=29)
    usual = finished(runs / "usual", age=364)
    past = finished(runs / "past", age=366)
    resumable = finished(runs / "resumable", days=1, age=400, ended=False)
    (runs / "latest").symlink_to("old")
    (runs / "broken").mkdir()
    (runs / "broken" / "journal.jsonl").write_text("nothing\n")
    told, warnings = _uploads(runs)
    assert told == {"runs": 4, "bytes": 16}
    assert [one.partition(":")[0] for one in warnings] == ["old", "past"]
    code, err, out = fedad("prune", runs, "--dry-run", "--json")
    assert code == 0, err
    said = json.loads(out)
    assert (said["deleted"], [one["run"] for one in said["uploads"]]) == (False, ["old", "past"])
    assert old.exists()
    code, err, out = fedad("prune", runs)
    assert code == 0, err
    assert "old: 1 uploads, 0.0 MiB, are deleted: 31 days old, 30 were to be kept" in out
    assert [one.exists() for one in (old, past, young, usual, resumable)] == [
        *(False, False),
        *(True, True, True),
    ]
    assert (runs / "old" / "bank.safetensors").exists()
    assert not old.parent.exists()
    assert _uploads(runs)[1] == []


def test_a_run_that_begins_deletes_them_too(runs, monkeypatch):
    old, stuck = finished(runs / "old", days=0), finished(runs / "stuck", days=0)

    def refuse(one):
        if one.run.name == "stuck":
            raise PermissionError(13, "Permission denied", str(stuck))
        delete(one)

    monkeypatch.setattr("server_app.app.delete", refuse)
    _delete_old_uploads(runs)  # and no run fails over what cannot be deleted
    assert (old.exists(), stuck.exists()) == (False, True)


def test_a_journal_leads_to_no_file_elsewhere(runs, tmp_path):
    finished(runs / "run", days=0, age=9, file="../upload.safetensors")
    (tmp_path / "elsewhere").write_bytes(b"rows")
    inside = finished(runs / "linked", days=0, age=9)
    inside.unlink()
    inside.symlink_to(tmp_path / "elsewhere")
    assert [*all_held(runs)] == []
    assert held(runs / "linked") is None


def test_no_folder_of_runs_is_one_line(tmp_path, fedad):
    code, err, _ = fedad("prune", tmp_path / "gone")
    assert (code, err.count("\n")) == (3, 1)
    assert "expected the folder of runs" in err
