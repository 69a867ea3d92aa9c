"""After a run each virtual site has the model, and inspects by it as it judged."""

import csv
import shutil

import pytest
from flwr.supercore.task_identity import TaskIdentity

from fedad.config import read
from fedad.inspection.opened import open_inspector
from fedad.messages.file import checksum, load, save
from fedad.methods.base import method_of
from fedad.models.after_run import keep_of_run
from fedad.models.kept import Kept
from fedad.models.store import current
from fedad.plumbing.journal import events_of
from fedad.plumbing.progress import Bars
from fedad.round import merge
from fedad.running.launch import launch
from tests.conftest import SITES


@pytest.fixture(scope="module")
def run(knobs, tmp_path_factory):
    """A finished run; two good parts a site and product promise .4."""
    config = read({**knobs, "score.false-rejects": 0.4, "score.replicates": 2})
    with pytest.MonkeyPatch.context() as patched:
        for part in ("run_id", "node_id", "task_id"):
            patched.setattr(TaskIdentity, f"_{part}", 1)
        root = tmp_path_factory.mktemp("runs")
        return launch(config, via="local", root=root, with_yardsticks=False, sink=Bars())


def test_each_site_of_a_run_judges_on_as_it_did_in_it(run, plants):
    """The site's own rows measure those of the others."""
    folder = run
    added = dict(keep_of_run(folder))
    assert tuple(sorted(added)) == SITES
    home = folder / "sites" / "lyon"
    kept = Kept(home / "models" / added["lyon"].name)
    assert kept.passport()["source"] == f"run {folder.name}"
    assert kept.passport()["sites"] == list(SITES)
    assert {one.use for one in kept.images()[1]} == {"train", "test"}
    if current(home / "models") is None:  # of two parts chance says little, but may say that
        pytest.skip("this small network keeps no promise")
    inspector = open_inspector(home)
    rows = list(csv.DictReader((home / "scores.csv").read_text().splitlines()))
    assert rows
    for row in rows:
        product, _, defect, stem = row["image"].split("/")
        path = plants / product / "test" / defect / f"{stem}.png"
        one = inspector.inspect(path, product)
        assert one.score == pytest.approx(float(row["score"]), rel=1e-5)
        assert one.nearest.site in SITES
    checked = {one.name: one for one in kept.checked() if not one.rests}
    assert {row["image"] for row in rows} == {*checked}


def test_a_bank_without_a_site_is_the_merge_of_the_others(run, tmp_path, fedad):
    config = read({**events_of(run)[0]["config"], "round.resume": False})
    kind = method_of(config).rounds[-1].upload
    others = [load(run / f"uploads/{site}.safetensors", kind) for site in ("graz", "turin")]
    save(tmp_path / "others", merge(config, others), private=False, method="patchcore")
    words = ("model", "forget", run, "--site", "lyon", "--out", tmp_path / "without")
    code, err, out = fedad(*words)
    assert code == 0, err
    assert "of graz, turin, without lyon" in out
    assert checksum(tmp_path / "without") == checksum(tmp_path / "others")  # of all its bytes
    assert load(tmp_path / "without", kind).sites == ("graz", "turin")


def test_what_was_not_kept_cannot_be_forgotten(run, tmp_path, fedad):
    for site, told in (("oslo", "gave nothing to its bank"), ("lyon", "was not kept")):
        there = shutil.copytree(run, tmp_path / site, symlinks=True)
        (there / "uploads" / "graz.safetensors").unlink()
        code, err, _ = fedad("model", "forget", there, "--site", site, "--out", tmp_path / "x")
        assert code == 3
        assert told in err
