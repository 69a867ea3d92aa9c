"""Thresholds by another wished rate, and by what operators said; no score changes."""

import json
import math
import shutil

import pytest

from fedad.errors import ConfigError, DataError
from fedad.inspection.opened import open_inspector
from fedad.models.by_hand import add_file
from fedad.models.extras import add_normal
from fedad.models.gate import Gate
from fedad.models.kept import kept_named
from fedad.models.rethreshold import preview, preview_verdicts, recalibrate, rethreshold
from fedad.models.store import current
from fedad.models.teaching import teach
from tests.models.conftest import ALL_IN, RATE


def line(number, said, operator, score, model):
    return {
        "id": f"{number:04d}",
        "product": "bolt",
        "verdict": said,
        "operator": operator,
        "score": score,
        "model": model,
    }


def log_of(models, stopped, passed, *, score=1.0):
    """Parts that operators called good, some of which had been stopped."""
    now = current(models)
    rows = [line(k, "OK", "right", score - 0.5, now) for k in range(passed)]
    return [*rows, *(line(passed + k, "NOK", "false_alarm", score, now) for k in range(stopped))]


def limits(models):
    kept = kept_named(models)
    return kept.limits(kept.config())


def test_a_preview_is_what_then_comes(bolts):
    kept, config = kept_named(bolts), kept_named(bolts).config()
    told = preview(kept, config, "bolt", 0.5)
    good = [one.score for one in limits(bolts)["bolt"].good]
    assert told["threshold"] in good
    assert (told["good_stopped"], told["good"]) == (sum(g > told["threshold"] for g in good), 6)
    assert told["told"].startswith("threshold ")
    added = rethreshold(bolts, "bolt", 0.5, ALL_IN)
    now = limits(bolts)["bolt"]
    assert added.is_current
    assert (now.promise.threshold, now.promise.rate) == (told["threshold"], 0.5)
    assert now.looks is not None
    assert open_inspector(bolts).limits["bolt"] == now
    assert all(one.limit == told["threshold"] for one in kept_named(bolts).checked())
    back = rethreshold(bolts, "bolt", RATE, ALL_IN)
    assert back.name == kept.name  # the same thresholds, so the same name


def test_what_cannot_be_promised_is_said_and_not_done(bolts):
    kept, config = kept_named(bolts), kept_named(bolts).config()
    told = preview(kept, config, "bolt", 0.01)
    assert told["threshold"] is None
    assert "6 good parts can promise" in told["told"]
    with pytest.raises(DataError, match="bolt: 6 good parts can promise"):
        rethreshold(bolts, "bolt", 0.01, ALL_IN)
    with pytest.raises(ConfigError, match="product 'bold'"):
        rethreshold(bolts, "bold", 0.2, ALL_IN)
    with pytest.raises(ConfigError, match="rate nan"):
        preview(kept, config, "bolt", math.nan)
    assert current(bolts) == kept.name


def test_a_threshold_that_would_lose_a_found_defect_waits(bolts):
    kept = kept_named(bolts)
    file = kept.folder / "checked.json"
    told = json.loads(file.read_text())
    threshold = limits(bolts)["bolt"].promise.threshold
    row = {**told["pictures"][0], "name": "bolt/test/blot/1", "defect": "blot", "rests": False}
    now = preview(kept, kept.config(), "bolt", 0.5)["threshold"]
    told["pictures"].append({**row, "score": (now + threshold) / 2, "limit": now})
    file.write_text(json.dumps(told))
    shown = preview(kept, kept.config(), "bolt", 0.5)
    assert (shown["defects_found"], shown["defects"]) == (1, 1)
    assert rethreshold(bolts, "bolt", 0.5, ALL_IN).is_current
    added = rethreshold(bolts, "bolt", RATE, Gate())
    assert not added.is_current
    assert "1 of 1 own defects that were found are lost" in added.decision.reasons[0]


def test_verdicts_move_a_threshold_as_they_are_given(bolts):
    kept, config = kept_named(bolts), kept_named(bolts).config()
    before = limits(bolts)["bolt"].promise
    lines = log_of(bolts, stopped=40, passed=10, score=5 * before.threshold)
    lines.append(line(900, "OK", "missed", 0.5 * before.threshold, kept.name))
    lines.append(line(901, "NOK", "right", 9 * before.threshold, kept.name))
    told = preview_verdicts(kept, config, "bolt", lines)
    assert (told["product"], told["judged"], told["before"]) == ("bolt", 50, before.threshold)
    assert (told["defects"], told["not_counted"]) == (2, 0)
    assert told["threshold"] == "inf" or told["threshold"] > before.threshold
    recalibrate(bolts, "bolt", lines, ALL_IN)
    now = limits(bolts)["bolt"].promise
    assert (now.judged, now.stopped, now.rate) == (50, told["stopped"], RATE)
    assert now.threshold > before.threshold
    defective = [line(k, "NOK", "right", 9.0, kept.name) for k in range(2000, 2400)]
    again = preview_verdicts(kept, config, "bolt", [*lines, *defective])
    assert again["threshold"] == told["threshold"]  # defects are shown, and nothing rests on them


def test_the_last_word_on_a_part_counts(bolts):
    kept, config = kept_named(bolts), kept_named(bolts).config()
    lines = log_of(bolts, stopped=0, passed=5)
    lines += [{**lines[0], "operator": "missed"}, {**lines[1], "operator": "no idea"}]
    told = preview_verdicts(kept, config, "bolt", lines)
    assert told["judged"] == 3


def test_alarms_alone_say_nothing_of_the_share(bolts):
    kept, config = kept_named(bolts), kept_named(bolts).config()
    lines = log_of(bolts, stopped=12, passed=0)
    told = preview_verdicts(kept, config, "bolt", lines)
    assert told["threshold"] is None
    assert "all 12 parts that operators called good had been stopped" in told["told"]
    with pytest.raises(DataError, match="bolt: all 12 parts"):
        recalibrate(bolts, "bolt", lines, ALL_IN)
    with pytest.raises(DataError, match="bolt: no operator called a part good"):
        recalibrate(bolts, "bolt", [], ALL_IN)


def test_a_verdict_counts_while_the_scores_of_its_product_are_the_same(bolts, pictures, plants):
    old = log_of(bolts, stopped=1, passed=9)
    rethreshold(bolts, "bolt", 0.5, ALL_IN)
    teach(bolts, pictures / "hose", "hose", RATE, ALL_IN)

    def judged():
        kept = kept_named(bolts)
        told = preview_verdicts(
            kept, kept.config(), "bolt", [*old, {**old[0], "id": "?", "model": "x"}]
        )
        return told["judged"], told["not_counted"]

    assert judged() == (10, 1)
    add_normal(bolts, sorted((plants / "bolt/test/blot").iterdir())[0], "bolt", ALL_IN)
    assert judged() == (0, 11)


def test_a_rate_that_was_chosen_stays_when_a_model_is_brought(bolts, tmp_path):
    rethreshold(bolts, "bolt", 0.5, ALL_IN)
    file = shutil.copy(bolts / current(bolts) / "model.safetensors", tmp_path / "brought")
    added = add_file({}, file, bolts, ALL_IN)
    assert added.is_current
    assert limits(bolts)["bolt"].promise.rate == 0.5
    add_file({"score.false-rejects": 0.25}, file, bolts, ALL_IN)
    assert limits(bolts)["bolt"].promise.rate == 0.25


def test_the_commands(bolts, tmp_path, fedad):
    words = ("model", "threshold", "--models", bolts, "--product", "bolt")
    code, _, out = fedad(*words, "--rate", "0.5", "--preview")
    assert code == 0
    assert "own good pictures would be stopped" in out
    assert fedad(*words)[0] == 2
    lines = log_of(bolts, stopped=1, passed=9)
    log = tmp_path / "verdicts.jsonl"
    log.write_text("".join(f"{json.dumps(one)}\n" for one in lines))
    code, _, out = fedad(*words, "--verdicts", log, "--preview", "--json")
    assert json.loads(out)["judged"] == 10
    code, err, out = fedad(*words, "--verdicts", log)
    assert (code, "judges from now on" in out) in ((0, True), (1, False)), err
    log.write_text("{\n")
    assert fedad(*words, "--verdicts", log)[0] == 3
    assert fedad(*words, "--verdicts", tmp_path / "none")[0] == 3
