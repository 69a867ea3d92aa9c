"""One whole current model at any moment, whenever a writer is killed."""

import os
import shutil

import pytest

from fedad.errors import DataError
from fedad.models import store
from fedad.models.store import (
    accept,
    current,
    models_folder,
    names,
    previous,
    publish,
    resolve,
)
from fedad.plumbing.files import write_atomic

KEYED = ("model", "more")
CALLS = ("open", "mkdir", "rename", "replace", "symlink", "unlink", "rmdir")  # change what is seen


def filled(text):
    """Writes a model of two files that say the same."""

    def fill(folder):
        for name in KEYED:
            write_atomic(folder / name, text)

    return fill


def add(models, text):
    name, _ = publish(models, filled(text), KEYED)
    accept(models, name)
    return name


def said(models):
    """What the current model says, if it is whole."""
    folder = models / current(models)
    texts = {(folder / name).read_text() for name in KEYED}
    assert len(texts) == 1
    return texts.pop()


def killed_at(step, work):
    """Do `work` in a process that ends before its call number `step` to the disk; whether it did
    end so."""
    child = os.fork()
    if child == 0:
        count = [0]

        def ending(inside):
            def call(*words, **more):
                count[0] += 1
                if count[0] == step:
                    os._exit(9)  # as by kill -9: nothing is cleaned up
                return inside(*words, **more)

            return call

        for name in CALLS:
            setattr(os, name, ending(getattr(os, name)))
        try:
            work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


@pytest.fixture
def _no_flush(monkeypatch):
    """A process that is killed takes nothing from the disk's cache: flushing is for power cuts."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.mark.usefixtures("_no_flush")
def test_wherever_a_writer_is_killed_one_whole_model_is_current(tmp_path):
    step, outcomes = 0, []
    old = add(tmp_path / "pristine", "old")
    while True:
        step += 1
        models = tmp_path / f"{step}" / "models"
        shutil.copytree(tmp_path / "pristine", models, symlinks=True)
        ended = killed_at(step, lambda m=models: add(m, "new"))
        outcomes.append(said(models))
        assert outcomes[-1] in ("old", "new")
        for name in names(models):  # one that has a name is whole, current or not
            assert {(models / name / one).read_text() for one in KEYED} <= {"old", "new"}
        new = add(models, "new")  # the next writer needs no repair
        assert said(models) == "new"
        assert previous(models) == old
        assert not list(models.glob(f"{store.NEW}*"))
        accept(models, old)
        assert (current(models), previous(models)) == (old, new)
        if not ended:
            break
    assert step > 12
    assert outcomes[0] == "old"
    assert outcomes[-1] == "new"


def test_the_same_files_are_the_same_model(tmp_path):
    first, is_new = publish(tmp_path, filled("a"), KEYED)
    again, is_again = publish(tmp_path, filled("a"), KEYED)
    assert (first, is_new, is_again) == (again, True, False)
    assert names(tmp_path) == [first]
    assert current(tmp_path) is None


def test_a_full_disk_leaves_what_was_there(tmp_path):
    old = add(tmp_path, "old")

    def full(folder):
        write_atomic(folder / "model", "half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        publish(tmp_path, full, KEYED)
    assert names(tmp_path) == [old]
    assert said(tmp_path) == "old"


def test_old_models_go_but_never_the_current_one_or_the_one_before(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "KEPT", 2)
    every = [add(tmp_path, f"{k}") for k in range(6)]
    assert set(names(tmp_path)) == {*every[2:]}
    accept(tmp_path, every[2])
    add(tmp_path, "last")
    assert current(tmp_path) in names(tmp_path)
    assert previous(tmp_path) == every[2]


def test_models_are_named_by_their_first_letters(tmp_path):
    name = add(tmp_path, "a")
    assert resolve(tmp_path, name[:4]) == resolve(tmp_path) == tmp_path / name
    with pytest.raises(DataError, match="0 models are called 'zz'"):
        resolve(tmp_path, "zz")
    with pytest.raises(DataError, match="no model was accepted there"):
        resolve(tmp_path / "nowhere")
    (tmp_path / "current").unlink()
    (tmp_path / "current").symlink_to("../../etc")
    with pytest.raises(DataError, match="no model that is there"):
        resolve(tmp_path)


def test_a_sites_folder_means_the_models_in_it(tmp_path):
    add(tmp_path / "site" / "models", "a")
    assert models_folder(tmp_path / "site") == tmp_path / "site" / "models"
    assert models_folder(tmp_path / "site" / "models") == tmp_path / "site" / "models"
