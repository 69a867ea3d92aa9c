"""`fedad evaluate`: the printed side of `fedad.evaluation.evaluate`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from fedad.errors import ConfigError
from fedad.evaluation import Evaluation, table_rows
from fedad.plumbing.files import as_json_text


def rates(text: str) -> tuple[float, ...]:
    """A comma list of numbers.

    Raises:
        ConfigError: a word that is no number.
    """
    try:
        return tuple(float(word) for word in text.split(",") if word.strip())
    except ValueError as error:
        raise ConfigError(
            f"--limits {text}: expected numbers such as 0.01,0.05 ({error})"
        ) from None


def print_evaluation(found: Evaluation, out: Path, *, as_json: bool) -> None:
    """The whole report as JSON, or the headline figures, with a line a category."""
    if as_json:
        print(as_json_text(found.report))
        return
    limits = found.report["limits"]
    headline = 0.05 if 0.05 in limits else limits[0]
    shown = {
        "image_auroc": "image AUROC",
        "pixel_auroc": "pixel AUROC",
        f"auc_spro_{headline}": f"AUC-sPRO@{headline}",
    }
    sizes = {"good": "good", "defective": "defective"}
    areas = {f"auc_spro_{limit}": f"@{limit}" for limit in limits}
    rows = table_rows(found)
    Console().print(_table("with 95 % intervals", rows, shown))
    plain = [{key: cell.split(" ")[0] for key, cell in row.items()} for row in rows]
    Console().print(_table("AUC-sPRO", plain, sizes | areas))
    print(f"all figures, by defect and kind, curves and the plot are in {out}")


def _table(title: str, rows: Sequence[Mapping[str, str]], columns: Mapping[str, str]) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("category")
    for name in columns.values():
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*(row[key] for key in ("category", *columns)))
    return table
