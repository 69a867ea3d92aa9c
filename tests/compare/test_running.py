"""Cells side by side: a worker that dies takes one cell with it, and who stops starts no other."""

import os
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from fedad.compare.cells import RunCell
from fedad.compare.plan import FEDERATED
from fedad.compare.running import Job, in_processes
from fedad.config import Config


def jobs_of(root: Path, *keys: str) -> list[Job]:
    return [Job(RunCell(FEDERATED, Config(), "", key, key), root, "local", 2) for key in keys]


def work(job: Job) -> None:
    """Leaves a file; the cell `killed` dies as if memory had run out, `broken` finds no disk."""
    if job.cell.key == "killed":
        os._exit(9)
    if job.cell.key == "broken":
        raise OSError("no space left")
    (job.root / job.cell.key).touch()
    time.sleep(0.2)


def test_a_worker_that_dies_takes_one_cell_with_it(tmp_path):
    jobs = jobs_of(tmp_path, "a", "killed", "b", "broken", "c", "d")
    found = {job.cell.key: error for job, error in in_processes(jobs, 2, work)}
    assert isinstance(found.pop("killed"), BrokenProcessPool)
    assert isinstance(found.pop("broken"), OSError)
    assert found == dict.fromkeys("abcd")
    assert {path.name for path in tmp_path.iterdir()} == set("abcd")


def test_who_stops_starts_no_other_cell(tmp_path):
    finished = in_processes(jobs_of(tmp_path, *"abcdef"), 2, work)
    next(finished)
    finished.close()  # as an interrupt does on its way out
    assert len(list(tmp_path.iterdir())) <= 2
