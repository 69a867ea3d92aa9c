"""A broken promise on the page of a run: what to do about it stands once, where one decides."""

import json
import re
import shutil

import pytest

from fedad.config import read
from fedad.plumbing.progress import Silent
from fedad.reporting.promises import ADVICE, AS_PROMISED, MORE
from fedad.reporting.report import report
from fedad.reporting.run_folder import RECORD, read_record
from fedad.running.launch import launch

SAID = ADVICE[1:]  # its first letter is large on a page


@pytest.fixture(scope="module")
def run(knobs, tmp_path_factory):
    config = read({**knobs, "score.false-rejects": 0.4, "score.replicates": 2})
    root = tmp_path_factory.mktemp("runs")
    return launch(config, via="local", root=root, with_yardsticks=False, sink=Silent())


@pytest.fixture
def page(run, tmp_path):
    """The page of the run, had its promises come to this at lyon and been kept elsewhere."""

    def made(verdict):
        folder = tmp_path / "run"
        shutil.copytree(run, folder, symlinks=True, dirs_exist_ok=True)
        record = read_record(run)
        for site, one in record["promises"]["sites"].items():
            one["verdict"] = verdict if site == "lyon" else AS_PROMISED
        (folder / RECORD).write_text(json.dumps(record))
        return report(folder).read_text()

    return made


def test_what_to_do_stands_once_below_what_came_of_the_promise(page):
    text = page(MORE)
    (section,) = re.findall(r'<section id="outcome".*?</section>', text, re.DOTALL)
    assert text.count(SAID) == section.count(SAID) == 1
    told, _, rest = section.partition(SAID)
    assert "were promised to be stopped" in told
    assert 'class="plots' in rest
    assert "were promised to be stopped" not in rest
    assert MORE in text.replace(section, "")  # the table of all sites still says which it is


def test_where_promises_are_kept_there_is_nothing_to_do(page):
    text = page(AS_PROMISED)
    assert SAID not in text
    assert "were promised to be stopped" in text
