"""The page's files: every word in three languages and used, nothing from elsewhere, no markup
that is made of data."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from fedad.inspection.recognise import NONE_KNOWN
from fedad.judging.looks import BLURRED, STRANGER, TOO_DARK
from fedad.judging.verdict_words import AGAIN, NOK, OK, UNREADABLE
from fedad.models.checked import Checked
from fedad.models.gate import Gate, decide
from fedad.reporting.drawing import DARK, LIGHT
from fedad.reporting.heatmap import _STOPS
from fedad.serving.app import PAGE, TYPES

LANGUAGES = ("en", "de", "fr")
STRINGS = json.loads((PAGE / "strings.json").read_text())
SCRIPTS = {path.name: path.read_text() for path in sorted(PAGE.glob("*.js"))}
SCRIPT = "\n".join(SCRIPTS.values())
INDEX = (PAGE / "index.html").read_text()
STYLE = (PAGE / "style.css").read_text()
PLURAL = re.compile(r"\.(one|other)$")
IN_HTML = {*re.findall(r'data-(?:text|label|title)="([^"]+)"', INDEX)}
QUOTED = {*re.findall(r'"([a-z]+(?:\.[a-z_]+)?)"', SCRIPT)}


def bases(table):
    """Keys as the page's files name them, without what tells one from several."""
    return {PLURAL.sub("", key) for key in table}


def test_each_language_has_the_same_keys_and_says_something():
    assert tuple(STRINGS) == LANGUAGES
    assert set(STRINGS["en"]) == set(STRINGS["de"]) == set(STRINGS["fr"])
    for table in STRINGS.values():
        assert all(words.strip() == words and words for words in table.values())
        assert all("\N{EM DASH}" not in words for words in table.values())


def test_each_language_fills_in_the_same():
    for key, words in STRINGS["en"].items():
        wanted = set(re.findall(r"{(\w+)}", words))
        for language in LANGUAGES:
            assert set(re.findall(r"{(\w+)}", STRINGS[language][key])) == wanted, (language, key)


def test_one_and_several_come_together():
    for key in STRINGS["en"]:
        if PLURAL.search(key):
            base = PLURAL.sub("", key)
            assert {f"{base}.one", f"{base}.other"} <= set(STRINGS["en"])
            assert base not in STRINGS["en"]


def test_every_key_is_used_and_every_used_one_is_there():
    known = bases(STRINGS["en"])
    assert known >= IN_HTML
    said = {*re.findall(r'\b(?:say|row|head|stops)\(\s*"([^"]+)"', SCRIPT)}
    assert said <= known | {"td", "th"}
    assert known - IN_HTML - QUOTED == set()


def test_every_verdict_and_every_reason_has_words():
    """The server's are English; the page knows each of them by name."""
    script = SCRIPTS["verdict.js"]
    for word in (OK, NOK, AGAIN, UNREADABLE, TOO_DARK, BLURRED, STRANGER, NONE_KNOWN):
        assert re.search(rf'(?:"{word}"|\b{word}): "', script), word


def test_the_page_knows_each_sentence_of_the_gate():
    """Three kinds of reasons, each by its own form, with all that the words of it name."""
    seen = [*(Checked(f"g{n}", "a: b", "good", 0.0, 1.0, rests=False) for n in range(9))]
    before = [*seen, Checked("d", "a: b", "scratch", 2.0, 1.0, rests=False)]
    after = [replace(one, score=2.0) if one.is_good else replace(one, score=0.0) for one in before]
    told = decide(before, after, {"a: b": 0.1}, Gate()).reasons
    told += decide(before, after, {}, Gate()).reasons[:1]
    forms = re.findall(r"form: /(.*)/s,\n    names: \[(.*)\]", SCRIPTS["reasons.js"])
    keys = re.findall(r'key: "(gate\.\w+)"', SCRIPTS["reasons.js"])
    found = {}
    for key, (form, names) in zip(keys, forms, strict=True):
        assert {*re.findall(r"{(\w+)}", STRINGS["en"][key])} == {*re.findall(r'"(\w+)"', names)}
        found |= {one: key for one in told if re.fullmatch(form, one, re.DOTALL)}
    assert [found.get(one) for one in told] == ["gate.stopped", "gate.lost", "gate.unjudged"]


def test_nothing_comes_from_elsewhere_and_nothing_is_inline():
    """The server's policy would stop it, and a plant has no network."""
    for name, text in {**SCRIPTS, "index.html": INDEX, "style.css": STYLE}.items():
        found = {*re.findall(r"https?://[^\s\"'`)]+", text)}
        assert found <= {"http://www.w3.org/2000/svg"}, name  # a name, not a place
        assert "@import" not in text
        assert "url(" not in text.replace("url(#ramp)", ""), name
    found = Tags()
    found.feed(INDEX)
    assert [tag for tag, _ in found.all if tag in ("style", "iframe", "object", "base")] == []
    for tag, attributes in found.all:
        assert not [name for name in attributes if name == "style" or name.startswith("on")], tag
        if tag == "script":
            assert attributes["src"].startswith("page/")
        if tag == "link" and attributes["rel"] == "stylesheet":
            assert attributes["href"] == "page/style.css"
    assert found.inline == ""


def test_no_data_becomes_markup_or_code():
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "DOMParser"):
        assert word not in SCRIPT
    assert re.search(r"\beval\(|new Function|srcdoc|javascript:", SCRIPT + INDEX) is None


def test_every_file_is_served_and_none_is_left_over():
    assert {path.suffix for path in PAGE.iterdir() if path.is_file()} <= set(TYPES)
    imported = {*re.findall(r'from "\./([\w.]+)"', SCRIPT)}
    named = {*re.findall(r'"page/([\w.]+)"', INDEX + SCRIPT)}
    assert imported | named == {path.name for path in PAGE.iterdir()} - {"index.html"}


def test_each_id_that_a_script_asks_for_is_there_once():
    ids = re.findall(r'\bid="([^"]+)"', INDEX)
    assert len(ids) == len({*ids})
    asked = {*re.findall(r'"#([a-z][a-z-]*)"', SCRIPT)} | {
        *re.findall(r'\$\("#([a-z][a-z-]*)', SCRIPT)
    }
    assert asked <= {*ids}
    for target in re.findall(r'\b(?:for|aria-labelledby|aria-describedby)="([^"]+)"', INDEX):
        assert target in ids


def test_colours_are_those_of_the_report_and_of_the_overlay():
    for colours, times in ((LIGHT, 2), (DARK, 2)):  # on screen and paper; as the system, chosen
        for name, colour in colours.items():
            if name not in ("soft", "grid"):  # darker on paper
                assert STYLE.count(f"--{name}: {colour};") >= times, name
            assert f"--{name}: {colour};" in STYLE
    ramp = re.findall(r"#[0-9a-f]{6}", SCRIPTS["scale.js"])
    assert ramp == ["#" + "".join(f"{round(c):02x}" for c in stop) for stop in _STOPS]


@pytest.mark.parametrize("name", [*SCRIPTS, "style.css"])
def test_files_stay_readable(name):
    text = (PAGE / name).read_text()
    assert text.count("\n") <= 400
    assert "/* " in text[:20]


class Tags(HTMLParser):
    """Every start tag, and what stands in scripts."""

    def __init__(self):
        super().__init__()
        self.all, self.inline, self._in_script = [], "", False

    def handle_starttag(self, tag, attrs):
        self.all.append((tag, dict(attrs)))
        self._in_script = tag == "script"

    def handle_endtag(self, tag):
        self._in_script = False

    def handle_data(self, data):
        if self._in_script:
            self.inline += data.strip()
