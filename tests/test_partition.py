from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedad.config import DataKnobs, read
from fedad.datasets.autovi import autovi
from fedad.errors import ConfigError, DataError
from fedad.partition import one_site, partition
from fedad.types import Dataset, Sample

COUNTS = st.dictionaries(
    st.sampled_from(["bolt", "clip", "hose", "nut"]),
    st.tuples(st.integers(2, 30), st.integers(0, 9), st.integers(0, 9)),
    min_size=1,
)


def dataset(counts) -> Dataset:
    samples = []
    for category, (train, good, bad) in counts.items():
        for split, defect, count in (
            ("train", "good", train),
            ("test", "good", good),
            ("test", "cut", bad),
        ):
            folder = Path("/data") / category / split / defect
            samples += [
                Sample(category, split, defect, folder / f"{k:04d}.png") for k in range(count)
            ]
    return Dataset("drawn", Path("/data"), "", tuple(samples))


@pytest.mark.parametrize("kind", ["iid", "category", "dirichlet"])
@given(counts=COUNTS, seed=st.integers(0, 99), holdout=st.sampled_from([0.0, 0.3]))
def test_every_image_goes_to_one_site_and_repeats_with_its_seed(kind, counts, seed, holdout):
    images = dataset(counts)
    knobs = DataKnobs(partition=kind, sites=2, holdout=holdout)
    sites = partition(images, knobs, seed=seed)
    dealt = [s.name for site in sites for s in (*site.train, *site.test, *site.held)]
    assert sorted(dealt) == sorted(sample.name for sample in images.samples)
    assert [site.name for site in sites] == sorted(site.name for site in sites)
    again = partition(images, knobs, seed=seed)
    assert [s.name for s in again[0].train] == [s.name for s in sites[0].train]


@given(counts=COUNTS, sites=st.integers(1, 5))
def test_iid_shares_are_even_in_all_and_in_each_category(counts, sites):
    images = dataset(counts)
    if sites > sum(train for train, _, _ in counts.values()):
        return
    dealt = partition(images, DataKnobs(partition="iid", sites=sites), seed=1)
    totals = [len(site.train) for site in dealt]
    assert max(totals) - min(totals) <= 1
    for category in counts:
        of = [sum(s.category == category for s in site.train) for site in dealt]
        assert max(of) - min(of) <= 1


def test_one_factory_one_product():
    sites = partition(
        dataset({"bolt": (3, 1, 1), "nut": (2, 1, 0)}), DataKnobs(partition="category"), seed=0
    )
    assert [site.name for site in sites] == ["bolt", "nut"]
    assert {s.category for s in sites[0].train} == {"bolt"}


def test_a_smaller_alpha_is_less_even():
    images = dataset({"bolt": (400, 0, 0)})
    even, uneven = (
        partition(images, DataKnobs(partition="dirichlet", sites=4, alpha=alpha), seed=2)
        for alpha in (1000.0, 0.1)
    )
    assert max(len(site.train) for site in even) < 120
    assert max(len(site.train) for site in uneven) > 200


def test_adding_a_category_deals_the_others_as_before():
    knobs = DataKnobs(partition="dirichlet", sites=3)
    few = partition(dataset({"bolt": (20, 3, 3)}), knobs, seed=5)
    more = partition(dataset({"bolt": (20, 3, 3), "nut": (9, 1, 1)}), knobs, seed=5)
    for one, other in zip(few, more, strict=True):
        assert [s.name for s in one.train] == [s.name for s in other.train if s.category == "bolt"]


def test_natural_sites_come_from_sites_csv(plants):
    sites = partition(autovi(plants), read({"data.partition": "natural"}).data, seed=0)
    assert [site.name for site in sites] == ["graz", "lyon", "turin"]
    assert [Counter(s.category for s in site.train) for site in sites] == 3 * [
        {"bolt": 2, "hose": 2}
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "sites.csv: there is no such file"),
        ("file,plant\n", "expected the columns file,site"),
        ("file,site\n", "test/.* is not listed"),
        ('file,site\na.png,"graz,lyon"\n', "line 2: expected .* without comma and =, got"),
        ("file,site\na.png,graz=2\n", "line 2: expected .* without comma and =, got"),
    ],
)
def test_a_sites_csv_that_does_not_fit_is_named(plants, tmp_path, text, says):
    import shutil

    root = shutil.copytree(plants, tmp_path / "plants")
    (root / "bolt" / "sites.csv").unlink()
    if text:
        (root / "bolt" / "sites.csv").write_text(text)
    with pytest.raises(DataError, match=says):
        partition(autovi(root), DataKnobs(), seed=0)


@pytest.mark.parametrize("name", ["graz,lyon", "graz=2", "a/b", ""])
def test_a_site_is_not_called_what_a_list_of_sites_would_part(name):
    with pytest.raises(ConfigError, match="without comma and ="):
        one_site(name, dataset({"bolt": (3, 1, 1)}), DataKnobs(), seed=0)


def test_a_product_may_be_called_so_where_it_names_no_site():
    named = dataset({"bolt, M=8": (3, 1, 1)})
    assert one_site("lyon", named, DataKnobs(), seed=0).train[0].category == "bolt, M=8"
    with pytest.raises(ConfigError, match="site 'bolt, M=8': expected"):
        partition(named, DataKnobs(partition="category"), seed=0)


def test_more_sites_than_images():
    with pytest.raises(ConfigError, match=r"data.sites = 9: /data has 3 good"):
        partition(dataset({"bolt": (3, 0, 0)}), DataKnobs(partition="iid", sites=9), seed=0)


def test_held_out_images_are_good_and_learned_by_nobody():
    site = one_site(
        "lyon", dataset({"bolt": (20, 2, 2), "nut": (10, 0, 0)}), DataKnobs(holdout=0.25), seed=3
    )
    assert Counter(s.category for s in site.held) == {"bolt": 5, "nut": 2}
    assert not {s.name for s in site.held} & {s.name for s in site.train}
    assert all(s.is_good and s.split == "train" for s in site.held)


def test_a_product_whose_name_no_file_can_have_is_refused_where_it_lies(tmp_path):
    (tmp_path / ("x" * 65) / "train" / "good").mkdir(parents=True)
    with pytest.raises(DataError, match="a product's name becomes a file's"):
        autovi(tmp_path)


@given(counts=COUNTS, seed=st.integers(0, 99), most=st.integers(1, 12))
def test_a_cap_on_images_leaves_some_of_each_product_and_the_test_images(counts, seed, most):
    images, kept = dataset(counts), []
    for n in (0, most, most + 1):
        knobs = DataKnobs(partition="iid", sites=2, images=n)
        kept.append(partition(images, knobs, seed=seed))
    for whole, few, more in zip(*kept, strict=True):
        assert few.test == more.test == whole.test
        assert {s.name for s in few.train} <= {s.name for s in more.train}
        for category in counts:
            of = [[s for s in site.train if s.category == category] for site in (whole, few)]
            assert len(of[1]) == min(most, len(of[0]))
    again = partition(images, DataKnobs(partition="iid", sites=2, images=most), seed=seed)
    assert [s.name for s in again[0].train] == [s.name for s in kept[1][0].train]


def test_a_factory_caps_its_own_images_and_holds_some_of_those_out():
    images = dataset({"bolt": (10, 2, 2)})
    site = one_site("lyon", images, DataKnobs(images=6, holdout=0.5), seed=0)
    assert (len(site.train), len(site.held), len(site.test)) == (3, 3, 4)
    drawn = {
        tuple(s.name for s in one_site("lyon", images, DataKnobs(images=6), seed=seed).train)
        for seed in range(5)
    }
    assert len(drawn) > 1
