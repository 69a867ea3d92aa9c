"""Trackers: told when asked, nothing imported when not, and no run is worse for one that fails."""

import sys

import pytest

from fedad.errors import ConfigError
from fedad.plumbing.progress import Silent
from fedad.reporting import tracking
from fedad.reporting.run_folder import read_record
from fedad.reporting.tracking import check_tracker, metrics_of, tracked
from fedad.running.launch import launch


def record(track):
    figure = {"value": 0.75, "low": None, "high": None}
    nothing = {"value": None}
    together = {
        "mean": {"image_auroc": figure},
        "categories": {"bolt": {"figures": {"image_auroc": figure, "image_ap": nothing}}},
    }
    sites = {"lyon": {"mean": {"image_auroc": {"value": 0.5}}}}
    return {
        "name": "try",
        "seed": 3,
        "config": {"round.track": track, "coreset.local-ratio": 0.1},
        "bytes": {"up": 10, "down": 20},
        "seconds": {"train": 1.5},
        "figures": {"federated": {"together": together, "sites": sites}},
    }


METRICS = {
    "image_auroc": 0.5,  # the mean of sites
    "together/image_auroc": 0.75,
    "bolt/image_auroc": 0.75,
    "site/lyon/image_auroc": 0.5,
    "bytes/up": 10.0,
    "bytes/down": 20.0,
    "seconds/train": 1.5,
}


def test_metrics_are_the_figures_that_there_are():
    told = record("")
    assert metrics_of(told, told["figures"]["federated"]) == METRICS


def test_isolated_sites_have_no_ranking_in_common():
    told = record("")
    sizes = {"pooled": {"sizes": {"good_images": 1, "defective_images": 2}}}
    graz = {"mean": {"image_auroc": {"value": 0.9}}, **sizes}
    found = told["figures"]["federated"]
    found["sites"] = {"graz": graz, "lyon": {**found["sites"]["lyon"], **sizes}}
    metrics = metrics_of(told, found, "isolated")
    assert metrics["image_auroc"] == pytest.approx(0.7)
    assert "bolt/image_auroc" not in metrics
    assert metrics["site/graz/image_auroc"] == 0.9


def test_nothing_when_not_asked(tmp_path, monkeypatch):
    for name in ("mlflow", "tensorboard", "torch.utils.tensorboard"):
        monkeypatch.setitem(sys.modules, name, None)  # importing it would fail
    assert tracked(tmp_path, record("")) == []
    assert list(tmp_path.iterdir()) == []


def test_tensorboard_reads_what_was_run(config, tmp_path):
    pytest.importorskip("tensorboard", reason="fedad[tensorboard] is not installed")
    from dataclasses import replace

    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    asked = replace(config, round=replace(config.round, track="tensorboard", seed=3))
    folder = launch(asked, via="local", root=tmp_path, with_yardsticks=False, sink=Silent())
    told = read_record(folder)
    assert not [warning for warning in told["warnings"] if "round.track" in warning]
    events = EventAccumulator(str(folder / "tensorboard" / "federated"))
    events.Reload()
    (point,) = events.Scalars("auc_spro_0.05")
    mean = told["figures"]["federated"]["together"]["mean"]
    assert (point.step, point.value) == (3, pytest.approx(mean["auc_spro_0.05"]["value"]))
    assert "coreset.local-ratio" in str(events.Tensors("configuration/text_summary"))


@pytest.mark.reliability  # ten seconds of database migrations
@pytest.mark.filterwarnings("default")
def test_mlflow_reads_what_was_run(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="fedad[mlflow] is not installed")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder = tmp_path / "run"
    folder.mkdir()
    assert tracked(folder, record("mlflow")) == []
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'mlflow.db'}")
    (run,) = mlflow.MlflowClient().search_runs(["1"])
    assert run.data.metrics == METRICS
    assert run.data.params["coreset.local-ratio"] == "0.1"
    assert run.info.run_name == "run federated"


def test_a_tracker_that_fails_is_a_warning(tmp_path, monkeypatch):
    def fail(*told):
        raise OSError("nobody answers")

    monkeypatch.setattr(tracking, "_tensorboard", fail)
    monkeypatch.setattr(tracking, "find_spec", lambda name: name)
    (warning,) = tracked(tmp_path, record("tensorboard"))
    assert warning == "round.track = 'tensorboard': the run could not be logged (nobody answers)"


def test_a_missing_package_is_said_before_the_run(config, tmp_path, monkeypatch):
    from dataclasses import replace

    monkeypatch.setattr(tracking, "find_spec", lambda name: None)
    asked = replace(config, round=replace(config.round, track="mlflow"))
    with pytest.raises(ConfigError, match=r"pip install 'fedad\[mlflow\]'"):
        launch(asked, via="local", root=tmp_path, with_yardsticks=False, sink=Silent())
    assert list(tmp_path.iterdir()) == []
    check_tracker("")
