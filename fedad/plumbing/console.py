"""What a command says: the one place that prints.

Every line goes through `for_terminal`: much of what is said was written by somebody else.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

from fedad.plumbing.shown import for_table, for_terminal

if TYPE_CHECKING:
    from rich.table import Table


def say(*lines: object, error: bool = False, to: TextIO | None = None) -> None:
    """Print each as one line: to standard error where something is wrong or only on its way."""
    stream = to or (sys.stderr if error else sys.stdout)
    for line in lines:
        print(for_terminal(line), file=stream, flush=error)


def show(*tables: Table) -> None:
    """Print tables as wide as the terminal is."""
    from rich.console import Console

    for one in tables:
        Console().print(one)


def table(title: object, columns: Sequence[object], *, words: Iterable[int] = (0,)) -> Table:
    """A table without rows yet; `words` are the columns that are no numbers, which stand right."""
    from rich.table import Table

    made = Table(title=for_table(title), title_justify="left")
    for number, column in enumerate(columns):
        made.add_column(for_table(column), justify="left" if number in {*words} else "right")
    return made


def add_row(to: Table, *cells: object) -> None:
    """Add a row whose cells stand as they were written: no markup begins in them."""
    to.add_row(*map(for_table, cells))


def never_fail() -> None:
    """Print what the terminal has no letters for as Python would write it, and never end by it."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError):  # a stream of a test, or one that is closed
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
