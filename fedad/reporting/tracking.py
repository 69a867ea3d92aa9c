"""A run -> MLflow or TensorBoard, when `round.track` asks for it; nothing is imported when not.

TensorBoard's files go to `tensorboard/` in the run folder. MLflow gets the run where
`MLFLOW_TRACKING_URI` says, else in `mlflow.db` beside the run folder.
"""

from __future__ import annotations

import fcntl
import logging
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fedad.errors import ConfigError
from fedad.plumbing.files import private_file
from fedad.plumbing.shown import for_markdown
from fedad.reporting.record import number
from fedad.reporting.table import ISOLATED, mean_over

NEEDS = {"mlflow": ("mlflow", "sqlalchemy", "alembic"), "tensorboard": ("tensorboard",)}


def check_tracker(name: str) -> None:
    """See that a tracker's packages are there, before anything runs.

    Raises:
        ConfigError: they are not.
    """
    missing = [package for package in NEEDS.get(name, ()) if find_spec(package) is None]
    if missing:
        raise ConfigError(
            f"round.track = {name!r}: expected the package {missing[0]}: "
            f"pip install 'fedad[{name}]' brings it"
        )


def tracked(folder: Path, record: Mapping[str, Any]) -> list[str]:
    """Log every way of sharing in `record` as a run of the tracker that its configuration names.

    Returns warnings: a run is no worse for a tracker that cannot be reached.
    """
    name = record["config"].get("round.track", "")
    if not name:
        return []
    try:
        check_tracker(name)
        for way, found in record["figures"].items():
            {"mlflow": _mlflow, "tensorboard": _tensorboard}[name](folder, record, way, found)
    except Exception as error:  # whatever a server of somebody else answers
        return [f"round.track = {name!r}: the run could not be logged ({error})"]
    return []


def metrics_of(
    record: Mapping[str, Any], found: Mapping[str, Any], way: str = "federated"
) -> dict[str, float]:
    """`auc_spro_0.05` (the mean of sites), `together/auc_spro_0.05`, `bolt/auc_spro_0.05`,
    `site/graz/auc_spro_0.05`, bytes and seconds.

    Isolated sites have no ranking in common: the second and third are left out.
    """
    together, sites = found["together"], found["sites"]
    scopes: dict[str, Mapping[str, Any]] = {
        "": {key: {"value": mean_over(found, key)} for key in together["mean"]}
    }
    if way != ISOLATED:
        scopes["together/"] = together["mean"]
        scopes |= {f"{name}/": one["figures"] for name, one in together["categories"].items()}
    scopes |= {f"site/{name}/": one["mean"] for name, one in sites.items()}
    told = {
        f"{scope}{figure}": one["value"]
        for scope, figures in scopes.items()
        for figure, one in figures.items()
    }
    told |= {f"bytes/{way}": count for way, count in record.get("bytes", {}).items()}
    told |= {f"seconds/{stage}": value for stage, value in record["seconds"].items()}
    known = {key: number(value) for key, value in told.items()}
    return {key: value for key, value in known.items() if math.isfinite(value)}


def _tensorboard(
    folder: Path, record: Mapping[str, Any], way: str, found: Mapping[str, Any]
) -> None:
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(folder / "tensorboard" / way) as writer:
        knobs = "\n".join(
            f"| {for_markdown(key)} | {for_markdown(value)} |"
            for key, value in record["config"].items()
        )
        writer.add_text("configuration", f"| knob | value |\n|---|---|\n{knobs}")
        for key, value in metrics_of(record, found, way).items():
            writer.add_scalar(key, value, record["seed"])


def _mlflow(folder: Path, record: Mapping[str, Any], way: str, found: Mapping[str, Any]) -> None:
    logging.getLogger("alembic").setLevel(logging.WARNING)
    import mlflow

    with _alone_beside(folder):
        uri = os.environ.get("MLFLOW_TRACKING_URI")
        mlflow.set_tracking_uri(uri or f"sqlite:///{private_file(folder.parent / 'mlflow.db')}")
        mlflow.set_experiment(f"fedad {record['name']}".strip())
        with mlflow.start_run(run_name=f"{folder.name} {way}"):
            mlflow.log_params({**record["config"], "way": way, "folder": str(folder)})
            mlflow.log_metrics(metrics_of(record, found, way), step=record["seed"])


@contextmanager
def _alone_beside(folder: Path) -> Iterator[None]:
    """One process at a time: two that make the same database destroy each other's."""
    with private_file(folder.parent / ".track.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
