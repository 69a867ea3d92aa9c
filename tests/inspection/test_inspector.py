"""A picture in, a verdict out: by whatever way it comes, and the same as a run gives."""

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import gaussian_filter

from fedad.config import DataKnobs, read
from fedad.datasets.base import open_dataset
from fedad.embedders.embedder import Embedder
from fedad.errors import BadFileError, ConfigError, DataError
from fedad.evaluation import least_rate, threshold
from fedad.inspection.inspector import Inspector
from fedad.inspection.opened import open_inspector
from fedad.inspection.overlay import as_png, overlay
from fedad.inspection.p_value import p_value
from fedad.inspection.results import Lines, exit_code
from fedad.judging.looks import BLURRED, STRANGER, TOO_DARK, Look, Looks
from fedad.judging.thresholds import GoodScore
from fedad.judging.verdict_words import AGAIN, NOK, OK, UNREADABLE
from fedad.judging.verdicts import judge
from fedad.methods.base import method_of
from fedad.partition import partition
from fedad.reporting.heatmap import colours
from fedad.round import fit, merge
from fedad.scoring import standardised as file


def pictures(plants, defect):
    return sorted((plants / "bolt/test" / defect).iterdir())


def test_one_at_a_time_gives_the_features_and_verdicts_of_a_batch(inspector, settings, plants):
    opened = inspector.opened
    many = Embedder(replace(opened.config.embedder, batch=16))
    dataset = open_dataset(settings.data)
    test = [one for one in dataset.samples if one.split == "test" and one.category == "bolt"]
    together = many(test)
    verdicts = judge(
        opened.config, test, many, opened.model, own=opened.own, site="lyon", traced=True
    )
    limits = inspector.limits["bolt"].threshold
    for sample, grid, verdict in zip(test, together.grid, verdicts, strict=True):
        alone = inspector.embed([sample]).grid[0]
        np.testing.assert_allclose(alone, grid, rtol=0, atol=1e-6)
        one = inspector.inspect(sample.path, "bolt")
        score = verdict.scored.image_score
        assert one.score == pytest.approx(score, abs=1e-5)
        if one.verdict != AGAIN:
            assert (one.verdict == NOK) == (score > limits.limit(verdict.trace.oddest))


def test_the_network_sees_one_picture_and_no_padding(inspector, plants, monkeypatch):
    seen = []
    model = inspector.embed.backbone.model
    inside = model.forward_intermediates

    def watched(images, **how):
        seen.append(len(images))
        return inside(images, **how)

    monkeypatch.setattr(model, "forward_intermediates", watched, raising=False)
    inspector.inspect(pictures(plants, "good")[0], "bolt")
    assert seen == [1]


def test_pixels_and_a_file_are_judged_alike(inspector, plants):
    for path in (pictures(plants, "good")[0], pictures(plants, "blot")[0]):
        by_path = inspector.inspect(path, "bolt").told()
        by_pixels = inspector.inspect(np.asarray(Image.open(path)), "bolt", path.name).told()
        assert {**by_path, "seconds": 0} == {**by_pixels, "seconds": 0}


def test_what_is_measured_once_is_the_same_to_the_last_bit(settings, plants):
    """Three sites, so that the gaps between them count."""
    config = read({**settings.flat(), "data.partition": "natural", "data.dataset": "autovi"})
    sites = partition(open_dataset(config.data), config.data, seed=0)
    embed = Embedder(config.embedder)
    local = {site.name: fit(config, site, embed) for site in sites}
    model = merge(config, [one.upload for one in local.values()])
    own, method = local["lyon"].own, method_of(config)
    ready = method.prepared(model, own)
    features = embed(sites[0].test)
    for _ in range(2):
        for number in range(0, len(features.grid), 5):
            one = features.take([number])
            plain, kept = (m.trace(model, one, own=own, site="") for m in (method, ready))
            np.testing.assert_array_equal(plain.maps, kept.maps)
            np.testing.assert_array_equal(plain.scores, kept.scores)
            np.testing.assert_array_equal(plain.nearest, kept.nearest)
    # Of another model or another site it keeps nothing.
    np.testing.assert_array_equal(
        ready.score(model, one, own=local["graz"].own)[0],
        method.score(model, one, own=local["graz"].own)[0],
    )


def test_a_scoring_keeps_its_own_knobs_where_a_model_is_opened_once(settings):
    """`own_first` by the factor of the run, not by its default."""
    config = read(
        {
            **settings.flat(),
            "data.partition": "natural",
            "data.dataset": "autovi",
            "score.scoring": "own_first",
            "own_first.factor": 3.0,
        }
    )
    sites = partition(open_dataset(config.data), config.data, seed=0)
    embed = Embedder(config.embedder)
    local = {site.name: fit(config, site, embed) for site in sites}
    model, own = merge(config, [one.upload for one in local.values()]), local["lyon"].own
    method, features = method_of(config), embed(sites[0].test)
    kept = method.prepared(model, own).score(model, features, own=own)
    for plain, ready in zip(method.score(model, features, own=own), kept, strict=True):
        np.testing.assert_array_equal(ready, plain)


def test_gaps_are_measured_once_for_many_pictures(settings, monkeypatch):
    config = read({**settings.flat(), "data.partition": "natural", "data.dataset": "autovi"})
    sites = partition(open_dataset(config.data), config.data, seed=0)
    embed = Embedder(config.embedder)
    local = {site.name: fit(config, site, embed) for site in sites}
    model, own = merge(config, [one.upload for one in local.values()]), local["lyon"].own
    calls = []
    inside = file.gap_of
    monkeypatch.setattr(file, "gap_of", lambda found: calls.append(1) or inside(found))
    ready, features = method_of(config).prepared(model, own), embed(sites[0].test[:1])
    for _ in range(3):
        ready.score(model, features, own=own)
    assert len(calls) == 1


SCORES = st.lists(st.integers(0, 30), min_size=4, max_size=40)


@given(scores=SCORES, new=st.integers(-1, 31), rate=st.sampled_from([0.1, 0.2, 0.35]))
def test_a_part_is_stopped_exactly_if_its_p_value_is_at_most_the_rate(scores, new, rate):
    good = [GoodScore(float(score), f"{k // 2}") for k, score in enumerate(scores)]
    parts = [one.part for one in good]
    if rate < least_rate(len({*parts})):
        return
    limit = threshold(np.array(scores, float), rate, parts)
    assert (new > limit) == (p_value(new, good) <= rate + 1e-9)


def test_p_values_of_new_good_parts_are_at_most_p_as_seldom_as_they_say():
    rng, found = np.random.default_rng(0), []
    for _ in range(2000):
        good = [GoodScore(float(score), f"{k}") for k, score in enumerate(rng.normal(size=19))]
        found.append(p_value(rng.normal(), good))
    for rate in (0.05, 0.1, 0.3):
        assert np.mean(np.array(found) <= rate) <= rate + 3 * np.sqrt(rate / 2000)


@pytest.mark.parametrize("what", [TOO_DARK, BLURRED])
def test_a_picture_that_cannot_be_judged_is_to_be_taken_again(what, inspector, plants):
    good = np.asarray(Image.open(pictures(plants, "good")[0])).astype(float)
    assert inspector.inspect(good.astype(np.uint8), "bolt").verdict != AGAIN
    spoilt = good * 0.2 if what == TOO_DARK else gaussian_filter(good, (5, 5, 0))
    one = inspector.inspect(spoilt.astype(np.uint8), "bolt")
    assert (one.verdict, one.reason) == (AGAIN, what)


def test_a_stranger_is_odd_in_half_of_its_places_and_a_defect_in_a_few():
    rng = np.random.default_rng(0)
    looks = Looks.of([Look(100, 1.0, float(m)) for m in rng.normal(10, 0.5, 20)])
    assert looks.why_again(Look(100, 1.0, 12.0)) == ""
    assert looks.why_again(Look(100, 1.0, 25.0)) == STRANGER
    assert looks.why_again(Look(40, 1.0, 10.0)) == TOO_DARK
    assert looks.why_again(Look(100, 0.5, 10.0)) == BLURRED
    # Scores may be below 0: a log likelihood, a logit.
    below = Looks.of([Look(100, 1.0, -10.0), Look(100, 1.0, -9.0)])
    assert below.strangest > -9.0


def test_the_most_alike_place_of_a_training_image_is_itself(inspector, plants):
    opened, method = inspector.opened, inspector.method
    own, images = opened.source, opened.images
    data = DataKnobs(dataset="auto", dir=str(plants))
    samples = [one for one in open_dataset(data).samples if one.split == "train"]
    by_name = {sample.name: sample for sample in samples}
    number = next(k for k, one in enumerate(images) if one.category == "bolt")
    features = inspector.embed([by_name[images[number].name]])
    width = features.shape[1]
    row = int(np.flatnonzero(own.image == number)[0])
    patch = divmod(int(own.source[row]) % own.fingerprint.patches, width)
    assert method.alike(opened.model, own, features, patch) == (
        number,
        patch[0] * width + patch[1],
    )


def test_a_nok_part_shows_where_and_what_is_most_alike(inspector, plants):
    found = [inspector.inspect(path, "bolt") for path in pictures(plants, "blot")]
    assert any(one.verdict == NOK for one in found)
    one = next(one for one in found if one.verdict == NOK)
    assert one.nearest.site == "lyon"
    assert one.alike.path.is_file()
    height, width = np.asarray(Image.open(plants / "bolt/test/blot" / one.name)).shape[:2]
    for place in (one.nearest.place, one.alike.place):
        assert 0 <= place.left <= place.left + place.width <= width
        assert 0 <= place.top <= place.top + place.height <= height
    with_crops = overlay(one)
    assert Image.open(io.BytesIO(as_png(with_crops))).size == with_crops.size


def test_colours_are_those_of_the_models_scale_and_the_limit_is_marked(inspector, plants):
    good = inspector.inspect(pictures(plants, "good")[0], "bolt")
    bad = inspector.inspect(pictures(plants, "blot")[0], "bolt")
    assert good.scale == bad.scale == inspector.scales["bolt"]
    drawn = np.asarray(overlay(good))
    left, height = 2 * (good.heat.shape[1] + 8), max(good.heat.shape[0], 96)
    ramp = colours(np.linspace(good.scale[1], 0, height)[:, None], good.scale)[:, 0]
    plain = (drawn[:height, left + 4] == ramp).all(axis=1)
    assert plain.mean() > 0.9  # all of the bar but for its two marks
    share = np.clip(good.threshold / good.scale[1], 0, 1)
    y = round((1 - share) * (height - 1))
    assert not plain[max(y - 1, 0) : y + 2].all()


def test_a_bare_file_judges_with_the_thresholds_beside_it(bank_file, plants):
    inspector = open_inspector(bank_file, {"embedder.weights": "random", "embedder.threads": 1})
    assert inspector.products == ("bolt",)
    one = inspector.inspect(pictures(plants, "good")[0])
    assert one.product == "bolt"
    assert one.good_parts == 5
    assert one.alike is None


def test_what_cannot_be_judged_says_why(inspector, bank_file, plants, tmp_path):
    limits = {name: replace(one, looks=None) for name, one in inspector.opened.limits.items()}
    blind = Inspector(inspector.opened._replace(limits=limits), inspector.embed)
    with pytest.raises(ConfigError, match="no product: the model judges bolt, hose, and nothing"):
        blind.inspect(pictures(plants, "good")[0])
    assert blind.inspect(pictures(plants, "good")[0], "bolt").verdict != AGAIN
    with pytest.raises(ConfigError, match=r"did you mean 'bolt'"):
        inspector.inspect(pictures(plants, "good")[0], "bolts")
    (tmp_path / "broken.png").write_bytes(pictures(plants, "good")[0].read_bytes()[:300])
    with pytest.raises(BadFileError):
        inspector.inspect(tmp_path / "broken.png", "bolt")
    bare = tmp_path / "bank.safetensors"
    bare.write_bytes(bank_file.read_bytes())
    with pytest.raises(DataError, match="fedad calibrate --bank"):
        open_inspector(bare)
    with pytest.raises(ConfigError, match=r"embedder\.size = 32: a model's features"):
        open_inspector(bank_file, {"embedder.size": 32})


def test_exit_codes_release_parts_only_if_all_are_ok():
    assert exit_code([OK, OK]) == 0
    assert exit_code([OK, AGAIN]) == 11
    assert exit_code([AGAIN, NOK, OK]) == 10
    assert exit_code([NOK, UNREADABLE]) == exit_code([UNREADABLE]) == 3


def test_the_command_writes_lines_a_table_and_overlays(fedad, models, plants, tmp_path):
    place = tmp_path / "new" / "bolt"
    place.mkdir(parents=True)
    for path in (*pictures(plants, "good")[:2], *pictures(plants, "blot")[:2]):
        kind = path.parent.name
        (place / f"{kind}-{path.name}").write_bytes(path.read_bytes())
    words = ("inspect", place.parent, "--models", models.parent)
    code, err, out = fedad(*words, "--out", tmp_path / "out", "--jsonl", tmp_path / "all.jsonl")
    assert code == 10, err
    rows = list(csv.DictReader((tmp_path / "out/verdicts.csv").read_text().splitlines()))
    told = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert [row["verdict"] for row in rows] == [one["verdict"] for one in told]
    assert len(rows) == 4
    assert len(list((tmp_path / "out").rglob("*.png"))) == 4
    assert "NOK" in out
    (place / "torn.png").write_bytes((place / rows[0]["image"].split("/")[-1]).read_bytes()[:200])
    code, _, out = fedad(*words)
    assert code == 3
    assert UNREADABLE in out
    code, _, out = fedad("inspect", place / "torn.png", "--models", models, "--product", "bolt")
    assert code == 3
    code, err, _ = fedad("inspect", place, "--models", tmp_path / "nowhere")
    assert code == 3
    assert "no such folder of models" in err


def test_a_torn_last_line_is_cut_off(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"a": 1}\n{"a": 2}\n{"a"')
    with Lines(path) as lines:
        assert [*lines.read()] == [{"a": 1}, {"a": 2}]
        lines.add({"a": 3})
    assert path.read_text() == '{"a": 1}\n{"a": 2}\n{"a": 3}\n'


def test_a_model_that_is_not_there_is_named_as_it_was_told(tmp_path):
    with pytest.raises(DataError, match=r"gone\.safetensors: there is no such file, and no such"):
        open_inspector(tmp_path / "gone.safetensors")
