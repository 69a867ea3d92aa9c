"""An evaluation -> files: the official JSON, ours, curves as CSV, a plot; and rows for a table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fedad.evaluation.evaluator import Columns, Evaluation
from fedad.evaluation.plot import draw_fpr_spro
from fedad.plumbing.files import write_atomic, write_json

Row = dict[str, str]


def write_evaluation(evaluation: Evaluation, out: Path) -> list[Path]:
    """Write all there is below `out`, and say which files.

    `figures.json` is the whole report; `<category>/metrics.json` has the official evaluator's
    shape; `<category>/curves.csv` holds ROC and FPR-sPRO; `fpr_spro.svg` and `.png` show it.
    """
    limits = evaluation.report["limits"]
    written = [out / "figures.json"]
    write_json(written[0], evaluation.report)
    for category, columns in evaluation.curves.items():
        figures = evaluation.report["categories"][category]["figures"]
        metrics, table = out / category / "metrics.json", out / category / "curves.csv"
        write_json(metrics, official_shape(figures, limits))
        write_atomic(table, as_csv(columns))
        written += [metrics, table]
    return written + draw_fpr_spro(evaluation.curves, limits, out / "fpr_spro")


def official_shape(
    figures: Mapping[str, Mapping[str, float]], limits: list[float]
) -> dict[str, Any]:
    """The figures of one category as the official evaluator writes them."""
    areas = {str(limit): figures[f"auc_spro_{limit}"]["value"] for limit in limits}
    return {"localization": {"auc_spro": areas}}


def as_csv(columns: Columns) -> str:
    """A header and a line a threshold, numbers to nine digits."""
    lines = [",".join(columns)]
    lines += [
        ",".join(f"{number:.9g}" for number in row)
        for row in np.column_stack(list(columns.values()))
    ]
    return "\n".join(lines) + "\n"


def table_rows(evaluation: Evaluation) -> list[Row]:
    """A row a category, a kind where there are any, and the mean, for a printed table."""
    report = evaluation.report
    rows = []
    for category, group in report["categories"].items():
        rows.append(_row(category, group["sizes"], group["figures"]))
        for kind, part in group["by_kind"].items():
            rows.append(_row(f"{category} ({kind})", part["sizes"], part["figures"]))
    if len(report["categories"]) > 1:
        rows.append(_row("mean", None, report["mean"]))
        rows += [
            _row(f"mean ({kind})", None, part) for kind, part in report["mean_by_kind"].items()
        ]
    return rows


def _row(
    name: str, sizes: Mapping[str, int] | None, figures: Mapping[str, Mapping[str, float]]
) -> Row:
    counts = {"good": "", "defective": ""}
    if sizes:
        counts = {key: str(sizes[f"{key}_images"]) for key in counts}
    ordered = sorted(figures, key=lambda key: (not key.startswith("image"), key))
    return {"category": name} | counts | {key: _shown(figures[key]) for key in ordered}


def _shown(figure: Mapping[str, Any]) -> str:
    """`0.873 (0.851-0.894)`, or why there is no interval."""
    value, low, high = (figure[name] for name in ("value", "low", "high"))
    if np.isnan(value):
        return "-"
    why = figure["no_interval"]
    return f"{value:.3f} ({why})" if why else f"{value:.3f} ({low:.3f}-{high:.3f})"
