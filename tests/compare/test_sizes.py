"""The curve of a gain over site sizes: where it ends, and what others' images are worth."""

import math

import pytest

from fedad.compare.plan import read_plan
from fedad.compare.sizes import by_size

FIGURE = "image_auroc"
GAIN, EQUAL, UNSURE = (0.001, 0.9), (0.8, 0.001), (0.5, 0.5)


def plan_with(folder, axes):
    path = folder / "matrix.yaml"
    path.write_text(f"axes: {axes}\nfigures: [{FIGURE}]")
    return read_plan(path)


def told(plan, isolated, federated, chances):
    """Summaries and contrasts with these figures, in the order of the points.

    Args:
        chances: of each point the p of no gain, and that of TOST.
    """
    summaries, contrasts = [], []
    for point, alone, shared, (p, p_equal) in zip(
        plan.points, isolated, federated, chances, strict=True
    ):
        label = f"isolated, {point.label}"
        for name, way, value in ((point.label, "federated", shared), (label, "isolated", alone)):
            by_site = None if value is None else {"value": value}
            summaries.append(
                {
                    "label": name,
                    "way": way,
                    "points": [point.label],
                    "figures": {FIGURE: {"by_site": by_site}},
                }
            )
        gain = math.nan if alone is None else shared - alone
        contrasts.append(
            {
                "first": point.label,
                "second": label,
                "figure": FIGURE,
                "difference": gain,
                "low": gain - 0.01,
                "high": gain + 0.01,
                "p": p,
                "p_equal": p_equal,
            }
        )
    return summaries, contrasts


def curve_of(plan, *figures):
    (curve,) = by_size(plan, *told(plan, *figures))
    return curve


def test_a_plant_gains_nothing_from_the_first_size_after_which_no_gain_is_told(tmp_path):
    plan = plan_with(tmp_path, "{data.images: [20, 3, 5, 10]}")  # in any order
    curve = curve_of(
        plan,
        [0.80, 0.60, 0.70, 0.75],
        [0.80, 0.72, 0.76, 0.755],
        [EQUAL, GAIN, GAIN, UNSURE],
    )
    assert [one["images"] for one in curve["sizes"]] == [3, 5, 10, 20]
    assert (curve["nothing_from"], curve["equal_from"]) == (10, 20)
    assert "+0.120 (+0.110 to +0.130) at 3 images (as 7 of its own)" in curve["said"]
    assert curve["said"].endswith(
        "from 10 images a site and product on no gain is told, and from 20 images on both are "
        "equal within the margin"
    )


def test_others_are_worth_the_own_images_that_reach_as_far(tmp_path):
    plan = plan_with(tmp_path, "{data.images: [4, 16]}")
    curve = curve_of(plan, [0.6, 0.8], [0.7, 0.95], [GAIN, GAIN])
    assert curve["sizes"][0]["worth"] == pytest.approx(8)  # halfway, by ratios of images
    assert curve["sizes"][1]["worth"] is None  # more than anybody has
    assert curve["nothing_from"] is curve["equal_from"] is None
    assert curve["said"].endswith("a gain is told up to the largest size")


def test_no_cap_is_the_largest_size(tmp_path):
    plan = plan_with(tmp_path, "{data.images: [0, 5]}")
    curve = curve_of(plan, [0.8, 0.7], [0.8, 0.75], [EQUAL, GAIN])
    assert [one["images"] for one in curve["sizes"]] == [5, 0]
    assert curve["nothing_from"] == 0
    assert "from all images a site" in curve["said"]


def test_each_number_of_sites_has_its_curve_and_single_points_have_none(tmp_path):
    axes = (
        "{size: {a: {data.sites: 2, data.images: 3}, b: {data.sites: 2, data.images: 9}, "
        "c: {data.sites: 4, data.images: 3}}}"
    )
    plan = plan_with(tmp_path, axes.replace("data.sites", "data.partition: iid, data.sites"))
    curve = curve_of(plan, [0.6, 0.7, 0.6], [0.7, 0.7, 0.9], [GAIN, EQUAL, GAIN])
    assert curve["where"] == "data.sites = 2"
    assert len(curve["sizes"]) == 2


def test_there_is_no_curve_without_isolated_sites_or_without_sizes(tmp_path):
    plan = plan_with(tmp_path, "{data.images: [3, 5]}")
    assert by_size(plan, *told(plan, [None, 0.7], [0.7, 0.7], [UNSURE, UNSURE])) == []
    summaries, _ = told(plan, [0.6, 0.7], [0.7, 0.7], [UNSURE, UNSURE])
    assert by_size(plan, summaries, []) == []
    other = plan_with(tmp_path, "{bank.size: [300, 500]}")
    assert by_size(other, *told(other, [0.6, 0.7], [0.7, 0.7], [UNSURE, UNSURE])) == []


def test_gains_at_all_sizes_are_one_family(tmp_path):
    """One of seven at p = 0.02 is what chance does; a lower figure is no gain, however sure."""
    sizes = [3, 4, 5, 6, 7, 8, 9]
    plan = plan_with(tmp_path, f"{{data.images: {sizes}}}")
    flat, better = [0.7] * 7, [0.75] * 7
    some = [(0.02, 0.5), *[UNSURE] * 6]
    assert curve_of(plan, flat, better, some)["nothing_from"] == 3
    assert curve_of(plan, flat, better, [(0.007, 0.5), *[UNSURE] * 6])["nothing_from"] == 4
    assert curve_of(plan, better, flat, [GAIN] * 7)["nothing_from"] == 3
