"""A plant's thresholds from a few new good parts, and what they promise."""

import csv
import json
import math
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from fedad.config import ScoreKnobs, read
from fedad.datasets.base import open_dataset
from fedad.datasets.parts import with_groups
from fedad.embedders.embedder import Embedder
from fedad.errors import ConfigError, DataError
from fedad.evaluation import least_rate, threshold
from fedad.judging.parts import ready
from fedad.judging.promise import promise
from fedad.judging.thresholds import GoodScore, Threshold, calibrate, good_scores
from fedad.partition import hold_out, one_site, partition
from fedad.round import fit, merge
from fedad.running.by_hand import build
from fedad.running.maps import write_maps
from fedad.running.onboarding import onboard, read_verdicts
from fedad.running.thresholds_file import read_thresholds
from tests.conftest import draw_category


@pytest.fixture(scope="module")
def bank_file(knobs, tmp_path_factory):
    file = tmp_path_factory.mktemp("bank") / "bank.safetensors"
    build(read(knobs), "lyon", file)
    return file


@pytest.fixture
def bank(bank_file, tmp_path):
    return shutil.copy(bank_file, tmp_path / "bank.safetensors")


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """Twelve good parts of each product that the bank has not seen."""
    root = tmp_path_factory.mktemp("new")
    for category in ("bolt", "hose"):
        draw_category(root / "drawn" / category, category, train=16, test=2)
        for file in sorted((root / "drawn" / category / "train/good").iterdir()):
            if int(file.stem) % 10 >= 2:  # the first two are those of the bank
                (root / "good" / category / "good").mkdir(parents=True, exist_ok=True)
                shutil.copy(file, root / "good" / category / "good" / file.name)
    return root / "good"


@pytest.fixture
def settings(knobs):
    return read({**knobs, "data.dataset": "auto", "data.dir": ""})


def test_new_good_parts_give_a_threshold_that_says_what_it_promises(settings, bank, parts):
    made = onboard(settings, bank, parts, None)
    told = json.loads(made.file.read_text())
    for name in ("bolt", "hose"):
        one = told["products"][name]
        assert one["parts"] == len(list((parts / name / "good").iterdir()))
        assert one["threshold"] == threshold(np.array(one["good"]), 0.1)
        assert "at most 0.1 are stopped" in made.promises[name].told()
    assert {n: t.score for n, t in read_thresholds(bank, settings.score).items()} == {
        n: p.threshold for n, p in made.promises.items()
    }


def test_scores_come_with_a_verdict_where_a_threshold_is_known(settings, bank, parts, tmp_path):
    config = replace(settings, data=replace(settings.data, categories="bolt"))
    limit = onboard(config, bank, parts / "bolt", None).promises["bolt"].threshold
    write_maps(
        replace(config, data=replace(config.data, categories="")),
        parts,
        bank,
        tmp_path / "maps",
        form="npy",
    )
    rows = list(csv.DictReader((tmp_path / "maps/scores.csv").read_text().splitlines()))
    bolts = [row for row in rows if row["category"] == "bolt"]
    assert len(bolts) == len(list((parts / "bolt/good").iterdir()))
    for row in bolts:
        assert float(row["threshold"]) == pytest.approx(limit)
        assert row["verdict"] == ("nok" if float(row["score"]) > limit * (1 + 1e-9) else "ok")
    assert {row["verdict"] for row in bolts} == {"ok", "nok"}
    assert {(row["threshold"], row["verdict"]) for row in rows if row["category"] == "hose"} == {
        ("", "")
    }


def test_too_few_parts_promise_nothing_and_say_what_they_could(settings, bank, parts, tmp_path):
    few = tmp_path / "few"
    for file in sorted((parts / "bolt/good").iterdir())[:8]:
        (few / "good").mkdir(parents=True, exist_ok=True)
        shutil.copy(file, few / "good")
    config = replace(settings, data=replace(settings.data, categories="bolt"))
    made = onboard(config, bank, few, None)
    assert not made.promises["bolt"].kept
    assert made.promises["bolt"].told() == (
        f"8 good parts can promise a false-reject rate of {least_rate(8):.3f} at best: 0.1 takes 9"
    )
    assert read_thresholds(bank, settings.score) == {}


def test_images_that_the_bank_was_made_from_are_refused(settings, bank, plants):
    with pytest.raises(DataError, match=r"0000\.png: the model was made from this image"):
        onboard(settings, bank, plants / "bolt", None)


def test_thresholds_of_another_bank_are_refused(settings, bank, parts, knobs):
    onboard(settings, bank, parts, None)
    build(read({**knobs, "coreset.local-ratio": 0.1}), "lyon", bank)
    with pytest.raises(DataError, match="of another model"):
        read_thresholds(bank, settings.score)


def test_second_shots_are_found_and_count_as_one_part(settings, bank, parts, tmp_path):
    """Twenty of forty images are second shots: without a group there is a warning."""
    twice = tmp_path / "twice" / "good"
    twice.mkdir(parents=True)
    for number, file in enumerate(sorted((parts / "bolt/good").iterdir())[:20]):
        for shot in range(2):
            pixels = np.asarray(Image.open(file)).astype(int)
            noise = np.random.default_rng([number, shot]).integers(-1, 2, pixels.shape)
            pixels = np.clip(pixels + shot * noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(twice / f"part{number:02d}_{shot}.png")
    config = replace(settings, data=replace(settings.data, categories="bolt"))
    made = onboard(config, bank, twice.parent, None)
    assert made.promises["bolt"].parts == 40
    assert any("40 of 40 images show a part that another one shows" in w for w in made.warnings)
    # These parts differ by noise alone, of which a random network sees little: some look alike.
    for rule, least in (("near-duplicates", 15), (r"pattern:part(\d+)_", 20)):
        grouped = replace(config, data=replace(config.data, group=rule))
        made = onboard(grouped, bank, twice.parent, None)
        assert least <= made.promises["bolt"].parts <= 20
        assert not any("another one shows" in warning for warning in made.warnings)


def test_verdicts_move_the_threshold(settings, bank, parts, tmp_path):
    before = onboard(settings, bank, parts, None).promises["bolt"]
    high = 2 * before.threshold
    table = tmp_path / "verdicts.csv"
    rows = "".join(f"bolt,{high},good\nbolt,{3 * high},defective\n" for _ in range(20))
    table.write_text("category,score,verdict\n" + rows)
    after = onboard(settings, bank, parts, table).promises
    assert after["bolt"].threshold > before.threshold
    assert after["bolt"].judged == 20
    assert 0 < after["bolt"].stopped < 20
    assert after["hose"].judged == 0


@pytest.mark.parametrize(("rate", "verdict"), [(0.1, "ok"), (0.9, "nok")])
def test_a_threshold_that_verdicts_made_infinite_still_gives_verdicts(
    rate, verdict, settings, bank, parts
):
    """All good parts were stopped, until none is; or none was, until all are."""
    limit, out = math.inf if verdict == "ok" else -math.inf, bank.parent
    table = out / "verdicts.csv"
    scores = [10.0 ** (k + 6) if verdict == "ok" else -1.0 - k for k in range(30)]
    config = replace(settings, score=replace(settings.score, false_rejects=rate))
    rows = [f"bolt,{score},good" for score in scores]
    table.write_text("\n".join(["category,score,verdict", *rows, ""]))
    made = onboard(config, bank, parts, table)
    assert made.promises["bolt"].threshold == limit
    assert "part is stopped for now" in made.promises["bolt"].told()
    json.loads(made.file.read_text(), parse_constant=pytest.fail)  # JSON has no Infinity
    assert read_thresholds(bank, config.score)["bolt"].score == limit
    write_maps(config, parts, bank, out / "maps", form="npy")
    rows = list(csv.DictReader((out / "maps/scores.csv").read_text().splitlines()))
    assert {row["verdict"] for row in rows if row["category"] == "bolt"} == {verdict}


@pytest.mark.parametrize("value", ["nan", "many", [], {"a": 1}], ids=str)
def test_a_limit_that_is_none_is_refused(value, settings, bank, parts):
    file = onboard(settings, bank, parts, None).file
    told = json.loads(file.read_text())
    told["products"]["bolt"]["threshold"] = value
    file.write_text(json.dumps(told))
    with pytest.raises(DataError, match="not a plant's thresholds"):
        read_thresholds(bank, settings.score)


def test_thresholds_of_scores_that_were_made_otherwise_are_refused(settings, bank, parts):
    file = onboard(settings, bank, parts, None).file
    for knob, value in (("scoring", "q_of_n"), ("neighbours", 3), ("q", 3)):
        other = replace(settings.score, **{knob: value})
        with pytest.raises(DataError, match=rf"score\.{knob} = .*, and now it is {value!r}"):
            read_thresholds(bank, other)
    told = json.loads(file.read_text())
    del told["scored"]  # as files were before
    file.write_text(json.dumps(told))
    assert set(read_thresholds(bank, settings.score)) == {"bolt", "hose"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("category,score\nbolt,1\n", "no verdict"),
        ("category,score,verdict\nbolt,nan,good\n", "line 2: score 'nan'"),
        ("category,score,verdict\nbolt,1,ok\n", "line 2: verdict 'ok': expected good or defective"),
        ("category,score,verdict\nnut,1,good\n", "line 2: product 'nut'"),
    ],
)
def test_a_table_that_is_none_of_verdicts_is_refused(text, told, tmp_path):
    table = tmp_path / "verdicts.csv"
    table.write_text(text)
    with pytest.raises(DataError, match=told):
        read_verdicts(table, {"bolt", "hose"})


def test_images_of_a_part_count_as_one_however_many_there_are():
    """The next part is stopped at the wished rate, though half of the parts have nine shots."""
    rng, rejected = np.random.default_rng(0), []
    for _ in range(400):
        centres = rng.normal(size=40)
        shots = np.where(np.arange(40) % 2, 9, 1)
        good = [
            GoodScore(centre + 0.01 * rng.normal(), f"{k}")
            for k, (centre, n) in enumerate(zip(centres, shots, strict=True))
            for _ in range(n)
        ]
        rejected.append(np.mean(rng.normal(size=200) > promise(good, ScoreKnobs()).threshold))
    mean, error = np.mean(rejected), np.std(rejected) / math.sqrt(len(rejected))
    assert mean <= 0.1 + 2 * error


def test_a_part_is_held_out_and_forgotten_as_a_whole(knobs):
    config = read({**knobs, "data.group": r"pattern:^(\d\d\d)", "data.holdout": 0.5})
    site = one_site("lyon", open_dataset(config.data), config.data, seed=0)
    for sample in (*site.train, *site.held):
        assert sample.group == sample.path.name[:3]
    held = {sample.part for sample in site.held}
    assert held
    assert not held & {sample.part for sample in site.train}
    whole = hold_out(replace(site, train=(*site.train, *site.held), held=()), 0.0, 0)
    embed = Embedder(config.embedder)
    own, upload, _ = fit(config, whole, embed)
    found = calibrate(config, whole, embed, merge(config, [upload]), own)
    assert found["bolt"].parts == len({s.part for s in whole.train if s.category == "bolt"})


def test_near_duplicates_are_parts_of_a_run_where_it_asks_for_them(knobs, tmp_path):
    root = tmp_path / "plants"
    draw_category(root / "bolt", "bolt", train=5)
    folder = root / "bolt/train/good"
    for file in sorted(folder.iterdir()):
        pixels = np.asarray(Image.open(file)).astype(int) + 1
        again = folder / f"1{file.name}"
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(again)
    given = {**knobs, "data.dir": str(root), "data.categories": "bolt", "data.holdout": 0.4}
    config = read({**given, "data.group": "near-duplicates"})
    embed = Embedder(config.embedder)
    site = ready(
        config, one_site("lyon", open_dataset(config.data), config.data, seed=0), embed
    ).site
    parts = {sample.part for sample in (*site.train, *site.held)}
    assert len(parts) == 15
    assert not {s.part for s in site.held} & {s.part for s in site.train}


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("part", "expected column:NAME"),
        ("pattern:(", "no regular expression"),
        ("pattern:nowhere", "no image has a group by it"),
        ("column:sote", "did you mean 'site'"),
    ],
)
def test_a_rule_that_finds_nothing_says_so(rule, told, config):
    with pytest.raises(ConfigError, match=told):
        with_groups(open_dataset(config.data), rule)


def test_a_column_of_the_table_says_which_images_are_of_one_part(config):
    grouped = with_groups(open_dataset(config.data), "column:site")
    assert {sample.group for sample in grouped.samples} == {"graz", "lyon", "turin"}


def test_parts_that_look_like_another_sites_have_a_threshold_of_their_own():
    rng = np.random.default_rng(0)
    good = [GoodScore(float(score), f"a{k}", "graz") for k, score in enumerate(rng.normal(size=20))]
    good += [GoodScore(float(s) + 5, f"b{k}", "lyon") for k, s in enumerate(rng.normal(size=12))]
    good += [GoodScore(9.0, f"c{k}", "turin") for k in range(8)]  # too few for 10 %
    made = promise(good, ScoreKnobs())
    assert set(made.by_site) == {"graz", "lyon"}
    assert made.by_site["graz"] == threshold(np.array([g.score for g in good[:20]]), 0.1)
    limits = Threshold(made.threshold, made.parts, by_site=made.by_site)
    assert limits.limit("lyon") > limits.limit("graz")
    assert limits.limit("turin") == limits.limit("nobody") == made.threshold
    assert not promise(good, ScoreKnobs(threshold_by="product")).by_site
    assert not promise(good[:20], ScoreKnobs()).by_site


def test_a_validation_split_gives_thresholds_by_site_and_nothing_is_learned_from_it(knobs):
    """Parts of all plants come to lyon, whose own training images know one kind alone."""
    config = read({**knobs, "score.false-rejects": 0.4})
    dataset = open_dataset(config.data)
    sites = partition(dataset, config.data, seed=0)
    lyon = next(site for site in sites if site.name == "lyon")
    new = tuple(
        replace(sample, split="validation")
        for site in sites
        for sample in site.test
        if sample.is_good
    )
    embed = Embedder(config.embedder)
    local = {site.name: fit(config, site, embed) for site in sites}
    bank = merge(config, [one.upload for one in local.values()])
    own = local["lyon"].own
    before = calibrate(config, lyon, embed, bank, own)
    found = calibrate(config, replace(lyon, held=new), embed, bank, own)
    for name in ("bolt", "hose"):
        assert found[name].parts == before[name].parts + 6
        assert not before[name].by_site
        assert len(found[name].by_site) > 1
        assert {*found[name].by_site} <= {"graz", "lyon", "turin"}
    known = replace(lyon, held=tuple(replace(s, split="validation") for s in lyon.train))
    told = good_scores(config, known, embed, bank, own)
    assert {one.site for some in told.values() for one in some} == {"lyon"}  # not of nobody
    nobody = calibrate(config, replace(lyon, train=(), held=new), embed, bank, None)
    assert nobody["bolt"].parts == 6
