"""May a new model judge? A pure comparison of two tables."""

import math

import pytest

from fedad.models.checked import Checked, read_checked, write_checked
from fedad.models.gate import Changed, Gate, decide


def pictures(*, good=0, stopped=0, found=0, missed=0, rests=False, product="bolt"):
    """Good parts of which some are stopped, and defects that are found or missed."""
    rows = [("good", k < stopped, f"good-{k}") for k in range(good)]
    rows += [("blot", k < found, f"blot-{k}") for k in range(found + missed)]
    return [
        Checked(name, product, defect, 2.0 if over else 0.5, 1.0, rests and defect == "good")
        for defect, over, name in rows
    ]


RATES = {"bolt": 0.1}


def test_the_first_model_judges_if_it_keeps_its_promise():
    assert decide(None, pictures(good=20, stopped=2, found=5), RATES, Gate()).accepted
    refused = decide(None, pictures(good=20, stopped=8), RATES, Gate())
    assert not refused.accepted
    assert "bolt: 8 of 20 good parts are stopped (40%, surely above 10%)" in refused.reasons[0]
    assert decide(None, pictures(good=20, stopped=8), RATES, Gate(false_rejects=0.3)).accepted


def test_chance_is_no_reason():
    assert decide(None, pictures(good=10, stopped=2), RATES, Gate()).accepted


def test_good_parts_that_a_threshold_rests_on_count_only_where_there_are_no_others():
    resting = pictures(good=30, stopped=3, rests=True)
    others = [Checked(f"new-{k}", "bolt", "good", 2.0, 1.0) for k in range(6)]
    assert decide(None, resting, RATES, Gate()).accepted
    refused = decide(None, [*resting, *others], RATES, Gate())
    assert "6 of 6 good parts" in refused.reasons[0]


@pytest.mark.parametrize(("margin", "accepted"), [(0.0, False), (0.1, False), (0.2, True)])
def test_a_found_defect_that_is_lost_is_a_reason_beyond_the_margin(margin, accepted):
    before = pictures(found=10, missed=2)
    after = pictures(found=8, missed=4)
    made = decide(before, after, RATES, Gate(lost_defects=margin))
    assert made.accepted is accepted
    assert made.changed == (
        Changed("blot-8", "bolt", "blot", before=True, after=False),
        Changed("blot-9", "bolt", "blot", before=True, after=False),
    )
    if not accepted:
        assert made.reasons == (
            "bolt: 2 of 10 own defects that were found are lost, such as blot-8, blot-9",
        )


def test_a_product_that_loses_its_threshold_is_a_reason():
    made = decide(pictures(found=1), pictures(found=1), {}, Gate())
    assert made.reasons == ("bolt: the new model has no threshold of it, and the current one has",)


def test_pictures_that_only_one_of_them_judged_are_no_change():
    before = pictures(found=2)
    assert decide(before, [], RATES, Gate()).changed == ()
    assert decide(before, [], RATES, Gate()).accepted


def test_a_table_comes_back_as_it_was_written(tmp_path):
    rows = [
        Checked("a", "bolt", "good", 1.5, math.inf),
        Checked("b", "bolt", "blot", -1.0, -math.inf, rests=True),
    ]
    write_checked(tmp_path, rows)
    assert read_checked(tmp_path) == rows
    write_checked(tmp_path, [Checked("a", "bolt", "good", 1.5, math.nan)])
    assert math.isnan(read_checked(tmp_path)[0].limit)
    assert read_checked(tmp_path / "nowhere") == []
