"""Files of odd names, forms and times: none of them ends a process, and each is judged once."""

from __future__ import annotations

import io
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fedad.commands.inspect import _json
from fedad.errors import BadFileError
from fedad.inspection.hot_folder import LONGEST, OVERLAY, HotFolder, free_name
from fedad.inspection.opened import open_inspector
from fedad.inspection.overlay import as_png, overlay
from fedad.inspection.results import Lines
from fedad.judging.verdict_words import AGAIN, NOK, OK, UNREADABLE
from fedad.models.by_hand import build_and_keep
from fedad.models.gate import Gate
from fedad.plumbing.progress import Bars
from fedad.plumbing.shown import for_terminal
from tests.inspection.watching import StandIn, verdict_of

LONG = "x" * (LONGEST - 4)
NAMES = (
    "two\nlines",
    "\N{NUT AND BOLT}\ufe0f",
    "geh\udce4use",
    "soft\xadhyphen",
    "=1+1",
    "-rf",
    LONG,
)


def watched(folder, times=3, **how):
    """The lines, of so many looks at the folder."""
    left = iter(range(times))
    hot = HotFolder(folder, StandIn(), "part", settle=0.0, **how)
    return [*hot.watch(lambda: next(left, None) is None)]


def write(folder: Path, name: str, number: int) -> None:
    (folder / name).write_text(f"{number};")


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    monkeypatch.setattr("fedad.inspection.hot_folder.POLL", 0.0)


def test_names_stay_as_they_are_in_folders_and_in_lines(tmp_path):
    for number, name in enumerate(NAMES):
        write(tmp_path, f"{name}.png", number)
    watched(tmp_path, 20)
    told = {row["score"]: row["image"] for row in Lines(tmp_path / "verdicts.jsonl").read()}
    assert told == {float(number): f"{name}.png" for number, name in enumerate(NAMES)}
    places = {OK: "done", NOK: "NOK", AGAIN: "again"}
    for number, name in enumerate(NAMES):
        moved = tmp_path / places[verdict_of(number)] / f"{name}.png"
        assert moved.read_text() == f"{number};"


def test_a_long_name_that_comes_again_is_cut_and_has_its_overlay(tmp_path):
    for number in (1, 101):
        write(tmp_path, f"{LONG}.png", number)
        watched(tmp_path)
    pictures = [p for p in (tmp_path / "NOK").iterdir() if not p.name.endswith(OVERLAY)]
    assert sorted(path.read_text() for path in pictures) == ["101;", "1;"]
    assert len([*(tmp_path / "NOK").glob(f"*{OVERLAY}")]) == 2


def test_an_overlay_takes_no_pictures_place(tmp_path):
    write(tmp_path, f"a.png{OVERLAY}", 1)  # a camera may call its pictures anything
    watched(tmp_path)
    write(tmp_path, "a.png", 101)
    watched(tmp_path)
    assert (tmp_path / "NOK" / f"a.png{OVERLAY}").read_text() == "1;"
    assert (tmp_path / "NOK/a.png").read_text() == "101;"


@pytest.mark.parametrize("stem", ["a", "\N{NUT AND BOLT}" * 60, LONG])
def test_a_free_name_is_free_and_fits(stem, tmp_path):
    for _ in range(3):
        place = free_name(tmp_path, stem, ".png", f"{len([*tmp_path.iterdir()])}")
        assert not place.exists()
        place.touch()
    assert len([*tmp_path.iterdir()]) == 3


def test_a_file_that_stays_empty_is_put_aside(tmp_path):
    (tmp_path / "empty.png").touch()
    os.utime(tmp_path / "empty.png", (1, 1))
    assert not watched(tmp_path, patience=60.0)
    (row,) = watched(tmp_path, 20, patience=0.0)
    assert (row["image"], row["verdict"]) == ("empty.png", UNREADABLE)
    assert (tmp_path / "unreadable/empty.png").exists()


def test_folders_are_left_alone(tmp_path):
    (tmp_path / "monday.png").mkdir()
    write(tmp_path / "monday.png", "a.png", 0)
    assert not watched(tmp_path, 9)
    assert (tmp_path / "monday.png/a.png").exists()


@pytest.mark.parametrize("block", [3, 64])
@pytest.mark.parametrize("torn", ["", '{"a', '{"a": "' + "x" * 99])
def test_only_what_is_torn_is_cut_off_however_long_it_is(block, torn, tmp_path, monkeypatch):
    monkeypatch.setattr("fedad.plumbing.files.BLOCK", block)
    for whole in ("", '{"a": 1}\n', '{"a": 1}\nnot ours\n{"a": 2}\n'):
        (tmp_path / "x").write_text(whole + torn)
        with Lines(tmp_path / "x") as lines:
            rows = [*lines.read()]
            lines.add({"a": 3})
            assert [*lines.read()] == [*rows, {"a": 3}]
        assert (tmp_path / "x").read_text() == whole + '{"a": 3}\n'


def test_json_lines_on_a_terminal_are_json_whatever_a_file_is_called():
    for name in NAMES:
        assert json.loads(for_terminal(_json({"image": name}))) == {"image": name}


def test_a_bar_on_the_terminal_takes_nothing_that_goes_to_a_file(monkeypatch):
    terminal, file = io.StringIO(), io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr("sys.stdout", file)
    with Bars(terminal) as bars:
        bars.start("inspecting", 2)
        print("a line")
    assert file.getvalue() == "a line\n"


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (37, 300)])
def test_a_png_holds_the_very_pixels(size):
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)
    again = Image.open(io.BytesIO(as_png(Image.fromarray(pixels))))
    again.load()
    np.testing.assert_array_equal(np.asarray(again), pixels)


@pytest.mark.parametrize("size", [(1, 1), (3, 2000), (2000, 3), (5, 5)])
def test_pictures_of_any_shape_are_judged_and_drawn(size, inspector):
    one = inspector.inspect(np.full((*size, 3), 90, np.uint8), "bolt")
    assert Image.open(io.BytesIO(as_png(overlay(one)))).size[0] >= 420
    if one.nearest:
        place = one.nearest.place
        assert 0 <= place.left <= place.left + place.width <= size[1]
        assert 0 <= place.top <= place.top + place.height <= size[0]


@pytest.fixture(scope="module")
def masked(settings, plants, tmp_path_factory):
    """A folder of models of which the right half of all bolts is looked at, and the mask."""
    root = tmp_path_factory.mktemp("masked")
    with Image.open(next((plants / "bolt/train/good").iterdir())) as image:
        width, height = image.size
    mask = np.zeros((height, width), np.uint8)
    mask[:, width // 2 :] = 255
    learn = root / "bolt/train/good"
    learn.mkdir(parents=True)
    for path in (plants / "bolt/train/good").iterdir():
        (learn / path.name).write_bytes(path.read_bytes())
    Image.fromarray(mask).save(root / "bolt/roi.png")
    data = replace(settings.data, dir=str(root), roi="roi.png", dataset="autovi")
    build_and_keep(replace(settings, data=data), "lyon", None, root / "models", Gate(1.0))
    return root


def test_the_mask_of_the_pictures_learned_from_holds_wherever_a_picture_lies(
    masked, plants, tmp_path
):
    """Beside none of these is a mask: a file in a watched folder, bytes, pixels."""
    inspector = open_inspector(masked / "models")
    inspector.warm()  # by a square, which this mask is none of
    path = sorted((plants / "bolt/test/blot").iterdir())[0]
    (tmp_path / path.name).write_bytes(path.read_bytes())
    found = [
        inspector.inspect(one)
        for one in (tmp_path / path.name, path.read_bytes(), np.asarray(Image.open(path)))
    ]
    assert len({one.score for one in found}) == 1
    for one in found:
        assert not one.heat[:, : one.heat.shape[1] // 2 - 1].any()
    left = iter(range(9))
    hot = HotFolder(tmp_path, inspector, "bolt", settle=0.0)
    rows = [*hot.watch(lambda: next(left, None) is None)]
    assert [row["score"] for row in rows] == [found[0].score]


def test_a_mask_that_is_gone_is_named(masked, plants, tmp_path):
    picture = np.asarray(Image.open(sorted((plants / "bolt/test/good").iterdir())[0]))
    inspector = open_inspector(masked / "models", {"data.roi": str(masked / "bolt/roi.png")})
    inspector.inspect(picture)
    (masked / "bolt/roi.png").rename(masked / "bolt/gone.png")
    try:
        with pytest.raises(BadFileError, match=r"roi\.png: there is no such file"):
            open_inspector(masked / "models").inspect(picture)
    finally:
        (masked / "bolt/gone.png").rename(masked / "bolt/roi.png")
