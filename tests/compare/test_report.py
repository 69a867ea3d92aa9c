"""Pages, plots and tables of a run, a site and a comparison."""

import csv
import re
from dataclasses import asdict
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
from typer.testing import CliRunner

from fedad.cli import app
from fedad.compare.cells import cells_of
from fedad.compare.plan import FEDERATED, ISOLATED
from fedad.compare.statistics import ranked
from fedad.errors import DataError
from fedad.reporting.comparison.page import sections
from fedad.reporting.comparison.printed import print_comparison
from fedad.reporting.drawing import Drawing
from fedad.reporting.markup import copyable, data, paragraph, ranged, table
from fedad.reporting.page import LARGEST
from fedad.reporting.papers import latex, markdown
from fedad.reporting.plots import Plot
from fedad.reporting.report import _write_plots, report
from fedad.reporting.run_folder import read_comparison, read_record
from fedad.reporting.scores import EVERY, Scores, histogram, together
from fedad.reporting.shown_figures import figures

RUN = ["outcome", "run", "figures", "promises", "curves", "scores", "gallery", "matrix"]
RUN += ["privacy", "cost", "configuration"]
COMPARISON = ["run", "systems", "figures", "differences", "sites", "worth", "pareto"]
DETAIL = [f"run-{name}" for name in RUN if name not in ("outcome", "run")]


class Page(HTMLParser):
    """Sections, pictures, and everything that a browser would fetch."""

    def __init__(self, text):
        super().__init__()
        self.sections, self.fetched, self.words = [], [], []
        self.feed(text)

    def handle_data(self, words):
        self.words.append(words)

    def handle_starttag(self, tag, attrs):
        told = dict(attrs)
        if tag == "section":
            self.sections.append(told["id"])
        self.fetched += [told[key] for key in ("src", "href", "data") if key in told]


@pytest.fixture(scope="module")
def run(compared, small):
    return cells_of(small)["float32", 0, FEDERATED].folder(compared)


@pytest.fixture(scope="module")
def pages(compared, run, tmp_path_factory):
    """Kind -> the page and its folder."""
    folders = {"run": run, "site": run / "sites" / "lyon", "comparison": compared}
    out = {kind: tmp_path_factory.mktemp(kind) / "page.html" for kind in folders}
    return {kind: report(folder, out[kind]) for kind, folder in folders.items()}


@pytest.mark.parametrize(
    ("kind", "sections"),
    [
        ("run", RUN),
        ("site", ["thresholds", "scores", "gallery", "figures", "curves"]),
        ("comparison", [*COMPARISON, *DETAIL]),
    ],
)
def test_a_page_has_every_section_and_fetches_nothing(pages, kind, sections):
    text = pages[kind].read_text()
    page = Page(text)
    assert page.sections == sections
    assert pages[kind].stat().st_size < LARGEST
    assert all(link.startswith(("#", "data:")) for link in page.fetched)
    assert not re.search(r"@import|url\(|https?://(?!www\.w3\.org)", text)


def test_the_runs_page_says_what_was_run_and_shows_its_figures(pages, run):
    text = pages["run"].read_text()
    assert "3 sites (graz, lyon, turin)" in text
    assert text.count("data:image/jpeg;base64") == 20
    assert "merge.aggregation" in text
    assert "FedAvg of the backbone" in text
    assert "6 good images" not in text
    assert "The 12 good images weigh" in text


def test_isolated_sites_are_never_shown_in_one_ranking(run):
    told = read_record(run)["figures"]["federated"]
    section, plots = figures({"isolated": told, "federated": told})
    shown = Page(section.body).words
    for site in ("graz", "lyon", "turin"):
        assert f"bolt, {site}, isolated" in shown
        assert f"bolt, {site}, federated" in shown
    assert "bolt, all sites together, federated" in shown
    assert "bolt, all sites together, isolated" not in shown
    assert "isolated, all sites together" not in shown
    means = {row[1]: row[2] for plot in plots[:1] for row in plot.rows if row[0] == "bolt"}
    alone = [one["categories"]["bolt"]["figures"]["image_auroc"] for one in told["sites"].values()]
    assert means["isolated"] == pytest.approx(np.mean([one["value"] for one in alone]))


def test_a_servers_page_has_no_image_and_takes_scores_from_curves(run, tmp_path):
    """What a deployed server has: the record and the curves, nothing of the sites' own folders."""
    for name in ("record.json", "environment.json"):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    (tmp_path / "curves").mkdir()
    for path in (run / "curves").glob("*.csv"):
        (tmp_path / "curves" / path.name).write_bytes(path.read_bytes())
    text = report(tmp_path).read_text()
    assert "Pictures stay at the sites" in text
    assert "base64" not in text
    assert "<option>all sites together</option>" in text
    assert "<option>lyon</option>" not in text
    assert "No calibrated threshold is known here" in text
    for drawing in (tmp_path / "plots").glob("scores-*.svg"):
        (line,) = (e for e in ElementTree.parse(drawing).iter() if e.get("class") == "threshold")
        assert line.get("display") == "none"
    assert "FedAvg of the whole backbone would move" in text


def test_a_sites_page_speaks_of_its_own_images(pages):
    text = pages["site"].read_text()
    assert "The test images of lyon in one ranking" in text
    assert "all sites" not in text.lower().replace("over all sites the line", "")
    table = pages["site"].parent / "tables" / "figures.md"
    assert "| here, lyon |" in table.read_text()


def test_the_comparisons_page_says_which_run_it_details(pages):
    text = pages["comparison"].read_text()
    assert text.count("Of one run alone: float32, seed 0.") == len(DETAIL)
    assert "One run: Cost" in text


def test_plots_of_the_comparison_and_of_its_run_are_apart(pages):
    folder = pages["comparison"].parent / "plots"
    whole, one = ((folder / f"{name}figures-image_auroc.csv").read_text() for name in ("", "run-"))
    assert "centralised, float16" in whole
    assert "bolt,federated," in one
    drawn = Plot("cost", Drawing(1, 1, ""), (), ())
    with pytest.raises(DataError, match="two plots are called cost"):
        _write_plots(folder, [drawn, drawn])


def test_a_yardsticks_cell_is_no_run_to_show(compared, small):
    cell = cells_of(small)["float32", 0, ISOLATED]
    with pytest.raises(DataError, match="the isolated cell of a comparison: it has figures"):
        report(cell.folder(compared))


def test_what_makes_numbers_look_surer_than_they_are_is_said(compared, capsys):
    found = read_comparison(compared)
    found["notes"] = ["6 points"]
    shown = "".join(section.body for section, _ in sections(found))
    print_comparison(found)
    assert "6 points." in shown
    assert "warning: 6 points" in capsys.readouterr().out


def test_seconds_of_cells_side_by_side_are_not_drawn(compared):
    found = read_comparison(compared)
    plots = [plot.name for _, some in sections(found) for plot in some]
    assert "pareto-seconds" in plots
    del found["pareto"]["axes"]["seconds"]
    busy = sections(found)
    assert "pareto-seconds" not in [plot.name for _, some in busy for plot in some]
    assert "are not compared" in "".join(section.body for section, _ in busy)


def test_every_pairs_nemenyi_p_is_shown(compared):
    found = read_comparison(compared)
    rows = np.random.default_rng(0).normal(size=(3, 6))
    one = asdict(ranked(dict(zip("abc", rows, strict=True))))
    one["pairs"]["a"]["b"] = 0.0123
    found["unranked"] = ""
    found["rankings"] = [{"figure": "image_auroc", "together": True, **one}]
    shown = "".join(section.body for section, _ in sections(found))
    assert "<td>0.012</td>" in shown
    assert "p (Friedman)" in shown


def test_too_few_sets_of_test_images_are_not_ranked_and_it_is_said(compared, pages, capsys):
    """Two products, whatever the seeds: in one line on the page, in the terminal, in tables."""
    found = read_comparison(compared)
    line = "2 sets of test images: no Friedman test and no critical differences below 6"
    assert found["rankings"] == []
    assert found["unranked"].startswith(line)
    shown = "".join(section.body for section, _ in sections(found))
    assert line in shown
    assert "p (Friedman)" not in shown
    print_comparison(found)
    assert "no Friedman test" in " ".join(capsys.readouterr().out.split())
    assert line in (pages["comparison"].parent / "tables" / "differences.md").read_text()


def test_plots_are_whole_drawings_and_tables(pages):
    folder = pages["comparison"].parent / "plots"
    names = {path.stem for path in folder.iterdir()}
    assert {"pareto-bytes", "differences", "run-cost", "run-nearest", "run-roc-bolt"} <= names
    for path in folder.glob("*.svg"):
        root = ElementTree.parse(path).getroot()
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        head, *rows = csv.reader(path.with_suffix(".csv").read_text().splitlines())
        assert all(len(row) == len(head) for row in rows)
        assert rows


def test_tables_for_papers_have_every_treatment(pages):
    tables = pages["comparison"].parent / "tables"
    for name in ("figures", "differences"):
        assert (tables / f"{name}.md").read_text().startswith("| ")
        assert r"\begin{tabular}" in (tables / f"{name}.tex").read_text()
    assert "| centralised, float16 |" in (tables / "figures.md").read_text()
    run = pages["run"].parent / "tables" / "figures.tex"
    assert "lyon, federated & " in run.read_text()


def test_what_is_no_result_is_refused(tmp_path):
    with pytest.raises(DataError, match="expected record"):
        report(tmp_path)


def test_the_command_writes_the_page(run, tmp_path):
    out = tmp_path / "here.html"
    result = CliRunner().invoke(app, ["report", str(run), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert str(out) in result.output.replace("\n", "")
    assert out.exists()


def test_words_from_data_cannot_become_markup():
    nasty = '<script>alert("1")</script>'
    for text in (paragraph(nasty), table([nasty], [[nasty]], nasty), copyable(nasty)):
        assert "<script" not in text
    told = data('a"b', {"name": "</script>"})
    assert told.count("</script>") == 1
    assert 'id="a&quot;b"' in told
    assert "<script>alert" not in histogram(nasty, {nasty: Scores([1.0], [2.0])})[1]


def test_ranges_and_papers():
    assert ranged({"value": 0.5, "low": 0.4, "high": 0.6}) == "0.500 (0.400 to 0.600)"
    assert ranged({"value": 0.5, "low": None, "high": None}) == "0.500"
    assert ranged({"value": None}) == ranged(None) == "\N{EN DASH}"
    assert markdown(["a", "b"], [["x|y", "1"]]) == "| a | b |\n| --- | ---: |\n| x\\|y | 1 |\n"
    assert r"x\_y \& 3 \% & -- \\" in latex(["a", "b"], [["x_y & 3 %", "\N{EN DASH}"]])


def test_scores_of_all_sites_come_first_with_the_middle_threshold():
    some = {"a": Scores([1.0], [3.0], 2.0), "b": Scores([2.0], [5.0], 4.0), "c": Scores([1.0], [])}
    every = together(some)[EVERY]
    assert (sorted(every.good), sorted(every.bad), every.threshold) == ([1, 1, 2], [3, 5], 4.0)
    assert list(together({"a": some["a"]})) == ["a"]


def test_a_perfect_score_of_nothing_can_be_drawn():
    plot, box = histogram("bolt", {EVERY: Scores([0.0], [0.0])})
    assert "NaN" not in box
    assert [sum(row[k] for row in plot.rows) for k in (2, 3)] == [1, 1]
