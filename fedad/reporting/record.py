"""A run -> `record.json` and `per_site.csv`: what was run, with what, on what, and what came out.

`figures` is the part that is the same, byte for byte, in process, under Ray and deployed.
"""

from __future__ import annotations

import csv
import io
import math
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict
from importlib import metadata
from typing import Any

import numpy as np

from fedad import __version__
from fedad.config import Config
from fedad.findings import Findings
from fedad.metrics import Rate, report
from fedad.types import Bank

SCHEMA = 1
PACKAGES = (
    "flwr",
    "numpy",
    "pillow",
    "ray",
    "safetensors",
    "scikit-learn",
    "scipy",
    "timm",
    "torch",
)


def record_of(
    config: Config,
    bank: Bank,
    findings: Mapping[str, Findings],
    *,
    sites: Mapping[str, Mapping[str, Any]],
    seconds: Mapping[str, float],
    warnings: list[str],
) -> dict[str, Any]:
    """The record of a federated run.

    Args:
        findings: of each site on its test images, judged by `bank`.
        sites: what is known of each site: images, bytes up and down, seconds by stage.
        seconds: of the server, by stage.
    """
    return {
        "schema": SCHEMA,
        "name": config.round.name,
        "seed": config.round.seed,
        "config": config.flat(),
        "fingerprint": asdict(bank.fingerprint),
        "bank": describe_bank(bank),
        "sites": dict(sites),
        "bytes": {
            way: sum(sum(site["bytes"][way].values()) for site in sites.values() if "bytes" in site)
            for way in ("up", "down")
        },
        "seconds": dict(seconds),
        "warnings": warnings,
        "figures": {"federated": figures_of(findings)},
    }


def figures_of(findings: Mapping[str, Findings]) -> dict[str, Any]:
    """Figures of all sites together and of each alone, from counts."""
    together = sum((findings[name] for name in sorted(findings)), Findings())
    return {
        "together": _figures(together),
        "sites": {name: _figures(findings[name]) for name in sorted(findings)},
    }


def _figures(found: Findings) -> dict[str, Any]:
    """The report on counts, what thresholds stopped, and what others' rows did, by category."""
    return report(found.counts, found.replicates) | {
        "decisions": {
            category: {
                "calibrated_on": found.calibrated.get(category, 0),
                "false_rejects": _rate(made.false_rejects()),
                "escapes": _rate(made.escapes()),
            }
            for category, made in sorted(found.decisions.items())
        },
        "nearest": {
            category: dict(sorted(patches.items()))
            for category, patches in sorted(found.nearest.items())
        },
        "borrowed": {
            category: {"relief": _rate(made.relief()), "masking": _rate(made.masking())}
            for category, made in sorted(found.borrowed.items())
        },
    }


def _rate(rate: Rate) -> dict[str, float]:
    return rate._asdict()


def describe_bank(bank: Bank) -> dict[str, Any]:
    """How many rows a bank has, of which site and category, and how many images they stand for."""
    rows = np.zeros(bank.images.shape, np.int64)
    np.add.at(rows, (bank.site, bank.category), 1)
    return {
        "rows": len(bank),
        "features": bank.rows.shape[1],
        "dtype": bank.dtype,
        "patches": int(bank.patches.sum()),
        "rows_by_site": _table(bank, rows),
        "images_by_site": _table(bank, bank.images),
    }


def environment() -> dict[str, Any]:
    """What the run ran on; it may change the last bits of a figure."""
    versions = {"fedad": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return {
        "versions": versions,
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
    }


def per_site_csv(figures: Mapping[str, Any]) -> str:
    """One line for every way of sharing, site, category and figure."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("way", "site", "category", "figure", "value", "bound", "low", "high"))
    for way, found in figures.items():
        for site, told in {"together": found["together"], **found["sites"]}.items():
            for category, entry in {
                **told["categories"],
                "mean": {"figures": told["mean"]},
            }.items():
                for key, one in entry["figures"].items():
                    numbers = (number(one[name]) for name in ("value", "bound", "low", "high"))
                    writer.writerow((way, site, category, key, *(f"{n:.9g}" for n in numbers)))
    return text.getvalue()


def number(value: float | None) -> float:
    """A figure as a float: JSON has no NaN, and a record read back has null in its place."""
    return math.nan if value is None else value


def _table(bank: Bank, table: np.ndarray) -> dict[str, dict[str, int]]:
    return {
        site: {
            category: int(table[s, c]) for c, category in enumerate(bank.categories) if table[s, c]
        }
        for s, site in enumerate(bank.sites)
    }
