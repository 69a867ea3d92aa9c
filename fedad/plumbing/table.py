"""A CSV file as spreadsheets and editors of any country save it -> rows of plain text.

Commas, semicolons or tabs; UTF-8 with or without a mark, UTF-16, or the old Western code page; any
line ends; blank rows and blank cells at the end of a row are left out.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

LONGEST = 2**28  # bytes
WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # what .xlsx and .ods, and .xls, begin with
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
DELIMITERS = ",;\t|"


class Row(NamedTuple):
    """One row: where it ends in the file, and its cells by column, missing ones empty."""

    line: int
    cells: Mapping[str, str]


@dataclass(frozen=True)
class Table:
    """The columns as the file names them, and the rows that are not blank."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    def column(self, names: Sequence[str]) -> str | None:
        """The first column that is called one of these, whatever capitals and spaces it has."""
        bare = {_bare(column): column for column in reversed(self.columns)}
        return next((bare[name] for name in names if name in bare), None)


def read_table(path: Path) -> Table:
    """The table in a file, whose first row that is not blank names the columns.

    Raises:
        OSError: it cannot be read.
        ValueError: no text, no table, or a cell of more than 100,000 letters.
    """
    with path.open("rb") as file:
        data = file.read(LONGEST + 1)
    if len(data) > LONGEST:
        raise ValueError(f"more than {LONGEST:,} bytes")
    return parse_table(decoded(data))


def decoded(data: bytes) -> str:
    """A text file of any editor as text.

    Raises:
        ValueError: bytes that are no text.
    """
    if data.startswith(WORKBOOKS):
        raise ValueError("an Excel workbook: save it as CSV")
    for mark, name in MARKS:
        if data.startswith(mark):
            return _plain(data.decode(name))
    half = 0.8 * len(data) / 2
    for name, other in (("utf-16-le", data[1::2]), ("utf-16-be", data[::2])):
        if half and other.count(0) > half:
            return _plain(data.decode(name))
    try:
        return _plain(data.decode("utf-8"))
    except UnicodeDecodeError:
        return _plain(data.decode("cp1252"))


def _plain(text: str) -> str:
    if "\0" in text:
        raise ValueError("a zero byte, which no text has")
    return text.removeprefix("\ufeff")


def parse_table(text: str) -> Table:
    """The table of a text; see `read_table`."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    first = next((line for line in text.split("\n") if line.strip(" \t;,|")), "")
    if first.casefold().startswith("sep=") and len(first) > 4:  # what Excel writes for itself
        text = text.replace(first, "", 1)
        delimiter = first[4]
    else:
        delimiter = max(DELIMITERS, key=lambda mark: (_outside_quotes(first, mark), mark == ","))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    columns: tuple[str, ...] = ()
    rows = []
    try:
        for found in reader:
            cells = [cell.strip() for cell in found]
            if not any(cells):
                continue
            if not columns:
                columns = tuple(cells)
                continue
            rows.append(Row(reader.line_num, _row(columns, cells, reader.line_num)))
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num}: {error}") from error
    return Table(columns, tuple(rows))


def _row(columns: Sequence[str], cells: Sequence[str], line: int) -> dict[str, str]:
    if any(cells[len(columns) :]):
        raise ValueError(
            f"line {line}: {len(cells)} cells, the first row names {len(columns)} columns"
        )
    filled = [*cells, *[""] * len(columns)]
    return dict(zip(columns, filled, strict=False))


def _outside_quotes(line: str, mark: str) -> int:
    return "".join(line.split('"')[::2]).count(mark)


def _bare(column: str) -> str:
    return "".join(letter for letter in column.casefold() if letter.isalnum())
