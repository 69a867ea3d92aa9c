"""Banks of more patches than memory holds: in parts, within a bound that is stated."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedad.banks.coreset_in_parts import cover_in_parts
from fedad.config import read
from fedad.coresets.kcenter import cover, kcenter
from fedad.datasets.base import open_dataset
from fedad.embedders.embedder import Embedder
from fedad.embedders.in_parts import InParts, within_memory
from fedad.errors import ConfigError
from fedad.methods.patchcore import Knobs as BankKnobs
from fedad.partition import partition
from fedad.round import fit

AMPLE = 2**28


def rng(seed=0):
    return np.random.default_rng(seed)


def radius(points, kept):
    """The obvious definition: the distance of the worst covered point."""
    return max(np.linalg.norm(kept - point, axis=1).min() for point in points)


@settings(max_examples=40)
@given(n=st.integers(8, 200), cuts=st.integers(1, 6), seed=st.integers(0, 99), data=st.data())
def test_all_points_lie_within_the_stated_bound_of_kept_ones(n, cuts, seed, data):
    points = rng(seed).normal(size=(n, 3)).astype(np.float32)
    size = data.draw(st.integers(1, n // 4))
    parts = [part for part in np.array_split(points, cuts) if len(part)]
    found = cover_in_parts(parts, size, n, rng=rng(seed), memory=AMPLE)
    assert len(found.points) == size
    np.testing.assert_array_equal(found.points, points[found.numbers])
    assert len(set(found.numbers.tolist())) == size
    assert radius(points, found.points) <= found.radius * (1 + 1e-5)


def test_gathered_points_are_thinned_when_memory_is_small():
    points = rng().normal(size=(4000, 4)).astype(np.float32)
    parts = np.array_split(points, 20)
    tight = cover_in_parts(parts, 100, 4000, rng=rng(), memory=100 * 4 * 4 * 4)
    ample = cover_in_parts(parts, 100, 4000, rng=rng(), memory=AMPLE)
    assert len(tight.points) == len(ample.points) == 100
    assert radius(points, tight.points) <= tight.radius * (1 + 1e-5)
    assert tight.radius > ample.radius  # more selections, a looser bound


def test_one_part_is_the_direct_selection():
    points = rng().normal(size=(500, 4)).astype(np.float32)
    found = cover_in_parts([points], 50, 500, rng=rng(3), memory=AMPLE)
    np.testing.assert_array_equal(found.numbers, kcenter(points, 50, rng=rng(3)))


@pytest.mark.parametrize("size", [1, 20, 200])
def test_the_radius_of_a_selection_is_that_of_the_worst_point(size):
    points = rng().normal(size=(200, 5)).astype(np.float32)
    rows, told = cover(points, size, (4,), "cpu")
    actual = radius(points, points[rows])
    assert actual - 1e-6 <= told <= actual * (1 + 1e-4) + 1e-2


def test_fewer_points_than_wanted_are_said():
    with pytest.raises(ValueError, match="9 of 10 points are wanted, and 4 came"):
        cover_in_parts([np.ones((4, 2), np.float32)], 9, 10, rng=rng(), memory=AMPLE)


def test_a_site_with_too_little_memory_builds_its_bank_in_parts(config, plants):
    knobs = replace(config.coreset, memory_gb=0.29)
    classic = {"patchcore": BankKnobs(preset="classic")}  # whose rows are patches as they are
    tight = replace(config, coreset=knobs, plugins=classic)
    dataset = open_dataset(config.data)
    (site, *_) = partition(dataset, config.data, seed=0)
    many = replace(site, train=site.train * 150)  # 600 images of 64 patches
    embed = Embedder(config.embedder)
    assert isinstance(within_memory(tight, embed, many.train), InParts)
    own = fit(tight, many, embed).own
    whole = embed(many.train)
    assert len(own) == 2 * (300 * 64 // 4)
    np.testing.assert_array_equal(own.rows, whole.patches[own.source])
    for k, name in enumerate(own.categories):
        kept = own.rows[own.category == k]
        (points,) = whole.parts(name)
        assert radius(np.unique(points, axis=0), kept) <= own.radius * (1 + 1e-5)


def test_memory_that_suffices_changes_nothing(config, plants):
    (site, *_) = partition(open_dataset(config.data), config.data, seed=0)
    embed = Embedder(config.embedder)
    ample = replace(config, coreset=replace(config.coreset, memory_gb=4.0))
    one, other = (fit(knobs, site, embed).own.rows for knobs in (ample, config))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"coreset.memory-gb": 0.01}, r"coreset.memory-gb = 0.01: a bank of .* takes at least"),
        ({"coreset.memory-gb": 0.29, "coreset.selection": "uniform"}, "only kcenter selects in"),
    ],
)
def test_memory_that_cannot_do_is_refused(config, given, says):
    (site, *_) = partition(open_dataset(config.data), config.data, seed=0)
    small = read({**config.flat(), **given})
    with pytest.raises(ConfigError, match=says):
        within_memory(small, Embedder(config.embedder), site.train * 150)
