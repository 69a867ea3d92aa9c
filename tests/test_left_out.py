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
from fedad.search import left_out
from fedad.search.left_out import LeftOut
from fedad.search.nearest_rows import by_torch
from fedad.search.without_images import WithoutImages
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


def test_little_is_multiplied_for_an_image():
    rows, patches = drawn(6000, 200, 0), drawn(64, 200, 1)
    known, out = LeftOut(rows), np.arange(50)
    assert known.table.shape[1] * 3 < rows.shape[1]
    assert known.largest(patches, out) is not None
    assert flops(lambda: plain(rows, patches, out)) >= 2 * 64 * 5950 * 200


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
    quick = WithoutImages(bank, own, "lyon", "cpu")
    answered = [quick.score(features.take([k]), [k]) for k in range(2 * IMAGES)]
    assert sum(one is not None for one in answered) >= IMAGES


@pytest.mark.parametrize(
    "knobs",
    [
        {"score.neighbours": 3},
        {"score.search": "bfloat16"},
        *({"score.scoring": name} for name in names("scoring") if name != "nearest"),
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
