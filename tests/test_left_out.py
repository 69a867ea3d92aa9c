"""Thresholds and colours of a large bank: the bits of the plain way, at a part of its cost."""

import math
from dataclasses import replace

import numpy as np
import pytest

from fedad.banks import scale
from fedad.banks.bank import join
from fedad.config import read
from fedad.methods.base import LeavingOut, forgotten, method_of
from fedad.plugins import names
from fedad.scoring import _gaps as gaps_file
from fedad.scoring import standardised as standardised_file
from fedad.scoring import without_images as without_images_file
from fedad.scoring.without_images import QUICK, WithoutImages
from fedad.search import left_out
from fedad.search.left_out import LeftOut, Part
from fedad.search.nearest_rows import by_torch
from tests.conftest import MARK, bank_of, features_of
from tests.test_work import drawn, flops

IMAGES, PATCHES = 6, 64


def plain(rows, patches, out):
    """The largest distance of the patches to a copy of the rows that are left."""
    rest = np.delete(rows, out, axis=0)
    found = by_torch(rest, patches, "cpu", lambda done: None)
    return np.linalg.norm(patches - rest[found], axis=1).max()


def many(kind, seed):
    """Rows, patches, and the rows that are left out; every patch is a row that is left out too."""
    rng = np.random.default_rng(seed)
    rows = drawn(700, 40, seed)
    if kind == "equal rows":
        rows = rows[rng.integers(30, size=700)]
    elif kind == "on a lattice":  # as many rows as there can be are equally near
        rows = np.round(rows).astype(np.float32)
    elif kind == "far from 0":
        rows = rows + np.float32(1000)
    elif kind == "an outlier":
        rows[5] *= 1e4
    elif kind == "tiny":
        rows = rows * np.float32(1e-18)
    elif kind == "flat":
        rows[:] = 3
    elif kind == "few features":
        rows = np.ascontiguousarray(rows[:, :2])
    patches = rows[rng.integers(700, size=300)]
    patches = (patches + rng.normal(size=patches.shape) * 0.01 * patches.std()).astype(np.float32)
    out = rng.choice(700, size=40, replace=False)
    patches[: len(out)] = rows[out]
    return rows, patches, out


KINDS = ["clumps", "equal rows", "on a lattice", "far from 0", "an outlier", "tiny", "flat"]


@pytest.mark.parametrize("kind", [*KINDS, "few features"])
def test_the_oddest_patch_has_the_bits_of_the_plain_search(kind):
    answered = 0
    for seed in range(8):
        rows, patches, out = many(kind, seed)
        before = rows.copy()
        known = LeftOut(rows)
        for some in (out, out[:1], out[:0]):
            found = known.largest(patches, some)
            answered += found is not None
            assert found is None or found == plain(rows, patches, some)
        np.testing.assert_array_equal(rows, before)
    assert answered or kind in {"flat", "tiny", "an outlier"}


def test_rows_that_are_equally_near_are_searched_as_before(monkeypatch):
    """What float32 finds among them is what counts, not what is nearer."""
    asked = []
    monkeypatch.setattr(
        left_out, "again", lambda *a, again=left_out.again: asked.append(a[2]) or again(*a)
    )
    for seed in range(12):
        rng = np.random.default_rng(seed)
        rows = drawn(1500, 24, seed) + np.float32(30)
        twins = (rows + rng.normal(size=rows.shape) * 2e-6).astype(np.float32)
        rows = np.concatenate([rows, twins])
        patches = drawn(200, 24, 100 + seed) + np.float32(30)
        found = LeftOut(rows).largest(patches, np.arange(10))
        assert found == plain(rows, patches, np.arange(10))
    assert asked


def test_what_overflows_is_left_to_the_plain_search():
    rows, patches, out = many("clumps", 0)
    for huge in (1e25, np.inf, np.nan):
        assert LeftOut(rows).largest(np.full_like(patches, huge), out) is None
    assert LeftOut(rows * np.float32(1e15)).largest(patches, out) is None


def test_a_patch_that_is_no_number_is_left_to_the_plain_search():
    rows, patches, out = many("clumps", 0)
    patches[-1, 0] = np.nan
    assert LeftOut(rows).largest(patches, out) is None


def test_the_rows_of_the_first_look_may_all_be_left_out():
    rows, patches, _ = many("clumps", 0)
    out = np.arange(0, len(rows), left_out.SPARSE)
    patches[: len(out)] = rows[out]
    assert LeftOut(rows).largest(patches, out) == plain(rows, patches, out)


def test_the_oddest_patch_may_come_late_in_the_first_look(monkeypatch):
    """What a few rows say of a patch is a bound and no more: rows that the first look does not see
    are near to many patches, and those that it does see to the oddest."""
    monkeypatch.setattr(left_out, "TAKEN", 8)
    rows, patches = drawn(800, 40, 0), drawn(200, 40, 1)
    unseen = np.flatnonzero(np.arange(len(rows)) % left_out.SPARSE)[:190]
    rows[unseen] = patches[:190] + np.float32(0.01)
    assert LeftOut(rows).largest(patches, unseen[:0]) == plain(rows, patches, unseen[:0])


def test_little_is_multiplied_for_an_image(monkeypatch):
    """Few coordinates, and of most patches with an eighth of the rows alone."""
    rows, patches = drawn(6000, 200, 0), drawn(512, 200, 1)
    known, out, products = LeftOut(rows), np.arange(50), []
    monkeypatch.setattr(
        left_out,
        "_least",
        lambda points, table, least=left_out._least: (
            products.append(len(points) * len(table)) or least(points, table)
        ),
    )
    assert known.table.shape[1] * 3 < rows.shape[1]
    assert known.largest(patches, out) is not None
    assert sum(products) < 0.7 * len(patches) * len(rows)
    assert flops(lambda: plain(rows, patches, out)) >= 2 * 512 * 5950 * 200


def apart(parts, patches, outs, factors):
    """The largest of the least distances of the patches to copies of what is left of each part."""
    ways = [
        np.float32(factor) * np.linalg.norm(patches - rest[found], axis=1)
        for rows, out, factor in zip(parts, outs, factors, strict=True)
        if len(rest := np.delete(rows, out, axis=0))
        for found in [by_torch(rest, patches, "cpu", lambda done: None)]
    ]
    return np.min(ways, axis=0).max()


@pytest.mark.parametrize("kind", ["clumps", "equal rows", "on a lattice", "far from 0"])
def test_parts_that_are_searched_apart_have_the_bits_of_plain_searches(kind):
    answered = 0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        rows, patches, out = many(kind, seed)
        whose = rng.integers(3, size=len(rows))
        whose[out] = 0
        numbers = [np.flatnonzero(whose == k) for k in range(3)]
        outs = [np.flatnonzero(np.isin(numbers[0], out)), np.arange(0), np.arange(1)]
        for factors in ((1, 1, 1), (1, 0.8, 0.93), (0.8, 1, 1)):
            known = [LeftOut(rows, numbers=some) for some in numbers]
            found = left_out.largest(list(map(Part, known, outs, factors)), patches)
            answered += found is not None
            expected = apart([rows[some] for some in numbers], patches, outs, factors)
            assert found is None or found == expected
        parts = [Part(known[0], np.arange(len(known[0]))), Part(known[1], np.arange(0), 0.9)]
        nothing_left = left_out.largest(parts, patches)
        assert nothing_left is None or nothing_left == apart(
            [rows[some] for some in numbers[:2]], patches, [part.out for part in parts], (1, 0.9)
        )
        assert left_out.largest(parts[:1], patches) is None
    assert answered


def factory(scope, seed=0, shots=1):
    """A bank of three sites and two products, a site's own bank, and its images.

    Rows of `graz` lie a little beside those of the site, as under another lamp; those of `turin`
    are everywhere. Each image but the first has `shots` that look alike.
    """
    rng = np.random.default_rng(seed)
    places = rng.normal(size=(2, PATCHES, 24))
    names = ["bolt", "hose"] * IMAGES
    looks = rng.normal(size=(IMAGES, 2, PATCHES, 24))
    grid = np.concatenate([places + 0.5 * looks[k // shots] for k in range(IMAGES)])
    grid = (grid + 0.05 * rng.normal(size=grid.shape)).astype(np.float32)
    features = features_of(grid.reshape(2 * IMAGES, 8, 8, 24), names)
    features = replace(features, fingerprint=MARK)
    parts = []
    for number, name in enumerate(("bolt", "hose")):
        source = np.array(
            [k * PATCHES + p for k in range(number, 2 * IMAGES, 2) for p in range(0, PATCHES, 2)]
        )
        source = rng.permutation(source)
        part = bank_of(features.patches[source], "lyon", name)
        parts.append(part.replace(source=source, scope=scope))
    own = join(parts).replace(
        source=np.concatenate([part.source for part in parts]),
        row=np.arange(sum(map(len, parts)), dtype=np.int32),
    )
    shift = 1.5 * np.eye(24)[0]
    beside = (places[0] + shift + 0.5 * rng.normal(size=(PATCHES, 24))).astype(np.float32)
    others = [
        bank_of(beside, "graz", "bolt").replace(scope=scope),
        bank_of(drawn(90, 24, seed), "turin", "bolt").replace(scope=scope),
        bank_of(drawn(50, 24, seed + 1), "turin", "hose").replace(scope=scope),
    ]
    sent = own.take(np.flatnonzero(own.row % 3 > 0)).replace(source=np.empty(0, np.int64))
    others[1:] = [
        join(others[1:]).replace(row=np.arange(140, dtype=np.int32)),
    ]
    bank = join([others[0], sent, others[1]])
    bank = bank.take(np.random.default_rng(seed).permutation(len(bank)))
    return bank, own, features


@pytest.mark.parametrize("scoring", QUICK)
@pytest.mark.parametrize("scope", ["category", "mixed"])
@pytest.mark.parametrize("sample", [2048, 40])
@pytest.mark.parametrize("few", [0, 0.7, 1])
def test_quick_ways_score_as_the_scoring_itself_without_an_images_rows(
    scope, scoring, sample, few, monkeypatch
):
    """Alone, in groups of several images, with all images but one left out, and by own rows alone;
    where some patches are outside of a region of interest, too. The bank has two thirds of own
    rows, which is none too few, or few with some images left out, or few."""
    monkeypatch.setattr(gaps_file, "FEW", few)
    for module in (standardised_file, without_images_file):
        monkeypatch.setattr(module, "SAMPLE", sample)
    method = method_of(read({"bank.scope": scope, "score.scoring": scoring}))
    answered = tried = 0
    for seed in range(3):
        bank, own, features = factory(scope, seed)
        valid = np.random.default_rng(seed).random((2 * IMAGES, 8, 8)) < 0.8
        alone = bank.take(np.flatnonzero(bank.site == bank.sites.index("lyon")))
        for model in (bank, alone):
            slow = forgotten(method, model, own, "lyon")
            quick = WithoutImages(model, own, "lyon", method.config.score, "cpu")
            for k in range(0, 2 * IMAGES, 3):
                all_but_one = [n for n in range(2 * IMAGES) if n != (k + 2) % (2 * IMAGES)]
                for images in (
                    [k],
                    [k, (k + 2) % (2 * IMAGES), (k + 4) % (2 * IMAGES)],
                    all_but_one,
                ):
                    for masked in (False, True):
                        one = features.take([k])
                        one = replace(one, valid=valid[[k]] if masked else None)
                        found, tried = quick.score(one, images), tried + 1
                        answered += found is not None
                        assert found is None or found == pytest.approx(slow(one, images), rel=1e-6)
    assert answered > 0.9 * tried


def test_very_many_sites_are_left_to_the_scoring_itself(monkeypatch):
    monkeypatch.setattr(without_images_file, "ONE_BY_ONE", 1)
    bank, own, features = factory("mixed")
    knobs = read({"score.scoring": "standardised"}).score
    assert WithoutImages(bank, own, "lyon", knobs, "cpu").score(features.take([0]), [0]) is None
    method = method_of(read({"bank.scope": "mixed"}))
    found = method.leaving_out(bank, own, "lyon")(features.take([0]), [0])
    assert found == forgotten(method, bank, own, "lyon")(features.take([0]), [0])


def test_distances_of_another_lamp_are_measured_without_the_image_that_is_left_out(monkeypatch):
    """What the factors were with the image in the sample is not what they are without it."""
    monkeypatch.setattr(gaps_file, "FEW", 0)
    bank, own, _ = factory("mixed")
    knobs = read({"score.scoring": "standardised"}).score
    parts = WithoutImages(bank, own, "lyon", knobs, "cpu").parts("")
    with_all, without = ([part.factor for part in parts(left)] for left in ([], range(9)))
    assert with_all[0] == without[0] == 1
    assert all(0.8 <= factor < 1 for factor in with_all[1:])
    assert with_all != without


@pytest.fixture(params=["category", "mixed"])
def plant(request):
    """A method, a bank of two sites and two products, one's own bank, and its images."""
    config = read({"bank.scope": request.param})
    grid = drawn(2 * IMAGES * PATCHES, 24).reshape(2 * IMAGES, 8, 8, 24)
    names = ["bolt", "hose"] * IMAGES
    features = replace(features_of(grid, names), fingerprint=MARK)
    parts = []
    for number, name in enumerate(("bolt", "hose")):
        source = np.array(
            [k * PATCHES + p for k in range(number, 2 * IMAGES, 2) for p in range(0, PATCHES, 5)]
        )
        part = bank_of(features.patches[source], "lyon", name)
        parts.append(part.replace(source=source, scope=request.param))
    sizes = [len(part) for part in parts]
    joined = join(parts)
    own = joined.replace(
        source=np.concatenate([part.source for part in parts]),
        row=np.arange(sum(sizes), dtype=np.int32),
    )
    other = bank_of(drawn(90, 24, 9), "graz", "bolt").replace(scope=request.param)
    bank = join([other, own.replace(source=np.empty(0, np.int64))])
    return method_of(config), bank, own, features


def test_every_training_image_is_scored_as_by_a_copy_without_its_rows(plant):
    method, bank, own, features = plant
    assert isinstance(method, LeavingOut)
    slow = forgotten(method, bank, own, "lyon")
    expected = [slow(features.take([k]), [k]) for k in range(2 * IMAGES)]
    fast = method.leaving_out(bank, own, "lyon")
    assert [fast(features.take([k]), [k]) for k in range(2 * IMAGES)] == expected
    quick = WithoutImages(bank, own, "lyon", method.config.score, "cpu")
    answered = [quick.score(features.take([k]), [k]) for k in range(2 * IMAGES)]
    assert sum(one is not None for one in answered) >= IMAGES


@pytest.mark.parametrize(
    "knobs",
    [
        {"score.neighbours": 3, "score.scoring": "nearest"},
        {"score.search": "bfloat16"},
        *({"score.scoring": name} for name in names("scoring") if name not in QUICK),
    ],
    ids=lambda knobs: "-".join(map(str, knobs.values())),
)
def test_other_ways_of_scoring_are_asked_themselves(plant, knobs):
    _, bank, own, features = plant
    method = method_of(read({"bank.scope": bank.scope, **knobs}))
    slow, fast = forgotten(method, bank, own, "lyon"), method.leaving_out(bank, own, "lyon")
    assert fast(features.take([2]), [2]) == slow(features.take([2]), [2])


@pytest.mark.parametrize(("scoring", "factor"), [("with_own", 1), ("own_first", 1.1)])
def test_thresholds_rest_on_scores_without_the_images_rows_in_the_bank_and_at_the_site(
    plant, scoring, factor
):
    """The site's own copy would explain the image that was left out of the bank."""
    _, bank, own, features = plant
    method = method_of(read({"bank.scope": bank.scope, "score.scoring": scoring}))
    score = method.leaving_out(bank, own, "lyon")
    for k in (0, 5):
        mixed = bank.scope == "mixed"
        product = features.categories[k]
        mine = own.image != k
        others = bank.site == bank.sites.index("graz")
        if not mixed:
            mine &= own.category == own.categories.index(product)
            others &= bank.category == bank.categories.index(product)
        patches = features.take([k]).patches

        def least(rows, patches=patches):
            if not len(rows):
                return np.full(len(patches), np.inf)
            return np.linalg.norm(patches[:, None] - rows, axis=2).min(1)

        expected = np.minimum(least(own.rows[mine]), factor * least(bank.rows[others])).max()
        assert score(features.take([k]), [k]) == pytest.approx(expected, rel=1e-5)


def test_an_image_that_is_all_there_is_has_no_score():
    own = bank_of(drawn(5, 24)).replace(source=np.arange(5))
    method = method_of(read({}))
    features = features_of(drawn(64, 24, 3).reshape(1, 8, 8, 24))
    assert method.leaving_out(own, own, "lyon")(features, [0]) is None
    assert method.leaving_out(own, own, "lyon")(features, [1]) is not None


def by_differences(bank):
    """The colours as they were found before."""
    scales = {}
    for number, category in enumerate(bank.categories):
        rows = bank.rows[bank.category == number]
        some = np.unique(np.linspace(0, len(rows) - 1, min(512, len(rows))).astype(int))
        gaps = [np.sort(np.linalg.norm(rows - rows[at], axis=1))[1:2].sum() for at in some]
        scales[category] = (0.0, 2 * float(np.median(gaps)) or 1.0)
    return scales


@pytest.mark.parametrize("kind", [*KINDS, "few features"])
def test_colours_have_the_bits_of_all_differences(kind, monkeypatch):
    monkeypatch.setattr(scale, "BLOCK", 128)
    for count in (1, 2, 3, 600):
        bank = bank_of(many(kind, count)[0][:count])
        assert scale.scale_of(bank) == by_differences(bank)


def test_a_product_without_a_row_has_the_colours_of_the_whole_bank():
    bank = bank_of(drawn(50)).replace(
        categories=("bolt", "hose"),
        images=np.ones((1, 2), np.int64),
        patches=np.ones((1, 2), np.int64),
        scope="mixed",
    )
    found = scale.scale_of(bank)
    assert found["hose"] == found["bolt"]
    assert not math.isnan(found["hose"][1])
