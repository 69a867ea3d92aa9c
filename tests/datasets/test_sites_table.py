"""`sites.csv` of any editor: read, or refused with what is wrong with it."""

from __future__ import annotations

import shutil
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedad.config import DataKnobs
from fedad.datasets.base import open_folder
from fedad.datasets.sites_table import rows_of, sites_of
from fedad.errors import DataError
from fedad.partition import partition
from fedad.plumbing.table import decoded, parse_table


@pytest.fixture
def root(plants, tmp_path):
    """The plants, with the rows of bolt's table to be rewritten."""
    return shutil.copytree(plants, tmp_path / "plants")


def rows(root, category: str = "bolt") -> list[list[str]]:
    text = (root / category / "sites.csv").read_text()
    return [line.split(",") for line in text.strip().split("\n")]


def lines(found: list[list[str]], mark: str = ",", end: str = "\n") -> str:
    return end.join(mark.join(row) for row in found) + end


WAYS = {
    "semicolons": lambda r: lines(r, ";").encode(),
    "tabs": lambda r: lines(r, "\t").encode(),
    "bars": lambda r: lines(r, "|").encode(),
    "backslashes": lambda r: lines(r).replace("/", "\\").encode(),
    "UTF-16": lambda r: lines(r).encode("utf-16"),
    "UTF-16 without a mark": lambda r: lines(r).encode("utf-16-le"),
    "UTF-16, the other way round": lambda r: lines(r).encode("utf-16-be"),
    "a mark of UTF-8": lambda r: lines(r).encode("utf-8-sig"),
    "line ends of Windows": lambda r: lines(r, end="\r\n").encode(),
    "line ends of an old Mac": lambda r: lines(r, end="\r").encode(),
    "blank rows": lambda r: ("\n\n" + lines(r).replace("\n", "\n\n,\n")).encode(),
    "blank cells": lambda r: lines([[*row, "", ""] for row in r]).encode(),
    "spaces": lambda r: lines([[f" {cell} " for cell in row] for row in r]).encode(),
    "quotes": lambda r: lines([[f'"{cell}"' for cell in row] for row in r]).encode(),
    "columns turned": lambda r: lines([row[::-1] for row in r]).encode(),
    "headers in capitals": lambda r: lines([["File", "SITE"], *r[1:]]).encode(),
    "a column more": lambda r: lines([["part", *r[0]], *(["7", *x] for x in r[1:])], ";").encode(),
    "rows that begin with the category": lambda r: lines(
        [r[0], *([f"bolt/{x[0]}", x[1]] for x in r[1:])]
    ).encode(),
    "rows from the root": lambda r: lines(
        [r[0], *([f"C:\\data\\bolt\\{x[0]}", x[1]] for x in r[1:])]
    ).encode(),
    "rows that begin with a dot": lambda r: lines(
        [r[0], *([f"./{x[0]}", x[1]] for x in r[1:])]
    ).encode(),
    "Excel's first line": lambda r: ("sep=;\n" + lines(r, ";")).encode(),
    "a Western code page": lambda r: lines([["note", *r[0]], *(["é", *x] for x in r[1:])]).encode(
        "cp1252"
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_table_of_any_editor_is_read(way, root):
    before = sites_of(open_folder(root))
    (root / "bolt" / "sites.csv").write_bytes(WAYS[way](rows(root)))
    assert sites_of(open_folder(root)) == before


def test_one_table_for_all_categories_is_read(root):
    before = sites_of(open_folder(root))
    both = [["file", "site"]]
    for category in ("bolt", "hose"):
        both += [[f"{category}/{file}", site] for file, site in rows(root, category)[1:]]
        (root / category / "sites.csv").unlink()
    (root / "sites.csv").write_text(lines(both))
    assert sites_of(open_folder(root)) == before
    assert {site.name for site in partition(open_folder(root), DataKnobs(), seed=0)} == {
        *("graz", "lyon", "turin")
    }


def test_other_columns_are_there_for_whoever_asks(root):
    found = rows(root)
    table = [["part no", *found[0]], *([f"p{k}", *row] for k, row in enumerate(found[1:]))]
    (root / "bolt" / "sites.csv").write_text(lines(table, ";"))
    got = rows_of(open_folder(root, categories=("bolt",)))
    assert Counter(row.cells["part no"] for row in got.values()).most_common(1)[0][1] == 1
    assert all(row.line >= 2 for row in got.values())


BAD = {
    "other headers": (lambda r: lines([["path", "plant"], *r[1:]]), r"got \['path', 'plant'\]"),
    "no headers": (lambda r: lines(r[1:]), "is the row missing that names the columns"),
    "rows of another category": (
        lambda r: lines([r[0], *([f"hose/{x[0]}", x[1]] for x in r[1:])]),
        "is not listed: none of its rows names an image, such as the first one's 'hose/train",
    ),
    "one row": (lambda r: lines(r[:2]), "is not listed: was the image added later, or are paths"),
    "no row": (lambda r: lines(r[:1]), "is not listed: the table has no row but"),
    "two sites of one image": (lambda r: lines([*r, [r[1][0], "oslo"]]), "of .* and of oslo"),
    "names alone": (
        lambda r: lines([r[0], *([x[0].split("/")[-1], x[1]] for x in r[1:])]),
        "may be any of 3 images of this name",
    ),
    "a row that is too long": (lambda r: lines([*r, ["a", "b", "c", "d"]]), "4 cells, the first"),
    "a zero byte": (lambda r: lines(r).replace("lyon", "ly\0n"), "a zero byte"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_with_a_table_is_said(name, root):
    change, says = BAD[name]
    (root / "bolt" / "sites.csv").write_text(change(rows(root)))
    with pytest.raises(DataError, match=says) as refused:
        sites_of(open_folder(root))
    assert refused.value.reason == "sites"
    assert str(root / "bolt" / "sites.csv") in str(refused.value)


@pytest.mark.parametrize("name", ["Sites.CSV", "sites.csv.txt", "sites.xlsx"])
def test_a_table_by_nearly_its_name_is_named(name, root):
    (root / "bolt" / "sites.csv").rename(root / "bolt" / name)
    with pytest.raises(DataError, match=f"there is no such file .there is '{name}': is it meant"):
        sites_of(open_folder(root))


@pytest.mark.parametrize("other", ["Lyon", "lyon\u200b", "1yon"])
def test_sites_that_look_alike_are_refused_as_a_server_does(other, root):
    table = rows(root)
    table[2][1], table[3][1] = "lyon", other
    (root / "bolt" / "sites.csv").write_text(lines(table))
    with pytest.raises(DataError, match=r"only in capitals|look alike|up to 64 letters"):
        sites_of(open_folder(root))


def test_a_table_of_a_system_that_tells_no_capitals_apart(root):
    table = rows(root)
    (root / "bolt" / "sites.csv").write_text(
        lines([table[0], *([a.upper(), b] for a, b in table[1:])])
    )
    assert len(sites_of(open_folder(root, categories=("bolt",)))) == len(table) - 1


@pytest.mark.parametrize("start", [b"PK\3\4", b"\xd0\xcf\x11\xe0"])
def test_a_workbook_under_the_ending_of_a_table_is_called_one(start, root):
    (root / "bolt" / "sites.csv").write_bytes(start + bytes(range(256)))
    with pytest.raises(DataError, match="an Excel workbook: save it as CSV"):
        sites_of(open_folder(root))


@given(st.binary(max_size=400))
def test_any_bytes_are_a_table_or_one_error(data):
    try:
        table = parse_table(decoded(data))
    except ValueError:
        return
    assert all({*row.cells} <= {*table.columns} for row in table.rows)


TEXT = st.text(st.characters(blacklist_categories=("Cs", "Cc", "Zs", "Zl", "Zp")), min_size=1)


@given(
    st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=5),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.sampled_from([",", ";", "\t"]),
)
def test_what_a_spreadsheet_writes_is_what_is_read(cells, encoding, mark):
    import csv
    import io

    text = io.StringIO()
    csv.writer(text, delimiter=mark).writerows([("file", "site"), *cells])
    table = parse_table(decoded(text.getvalue().encode(encoding)))
    assert [tuple(row.cells.values()) for row in table.rows] == [
        (a.strip(), b.strip()) for a, b in cells
    ]
