"""The table of all systems: what is best is bold with its interval, and every cell can be read."""

import re
from html.parser import HTMLParser

import pytest

from fedad.reporting.comparison.heat import best, heat, shade
from fedad.reporting.drawing import DARK, LIGHT
from fedad.reporting.run_folder import read_comparison
from fedad.reporting.style import SHADES, STYLE, shades


class Cells(HTMLParser):
    """Rows of a table: (class, text, whether bold) of each cell."""

    def __init__(self, text):
        super().__init__()
        self.rows = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append([dict(attrs).get("class", ""), "", False])
        elif tag == "b":
            self.rows[-1][-1][2] = True

    def handle_data(self, data):
        if self.rows and self.rows[-1]:
            self.rows[-1][-1][1] += data


def told(label, auroc, spro, *, together=True, **costs):
    def figure(value):
        one = {"value": value, "low": value - 0.01, "high": value + 0.02}
        return {"together": one if together else None, "by_site": one}

    figures = {"image_auroc": figure(auroc), "auc_spro_0.05": figure(spro)}
    return {"label": label, "figures": figures, "costs": {"seconds": 3.0, **costs}}


COMPARISON = {
    "headline": "auc_spro_0.05",
    "plan": {"figures": ["image_auroc", "auc_spro_0.05"]},
    "treatments": [
        told("patchcore", 0.9, 0.8, mb_up=100.0, mb_down=50.0, rounds=1.0),
        told("sums", 0.8, 0.7, mb_up=1.5, mb_down=0.5, rounds=2.0),
        told("isolated, patchcore", 0.95, 0.4, together=False),
        told("centralised <b>", 0.85, 0.75),
    ],
}


def rows():
    section, plots = heat(COMPARISON)
    assert plots == []
    return Cells(section.body.partition("</caption>")[2]).rows


def test_a_row_a_system_and_a_column_a_figure_or_cost():
    head, *body = rows()
    assert [text for _, text, _ in head] == [
        "",
        "image AUROC",
        "AUC-sPRO@0.05",
        "MB up",
        "MB down",
        "seconds",
        "rounds",
    ]
    assert [row[0][1] for row in body] == [one["label"] for one in COMPARISON["treatments"]]
    assert all(len(row) == len(head) for row in body)


def test_the_best_of_those_in_one_ranking_is_bold_with_its_interval():
    _, patchcore, sums, isolated, centralised = rows()
    assert patchcore[1][1:] == ["0.900 (0.890 to 0.920)", True]
    assert isolated[1][1:] == ["0.950", False]
    assert patchcore[2][2]
    assert [text for _, text, _ in sums[3:]] == ["1.50", "0.50", "3", "2"]
    assert (sums[3][2], patchcore[3][2]) == (True, False)
    assert [text for _, text, _ in centralised[3:5]] == ["\N{EN DASH}"] * 2
    assert [row[5][2] for row in rows()[1:]] == [True, True, False, True]  # equal, and ranked
    assert sum(cell[2] for row in rows()[1:] for cell in row) == 5 + 3


def test_cells_are_shaded_from_worst_to_best_and_costs_the_other_way():
    _, patchcore, sums, isolated, _ = rows()
    assert patchcore[2][0] == sums[3][0] == f"heat-{SHADES - 1}"
    assert isolated[2][0] == patchcore[3][0] == "heat-0"
    assert [shade(v, (0, 1), more=True) for v in (0, 0.5, 1)] == [0, 2, 5]
    assert shade(7, (7, 7), more=True) == SHADES - 1
    assert best([None, 2.0, 1.0, 9.0], [True, True, True, False], more=True) == 1
    assert best([None, 2.0, 1.0, 9.0], [True, True, True, False], more=False) == 2
    assert best([None, 2.0], [True, False], more=True) is None


def luminance(colour):
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_text_is_readable_on_every_shade_and_shades_differ(colours):
    """WCAG's 4.5 for text; the deepest shade is told from the paper."""
    made = list(shades(colours).values())
    assert len({*made}) == SHADES
    assert made[0] == colours["paper"]
    assert all(contrast(colours["ink"], shade_) >= 4.5 for shade_ in made)
    assert contrast(made[-1], colours["paper"]) >= 1.5
    assert all(f"{name}:{value};" in STYLE for name, value in shades(colours).items())


def test_every_shade_has_a_rule():
    assert len(re.findall(r"\.heat td\.heat-\d\{background:var\(--heat\d\)\}", STYLE)) == SHADES


def test_a_finished_comparison_says_what_each_system_took(compared):
    found = read_comparison(compared)
    for one in found["treatments"]:
        costs = one["costs"]
        assert costs["seconds"] > 0
        assert ("mb_up" in costs) == (one["way"] == "federated")
        if one["way"] == "federated":
            moved = next(p for p in found["pareto"]["points"] if p["label"] == one["label"])
            assert costs["mb_up"] + costs["mb_down"] == pytest.approx(moved["mb_moved"])
            assert costs["rounds"] == 1
