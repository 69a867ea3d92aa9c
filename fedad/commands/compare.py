"""`fedad compare`: run a matrix, and say what it shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from fedad.reporting.markup import ranged

compare = typer.Typer()


@compare.command("compare")
def run_comparison(  # noqa: PLR0917 - options, which are named
    plan: Annotated[
        Path, typer.Argument(help="A YAML matrix, such as configs/compare/merges.yaml.")
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
) -> None:
    """Run every cell of a matrix that is not there yet; then tests, fairness, costs and a page."""
    from fedad.compare.compare import compare as compare_all
    from fedad.compare.plan import read_plan
    from fedad.plumbing.progress import Bars
    from fedad.reporting.report import report
    from fedad.reporting.run_folder import read_comparison

    wanted = read_plan(plan, overrides or [])
    wanted = wanted.changed(seeds=seeds, leave_one_out=leave_one_out)
    root = (out or Path("comparisons") / wanted.name).absolute()
    ran, cells = compare_all(
        wanted, root, via=via, jobs=jobs, sink=Bars(), replace=out is not None, say=print
    )
    print_comparison(read_comparison(root))
    page = report(root)
    print(f"{ran} cells run, {cells - ran} were there; everything is in {root}; open {page}")


def print_comparison(found: Mapping[str, Any]) -> None:
    """The figures, what differs, to whom, and what to take."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    for title, columns, rows in (
        _figures(found),
        _differences(found),
        _sites(found),
        _recommended(found),
    ):
        table = Table(title=escape(title), title_justify="left", box=SIMPLE, pad_edge=False)
        for number, column in enumerate(columns):
            table.add_column(column, justify="right" if number else "left")
        for row in rows:
            table.add_row(*map(escape, row))  # a point's name may have brackets
        console.print(table)


Printed = tuple[str, list[str], list[list[str]]]


def _figures(found: Mapping[str, Any]) -> Printed:
    figures = found["plan"]["figures"]
    rows = []
    for one in found["treatments"]:
        told = (one["figures"][figure] for figure in figures)
        rows.append([one["label"], *(ranged(t.get("together") or t["by_site"]) for t in told)])
    title = "Means over categories and seeds, 95 % intervals; all sites' images in one ranking"
    notes = (f"warning: {note}" for note in found["notes"])
    return "\n".join([f"{title} (isolated: site by site)", *notes]), ["", *figures], rows


def _differences(found: Mapping[str, Any]) -> Printed:
    columns = ["first", "less", "difference", "p (Holm)", "p equal", "verdict"]
    some = [one for one in found["contrasts"] if one["figure"] == found["headline"]]
    rows = [
        [
            one["first"],
            one["second"],
            ranged({"value": one["difference"], "low": one["low"], "high": one["high"]}, "+.4f"),
            f"{one['p_holm']:.3g}",
            f"{one['p_equal']:.3g}",
            one["verdict"],
        ]
        for one in some
    ]
    notes = sorted({f"warning: {note}" for one in some for note in one["warnings"]})
    return "\n".join([f"Paired differences, {found['headline']}", *notes]), columns, rows


def _sites(found: Mapping[str, Any]) -> Printed:
    figure, rows = found["headline"], []
    for one in found["fairness"]:
        told = one["figures"][figure]["over_sites"]
        if not told:  # nothing to rank at any site
            continue
        gain = one.get("gain", {}).get(figure, {})
        helped = sum(site["answer"] == "helped" for site in gain.values())
        hurt = sum(site["answer"] == "hurt" for site in gain.values())
        rows.append(
            [
                one["treatment"],
                _worst(one["figures"][figure]),
                f"{told['gap']:.3f}",
                f"{told['spread']:.3f}",
                f"{helped} helped, {hurt} hurt of {len(gain)}" if gain else "-",
                ", ".join(_masked(one)) or "-",
            ]
        )
    columns = [
        "",
        "worst site of images",
        "gap",
        "spread",
        "did it help?",
        "masked defects, all seeds",
    ]
    return f"Sites, {figure}", columns, rows


def _worst(told: Mapping[str, Any]) -> str:
    """The worst site, and the images it rests on: one image alone makes any figure extreme."""
    worst = told["over_sites"]["worst"]
    images = told["sites"][worst]["images"]
    return f"{worst} {told['over_sites']['worst_value']:.3f} of {images}"


def _masked(one: Mapping[str, Any]) -> Iterator[str]:
    """How many of its defects others' rows hid at each site where it was any."""
    for site, told in one.get("borrowed", {}).items():
        if told["masking"]["cases"]:
            yield f"{site} {told['masking']['cases']} of {told['masking']['of']}"


def _recommended(found: Mapping[str, Any]) -> Printed:
    points = {point["label"]: point for point in found["pareto"]["points"]}
    rows = []
    for one in found["pareto"]["recommended"]:
        if one["label"] is None:
            rows.append([one["use_case"], "no point does it", "", "", "", ""])
            continue
        point = points[one["label"]]
        numbers = (point[name] for name in ("figure", "worst_site", "mb_moved", "seconds"))
        taken = " = ".join([one["label"], *one["ties"]])
        rows.append([one["use_case"], taken, *(f"{n:.3f}" for n in numbers)])
    alone = "seconds" in found["pareto"]["axes"]
    title = (
        "What to take"
        if alone
        else "What to take; cells ran side by side or in two ways: mind no seconds"
    )
    return title, ["use case", "point", "figure", "worst site", "MB", "seconds"], rows
