"""Hits, misses and false alarms, by the threshold that applied to each part."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from PIL import Image

from fedad.evaluation import Scored
from fedad.judging.thresholds import Threshold
from fedad.judging.verdicts import Trace, Verdict
from fedad.reporting.by_size import SIZES, by_size
from fedad.reporting.gallery import ALARMS, HITS, KEPT, MISSES, Gallery, gather, read_index
from fedad.reporting.scores import read_scores
from fedad.reporting.shown_gallery import NO_ALARM, gallery
from fedad.types import GOOD, Region, Sample

SIDE = 50
THRESHOLD = Threshold(5.0, 20, by_site={"graz": 8.0})


def verdict(folder, number: int, score: float, marked: int = 0, whose: str = "lyon") -> Verdict:
    """An image of a bolt, `marked` of its pixels defective, nearest to the rows of a site."""
    path = folder / f"{number:04d}.png"
    Image.new("RGB", (SIDE, SIDE), (number, 90, 90)).save(path)
    defect = "cut" if marked else GOOD
    mask = np.zeros((SIDE, SIDE), bool)
    mask.ravel()[:marked] = True
    heat = np.where(mask, score, score / 2).astype(np.float32)
    scored = Scored(heat, (Region(mask, marked),) if marked else (), "bolt", defect, score=score)
    sites = ("graz", "lyon")
    near = np.full((2, 2), sites.index(whose), np.int32)
    trace = Trace(sites, near, np.full((2, 2), score, np.float32), math.nan)
    return Verdict(Sample("bolt", "test", defect, path, None), scored, trace)


@pytest.fixture
def home(tmp_path):
    """What a site keeps: 14 good parts, of which some are stopped, and three defective ones."""
    found = Gallery("lyon", {"bolt": (0.0, 10.0)})
    some = [verdict(tmp_path, k, 1 + k / 2) for k in range(12)]  # 9, 10 and 11 are above 5
    some += [verdict(tmp_path, 12, 7.0, whose="graz"), verdict(tmp_path, 13, 9.0, whose="graz")]
    some += [verdict(tmp_path, 20, 4.0, 2), verdict(tmp_path, 21, 9.5, 30)]
    some += [verdict(tmp_path, 22, 7.5, 2000, whose="graz")]
    assert len([*found.watch(some)]) == 17
    home = tmp_path / "sites" / "lyon"
    found.write(home, {"bolt": THRESHOLD})
    return home


def test_false_alarms_are_the_good_parts_above_the_limit_that_applied_to_them(home):
    index = json.loads((home / "pictures/index.json").read_text())
    alarms = [one for one in index if one["sort"] == ALARMS]
    assert [one["image"][-4:] for one in alarms] == ["0013", "0011", "0010", "0009"]
    assert [one["threshold"] for one in alarms] == [8.0, 5.0, 5.0, 5.0]
    assert all(one["stopped"] for one in alarms)


def test_hits_and_misses_say_whether_they_were_stopped(home):
    index = read_index(home)
    told = {(one["sort"], one["image"][-4:]): one["stopped"] for one in index}
    for sort in (HITS, MISSES):
        assert (told[sort, "0020"], told[sort, "0021"], told[sort, "0022"]) == (False, True, False)


def test_no_words_are_in_the_pictures(home):
    with Image.open(next((home / "pictures").glob("hit-*.png"))) as picture:
        assert picture.size == (3 * 320 + 16, 320)


def test_scores_are_counted_by_the_limit_of_each(home):
    one = read_scores(home)["bolt"]
    assert (one.stopped, one.passed) == (4, 2)
    (home / "thresholds.json").write_text('{"bolt": {"score": 5.0}}')
    assert read_scores(home)["bolt"].threshold == 5.0


def test_without_thresholds_nothing_is_a_false_alarm(tmp_path):
    found = Gallery("lyon", {"bolt": (0.0, 10.0)})
    [*found.watch([verdict(tmp_path, 0, 99.0), verdict(tmp_path, 1, 4.0, 20)])]
    found.write(tmp_path / "home")
    index = json.loads((tmp_path / "home/pictures/index.json").read_text())
    assert {one["sort"] for one in index} == {HITS, MISSES}
    assert all(one["stopped"] is None and one["threshold"] is None for one in index)
    assert "no threshold" in gallery(read_index(tmp_path / "home")).body


def test_the_section_has_verdicts_thresholds_and_colour_bars(home, tmp_path):
    gather(tmp_path / "sites", tmp_path / "pictures")
    body = gallery(read_index(tmp_path)).body
    assert body.count("<img") == 4 + 3 + 3 == body.count("colours from 0 to 10</title>")
    assert body.count('badge wrong">stopped') == 4
    assert body.count('badge right">stopped') == 2
    assert body.count('badge wrong">passed') == 4
    assert "Score 9.5, threshold 5" in body
    quiet = [one for one in read_index(tmp_path) if one["sort"] != ALARMS]
    assert NO_ALARM in gallery(quiet).body


def test_at_most_ten_false_alarms_are_kept_and_they_are_the_worst(tmp_path):
    found = Gallery("lyon", {"bolt": (0.0, 10.0)})
    [*found.watch(verdict(tmp_path, k, 6 + k / 10) for k in range(40))]
    found.write(tmp_path / "home", {"bolt": THRESHOLD})
    alarms = [one["image"][-4:] for one in read_index(tmp_path / "home")]
    assert alarms == [f"{k:04d}" for k in range(39, 39 - KEPT, -1)]


def test_figures_by_size_have_all_good_images_and_the_defects_of_a_size(home):
    rows = {size: (sizes, found) for _, size, sizes, found in by_size([home])}
    assert [*rows] == [*SIZES]
    for size, score in zip(SIZES, (4.0, 9.5, 7.5), strict=True):
        sizes, found = rows[size]
        assert (sizes["good_images"], sizes["defective_images"]) == (14, 1)
        good = [1 + k / 2 for k in range(12)] + [7.0, 9.0]
        auroc = np.mean([(score > g) + 0.5 * (score == g) for g in good])
        assert found["image_auroc"]["value"] == pytest.approx(auroc)
