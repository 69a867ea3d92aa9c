"""`fedad data check`: what a folder holds, and what is wrong with it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fedad.commands.options import AsJson, Layout, Overrides
from fedad.errors import FedadError

if TYPE_CHECKING:
    from rich.table import Table

    from fedad.running.checking import Checked
    from fedad.types import Dataset

MOST = 20  # lines of a kind
KINDS = 3  # sizes and the like that a cell names


def data_check(
    folder: Annotated[Path, typer.Argument(help="The data set's root, or one category's folder.")],
    dataset: Layout = "auto",
    config: Annotated[
        Path | None, typer.Option(help="A run's TOML file: check that its sites can be made.")
    ] = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Read all that a run would read, say what is wrong, and end with one line: ready, or what to
    do first."""
    from fedad.commands.show import show_json
    from fedad.plumbing.progress import Bars, shown_by
    from fedad.running.checking import as_json as plain
    from fedad.running.checking import check
    from fedad.running.overlay import read_config

    knobs = read_config(config, [f"data.dataset={dataset}", *(overrides or [])])
    try:
        with shown_by(Bars()):
            where = folder.absolute() if as_json else folder
            found = check(knobs, where, is_run=bool(config) or _says_sites(overrides or []))
    except FedadError as error:
        if not as_json:
            raise
        told = {"ready": False, "verdict": f"not ready, first: {error}", "problems": [str(error)]}
        show_json(told)
        raise typer.Exit(error.exit_code) from error
    if as_json:
        show_json(plain(found))
    else:
        _show(found)
    if found.problems:
        raise typer.Exit(1)


def _says_sites(overrides: list[str]) -> bool:
    """Whether knobs say how sites are made, so that they have to be there."""
    return any(text.startswith(("data.partition", "data.sites")) for text in overrides)


def _show(found: Checked) -> None:
    from fedad.plumbing.console import say, show

    show(_counts_table(found), _files_table(found))
    if found.sites:
        show(_sites_table(found))
    say(*found.notes)
    say(*_unused(found.dataset))
    say(*_some("warning", found.warnings), *_some("problem", found.problems))
    say(found.verdict)


def _counts_table(found: Checked) -> Table:
    """How many images of what, by category."""
    from fedad.plumbing.console import add_row, table

    columns = ("category", "train good", "validation", "test good", "test defective", "defects")
    made = table(f"{found.dataset.name}: {found.dataset.root}", columns, words=(0, 5))
    for one in found.products:
        named = ", ".join(f"{name} {count}" for name, count in one.defects.items())
        counts = (one.train_good, one.validation, one.test_good, one.test_defective)
        add_row(made, one.category, *counts, named)
    return made


def _files_table(found: Checked) -> Table:
    """What the files are like, by category."""
    from fedad.plumbing.console import add_row, table

    columns = ("category", "sizes", "bits", "turned", "profile", "near-duplicates")
    made = table("files", columns, words=(0, 1, 2, 3, 4))
    for one in found.products:
        kinds = (one.sizes, one.bits, one.orientations, one.profiles)
        add_row(made, one.category, *map(_kinds, kinds), one.near_duplicates)
    return made


def _sites_table(found: Checked) -> Table:
    """How many images each site has of each category."""
    from fedad.plumbing.console import add_row, table

    columns = ("site", "category", "train good", "validation", "test")
    made = table("sites", columns, words=(0, 1))
    for site, counts in found.sites.items():
        for category, numbers in counts.items():
            add_row(made, site, category, *numbers.values())
    return made


def _kinds(counts: Mapping[str, int]) -> str:
    told = [f"{name} ({count})" if len(counts) > 1 else name for name, count in counts.items()]
    more = [f"{len(told) - KINDS} more"] if len(told) > KINDS else []
    return ", ".join(told[:KINDS] + more)


def _unused(dataset: Dataset) -> Iterator[str]:
    """What was found and is not used, a line for each reason."""
    from fedad.images.pixels import shown

    reasons: dict[str, list[Path]] = defaultdict(list)
    for path, why in dataset.unused:
        reasons[why].append(path)
    for why, paths in reasons.items():
        named = ", ".join(shown(path) for path in paths[:KINDS])
        more = f" and {len(paths) - KINDS} more" if len(paths) > KINDS else ""
        yield f"not used ({why}): {named}{more}"


def _some(kind: str, texts: list[str]) -> list[str]:
    more = [f"{kind}: {len(texts) - MOST} more, see --json"] if len(texts) > MOST else []
    return [f"{kind}: {text}" for text in texts[:MOST]] + more
