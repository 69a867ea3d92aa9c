"""A status as metrics: a text file for the textfile collector of Prometheus's node_exporter.

No port is opened. Format: Prometheus text exposition format, version 0.0.4.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from fedad.deploy.status import Status
from fedad.errors import ConfigError
from fedad.plumbing.files import write_atomic

READABLE = 0o644  # the collector is another user; no image, name of one, or score is in it
Sample = tuple[str, str, dict[str, str], float]  # name, help, labels, value
_ESCAPED = {"\\": r"\\", "\n": r"\n", '"': r"\""}


def write_metrics(path: Path, status: Status) -> None:
    """Write a status as metrics, whole or not at all.

    Raises:
        ConfigError: a name that the collector would pass by.
        OSError: it cannot be written.
    """
    if path.suffix != ".prom":
        raise ConfigError(
            f"--metrics {path}: expected a file that ends in .prom, for the collector"
        )
    write_atomic(path, as_metrics(status), mode=READABLE)


def as_metrics(status: Status) -> str:
    """The text of the file."""
    lines, told = list[str](), set[str]()
    for name, what, labels, value in samples(status):
        if name not in told:
            told.add(name)
            lines += [f"# HELP {name} {what}", f"# TYPE {name} gauge"]
        given = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        lines.append(f"{name}{{{given}}} {float(value)!r}")
    return "\n".join([*lines, ""])


def samples(status: Status) -> Iterator[Sample]:
    """The figures of a status; those of one name one after the other."""
    machine = {"machine": str(status["machine"])}
    yield ("fedad_info", "Versions.", machine | {**status["versions"]}, 1)
    yield ("fedad_status_seconds", "When this was written.", machine, _seconds(status["time"]))
    if (hub := status.get("superlink")) is not None:
        yield ("fedad_superlink_up", "Whether the SuperLink answers.", machine, hub["up"])
    for name, answer in status.get("up", {}).items():
        up = "does not" not in answer
        yield ("fedad_up", "Whether it answers.", machine | {"what": name}, up)
    for one in status.get("sites", ()):
        labels = {"site": one["site"], "key": one["number"]}
        yield ("fedad_site_online", "Whether a site is up.", labels, one["status"] == "online")
    if run := status.get("run"):
        good = run["outcome"] in ("finished", "answered", "goes on")
        yield ("fedad_last_run_ok", "Whether the last run went well.", machine, good)
        yield ("fedad_last_run_seconds", "When it last moved.", machine, _seconds(run["time"]))
    if model := status.get("model"):
        yield ("fedad_model_info", "The newest or current model.", {"sha256": model["sha256"]}, 1)
    for one in status["certificates"]:
        labels = {"whose": one["whose"]}
        yield ("fedad_certificate_days", "Days until it expires.", labels, one["days"])
    for one in status.get("ledgers", ()):
        labels = {"product": one["product"]}
        yield ("fedad_epsilon_left", "What is left of a privacy budget.", labels, one["left"])
    yield (
        "fedad_disk_free_gb",
        "Free space, GB of 2^30 bytes.",
        machine,
        status["disk"]["free_gb"],
    )
    yield ("fedad_warnings", "How much ought to be looked at.", machine, len(status["warnings"]))


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _escaped(text: str) -> str:
    return re.sub(r'[\\\n"]', lambda found: _ESCAPED[found[0]], str(text))
