"""Every federated method, found by its file name, obeys the laws of `methods/base.py`."""

from dataclasses import replace

import numpy as np
import pytest

from fedad.config import read
from fedad.errors import FedadError
from fedad.methods.base import FIRST
from fedad.plugins import names, plugin
from fedad.types import Fingerprint
from tests.conftest import MARK, features_of

D = 5


@pytest.fixture(params=names("methods"))
def method(request):
    return plugin("methods", request.param).of(read({"coreset.local-ratio": 0.5}), device="cpu")


def images(seed, count=4, categories=None):
    rng = np.random.default_rng(seed)
    return features_of(rng.normal(size=(count, 3, 3, D)) + seed, categories)


def upload(method, site, features, seed=0):
    bank = method.fit(features, FIRST, rng=np.random.default_rng([seed, *site.encode()]))
    return bank.sealed(site, "float32")


def merged(method, uploads):
    return method.merge(uploads, FIRST, rng=np.random.default_rng(9))


def test_fit_repeats_with_its_stream_and_differs_with_another(method):
    one, same, other = (upload(method, "lyon", images(1), seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.rows, same.rows)
    assert not np.array_equal(one.rows, other.rows)


def test_with_one_site_it_is_the_centralised_method(method):
    only = upload(method, "lyon", images(1))
    np.testing.assert_array_equal(merged(method, [only]).rows, only.rows)


def test_what_was_learned_scores_less_than_what_was_not(method):
    model = merged(method, [upload(method, "lyon", images(1)), upload(method, "graz", images(2))])
    seen, _ = method.score(model, images(2))
    unseen, scores = method.score(model, images(30))
    assert seen.shape == (4, 3, 3)
    assert unseen.min() > seen.max()
    np.testing.assert_array_equal(scores, unseen.max(axis=(1, 2)))


def test_an_image_scores_the_same_alone_and_among_others(method):
    model = merged(method, [upload(method, "lyon", images(1))])
    maps, scores = method.score(model, images(5, count=6))
    for k in range(6):
        whole = images(5, count=6)
        alone = replace(
            whole, grid=whole.grid[k : k + 1], categories=("bolt",), images=(whole.images[k],)
        )
        map_, score = method.score(model, alone)
        np.testing.assert_array_equal(map_[0], maps[k])
        assert score[0] == scores[k]


@pytest.mark.parametrize(
    ("field", "value"),
    [("backbone", "other"), ("weights", "1" * 64), ("layers", "layer2"), ("size", 128)],
)
def test_uploads_of_another_network_are_refused_naming_both_sites_and_what_differs(
    method, field, value
):
    other = upload(method, "graz", images(2)).replace(
        fingerprint=Fingerprint(**{**vars(MARK), field: value})
    )
    with pytest.raises(FedadError, match=f"graz and lyon do not mix .{field}: {value}"):
        merged(method, [other, upload(method, "lyon", images(1))])


def test_threads_and_batch_size_keep_no_two_banks_apart(method):
    other = upload(method, "graz", images(2)).replace(
        fingerprint=Fingerprint(**{**vars(MARK), "threads": 7, "batch": 99})
    )
    assert len(merged(method, [other, upload(method, "lyon", images(1))])) == 36


def test_uploads_of_another_width_are_refused(method):
    narrow = features_of(np.zeros((2, 3, 3, D - 1)))
    with pytest.raises(FedadError, match="4 and 5"):
        merged(method, [upload(method, "graz", narrow), upload(method, "lyon", images(1))])


def test_an_upload_that_comes_twice_is_refused(method):
    twice = upload(method, "lyon", images(1))
    with pytest.raises(FedadError, match="'lyon' comes twice"):
        merged(method, [twice, twice])


def test_images_of_another_network_than_the_banks_are_not_scored(method):
    model = merged(method, [upload(method, "lyon", images(1))])
    foreign = replace(images(1), fingerprint=Fingerprint(**{**vars(MARK), "backbone": "other"}))
    with pytest.raises(FedadError, match="backbone: tiny and other"):
        method.score(model, foreign)


def test_products_do_not_explain_each_other_unless_mixed(method):
    both = features_of(
        np.concatenate([np.zeros((2, 3, 3, D)), np.full((2, 3, 3, D), 50.0)]),
        ["bolt", "bolt", "hose", "hose"],
    )
    hoses_called_bolts = features_of(np.full((1, 3, 3, D), 50.0), ["bolt"])
    apart, _ = method.score(merged(method, [upload(method, "lyon", both)]), hoses_called_bolts)
    mixing = type(method).of(
        read({"coreset.local-ratio": 0.5, "bank.scope": "mixed"}), device="cpu"
    )
    together, _ = mixing.score(merged(mixing, [upload(mixing, "lyon", both)]), hoses_called_bolts)
    assert apart.min() > 100
    assert together.max() == 0


def test_a_category_that_nobody_learned_is_named(method):
    model = merged(method, [upload(method, "lyon", images(1))])
    with pytest.raises(FedadError, match="'hose': no site has a good image"):
        method.score(model, images(1, count=1, categories=["hose"]))
