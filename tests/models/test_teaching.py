"""A product is taught from good pictures; of all others every row, score and limit stays."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from fedad.banks.beside import appended, following, with_places
from fedad.banks.measured import measured, measures_of
from fedad.banks.origin import of_site
from fedad.config import read
from fedad.descriptors.settings import OFF, Settings, described
from fedad.embedders.embedder import Embedder
from fedad.errors import ConfigError, DataError
from fedad.inspection.opened import open_inspector
from fedad.judging.parts import ready
from fedad.models.adding import Found, add
from fedad.models.by_hand import add_file, build_at
from fedad.models.kept import kept_named
from fedad.models.store import MODELS, current, previous
from fedad.models.teaching import Pictures, teach
from fedad.running.by_hand import build, merge_files
from tests.conftest import MARK, bank_of
from tests.models.conftest import ALL_IN, RATE


def opened(models):
    kept = kept_named(models)
    return kept, *kept.open(kept.config())


def scores(models, folder, product):
    """Of each picture of a folder its score, and whose row is nearest."""
    inspector = open_inspector(models)
    found = [inspector.inspect(path, product) for path in sorted(folder.rglob("*.png"))]
    return [(one.score, one.threshold, one.p_value, one.nearest) for one in found]


def of(bank, product):
    part = bank.of_category(product)
    return part.rows.tobytes(), [part.sites[k] for k in part.site], part.row.tolist()


def test_the_first_model_of_a_site_is_taught(taught, pictures):
    kept, config, model = opened(taught)
    assert kept.passport()["source"] == "bolt taught from 6 pictures"
    assert (model.sites, model.categories) == (("lyon",), ("bolt",))
    promise = kept.limits(config)["bolt"].promise
    assert (promise.rate, promise.parts, promise.kept) == (RATE, 6, True)
    site, images = kept.images()
    assert site == "lyon"
    assert [one.path.parent for one in images] == [pictures / "bolt"] * 6


@pytest.fixture(scope="module")
def both(taught, pictures, tmp_path_factory):
    """Lyon once it was taught the hose, too."""
    models = shutil.copytree(taught, tmp_path_factory.mktemp("both") / MODELS, symlinks=True)
    told = []
    added = teach(models, pictures / "hose", "hose", RATE, ALL_IN, told.append)
    assert added.is_current
    assert "learning from 6 pictures" in told
    return models


def test_what_is_said_of_other_products_stays_to_the_last_bit(taught, both, plants):
    before, config, old = opened(taught)
    after, _, new = opened(both)
    assert previous(both) == before.name
    assert after.passport()["products"] == ["bolt", "hose"]
    assert of(old, "bolt") == of(new, "bolt")
    assert of(before.own(config), "bolt") == of(after.own(config), "bolt")
    assert measures_of(old)["bolt"] == measures_of(new)["bolt"]
    assert before.limits(config)["bolt"] == after.limits(config)["bolt"]
    mine = [one for one in after.checked() if one.product == "bolt"]
    assert [one for one in before.checked() if one.product == "bolt"] == mine
    assert scores(taught, plants / "bolt/test", "bolt") == scores(
        both, plants / "bolt/test", "bolt"
    )


def test_a_taught_product_is_judged_as_if_it_were_alone(both, plants, pictures, plain, tmp_path):
    """Its rows, what x and y count in, and its limit hang on its own pictures."""
    alone = tmp_path / MODELS
    teach(alone, pictures / "hose", "hose", RATE, ALL_IN, config=plain, site="lyon")
    _, config, model = opened(alone)
    kept, _, joined = opened(both)
    assert measures_of(model)["hose"] == measures_of(joined)["hose"]
    assert measures_of(model)["hose"].scale > 0
    rows = [one.of_category("hose").rows for one in (model, joined)]
    assert {row.tobytes() for row in rows[0]} == {row.tobytes() for row in rows[1]}
    one, other = kept_named(alone).limits(config)["hose"], kept.limits(config)["hose"]
    assert one.promise == other.promise
    assert one.looks == other.looks
    found = scores(alone, plants / "hose/test", "hose")
    assert found == scores(both, plants / "hose/test", "hose")


def test_a_variant_grows_its_product_and_sets_its_threshold_anew(both, pictures, tmp_path):
    models = shutil.copytree(both, tmp_path / MODELS, symlinks=True)
    before, config, old = opened(models)
    odd = scores(models, pictures / "long_bolt", "bolt")
    added = teach(models, pictures / "long_bolt", "bolt", RATE, ALL_IN)
    after, _, new = opened(models)
    assert added.is_current
    assert len(new.of_category("bolt")) == 2 * len(old.of_category("bolt"))
    assert of(old, "hose") == of(new, "hose")
    assert before.limits(config)["hose"] == after.limits(config)["hose"]
    limits = after.limits(config)["bolt"]
    assert limits.promise.parts == 12
    assert {one.image.split("/")[-2] for one in limits.good} == {"bolt", "long_bolt"}
    own = after.own(config)
    assert sorted(set(own.image.tolist())) == list(range(18))
    assert len(np.unique(new.row[of_site(new, "lyon")])) == len(new)  # ranks tell rows apart
    now = scores(models, pictures / "long_bolt", "bolt")
    assert all(one[0] < other[0] for one, other in zip(now, odd, strict=True))
    with pytest.raises(DataError, match="all 6 pictures have been learned from already"):
        teach(models, pictures / "long_bolt", "bolt", RATE, ALL_IN)


PRESETS = {
    "classic": {"patchcore.preset": "classic"},
    "auto": {"patchcore.preset": "auto"},
    "custom": {
        "patchcore.preset": "custom",
        "patchcore.position": 0.25,
        "patchcore.standardise": 1.0,
        "patchcore.smoothed-maximum": 0.1,
    },
    "coded": {"round.method": "coded_patchcore"},
    "turns": {
        "patchcore.preset": "custom",
        "patchcore.turns": 2,
        "wire.dtype": "float16",
        "score.scoring": "with_own",
    },
}


def built(plain, pictures, models, **knobs):
    """A model of the bolt, by any method."""
    config = read({**plain.flat(), **knobs, "score.false-rejects": RATE})
    embed = Embedder(config.embedder)
    plant = Pictures(pictures / "bolt", "bolt", lambda text: None).of(config, "lyon", ())
    plant = ready(config, plant, embed).site
    assert build_at(config, plant, embed).keep(models, plant, ALL_IN, "a run").is_current


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_can_be_taught(name, plain, pictures, plants, tmp_path):
    models = tmp_path / MODELS
    built(plain, pictures, models, **PRESETS[name])
    before = scores(models, plants / "bolt/test", "bolt")
    added = teach(models, pictures / "hose", "hose", RATE, ALL_IN)
    assert added.is_current
    assert scores(models, plants / "bolt/test", "bolt") == before
    good = scores(models, plants / "hose/test/good", "hose")
    assert all(np.isfinite(one[0]) for one in good)


@pytest.mark.parametrize(
    ("method", "why"),
    [
        ({"round.method": "gaussian"}, "expected a method of one round whose model is a bank"),
        ({"bank.scope": "mixed"}, "expected 'category'"),
    ],
)
def test_other_models_are_refused_in_one_line(method, why, plain, pictures, tmp_path):
    built(plain, pictures, tmp_path / MODELS, **method)
    with pytest.raises(ConfigError, match=why):
        teach(tmp_path / MODELS, pictures / "hose", "hose", RATE, ALL_IN)


def test_what_promises_too_little_is_refused_and_nothing_changes(bolts, pictures, tmp_path):
    before = current(bolts)
    with pytest.raises(DataError, match=r"6 good parts can promise a false-reject rate of 0\.143"):
        teach(bolts, pictures / "hose", "hose", 0.05, ALL_IN)
    with pytest.raises(DataError, match="6 good parts can promise"):
        teach(tmp_path / "new" / MODELS, pictures / "hose", "hose", 0.05, ALL_IN)
    with pytest.raises(ConfigError, match=r"product 'Bolt': 'Bolt' and 'bolt' differ"):
        teach(bolts, pictures / "hose", "Bolt", RATE, ALL_IN)
    with pytest.raises(ConfigError, match="rate 1"):
        teach(bolts, pictures / "hose", "hose", 1, ALL_IN)
    assert current(bolts) == before


def test_a_threshold_that_rests_on_unknown_pictures_is_no_variants(bolts, pictures, tmp_path):
    kept, config, model = opened(bolts)
    found = Found(kept.limits(config), (), own_judges=False)
    site = replace(
        Pictures(pictures / "hose", "x", print).of(config, "lyon", ()), train=(), test=()
    )
    models = tmp_path / "other" / MODELS
    add(models, config, model, site=site, own=None, found=found, gate=ALL_IN, source="brought")
    with pytest.raises(DataError, match="pictures that this model knows no place of"):
        teach(models, pictures / "long_bolt", "bolt", RATE, ALL_IN)
    assert teach(models, pictures / "hose", "hose", RATE, ALL_IN).is_current


def test_a_merge_brings_a_product_that_a_site_then_is_taught(plain, pictures, plants, tmp_path):
    """Others' rows of the product stay, and its own come beside them."""
    for site in ("graz", "lyon"):
        data = replace(
            plain.data, dir=str(pictures / "hose" if site == "graz" else plants / "bolt")
        )
        build(replace(plain, data=data), site, tmp_path / site)
    merge_files(plain, [tmp_path / "graz", tmp_path / "lyon"], tmp_path / "bank")
    models = tmp_path / MODELS
    teach(models, pictures / "bolt", "bolt", RATE, ALL_IN, config=plain, site="lyon")
    add_file({}, tmp_path / "bank", models, ALL_IN)
    assert {*opened(models)[2].categories} == {"bolt", "hose"}
    kept, config, old = opened(models)
    assert "hose" not in kept.limits(config)
    teach(models, pictures / "long_bolt", "hose", RATE, ALL_IN)
    kept, _, new = opened(models)
    assert kept.limits(config)["hose"].promise.parts == 6
    assert {new.sites[k] for k in new.of_category("hose").site} == {"graz", "lyon"}
    assert of(old, "bolt") == of(new, "bolt")


def test_a_product_without_places_goes_beside_one_that_has_some():
    """As under `auto`, where sites chose positions for the bolt, and of the hose nobody asked."""
    rng = np.random.default_rng(0)
    mark = described(
        MARK, {"": OFF, "bolt": Settings(position=0.5)}, {"bolt": {"chosen": "position"}}
    )
    plain = bank_of(rng.normal(size=(5, 4)), category="hose")
    more = plain.replace(source=np.array([0, 7, 63, 64, 65]), fingerprint=MARK)
    bank = bank_of(rng.normal(size=(9, 6)), mark=mark).replace(
        squares=np.full((1, 1), 50.0),
        placed=np.full((1, 1), 9, np.int64),
        looked=np.full((1, 1), 10, np.int64),
    )
    found = with_places(more, bank, (8, 8))
    assert found.rows[:, 4:].tolist()[:3] == [[-1, -1], [1, -1], [1, 1]]
    both = appended(bank, following(found, bank, None, 3), counted=True)
    assert measures_of(both)["bolt"] == measures_of(bank)["bolt"]
    assert measured(both).of_category("bolt").rows.tobytes() == measured(bank).rows.tobytes()
    assert not measured(both).of_category("hose").rows[:, 4:].any()
    assert both.row.tolist()[9:] == [9, 10, 11, 12, 13]
