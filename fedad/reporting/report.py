"""`fedad report`: a run's, a site's or a comparison's folder -> one page, plots and tables."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fedad.banks.bank import Bank
from fedad.errors import DataError
from fedad.evaluation import Counts, curves, loose, resample, summarise
from fedad.plumbing.files import read_json, write_atomic
from fedad.reporting.by_size import by_size
from fedad.reporting.comparison import page as compared
from fedad.reporting.gallery import read_index
from fedad.reporting.ledger import ledger
from fedad.reporting.markup import Html, Section, paragraph
from fedad.reporting.outcome import outcome
from fedad.reporting.page import LARGEST, page
from fedad.reporting.papers import paper_tables
from fedad.reporting.per_image import FILE as PER_IMAGE
from fedad.reporting.per_image import exactly_scored, read_per_image
from fedad.reporting.plots import Plot
from fedad.reporting.record import model_size
from fedad.reporting.run_folder import COMPARISON, RECORD, read_comparison, read_record
from fedad.reporting.scores import EVERY, Sites, of_curve, read_scores, together
from fedad.reporting.shown_drift import drift_of_run, drift_of_site
from fedad.reporting.shown_figures import figures
from fedad.reporting.shown_gallery import gallery
from fedad.reporting.shown_privacy import released
from fedad.reporting.shown_promises import promised
from fedad.reporting.shown_run import (
    Curves,
    Found,
    configuration,
    curve_plots,
    score_boxes,
    thresholds,
    whose_rows,
)
from fedad.seeding import stream

PAGE = "report.html"
REPLICATES = 200  # of a site's own page


def report(folder: Path, out: Path | None = None) -> Path:
    """Write the page of whatever `folder` holds, with `plots/` and `tables/` beside it.

    Raises:
        DataError: the folder is no finished run, no site's own folder and no comparison.
    """
    out = out or folder / PAGE
    if (folder / COMPARISON).exists():
        title, subtitle, sections, plots, tables = of_comparison(folder)
    elif (folder / RECORD).exists():
        title, subtitle, sections, plots, tables = of_run(folder)
    elif (folder / PER_IMAGE).exists():
        title, subtitle, sections, plots, tables = of_site(folder)
    else:
        raise DataError(
            f"{folder}: expected {RECORD} of a finished run, {COMPARISON} of a comparison, or "
            f"{PER_IMAGE} in a site's own folder"
        )
    _write_plots(out.parent, plots)
    _write_tables(out.parent, tables)
    text = page(title, subtitle, sections)
    if (size := len(text.encode())) > LARGEST:
        raise DataError(
            f"{folder}: its page would have {size:,} bytes, expected {LARGEST:,} at most"
        )
    write_atomic(out, text)
    return out


# Title, subtitle, sections, plots, and tables for papers by file name.
Page = tuple[str, str, list[Section], list[Plot], dict[str, str]]


def of_run(folder: Path) -> Page:
    """A run: at the server what travelled, in simulation also what stayed at the sites.

    Raises:
        DataError: a yardstick's cell, which has figures alone.
    """
    record = read_record(folder)
    if "sites" not in record:
        raise DataError(
            f"{folder}: the {', '.join(record['figures'])} cell of a comparison: it has figures, "
            "no bank and no curves: give a federated cell or the comparison's folder"
        )
    name = record["name"] or folder.resolve().name
    parts = [outcome(record), ran(record), *run_sections(folder, record), *drift_of_run(folder)]
    sections, plots = _joined(parts)
    return f"Run {name}", _subtitle(record), sections, plots, paper_tables(record["figures"])


def ran(record: Mapping[str, Any]) -> Found:
    """What was run, in words."""
    sites = record["sites"]
    config = record["config"]
    words = (
        f"{config['round.method']} over {len(sites)} sites ({', '.join(sorted(sites))}), "
        f"{config['data.dataset']} images dealt out as {config['data.partition']}; "
        f"the model is a {model_size(record)}{_how_merged(config, record)}."
    )
    if covered := record.get("covered"):
        words += (
            f" The good images of the site that is covered worst are {covered[0]:.3f} of the usual "
            f"distance from the bank weighted by images, and {min(covered):.3f} from this one."
        )
    missing = (
        f"{site} was missing since {told['stage']}: {told['reason']}"
        for site, told in record.get("missing", {}).items()
    )
    said = (*record["warnings"], *missing)
    warnings = "".join(paragraph(text, kind="warning") for text in said)
    return Section("run", "What was run", paragraph(words) + warnings), []


def _how_merged(config: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    """How a bank was made; other methods have knobs of their own, which stand further below."""
    if record["model"]["kind"] != Bank.record():
        return f" after {record['rounds']} rounds"
    scope = f"one bank for each {config['bank.scope']}"
    if record.get("privacy", {}).get("epsilon") is not None:  # whatever `merge.aggregation` is
        release = record["privacy"]["release"]
        return f", the union of what all sites released by {release}, {scope}"
    return f", made by {config['merge.aggregation']}, {scope}"


def _subtitle(record: Mapping[str, Any]) -> str:
    model = record["model"]
    return f"seed {record['seed']}; {model['kind']} {model.get('sha256', '')[:16]}"


def run_sections(folder: Path, record: Mapping[str, Any]) -> list[Found]:
    """Everything on a finished run but its title."""
    told = record["figures"]["federated"]
    categories = told["together"]["categories"]
    drawn = {name: read_curves(folder / "curves" / f"{name}.csv") for name in categories}
    areas = {name: one["figures"] for name, one in categories.items()}
    environment = folder / "environment.json"
    machine = read_json(environment, "what a run ran on") if environment.exists() else {}
    promises = record.get("promises")
    return [
        figures(record["figures"], sizes=by_size(_site_folders(folder))),
        *([(promised(promises), [])] if promises and promises["sites"] else []),
        curve_plots(drawn, areas),
        score_boxes(_scores(folder, drawn, told)),
        (gallery(read_index(folder)), []),
        whose_rows(told),
        *([(released(record), [])] if "privacy" in record else []),
        ledger(record),
        configuration(record["config"], machine),
    ]


def read_curves(path: Path) -> dict[str, np.ndarray]:
    """The columns of a curve's CSV.

    Raises:
        DataError: it has none.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            head, *rows = csv.reader(file)
        table = np.array(rows, float).reshape(-1, len(head)).T
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{path}: not the columns of a curve ({error})") from error
    return dict(zip(head, table, strict=True))


def _scores(folder: Path, drawn: Curves, told: Mapping[str, Any]) -> dict[str, Sites]:
    """Scores by category and site, where the sites' folders are here; else from the curves."""
    sites = {path.parent.name: read_scores(path.parent) for path in _score_files(folder)}
    found = {}
    for category, columns in drawn.items():
        own = {site: one[category] for site, one in sorted(sites.items()) if category in one}
        if own:
            found[category] = together(own)
        else:
            sizes = told["together"]["categories"][category]["sizes"]
            good, bad = sizes["good_images"], sizes["defective_images"]
            found[category] = {EVERY: of_curve(columns, good, bad)}
    return found


def _site_folders(folder: Path) -> list[Path]:
    """The folders of sites that judged on this machine."""
    return [path.parent for path in sorted(folder.glob(f"sites/*/{PER_IMAGE}"))]


def _score_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("sites/*/scores.csv"))


def of_site(folder: Path) -> Page:
    """A site's own folder: its figures, its scores and thresholds, its pictures."""
    kept = read_per_image(folder)
    images = exactly_scored(kept.images(), kept.score)
    counts = sum(images, Counts())
    drawn = resample(images, REPLICATES, rng=stream(0, "report"))
    told = summarise(counts, drawn)
    name = folder.resolve().name
    by_category = {category: {name: one} for category, one in read_scores(folder).items()}
    columns = {category: curves(counts.in_category(category)) for category in counts.categories}
    areas = {category: one["figures"] for category, one in told["categories"].items()}
    words = paragraph(
        f"{len(kept)} test images of {', '.join(counts.categories)}, judged by the model that was "
        "broadcast. Nothing on this page has left the site; pixel figures are from counts in bins "
        "of 3 %.",
    )
    warnings = "".join(paragraph(text, kind="warning") for text in loose(told))
    shown = {"here": {"together": told, "sites": {}}}
    sections, plots = _joined(
        [
            (Section("thresholds", "Thresholds", words + warnings + thresholds(by_category)), []),
            score_boxes(by_category),
            (gallery(read_index(folder)), []),
            figures(shown, everyone=name, sizes=by_size([folder])),
            curve_plots(columns, areas, everyone=name),
            *drift_of_site(folder),
        ]
    )
    subtitle = "its own page: images stay here"
    return f"Site {name}", subtitle, sections, plots, paper_tables(shown, everyone=name)


def of_comparison(folder: Path) -> Page:
    """A matrix of runs: what differs, to whom, at what cost; and its first cell in detail."""
    comparison = read_comparison(folder)
    cell = next(one for one in comparison["cells"] if one["way"] == "federated")
    detail = folder / cell["folder"]
    which = f"{cell['treatment']}, seed {cell['seed']}"
    own = [_in_detail(which, *part) for part in run_sections(detail, read_record(detail))]
    sections, plots = _joined([*compared.sections(comparison), *own])
    plan = comparison["plan"]
    subtitle = f"{len(comparison['cells'])} cells, seeds {', '.join(map(str, plan['seeds']))}"
    return f"Comparison {plan['name']}", subtitle, sections, plots, compared.tables(comparison)


def _in_detail(which: str, section: Section, plots: Sequence[Plot]) -> Found:
    """A section of one run of many, under names of its own: both may have figures."""
    body = Html(paragraph(f"Of one run alone: {which}.", kind="note") + section.body)
    title = f"One run: {section.title}"
    named = [replace(plot, name=f"run-{plot.name}") for plot in plots]
    return Section(f"run-{section.id}", title, body), named


def _joined(parts: Sequence[Found]) -> tuple[list[Section], list[Plot]]:
    return [section for section, _ in parts], [plot for _, plots in parts for plot in plots]


def _write_plots(folder: Path, plots: Sequence[Plot]) -> None:
    names = [plot.name for plot in plots]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"{folder}: two plots are called {twice[0]}: are two products so called?")
    for plot in plots:
        plot.write(folder / "plots")


def _write_tables(folder: Path, tables: Mapping[str, str]) -> None:
    for name, text in tables.items():
        write_atomic(folder / "tables" / name, text, flush=False)
