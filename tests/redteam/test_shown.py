"""A thousand hostile texts on each of six ways to a reader, and the commands that print them."""

from __future__ import annotations

import ast
import csv
import io
import json
import re
import shutil
import subprocess
import unicodedata
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from fedad import cli
from fedad.commands.show import show_run
from fedad.plumbing.console import add_row, say, table
from fedad.plumbing.files import is_name, write_json
from fedad.plumbing.progress import Bars, lines
from fedad.plumbing.shown import (
    FORMULA,
    LONGEST_LINE,
    NUMBER,
    UNSEEN,
    csv_text,
    for_csv,
    for_html,
    for_log,
    for_log_lines,
    for_markdown,
    for_script,
    for_terminal,
    for_tex,
    from_csv,
)
from fedad.reporting.markup import Section, data, details, html
from fedad.reporting.page import page
from fedad.reporting.papers import latex, markdown
from fedad.reporting.plots import intervals
from fedad.reporting.run_folder import RECORD
from server_app.quarantine import sentence
from tests.conftest import SITES, draw_category
from tests.redteam.hostile import HOSTILE

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
UNPRINTED = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def is_plain(text: str) -> bool:
    """No control byte, no mark that turns the direction, nothing that nobody sees, one line."""
    return not UNSEEN.search(text) and not any(unicodedata.category(c) in UNPRINTED for c in text)


def is_inert(cell: str) -> bool:
    """A spreadsheet takes a cell for a text or a number."""
    return not FORMULA.match(cell) or NUMBER.fullmatch(cell) is not None


def test_there_are_a_thousand_and_they_are_hostile():
    assert len({*HOSTILE}) == 1000
    assert sum(not is_plain(text) for text in HOSTILE) > 400
    assert sum(not is_inert(text) for text in HOSTILE) > 90


@pytest.mark.parametrize("target", [for_terminal, for_log, for_markdown, for_tex, for_html])
def test_no_control_byte_gets_through(target):
    for text in HOSTILE:
        assert is_plain(target(text)), ascii(text)
    assert is_plain(csv_text(["name"], [[text] for text in HOSTILE]).replace("\n", ""))


@given(st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S")), max_size=60))
def test_what_is_plain_is_shown_as_it_was_typed(text):
    assert for_terminal(text) == text


def test_what_cannot_be_shown_stands_as_python_would_write_it():
    assert for_terminal("a\x1b[2J\n\u202e\u3164\udc80") == r"a\x1b[2J\n\u202e\u3164\udc80"


def test_a_line_of_a_log_is_one_and_is_short():
    for text in HOSTILE:
        assert len(for_log(text)) <= LONGEST_LINE
        assert len(sentence(ValueError(text))) <= LONGEST_LINE
        assert is_plain(sentence(ValueError(text)))
    assert for_log("x" * 10**6) == "x" * 297 + "..."
    assert for_log_lines("Traceback\n  x\nERROR : forged\r") == [
        "| Traceback",
        "|   x",
        r"| ERROR : forged\r",
    ]


def test_markup_in_a_table_stands_as_it_was_typed():
    """`[/]` ended `fedad` with exit code 70, and `[bold]` was not to be seen."""
    made = table("of [bold]x[/] [/] :smile:", ["[red]name", "n"])
    for text in HOSTILE:
        add_row(made, text, 1)
    shown = io.StringIO()
    Console(file=shown, width=5000, color_system=None).print(made)
    assert "of [bold]x[/] [/] :smile:" in shown.getvalue()
    for text in HOSTILE:
        assert for_terminal(text) in shown.getvalue()


def test_a_bar_and_a_line_of_progress_are_inert(capsys):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    with Bars(terminal) as bars:
        for text in HOSTILE[::20]:
            bars.start(text, 10)(5)
    for text in HOSTILE[::20]:
        lines(text, 10, say, every=0.0)(5)
    assert is_plain(capsys.readouterr().out.replace("\n", ""))


def test_a_spreadsheet_computes_nothing_and_reads_back_what_was_legal():
    rows = list(csv.reader(io.StringIO(csv_text(["name"], [[text] for text in HOSTILE]))))[1:]
    assert len(rows) == len(HOSTILE)
    for text, (cell,) in zip(HOSTILE, rows, strict=True):
        assert is_inert(cell), ascii(text)
        assert from_csv(cell) == for_terminal(text)


@given(st.text(st.sampled_from("'=+-@ .,;\"0123456789eE|!abc"), max_size=12))
def test_a_cell_reads_back(text):
    assert from_csv(str(for_csv(text))) == text


@pytest.mark.parametrize("number", [-0.5, 3, True, "-0.5", "+1e-07", "-12", ".5"])
def test_numbers_stay_numbers(number):
    assert for_csv(number) == number


def test_numbers_of_numpy_stay_numbers():
    assert csv_text(["a", "b"], [[np.float64(-0.5), np.int64(-3)]]) == "a,b\n-0.5,-3\n"


def test_a_github_table_has_its_cells_and_nothing_begins_in_them():
    told = markdown(["", "n"], [[text, "1"] for text in HOSTILE])
    lines_ = told.split("\n")
    assert len(lines_) == len(HOSTILE) + 3
    for line in lines_[2:-1]:
        bare = re.sub(r"\\[!-/:-@\[-`{-~]", "", line)
        assert bare.count("|") == 3, line
        assert not {*"<>`[]*_~$"} & {*bare}, line
        assert not re.search(r"://|www\.|@[^\W\d]", bare), line


def test_a_latex_table_has_its_rows_and_no_command_of_a_name():
    told = latex(["", "n"], [[text, "1"] for text in HOSTILE])
    rows = told.split("\\midrule\n")[1].split("\\bottomrule")[0].split("\n")[:-1]
    assert len(rows) == len(HOSTILE)
    ours = r"\\[&%$#_{}]|\\text(backslash|asciitilde|asciicircum|less|greater|bar|quotedbl)\{\}"
    for row in rows:
        bare = re.sub(rf"{ours}|\{{[\[\]*`]\}}", "", row.removesuffix(r" & 1 \\"))
        assert not {*"\\&%$#_{}~^[]*`"} & {*bare}, row


class Seen(HTMLParser):
    """Every tag with its attributes, and all text between."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, text):
        self.text += text


def seen(text: str) -> Seen:
    found = Seen()
    found.feed(text)
    found.close()
    return found


def test_no_tag_attribute_or_script_of_a_name():
    for text in HOSTILE:
        found = seen(f'<p title="{for_html(text)}">{html(text)}</p>')
        assert found.tags == [("p", {"title": for_terminal(text)})], ascii(text)
        assert found.text == for_terminal(text)
        found = seen(data(text, {text: [text]}) + details(text, ""))
        assert [tag for tag, _ in found.tags] == ["script", "details", "summary"], ascii(text)
        assert not {*"<>&"} & {*for_script(text)}
        assert json.loads(for_script(text)) == text


def test_a_drawing_of_hostile_names_is_xml():
    plot = intervals("x", HOSTILE[3], [(text, {"value": 0.5}) for text in HOSTILE], axis="v")
    tree = ElementTree.fromstring(plot.drawing.svg(alone=True))
    assert {one.tag.rpartition("}")[2] for one in tree.iter()} <= {
        *("svg", "title", "style", "rect", "polyline", "text", "circle")
    }


def test_a_page_runs_and_loads_nothing_but_its_own():
    found = seen(page(HOSTILE[24], HOSTILE[25], [Section("a", HOSTILE[26], html(HOSTILE[27]))]))
    (policy,) = (one["content"] for tag, one in found.tags if tag == "meta" and "http-equiv" in one)
    assert policy.startswith("default-src 'none'; img-src data:; script-src 'sha256-")
    assert "unsafe" not in policy
    assert "http" not in policy
    assert not [one for _, one in found.tags if {"style", "onload", "onerror", "src"} & {*one}]


# The whole way: what commands print and write of a folder with hostile names.

CATEGORIES = ("[bold]bolt", "=hose<svg onload=alert(1)>")
DEFECT = "=1+1<img src=x onerror=alert(1)>|`$"
NAMES = dict(zip(SITES, ("[red]graz", "-2+3|cmd", "<b onclick>@`$_ lyon"), strict=True))


@pytest.fixture(scope="module")
def hostile_plants(tmp_path_factory):
    """Two products at three sites, all names as bad as they may be; `[/]` stands in the path."""
    root = tmp_path_factory.mktemp("plants") / "a[" / "]:smile:"
    for category in CATEGORIES:
        folder = root / category
        draw_category(folder, category)
        for split in ("test", "ground_truth"):
            (folder / split / "blot").rename(folder / split / DEFECT)
        rows = [line.split(",") for line in (folder / "sites.csv").read_text().splitlines()]
        renamed = [
            [file.replace("/blot/", f"/{DEFECT}/"), NAMES.get(site, site)] for file, site in rows
        ]
        with (folder / "sites.csv").open("w", newline="") as file:
            csv.writer(file).writerows(renamed)
    return root


@pytest.fixture(scope="module")
def run_of_them(hostile_plants, knobs, tmp_path_factory):
    """The folder of a run over them, with its page."""
    runs = tmp_path_factory.mktemp("runs")
    knobs = {**knobs, "data.dir": str(hostile_plants), "score.replicates": 5}
    sets = [word for key, value in knobs.items() for word in ("-c", f"{key}={json.dumps(value)}")]
    assert command("run", *sets, "--via", "local", "--runs", str(runs)) == 0
    folder = (runs / "latest").resolve()
    assert command("report", str(folder)) == 0
    return folder


def command(*words: str) -> int:
    """A command's exit code, in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["fedad", *words])
        try:
            cli.main()
        except SystemExit as ended:
            return int(ended.code or 0)
    return 0


def test_names_are_legal():
    assert all(map(is_name, (*CATEGORIES, *NAMES.values())))


def test_data_check_shows_a_folder_as_it_is_called(hostile_plants, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    assert command("data", "check", str(hostile_plants)) == 0
    said = capsys.readouterr().out
    assert f"{hostile_plants}" in said
    assert all(name in said for name in (*CATEGORIES, DEFECT))


@pytest.mark.parametrize("text", HOSTILE[:40:3])
def test_an_error_is_one_line_and_never_exit_code_70(text, tmp_path, capsys):
    for words in (
        ("data", "check", str(tmp_path / f"x{text}".replace("\0", "0"))),
        ("run", "-c", f"data.dataset={text}"),
        ("run", "-c", f"{text}=1"),
        ("evaluate", "--data", "x", "--maps", "y", "--limits", text),
        ("unregister", text, "--keys", str(tmp_path)),
    ):
        code = command(*words)
        said = capsys.readouterr()
        assert code not in (0, 70), words
        assert is_plain(said.err.replace("\n", "")), words
        if said.err.startswith("error: "):
            assert said.err.count("\n") == 1


def test_a_run_is_printed_with_its_names(run_of_them, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    show_run(run_of_them)
    said = capsys.readouterr().out
    assert all(name in said for name in NAMES.values())
    assert is_plain(said.replace("\n", ""))


def test_who_is_missing_is_said_on_one_line_each(run_of_them, tmp_path, capsys):
    record = json.loads((run_of_them / RECORD).read_text())
    record["missing"] = {
        ascii(text)[:60]: {"stage": "enrol", "reason": text} for text in HOSTILE[:50]
    }
    write_json(tmp_path / RECORD, record)
    show_run(tmp_path)
    said = [line for line in capsys.readouterr().out.split("\n") if line.startswith("missing")]
    assert len(said) == len(record["missing"])


def test_every_table_of_a_run_is_inert(run_of_them):
    tables = [*run_of_them.rglob("*.csv")]
    assert {"per_site.csv", "scores.csv"} <= {path.name for path in tables}
    names = set[str]()
    for path in tables:
        for row in csv.reader(io.StringIO(path.read_text(encoding="utf-8"))):
            assert all(map(is_inert, row)), path
            names |= {from_csv(cell) for cell in row}
    assert {*CATEGORIES, *NAMES.values(), DEFECT} <= names


def test_every_drawing_of_a_run_is_xml(run_of_them):
    drawings = [*run_of_them.rglob("*.svg")]
    assert len(drawings) > 5
    for path in drawings:
        for one in ElementTree.fromstring(path.read_bytes()).iter():
            assert not {name for name in one.attrib if name.startswith("on")}


@pytest.mark.parametrize("place", ["", "sites"])
def test_the_page_of_a_run_or_a_site_has_no_tag_of_a_name(place, run_of_them):
    folder = run_of_them / "sites" / NAMES["lyon"] if place else run_of_them
    if place:
        assert command("report", str(folder)) == 0
    found = seen((folder / "report.html").read_text())
    for name in (*CATEGORIES, *([] if place else NAMES.values())):
        assert name in found.text
    assert sum(tag == "script" and "type" not in one for tag, one in found.tags) == 1
    assert not [one for tag, one in found.tags if tag in ("svg", "img", "b") and "onload" in one]
    assert not [one for _, one in found.tags if any(name.startswith("on") for name in one)]


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium: apt install it")
def test_a_browser_complains_of_nothing_and_the_script_runs(run_of_them, tmp_path):
    """The policy's hashes are those of what is in the page: the slider's numbers are filled in."""
    done = subprocess.run(
        [
            *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"),
            *(
                "--enable-logging=stderr",
                f"--user-data-dir={tmp_path}",
                "--virtual-time-budget=3000",
            ),
            (run_of_them / "report.html").as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "CONSOLE" not in done.stderr, done.stderr[-2000:]
    boxes = re.findall(r'<output class="rejects">([^<]*)</output>', done.stdout)
    assert len(boxes) == len(CATEGORIES)
    assert all(" of " in box or box == "move the slider" for box in boxes)
    found = seen(done.stdout)
    (style,) = (one for one in re.findall(r'<div id="tip"[^>]*>', done.stdout))
    assert "hidden" in style
    assert sum(tag == "script" and "type" not in one for tag, one in found.tags) == 1


# What holds for code that is still to be written.

SOURCES = [p for room in ("fedad", "server_app", "client_app") for p in (ROOT / room).rglob("*.py")]
ONLY = {  # what may be called in one file alone -> which
    "print": ("fedad/plumbing/console.py",),
    "rich.console.Console": ("fedad/plumbing/console.py", "fedad/plumbing/progress.py"),
    "csv.writer": ("fedad/plumbing/shown.py",),
    "html.escape": ("fedad/plumbing/shown.py",),
}


def calls(path: Path) -> list[str]:
    """The functions that a file calls, by their full names."""
    tree, names = ast.parse(path.read_text()), dict[str, str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            names |= {one.asname or one.name: f"{node.module}.{one.name}" for one in node.names}
    called = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    plain = [names.get(f.id, f.id) for f in called if isinstance(f, ast.Name)]
    return plain + [ast.unparse(f) for f in called if isinstance(f, ast.Attribute)]


# Answers a program that has the place of Flower's, in JSON of our own words.
SPARED = {"fedad/deploy/stand_ins.py": {"print"}}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nobody_else_prints_writes_tables_or_escapes(path):
    here = path.relative_to(ROOT).as_posix()
    for name in {*calls(path)} & {*ONLY} - SPARED.get(here, set()):
        assert here in ONLY[name], f"{here} calls {name}"
