"""Before an upload: a site is told what its own would give away, and nothing of it leaves."""

import pytest

from fedad.config import read
from fedad.datasets.base import open_dataset
from fedad.deploy.plant import Plant
from fedad.deploy.site_checks import _leak
from fedad.dp.noise import OsNoise
from fedad.partition import one_site
from fedad.running.own_leak import STAYS, own_leak
from tests.conftest import draw_category

TRAIN = 12  # a plant of the drawn ones has so many; there are three of them


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    root = tmp_path_factory.mktemp("own")
    for product in ("bolt", "hose"):
        draw_category(root / product, product, train=TRAIN // 2, test=1)
    return root


@pytest.fixture
def told(knobs, parts):
    """What `own_leak` says of each product, under other knobs."""

    def run(images=100, **more):
        config = read({**knobs, "data.dir": str(parts), "coreset.local-ratio": 0.25, **more})
        site = one_site("lyon", open_dataset(config.data), config.data, seed=0)
        return dict(own_leak(config, site, images))

    return run


def test_half_of_the_images_are_told_from_the_others(told):
    said = told()
    assert {*said} == {"bolt", "hose"}
    for line in said.values():
        assert "(there are 9 and 9)" in line
        assert "AUC 1.000 (0." in line
        assert "of 9 of 9 members" in line
        assert line.endswith(f"({STAYS})")


def test_fewer_images_are_said_to_be_fewer(told):
    line = told(images=10)["bolt"]
    assert "(there are 5 and 5)" in line
    assert "10 of 18 good images, more by --leak-images" in line


def test_shots_of_one_part_are_on_one_side(told):
    """Six files a part, by the last digit but one: two of the three parts are inside."""
    assert "(there are 12 and 6)" in told(**{"data.group": r"pattern:\d{2}(\d)"})["bolt"]
    line = told(**{"data.group": r"pattern:(0)\d+"})["bolt"]
    assert line == "not measurable: it takes good images of at least two parts"


def test_a_release_is_drawn_with_other_noise_than_any_that_leaves(told, monkeypatch):
    def never(*args):
        raise AssertionError("noise of a release that leaves")

    monkeypatch.setattr(OsNoise, "normal", never)
    noisy = {"privacy.release": "noisy_rows", "noisy_rows.share": 0.1}
    line = told(**noisy)["bolt"]
    assert ", 0 of " in line.replace("; 0 of ", ", 0 of ")
    assert told(**noisy)["bolt"] == line


def test_a_method_without_rows_is_not_measured(told):
    said = told(**{"round.method": "gaussian", "gaussian.least-images": 2})
    assert said == {
        "all products": "not measurable: gaussian sends no rows of patches, which this looks at"
    }


def test_preflight_tells_it_and_leaves_nothing_behind(knobs, parts, tmp_path):
    config = read({**knobs, "data.dir": "", "coreset.local-ratio": 0.25})
    plant = Plant(config, "lyon", parts, tmp_path / "output")
    made = list(_leak(plant, 100))
    assert [(one.name, one.passed) for one in made] == [("leak", True)] * 2
    assert made[0].told.startswith("bolt: whether members are recognised at 1 % false alarms is")
    assert not list(tmp_path.iterdir())


def test_a_release_that_the_run_could_not_make_is_a_line_with_a_fix(knobs, parts, tmp_path):
    config = read({**knobs, "data.dir": "", "privacy.release": "dp_tree"})
    (made,) = _leak(Plant(config, "lyon", parts, tmp_path), 100)
    assert not made.passed
    assert "no public projection" in made.told
    assert made.fix
