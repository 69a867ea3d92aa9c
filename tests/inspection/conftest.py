"""One small plant that has built a model, and the inspector of it."""

from __future__ import annotations

import shutil

import pytest

from fedad.config import read
from fedad.inspection.opened import open_inspector
from fedad.models.by_hand import build_and_keep
from fedad.models.gate import Gate
from fedad.running.by_hand import build
from fedad.running.onboarding import onboard


@pytest.fixture(scope="package")
def settings(knobs):
    """Six training images a product can promise a rate of .2, and no less than 1 / 7."""
    return read({**knobs, "data.dataset": "auto", "score.false-rejects": 0.2})


@pytest.fixture(scope="package")
def models(settings, tmp_path_factory):
    """The folder of models of the plant lyon."""
    folder = tmp_path_factory.mktemp("lyon") / "models"
    added, _ = build_and_keep(settings, "lyon", None, folder, Gate(false_rejects=1.0))
    assert added.is_current
    return folder


@pytest.fixture(scope="package")
def inspector(models):
    return open_inspector(models)


@pytest.fixture(scope="package")
def bank_file(settings, plants, tmp_path_factory):
    """The bank of a part of the training images, with thresholds by the others beside it."""
    root = tmp_path_factory.mktemp("bank")
    for number, file in enumerate(sorted((plants / "bolt/train/good").iterdir())):
        into = root / ("learn" if number == 0 else "new") / "bolt" / "good"
        into.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, into)
    data = {"data.dir": str(root / "learn"), "data.dataset": "auto"}
    build(read({**settings.flat(), **data}), "lyon", root / "bank.safetensors")
    onboard(
        read({**settings.flat(), "data.dir": ""}), root / "bank.safetensors", root / "new", None
    )
    return root / "bank.safetensors"
