"""`fedad compare`: run a matrix, and say what it shows."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from fedad.commands.options import AsJson

if TYPE_CHECKING:
    from collections.abc import Mapping


def compare(  # noqa: PLR0917 - options, which are named
    plan: Annotated[
        Path, typer.Argument(help="A YAML matrix, or the name of one that is here: merges.")
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Option("-c", "--set", metavar="KEY=VALUE", help="Set one knob in every cell."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The comparison's folder; comparisons/NAME if not given.")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Seeds 0 to N - 1, in place of the plan's.")
    ] = None,
    leave_one_out: Annotated[
        int | None, typer.Option(min=0, help="Seeds for which each site is left out in turn.")
    ] = None,
    jobs: Annotated[int, typer.Option(help="Cells at a time; 0: what cores and memory allow.")] = 0,
    via: Annotated[
        Literal["local", "flwr"],
        typer.Option(help="In this process, or the real thing: same bytes."),
    ] = "local",
    as_json: AsJson = False,
) -> None:
    """Run every cell of a matrix that is not there yet; then tests, fairness, costs and a page."""
    from fedad.commands.show import show_json
    from fedad.compare.compare import compare as run_and_compare
    from fedad.compare.plan import read_plan
    from fedad.plumbing.console import say
    from fedad.plumbing.progress import Bars
    from fedad.reporting.comparison.printed import print_comparison
    from fedad.reporting.report import report
    from fedad.reporting.run_folder import read_comparison

    matrix = read_plan(plan, overrides or [])
    matrix = matrix.changed(seeds=seeds, leave_one_out=leave_one_out)
    root = (out or Path("comparisons") / matrix.name).absolute()
    try:
        ran, cells = run_and_compare(
            matrix,
            root,
            via=via,
            jobs=jobs,
            sink=Bars(),
            replace=out is not None,
            say=partial(say, error=as_json),
        )
    except KeyboardInterrupt as stop:
        stop.add_note(f"cells that have ended are kept in {root}: the same command goes on")
        raise
    found = read_comparison(root)
    if as_json:
        show_json({"ran": ran, "cells": cells, **_told(found, root), "page": report(root)})
        return
    print_comparison(found)
    page = report(root)
    say(f"{ran} cells run, {cells - ran} were there; everything is in {root}; open {page}")


def _told(found: Mapping[str, Any], root: Path) -> dict[str, Any]:
    """Where a comparison is, the figures of its treatments, what differs and what to take."""
    from fedad.reporting.run_folder import COMPARISON

    treatments = [
        {
            "label": one["label"],
            "way": one["way"],
            "figures": {
                name: figure.get("together") or figure["by_site"]
                for name, figure in one["figures"].items()
            },
        }
        for one in found["treatments"]
    ]
    return {
        "folder": root,
        "comparison": root / COMPARISON,
        "headline": found["headline"],
        "treatments": treatments,
        "contrasts": found["contrasts"],
        "recommended": found["pareto"]["recommended"],
        "notes": found["notes"],
    }
