"""`fedad inspect`: OK, NOK or take again, of pictures or of a folder that a camera writes into."""

from __future__ import annotations

import sys
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedad.commands.options import AsJson, Layout, Overrides

if TYPE_CHECKING:
    from fedad.inspection.inspector import Inspector


class Drawn(StrEnum):
    """Of which pictures an overlay is written."""

    ALL = "all"
    NOK = "nok"
    NONE = "none"


def inspect(  # noqa: PLR0917 - options, which are named
    what: Annotated[Path, typer.Argument(help="A picture, or a folder of pictures.")],
    model: Annotated[
        Path | None,
        typer.Option(
            "--model",
            "--bank",
            help="A model's file with its thresholds beside it, or the folder of a kept model.",
        ),
    ] = None,
    models: Annotated[
        Path, typer.Option(help="A site's folder of models: its current one is taken.")
    ] = Path("models"),
    product: Annotated[str, typer.Option(help="Which of the model's products it is.")] = "",
    out: Annotated[
        Path | None, typer.Option(help="A folder for verdicts.csv and the overlays.")
    ] = None,
    jsonl: Annotated[
        Path | None, typer.Option(help="A file that JSON lines are added to; - prints them.")
    ] = None,
    overlays: Annotated[Drawn, typer.Option(help="Which pictures get one.")] = Drawn.ALL,
    watch: Annotated[
        bool, typer.Option("--watch", help="Judge every picture that comes into the folder.")
    ] = False,
    dataset: Layout = "auto",
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Judge pictures: OK, NOK or take again, and why. Exit code 10 says that a part is NOK, 11 that
    a picture is to be taken again, 3 that a file cannot be read."""
    from fedad.errors import ConfigError
    from fedad.inspection.hot_folder import check_folder
    from fedad.inspection.opened import open_inspector
    from fedad.running.overlay import absolute, read_knobs

    if as_json and (watch or str(jsonl) == "-"):
        raise ConfigError("--json: not with --watch or --jsonl -, which print a line a picture")
    if watch and (out or jsonl):
        raise ConfigError(
            "--watch: not with --out or --jsonl: verdicts go to verdicts.jsonl in the folder, "
            "overlays beside the pictures that are not OK"
        )
    if watch:
        check_folder(what)
    _print_line_by_line()
    inspector = open_inspector(model or models, absolute(read_knobs(overrides or [])))
    if watch:
        _watch(inspector, what, product)
        return
    code = _inspect(
        inspector,
        what.absolute(),
        product,
        out=out,
        jsonl=jsonl,
        overlays=overlays,
        dataset=dataset,
        as_json=as_json,
    )
    if code:
        raise typer.Exit(code)


def _print_line_by_line() -> None:
    """Whoever reads what is printed, such as a log, has each line at once."""
    with suppress(AttributeError, ValueError):  # a stream of a test, or one that is closed
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]


def _watch(inspector: Inspector, folder: Path, product: str) -> None:
    from fedad.inspection.hot_folder import HotFolder
    from fedad.plumbing.console import say

    inspector.warm()
    say(f"watching {folder}: model {inspector.opened.name}", error=True)
    for row in HotFolder(folder, inspector, product).watch():
        said = f"{row['verdict']:10} {row['image']}"
        if "score" in row:  # float() reads a limit of "inf", too
            said += f"  score {row['score']:.4g}, limit {float(row['threshold']):.4g}"
        say(said + (f": {row['reason']}" if row["reason"] else ""))


def _inspect(
    inspector: Inspector,
    what: Path,
    product: str,
    *,
    out: Path | None,
    jsonl: Path | None,
    overlays: Drawn,
    dataset: str,
    as_json: bool,
) -> int:
    from fedad.commands.show import show_json
    from fedad.inspection.folder import inspect_all
    from fedad.inspection.results import exit_code
    from fedad.plumbing.console import say
    from fedad.plumbing.progress import Bars, shown_by

    rows: list[dict[str, Any]] = []
    to_stdout = str(jsonl) == "-"
    with shown_by(Bars()):
        for line, row in inspect_all(
            inspector,
            what,
            product=product,
            dataset=dataset,
            out=out,
            jsonl=None if to_stdout else jsonl,
            overlays=overlays,
            note=lambda text: say(text, error=True),
        ):
            rows.append(row)
            if not as_json:
                say(line if not to_stdout else _json(row))
    counts = {row["verdict"]: 0 for row in rows}
    for row in rows:
        counts[row["verdict"]] += 1
    if as_json:
        told = {"model": inspector.opened.name, "counts": counts, "verdicts": rows}
        show_json({**told, "folder": out, "lines": jsonl})
    elif not to_stdout:
        say(", ".join(f"{count} {verdict}" for verdict, count in counts.items()))
    return exit_code(row["verdict"] for row in rows)


def _json(row: dict[str, Any]) -> str:
    """A JSON line of ASCII alone: what a terminal would not show stands as JSON's own escapes."""
    import json

    return json.dumps(row)
