"""A new method is one file: in a copy of the project, with no other change than `make knobs`."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Three things that no method of ours does yet: its first round only counts, it sees pixels, and
# something that stays is given back to it.
TOY = '''
"""A toy: the channel that separates the halves of an image best, by counts; then means of it."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

import numpy as np

from fedad.messages.payload import Payload
from fedad.messages.schema import COUNTS, FLOATS, Array, Names
from fedad.methods.base import MethodBase, Round
from fedad.types import Fingerprint

__all__ = ["Toy"]


@dataclass(frozen=True)
class Knobs:
    power: float = 2.0


@dataclass(frozen=True, eq=False, kw_only=True)
class Votes(Payload):
    votes: Annotated[np.ndarray, Array("C B", ("int64",), least=0, most=COUNTS)]
    seen: Annotated[np.ndarray, Array("N", FLOATS, least=0, most=255, stays=True)] = field(
        default_factory=lambda: np.empty(0, np.float32)
    )
    categories: Annotated[tuple[str, ...], Names("C")]
    sites: Annotated[tuple[str, ...], Names("S")]
    fingerprint: Fingerprint
    dtype: Literal["float32", "float16"] = "float32"


@dataclass(frozen=True)
class Toy(MethodBase):
    rounds = (Round(Votes, Votes), Round(Votes, Votes))
    needs_pixels = True

    def fit(self, features, turn, *, own=None, rng):
        names = tuple(sorted({*features.categories}))
        tones = np.array([image.mean() for image in features.pixels], np.float32)
        again = features.pixels.embed([features.pixels[0], features.pixels[1]])
        np.testing.assert_array_equal(again, features.grid[:2])
        if turn.number == 2:
            np.testing.assert_array_equal(own.seen, tones)
            assert turn.model.votes.sum() > 0
        votes = np.zeros((len(names), 3), np.int64)
        for name, tone in zip(features.categories, tones):
            votes[names.index(name), int(tone // 86)] += 1
        return Votes(votes=votes, seen=tones, categories=names, sites=("",),
                     fingerprint=features.fingerprint)

    def merge(self, uploads, turn, *, rng):
        assert not any(len(one.seen) for one in uploads)
        names = tuple(sorted({name for one in uploads for name in one.categories}))
        votes = np.zeros((len(names), 3), np.int64)
        for one in uploads:
            votes[[names.index(name) for name in one.categories]] += one.votes
        sites = tuple(sorted({site for one in uploads for site in one.sites}))
        return uploads[0].replace(votes=votes, categories=names, sites=sites)

    def score(self, model, features, *, own=None):
        knobs = self.config.knobs("toy")
        tones = np.array([image.mean() for image in features.pixels], np.float32)
        maps = np.abs(features.grid).mean(-1) ** knobs.power + tones[:, None, None]
        return maps.astype(np.float32), maps.max((1, 2)).astype(np.float32)

    def admit(self, upload, site, turn):
        return upload, []

    def describe(self, model):
        return {"votes": int(model.votes.sum())}

    def scale(self, model):
        return dict.fromkeys(model.categories, (0.0, 255.0))
'''


def example() -> str:
    """The method in docs/extending.md."""
    text = (ROOT / "docs" / "extending.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    return code


@pytest.fixture
def project(tmp_path):
    """A copy of the packages and of pyproject.toml, imported before the installed ones; with what
    Python has compiled of them, which takes it seconds."""
    folder = tmp_path / "project"
    for name in ("fedad", "server_app", "client_app", "tests"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def within(project, *words):
    environment = {**os.environ, "PYTHONPATH": str(project)}
    return subprocess.run(
        [sys.executable, *words],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


FEDAD = ("-c", "from fedad.cli import main; main()")


def run(project, overlay, runs, *more):
    return within(project, *FEDAD, "run", str(overlay), "--runs", str(runs), *more)


def test_the_example_of_the_docs_obeys_the_laws_and_runs(project, overlay, tmp_path):
    (project / "fedad" / "methods" / "mean_patch.py").write_text(example())
    tests = ("tests/contracts/test_methods.py", "tests/contracts/test_apps.py", "-k", "mean_patch")
    done = within(project, "-m", "pytest", "-p", "no:cacheprovider", *tests)
    assert done.returncode == 0, done.stdout
    assert re.search(r"\d\d passed", done.stdout) or done.stdout.count(".") > 20
    done = run(project, overlay, tmp_path / "runs", "-c", "round.method=mean_patch")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs" / "latest" / "model.safetensors").exists()


def test_a_new_method_with_knobs_is_one_file_and_make_knobs(project, overlay, tmp_path):
    (project / "fedad" / "methods" / "toy.py").write_text(TOY)
    wanted = ("-c", "round.method=toy", "-c", "toy.power=1.5")
    told = run(project, overlay, tmp_path / "runs", *wanted)
    assert told.returncode == 2
    assert "make knobs lists it" in told.stderr.splitlines()[-1]
    assert within(project, "-m", "fedad.running.knobs").returncode == 0
    folders = {}
    for via in ("local", "flwr"):
        done = run(project, overlay, tmp_path / via, "--via", via, *wanted)
        assert done.returncode == 0, done.stderr
        folders[via] = json.loads((tmp_path / via / "latest" / "record.json").read_text())
    assert folders["local"]["figures"] == folders["flwr"]["figures"]
    assert folders["local"]["model"]["votes"] == 12
    assert folders["local"]["config"]["toy.power"] == 1.5


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("__all__ = ['A', 'B']\nA = B = 1\n", "exports A, B: expected one name in its __all__"),
        ("A = 1\n", "exports nothing: expected one name"),
        (
            "__all__ = ['A']\n\n\nclass A:\n    rounds = ()\n",
            "A lacks of, rejoins, needs_pixels, fit",
        ),
    ],
)
def test_a_file_that_is_no_method_is_told_in_one_line(source, says, project, overlay, tmp_path):
    (project / "fedad" / "methods" / "odd.py").write_text(source)
    done = run(project, overlay, tmp_path / "runs", "--via", "local", "-c", "round.method=odd")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "fedad/methods/odd.py" in done.stderr
    assert says in done.stderr


def test_a_knob_of_a_plug_in_that_is_not_used_is_a_warning_by_name(overlay, tmp_path):
    done = run(ROOT, overlay, tmp_path, "--via", "local", "-c", "gaussian.block=4")
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "latest" / "record.json").read_text())
    assert (
        "gaussian.block = 4 changes nothing: this run does not use gaussian" in record["warnings"]
    )
