"""Texts that others wrote, on their way to a reader: one pure function a target.

Names of sites, products, defects, folders and files, words of a refusal, values of a configuration
in an error: none of it may move a terminal's cursor, start a formula, a tag or a command, or look
like a second line. What cannot be shown as it is stands as Python would write it, such as `\\x1b`.

    for_terminal    a line of a terminal; `for_table` the same as a cell of a rich table
    for_log         a line of a log, of bounded length
    for_csv         a cell of a spreadsheet; `from_csv` reads it back
    for_markdown    a cell of a GitHub table
    for_tex         a cell of a LaTeX table
    for_html        text between tags, and the value of an attribute; `for_script` data of a script
"""

from __future__ import annotations

import csv
import html
import io
import json
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.text import Text

LONGEST_LINE = 300  # characters of a line of a log
# Characters that Unicode has fonts draw as nothing, and that `str.isprintable` lets through.
UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]")  # also in full width
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_MARKDOWN = re.compile(r"[\\`*_\[\]|~$]|(?<=:)/|(?<=[wW]{3})\.|@(?=[^\W\d])")
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_TEX = {mark: f"\\{mark}" for mark in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "[": "{[}",  # a row that begins with it would be the option of the \\ before
    "]": "{]}",
    "*": "{*}",
    "`": "{`}",  # ?` and !` are ligatures
    "\N{EN DASH}": "--",
}


def for_terminal(text: object) -> str:
    """One line without control characters, marks that turn the reading direction, or letters that
    nobody sees.

    >>> for_terminal("lyon\\x1b[2J\\n")
    'lyon\\\\x1b[2J\\\\n'
    """
    plain = str(text)
    if plain.isprintable() and not UNSEEN.search(plain):
        return plain
    return "".join(map(_visible, plain))


def _visible(mark: str) -> str:
    if mark.isprintable() and not UNSEEN.match(mark):
        return mark
    return mark.encode("unicode_escape").decode("ascii")


def for_table(text: object) -> Text:
    """A cell of a rich table, in which `[bold]` and `:smile:` stand as they were written."""
    from rich.text import Text

    return Text(for_terminal(text))


def for_log(text: object, longest: int = LONGEST_LINE) -> str:
    """One line of at most so many characters."""
    short = str(text)[: longest + 1]  # what is escaped grows, and is not needed beyond
    line = for_terminal(short)
    return line if len(line) <= longest else f"{line[: longest - 3]}..."


def for_log_lines(text: str) -> list[str]:
    """A text of several lines of ours, such as a traceback: a mark before each, so that none that
    came from outside looks like a line of the log."""
    return [f"| {for_terminal(line)}" for line in text.split("\n") if line]


def for_csv(value: object) -> object:
    """A cell: numbers as they are, and an apostrophe before what a spreadsheet would compute.

    >>> for_csv("=1+1"), for_csv("-0.5"), for_csv(-0.5)
    ("'=1+1", '-0.5', -0.5)
    """
    if not isinstance(value, str):
        return value if isinstance(value, int | float) else for_csv(str(value))
    text = for_terminal(value)
    return f"'{text}" if _computes(text) else text


def from_csv(cell: str) -> str:
    """The text that `for_csv` made a cell of."""
    return cell[1:] if cell[:1] == "'" and _computes(cell) else cell


def _computes(text: str) -> bool:
    """Whether a spreadsheet takes a text for a formula, behind whatever apostrophes."""
    bare = text.lstrip("'")
    return FORMULA.match(bare) is not None and not (bare == text and NUMBER.fullmatch(text))


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A whole table as CSV, every cell through `for_csv`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([for_csv(cell) for cell in row] for row in (columns, *rows))
    return text.getvalue()


def for_markdown(text: object) -> str:
    """A cell of a GitHub table: no markup, tag, link, mention or formula begins in it."""
    plain = "".join(_HTML.get(mark, mark) for mark in for_terminal(text))
    return _MARKDOWN.sub(lambda found: f"\\{found[0]}", plain)


def for_tex(text: object) -> str:
    """A cell of a LaTeX table: no command begins in it."""
    return "".join(_TEX.get(mark, mark) for mark in for_terminal(text))


def for_html(text: object) -> str:
    """Text between tags, and an attribute's value in double quotes."""
    return html.escape(for_terminal(text))


def for_script(value: Any) -> str:
    """JSON for a `<script type="application/json">`: no text in it ends or begins an element.

    Raises:
        ValueError: a number that JSON has not.
    """
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
