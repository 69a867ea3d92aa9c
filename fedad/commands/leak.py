"""`fedad leak`: what who holds a bank, and some images, can tell of what it was made of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fedad.commands.options import AsJson, Layout, Overrides

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fedad.running.leak import Attacked
    from fedad.running.leak_banks import Opened


def leak(  # noqa: PLR0917 - options, which are named
    bank: Annotated[
        Path,
        typer.Argument(
            metavar="BANK|RUN", help="A bank or upload (.safetensors), or the folder of a run."
        ),
    ],
    members: Annotated[Path, typer.Option(help="Images that the bank was made of.")],
    others: Annotated[Path, typer.Option(help="Images like them that it was not made of.")],
    product: Annotated[str, typer.Option(help="Which product, where the bank knows several.")] = "",
    decoder: Annotated[
        bool, typer.Option("--decoder", help="Also draw pictures from rows; takes minutes.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="A folder for leak.json, leak.md and pictures.")
    ] = None,
    as_json: AsJson = False,
    dataset: Layout = "auto",
    overrides: Overrides = None,
) -> None:
    """Attack a bank: are members recognised, which rows are theirs, what do rows show?

    A run's folder stands for its bank and for every upload that is kept there. Figures and pictures
    tell of private images: they stay where they are made.
    """
    from fedad.commands.show import show_json
    from fedad.plumbing.console import say
    from fedad.plumbing.progress import Bars, shown_by
    from fedad.running.leak_run import leaks, results, write_leaks
    from fedad.running.leak_told import NOTE

    knobs = [f"data.dataset={dataset}", *(overrides or [])]
    if product:
        knobs.append(f"data.categories={product}")
    with shown_by(Bars()):
        place = bank.absolute() if as_json else bank
        found = leaks(knobs, place, members, others, decoder=decoder)
    if out is not None:
        write_leaks(out, found)
    if as_json:
        show_json(results(found))
        return
    for opened, some, notes in found:
        _show(opened, some, notes)
    say(NOTE)
    if out is not None:
        say(f"leak.json and leak.md in {out}: they tell of private images, and stay here")
    elif decoder:
        say("name a folder with --out to see pictures")


def _show(opened: Opened, some: Sequence[Attacked], notes: Sequence[str]) -> None:
    """Print a bank's tables, its notes and its verdicts."""
    from fedad.plumbing.console import add_row, say, show, table
    from fedad.running.leak_told import drawn_told, tables, verdict

    bank = opened.bank
    say(f"{opened.file}: {len(bank):,} rows ({bank.dtype}) of {', '.join(bank.sites)}")
    for columns, rows in tables(some):
        made = table("", columns, words=(0, 1))
        for row in rows:
            add_row(made, *row)
        show(made)
    say(*(f"note: {note}" for note in notes))
    for one in some:
        say(verdict(one))
        if one.drawn:
            say(drawn_told(one.product, one.drawn))
