"""Whatever a site does with its models, and whenever it is killed: one whole model is current."""

import os
import shutil

import pytest

from fedad.models import extras, rethreshold, teaching
from fedad.models.adding import keep
from fedad.models.kept import KEYED, Kept
from fedad.models.store import NEW, _digest, accept, current, names, previous
from tests.models.conftest import ALL_IN, RATE
from tests.models.test_store import killed_at


def whole(models):
    """The current model's name, if all that it is made of belongs together."""
    kept = Kept(models / current(models))
    assert kept.name == _digest([kept.folder / name for name in KEYED])
    config = kept.config()
    assert kept.limits(config)  # of this very model
    judging = kept.judging(*kept.open(config))  # added normals fit their list
    assert judging.own is not None
    assert {one.product for one in kept.checked()} == {*kept.limits(config)}
    return kept.name


def planned(module, monkeypatch, change):
    """What `change` was about to bring to disk: all before that touches no model."""
    found = []

    def instead(models, contents, gate):
        found.append(contents)

    monkeypatch.setattr(module, "keep", instead)
    change()
    monkeypatch.undo()
    (contents,) = found
    return contents


def taught(models, pictures, monkeypatch):
    folder = pictures / "hose"
    return planned(
        teaching, monkeypatch, lambda: teaching.teach(models, folder, "hose", RATE, ALL_IN)
    )


def normal(models, pictures, monkeypatch):
    path = pictures / "long_bolt" / "0.png"
    return planned(extras, monkeypatch, lambda: extras.add_normal(models, path, "bolt", ALL_IN))


def threshold(models, pictures, monkeypatch):
    return planned(
        rethreshold, monkeypatch, lambda: rethreshold.rethreshold(models, "bolt", 0.5, ALL_IN)
    )


def every_step(pristine, tmp_path, work):
    """Kill `work` at each of its calls to the disk, and look at what is left."""
    before, step, found = current(pristine), 0, []
    while True:
        step += 1
        models = tmp_path / f"{step}"
        shutil.copytree(pristine, models, symlinks=True)
        ended = killed_at(step, lambda m=models: work(m))
        found.append(whole(models))
        for name in names(models):  # one that has a name is whole, current or not
            kept = Kept(models / name)
            assert name == _digest([kept.folder / one for one in KEYED])
        if not ended:
            break
        accept(models, before)  # the next writer needs no repair
        assert not list(models.glob(f"{NEW}*"))
        shutil.rmtree(models)
    assert found[0] == before
    assert found[-1] != before
    assert {*found} == {before, found[-1]}
    return step


@pytest.mark.parametrize(
    "change",
    [
        normal,
        pytest.param(taught, marks=pytest.mark.reliability),
        pytest.param(threshold, marks=pytest.mark.reliability),
    ],
)
def test_a_change_is_there_wholly_or_not_at_all(change, bolts, pictures, tmp_path, monkeypatch):
    contents = change(bolts, pictures, monkeypatch)
    assert names(bolts) == [current(bolts)]  # nothing was written until then
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # flushing is for power cuts
    steps = every_step(bolts, tmp_path / "killed", lambda models: keep(models, contents, ALL_IN))
    assert steps > 12


def test_a_rollback_too(bolts, pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    rethreshold.rethreshold(bolts, "bolt", 0.5, ALL_IN)
    before = previous(bolts)
    assert every_step(bolts, tmp_path / "killed", lambda models: accept(models, before)) > 3
