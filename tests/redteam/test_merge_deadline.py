"""A merge that does not end is ended, and what the sites sent is there for the next try."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

from fedad.banks.bank import Bank
from fedad.config import COVERAGE, read
from fedad.errors import FedadError
from fedad.messages.file import load
from fedad.methods.patchcore import PatchCore
from fedad.plumbing.progress import track
from fedad.reporting.run_folder import FAILURE
from server_app.deadline import Deadline, LateError
from server_app.local_grid import run_locally

pytestmark = pytest.mark.usefixtures("in_a_run")

SECONDS = 0.5


@pytest.fixture
def settings(knobs, tmp_path):
    return {**knobs, "round.out": str(tmp_path / "run"), "score.replicates": 2}


def deaf(*given: object, **more: object) -> None:
    """A merge that reports nothing."""
    time.sleep(20)


def endless(*given: object, **more: object) -> None:
    """A merge that reports how far it is, and is never there."""
    with track("coreset", 100) as progress:
        for done in range(10**6):
            progress(done % 100)
            time.sleep(0.01)


@pytest.mark.parametrize("slow", [deaf, endless])
def test_the_run_ends_with_one_line_and_goes_on_from_the_uploads(settings, monkeypatch, slow):
    run_locally({**settings, "round.out": settings["round.out"] + "-plain"}, sites=3)
    folder = Path(settings["round.out"])
    with monkeypatch.context() as patch:
        patch.setattr(PatchCore, "merge", slow)
        began = time.monotonic()
        with pytest.raises(FedadError) as caught:
            run_locally({**settings, "round.merge-seconds": SECONDS}, sites=3)
        assert time.monotonic() - began < 15  # sites embed and answer before
    told = str(caught.value)
    assert "round.merge-seconds = 0.5" in told
    assert "\n" not in told
    assert json.loads((folder / FAILURE).read_text())["message"] == told
    events = [line.split(" ", 1)[1] for line in (folder / "journal.jsonl").read_text().splitlines()]
    named = [json.loads(event)["event"] for event in events]
    assert named.count("uploaded") == 3
    assert "merged" not in named
    run_locally({**settings, "round.resume": True}, sites=3)
    again = [load(Path(one) / "bank.safetensors", Bank) for one in (folder, f"{folder}-plain")]
    assert again[0].rows.tobytes() == again[1].rows.tobytes()


def test_work_that_reports_progress_ends_within_a_second_of_its_deadline():
    deadline = Deadline(0.2, "too late")
    began, before = time.monotonic(), threading.active_count()
    with pytest.raises(LateError, match="too late"):
        deadline.run(endless)
    assert time.monotonic() - began < 2
    time.sleep(0.1)
    assert threading.active_count() <= before


def test_what_it_returns_and_raises_comes_through():
    assert Deadline(60, "").run(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        Deadline(60, "").run(lambda: 1 // 0)


def test_the_clock_stands_still_while_sites_are_asked():
    """They have a deadline of their own."""

    def asking() -> int:
        with deadline.stopped():
            time.sleep(1.2)
        return 7

    deadline = Deadline(0.5, "too late")
    assert deadline.run(asking) == 7
    with pytest.raises(LateError), Deadline(-1, "too late").stopped():
        pytest.fail("a site was asked")


def test_coverage_is_merged_in_time_too(settings):
    """Its merges are within the deadline, and what sites answer meanwhile is kept."""
    run_locally({**settings, "merge.weighting": COVERAGE, "round.merge-seconds": 120.0}, sites=3)
    record = json.loads((Path(settings["round.out"]) / "record.json").read_text())
    assert record["covered"]


def test_more_time_may_be_given_when_the_run_goes_on(settings):
    assert "round.merge-seconds" not in read(settings).essence()
