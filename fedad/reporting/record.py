"""A run -> `record.json` and `per_site.csv`: what was run, with what, on what, and what came out.

`figures` is the part that is the same, byte for byte, in process, under Ray and deployed.
"""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from importlib import metadata
from statistics import fmean
from typing import Any

from fedad import __version__
from fedad.config import Config
from fedad.evaluation import Rate
from fedad.judging.findings import Findings
from fedad.messages.payload import Payload
from fedad.methods.base import method_of
from fedad.plumbing.shown import csv_text
from fedad.reporting.privacy import privacy_of
from fedad.reporting.promises import promises_of

NO_RANGE = "not of sites"  # why a mean over sites has no interval: sites are no sample of any
MEAN_OF_SITES, OF_SITES = "mean_of_sites", "mean of sites"  # each counted once
SCHEMA = 2  # 1 had counts in 4,096 bins, and banks alone
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
    model: Payload,
    findings: Mapping[str, Findings],
    together: Findings | None = None,
    *,
    sites: Mapping[str, Mapping[str, Any]],
    seconds: Mapping[str, float],
    warnings: list[str],
) -> dict[str, Any]:
    """The record of a federated run.

    Args:
        findings: of each site on its test images, judged by `model`.
        together: their sum, where it is there already.
        sites: what is known of each site: images, bytes up and down, seconds by stage.
        seconds: of the server, by stage.
    """
    figures = figures_of(findings, together)
    return {
        "schema": SCHEMA,
        "name": config.round.name,
        "seed": config.round.seed,
        "config": config.flat(),
        "fingerprint": asdict(model.fingerprint),
        "model": {"kind": model.record(), **method_of(config).describe(model)},
        "sites": dict(sites),
        "bytes": {
            way: sum(sum(site["bytes"][way].values()) for site in sites.values() if "bytes" in site)
            for way in ("up", "down")
        },
        "seconds": dict(seconds),
        "warnings": warnings,
        "privacy": privacy_of(config),
        "promises": promises_of(figures, config.score.false_rejects),
        "figures": {"federated": figures},
    }


def model_size(record: Mapping[str, Any]) -> str:
    """What a run's model is and how large, such as `bank of 4,704 rows`: the first number that its
    method tells of it."""
    about = record["model"]
    sizes = ((name, n) for name, n in about.items() if isinstance(n, int))
    return next((f"{about['kind']} of {n:,} {name}" for name, n in sizes), about["kind"])


def figures_of(
    findings: Mapping[str, Findings], together: Findings | None = None
) -> dict[str, Any]:
    """Figures of all sites together, of each alone, and their means over sites, from counts.

    Args:
        together: the sum of `findings`, where it is there already.
    """
    if together is None:
        together = sum((findings[name] for name in sorted(findings)), Findings())
    sites = {name: _figures(findings[name]) for name in sorted(findings)}
    return {
        "together": _figures(together),
        "sites": sites,
        MEAN_OF_SITES: mean_of_sites(sites),
    }


def mean_of_sites(sites: Mapping[str, Any]) -> dict[str, Any]:
    """Each figure's mean over sites, every site counted once: what a site says of how many images
    it has moves `together`, and not this."""
    found = {}
    for key in {key: None for told in sites.values() for key in told["mean"]}:
        told_of = [told["mean"][key] for told in sites.values() if key in told["mean"]]
        values = [number(one["value"]) for one in told_of]
        known = [value for value in values if not math.isnan(value)]
        found[key] = {
            "value": fmean(known) if known else math.nan,
            "sites": len(known),
            "no_interval": NO_RANGE,
        }
    return found


def _figures(found: Findings) -> dict[str, Any]:
    """The report on counts, what thresholds stopped, and what others' rows did, by category."""
    return found.report | {
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
            category: {
                "relief": _rate(made.relief()),
                "masking": _rate(made.masking()),
                "chance_relief": _rate(made.chance_relief()),
                "chance_masking": _rate(made.chance_masking()),
            }
            for category, made in sorted(found.borrowed.items())
        },
    }


def _rate(rate: Rate) -> dict[str, float]:
    return rate._asdict()


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
    columns = (
        *("way", "site", "category", "figure", "value", "bound", "low", "high", "no_interval"),
    )
    return csv_text(columns, _lines(figures))


def _lines(figures: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for way, found in figures.items():
        for site, told in {"together": found["together"], **found["sites"]}.items():
            for category, entry in {
                **told["categories"],
                "mean": {"figures": told["mean"]},
            }.items():
                for key, one in entry["figures"].items():
                    numbers = (number(one[name]) for name in ("value", "bound", "low", "high"))
                    shown = (f"{n:.9g}" for n in numbers)
                    yield way, site, category, key, *shown, one["no_interval"]
        for key, one in found.get(MEAN_OF_SITES, {}).items():
            yield (
                way,
                OF_SITES,
                "mean",
                key,
                f"{number(one['value']):.9g}",
                "nan",
                "nan",
                "nan",
                NO_RANGE,
            )


def number(value: float | None) -> float:
    """A figure as a float: JSON has no NaN, and a record read back has null in its place."""
    return math.nan if value is None else value
