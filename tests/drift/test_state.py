"""From lines of verdicts to what is said of them: is it the camera, or the product?"""

import json
import math
from datetime import UTC, date, datetime, timedelta
from xml.etree import ElementTree

import pytest

from fedad.drift.reasons import CAMERA, EITHER, PRODUCT, STATION
from fedad.drift.rows import pictures_of, read_rows
from fedad.drift.self_started import FIRST
from fedad.drift.state import state_of
from fedad.drift.streams import BRIGHTNESS, DISTANCE
from fedad.errors import DataError
from fedad.inspection.inspection import Box, Inspection, Nearest
from fedad.inspection.results import row_of
from fedad.judging.verdict_words import AGAIN, UNREADABLE
from fedad.reporting.drift_chart import THEMES, chart, chart_svg, themed_svg
from fedad.reporting.shown_drift import as_page, drift_of_run, drift_of_site, lines
from tests.drift.lines import START, from_day, rows

FROM = 25


def event(change, **more):
    """The one event of a line on which something changes."""
    (found,) = state_of(rows(change=change, **more)).events
    return found


@pytest.fixture(scope="module")
def darker():
    return state_of(rows(change=from_day(FROM, every=(1, 0.93, 1))))


def test_a_quiet_line_has_no_alarm():
    state = state_of(rows(days=60))
    assert not state.events
    assert any("nothing drifts: 60 days, 24 charts" in line for line in lines(state))


def test_what_darkens_in_all_products_is_the_camera(darker):
    (found,) = darker.events
    assert found.cause == CAMERA
    assert abs((found.since - START).days - FROM) <= 2
    assert FROM <= (found.day - START).days <= FROM + 10
    assert "brightness -7" in found.words
    assert {stream for _, stream in found.alarmed} == {BRIGHTNESS}


def test_what_is_odd_in_one_product_alone_is_the_product():
    found = event(from_day(FROM, bolt=(1.3, 1, 1)))
    assert found.cause == PRODUCT
    assert "the product bolt, not the camera" in found.words


def test_a_new_finish_of_one_product_is_not_the_camera():
    found = event(from_day(FROM, bolt=(1.3, 0.85, 1)))
    assert found.cause == PRODUCT


def test_all_products_odd_at_once_in_pictures_that_look_as_before_is_the_station():
    assert event(from_day(FROM, every=(1.3, 1, 1))).cause == STATION


def test_with_one_product_nothing_tells_camera_and_finish_apart():
    assert event(from_day(FROM, bolt=(1, 0.85, 1)), products=("bolt",)).cause == EITHER
    assert event(from_day(FROM, bolt=(1.4, 1, 1)), products=("bolt",)).cause == PRODUCT


def test_a_slow_change_is_seen_before_it_is_large():
    def soiling(name, day):
        share = max(0, day - FROM) / 40
        return 1 + 0.3 * share, 1 - 0.05 * share, 1 - 0.3 * share

    found = event(soiling, days=70)
    assert found.cause == CAMERA
    assert (found.day - START).days < FROM + 25


def test_the_same_product_at_another_site_is_named():
    change = from_day(FROM, bolt=(1.3, 1, 1))
    both = rows(change=change, site="lyon") + rows(change=change, site="graz", seed=1)
    state = state_of(both)
    assert state.sites == ("graz", "lyon")
    assert all("as well" in one.words for one in state.events)


def test_an_alarm_stands_until_things_count_anew(darker):
    assert darker.events
    later = state_of(
        rows(days=60, change=from_day(FROM, every=(1, 0.93, 1))), since=START + timedelta(FROM)
    )
    assert not later.events


def test_another_model_measures_anew_and_the_camera_goes_on():
    old = rows(days=20)
    new = [
        {**one, "nearest_distance": 9 * one["nearest_distance"], "model": "b"}
        for one in rows(days=40)[len(old) :]
    ]
    state = state_of(old + new)
    assert not state.events
    days = {one.stream.name: len(one.days.days) for one in state.of("", "bolt")}
    assert (days[DISTANCE], days[BRIGHTNESS]) == (20, 40)
    assert {len(one.days.days) for one in state_of(old + new, model="a").of("", "bolt")} == {20}


def test_pictures_to_be_taken_again_count_by_their_look_alone():
    picture = rows(days=1, parts=1, products=("bolt",))[0]
    (seen,) = pictures_of([{**picture, "verdict": AGAIN}]).seen
    assert [math.isnan(value) for value in seen.values[0]] == [True, True, False, False]
    assert pictures_of([{**picture, "verdict": UNREADABLE}]).left_out == {"no picture": 1}


def test_lines_without_a_time_are_counted_and_a_watched_folders_stamp_is_one():
    picture = {key: value for key, value in rows(days=1, parts=1)[0].items() if key != "time"}
    assert pictures_of([picture]).left_out == {"no time": 1}
    (seen,) = pictures_of([{**picture, "id": "1772438400000000000~x.png"}]).seen
    assert seen.day == date(2026, 3, 2)
    for wrong in ("yesterday", "2026-13-40", 7, None):
        assert pictures_of([{**picture, "time": wrong}]).left_out == {"no time": 1}


def test_rows_that_lack_numbers_or_have_odd_ones_break_nothing():
    some = rows(days=12, products=("bolt",))
    for one, value in zip(some, ("inf", None, -1, True, 0, float("nan"), 1e400) * 30, strict=False):
        one |= {"grey": value, "nearest_distance": value, "p_value": value}
    state = state_of(some)
    assert json.dumps(state.told(), allow_nan=False)
    assert not state.events


def test_few_pictures_of_a_day_are_joined_with_the_next():
    state = state_of(rows(days=30, parts=2))
    (one,) = {len(series.days.days) for series in state.series}
    assert one == 10
    assert {*state.series[0].days.parts.tolist()} == {6}


def test_charts_begin_after_a_few_days():
    state = state_of(rows(days=FIRST))
    assert any("too few days yet of bolt, clip, hose" in line for line in lines(state))
    assert "<svg" in chart_svg(state, "", "bolt")
    assert "<svg" in as_page(state)


def test_the_page_is_whole_and_names_are_escaped(darker):
    text = as_page(darker)
    assert text.count("<svg") == 3
    assert "the camera, its lens or its lamp" in text
    nasty = [{**one, "product": "<script>x"} for one in rows(days=12, products=("a",))]
    assert "<script>x" not in as_page(state_of(nasty))
    assert as_page(state_of([])).startswith("<!doctype html>")


def test_the_drawing_has_a_mark_at_the_alarm_and_numbers_beside_it(darker):
    plot = chart(darker, "", "bolt")
    assert "<circle" in plot.drawing.svg()
    assert "prefers-color-scheme:dark" in chart_svg(darker, "", "bolt", alone=True)
    assert len(plot.rows) == 4 * 40


def test_the_command_reads_a_folder_of_sites(fedad, tmp_path):
    for number, site in enumerate(("graz", "lyon")):
        change = from_day(FROM, every=(1, 0.9, 1)) if site == "lyon" else None
        place = tmp_path / "all" / site / "verdicts.jsonl"
        place.parent.mkdir(parents=True)
        told = [{**one, "site": ""} for one in rows(seed=number, change=change)]
        place.write_text("".join(json.dumps(one) + "\n" for one in told) + '{"torn')
    code, err, out = fedad("drift", tmp_path / "all", "--out", tmp_path / "page.html")
    assert code == 10, err
    assert "graz: nothing drifts" in out
    assert "lyon: ALARM" in out
    assert (tmp_path / "page.html").read_text().count("<svg") == 6
    code, _, out = fedad("drift", tmp_path / "all" / "graz" / "verdicts.jsonl", "--json")
    assert code == 0
    assert json.loads(out)["events"] == []
    code, err, _ = fedad("drift", tmp_path / "nowhere")
    assert code == 3
    assert "no file of JSON lines" in err
    code, err, out = fedad("drift", tmp_path / "all" / "lyon", "--since", "2026-03-27")
    assert code == 0


def log_of(folder, told, name="verdicts.jsonl"):
    """A file of lines below a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("".join(json.dumps(one) + "\n" for one in told))


def test_what_a_server_judged_is_read_whatever_folder_leads_to_it(tmp_path):
    told = rows(days=3)
    by_day = {day: [one for one in told if one["time"][:10] == day] for day in DAYS}
    operators = [{**told[0], "operator": "right", "by": "anna"}]
    for site in ("graz", "lyon"):
        models = tmp_path / "run" / "sites" / site / "models"
        for day, some in by_day.items():
            log_of(models / "inspected", some, f"{day}.jsonl")
        log_of(models, operators)  # what operators said is no picture
        log_of(models.parent, [{"time": told[0]["time"], "event": "began"}], "journal.jsonl")
    counts = {}
    for place in ("run", "run/sites", "run/sites/lyon", "run/sites/lyon/models"):
        found = list(read_rows(tmp_path / place))
        counts[place] = {
            site: sum(one["site"] == site for one in found)
            for site in sorted({one["site"] for one in found})
        }
    both = {"graz": len(told), "lyon": len(told)}
    assert counts == {
        "run": both,
        "run/sites": both,
        "run/sites/lyon": {"": len(told)},
        "run/sites/lyon/models": {"": len(told)},
    }


DAYS = [f"{START + timedelta(day)}" for day in range(3)]


def test_a_picture_of_a_watched_folder_counts_once(tmp_path):
    told = [{**one, "id": f"{k}"} for k, one in enumerate(rows(days=1))]
    log_of(tmp_path / "lyon" / "incoming", told)
    served = [{**one, "id": f"hash {one['id']}", "watched": one["id"]} for one in told[:5]]
    again = [{**served[0], "id": "judged anew after a crash"}]
    log_of(tmp_path / "lyon" / "models" / "inspected", [*served, *again], f"{START}.jsonl")
    log_of(tmp_path / "graz" / "incoming", told)  # another site's stamps are its own
    found = list(read_rows(tmp_path))
    for site in ("lyon", "graz"):
        images = [one["image"] + one["product"] for one in found if one["site"] == site]
        assert sorted(images) == sorted(one["image"] + one["product"] for one in told)


def test_the_command_reads_a_folder_of_models(fedad, tmp_path):
    change = from_day(FROM, every=(1, 0.9, 1))
    log_of(tmp_path / "models" / "inspected", rows(change=change), f"{START}.jsonl")
    for place in ("models", "."):
        code, err, out = fedad("drift", tmp_path / place)
        assert code == 10, err
        assert out.startswith("ALARM on")


def test_a_site_and_a_run_show_what_their_servers_judged(tmp_path, darker):
    lyon = tmp_path / "sites" / "lyon"
    assert drift_of_site(lyon) == drift_of_run(tmp_path) == []
    change = from_day(FROM, every=(1, 0.93, 1))
    log_of(lyon / "models" / "inspected", rows(change=change), f"{START}.jsonl")
    ((section, plots),) = drift_of_site(lyon)
    assert (section.title, len(plots)) == ("Drift", 3)
    assert darker.events[0].words in section.body
    assert section.body.count("<svg") == 3
    log_of(tmp_path / "sites" / "graz" / "models" / "inspected", rows(seed=1), f"{START}.jsonl")
    ((section, plots),) = drift_of_run(tmp_path)
    assert len({plot.name for plot in plots}) == 6
    assert "<h3>graz</h3>" in section.body
    assert f"lyon, {darker.events[0].day}: the camera" in section.body


def test_a_name_of_anybody_leads_to_no_other_folder():
    told = [{**one, "product": "../../x"} for one in rows(days=12, products=("a",))]
    assert "/" not in chart(state_of(told), "", "../../x").name


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_drawing_of_one_theme_needs_no_style_and_runs_nothing(theme):
    nasty = '"><script>alert(1)</script>="var(--ink)"'
    told = [{**one, "product": nasty} for one in rows(days=12, products=("a",))]
    text = themed_svg(state_of(told), "", nasty, theme)
    drawing = ElementTree.fromstring(text)
    assert drawing.tag == "{http://www.w3.org/2000/svg}svg"
    tags = {one.tag.rpartition("}")[2] for one in drawing.iter()}
    assert tags <= {"svg", "title", "rect", "line", "polyline", "circle", "text"}
    values = [value for one in drawing.iter() for value in one.attrib.values()]
    assert not [one for one in values if one.startswith("var(")]
    assert THEMES[theme]["c0"] in values
    assert any(nasty in (one.text or "") for one in drawing.iter())


def test_a_folder_without_lines_is_refused(tmp_path):
    with pytest.raises(DataError, match="fedad inspect --jsonl or --watch"):
        list(read_rows(tmp_path))


def test_the_rows_that_are_written_are_the_rows_that_are_read():
    judged = Inspection(
        name="x.png",
        product="bolt",
        verdict="OK",
        score=1.0,
        threshold=2.0,
        p_value=0.5,
        good_parts=9,
        scale=(0.0, 4.0),
        seconds=0.1,
        model="a",
        nearest=Nearest("lyon", 1.0, Box(0, 0, 1, 1), 8),
        grey=90.0,
        sharpness=0.4,
    )
    row = json.loads(json.dumps(row_of(judged)))
    (seen,) = pictures_of([row]).seen
    assert seen.day == datetime.now(UTC).date()
    assert seen.values[0] == pytest.approx((0.0, 0.0, math.log(90), math.log(0.4)), abs=0.13)
