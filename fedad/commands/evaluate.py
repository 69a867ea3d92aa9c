"""`fedad evaluate`: the figures of anybody's anomaly maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fedad.commands.options import AsJson, Layout, Overrides
from fedad.errors import ConfigError

if TYPE_CHECKING:
    from rich.table import Table

    from fedad.evaluation import Evaluation
    from fedad.types import Reading


def evaluate(  # noqa: PLR0917 - options, which are named
    data_folder: Annotated[Path, typer.Option("--data", help="A data set, or one category's.")],
    maps: Annotated[Path, typer.Option("--maps", help="One anomaly map a test image.")],
    out: Annotated[Path, typer.Option(help="Where JSON, CSV and the plot go.")] = Path(
        "evaluation"
    ),
    limits: Annotated[
        str, typer.Option(help="False-positive rates up to which AUC-sPRO is taken.")
    ] = "0.01,0.05,0.1,0.3,1.0",
    mode: Annotated[str, typer.Option(help="exact, or official.")] = "exact",
    categories: Annotated[str, typer.Option(help="A comma list; all if empty.")] = "",
    dataset: Layout = "auto",
    replicates: Annotated[int, typer.Option(help="Of the bootstrap; 0 for no intervals.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Of the bootstrap and the official sample.")] = 0,
    as_json: AsJson = False,
    overrides: Overrides = None,
) -> None:
    """AUC-sPRO and its company for anybody's anomaly maps; needs neither Flower nor torch."""
    from fedad.config import words
    from fedad.evaluation import evaluate as figures_of
    from fedad.evaluation import write_evaluation
    from fedad.plumbing.progress import Bars, shown_by

    with shown_by(Bars()):
        evaluation = figures_of(
            data_folder,
            maps,
            limits=_rates(limits),
            mode=mode,
            categories=words(categories),
            dataset=dataset,
            replicates=replicates,
            seed=seed,
            reading=_reading(overrides or [], maps),
        )
        write_evaluation(evaluation, out)
    _print(evaluation, out, as_json=as_json)


def _reading(overrides: list[str], maps: Path) -> Reading:
    """How image and mask files are read: as those of the maps were, or by knobs such as
    data.orientation."""
    from fedad.images.reading import are_turned, reading_of
    from fedad.types import Reading

    if not overrides:
        return Reading(orientation=are_turned(maps))  # without plug-ins' knobs, which bring torch
    from fedad.running.overlay import read_config

    return reading_of(read_config(None, overrides).data)


def _rates(text: str) -> tuple[float, ...]:
    """`"0.01,0.05"` -> `(0.01, 0.05)`.

    Raises:
        ConfigError: a word that is no number.
    """
    try:
        return tuple(float(word) for word in text.split(",") if word.strip())
    except ValueError as error:
        raise ConfigError(
            f"--limits {text}: expected numbers such as 0.01,0.05 ({error})"
        ) from None


def _print(evaluation: Evaluation, out: Path, *, as_json: bool) -> None:
    """Print the whole report as JSON, or the headline figures with a line a category."""
    from fedad.commands.show import show_json
    from fedad.evaluation import table_rows
    from fedad.plumbing.console import say, show

    if as_json:
        show_json({**evaluation.report, "folder": out})
        return
    limits = evaluation.report["limits"]
    headline = 0.05 if 0.05 in limits else limits[0]
    figures = {
        "image_auroc": "image AUROC",
        "pixel_auroc": "pixel AUROC",
        f"auc_spro_{headline}": f"AUC-sPRO@{headline}",
    }
    sizes = {"good": "good", "defective": "defective"}
    areas = {f"auc_spro_{limit}": f"@{limit}" for limit in limits}
    rows = table_rows(evaluation)
    say(*evaluation.report["notes"], *evaluation.report["warnings"])
    show(_table("with 95 % intervals", rows, figures))
    plain = [
        {key: cell if key == "category" else cell.split(" ")[0] for key, cell in row.items()}
        for row in rows
    ]
    show(_table("AUC-sPRO", plain, sizes | areas))
    say(f"all figures, by defect and kind, curves and the plot are in {out}")


def _table(title: str, rows: Sequence[Mapping[str, str]], columns: Mapping[str, str]) -> Table:
    from fedad.plumbing.console import add_row, table

    made = table(title, ("category", *columns.values()))
    for row in rows:
        add_row(made, *(row[key] for key in ("category", *columns)))
    return made
