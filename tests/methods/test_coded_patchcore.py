"""Coded rows: what is lost, that no row is rounded twice, and what no site can have coded."""

import lzma
from dataclasses import replace

import numpy as np
import pytest

from fedad.banks.axes import length
from fedad.banks.bank import join
from fedad.banks.coded import FILTERS, LARGEST_ROWS, CodedBank, chosen, coded_bank, encoded
from fedad.errors import UploadError
from fedad.judging.admission import admit_upload
from fedad.methods.base import FIRST, Dividing, LeavingOut, forgotten, method_of
from fedad.round import fit, learn
from tests.conftest import bank_of
from tests.contracts.drawn_sites import D, config_of, embed, site
from tests.contracts.test_methods import enrolled

SITES = [site("graz"), site("lyon"), site("turin", categories=("bolt",))]


def points(count, width=12, seed=0):
    """Rows along a few long and many short axes, off 0."""
    rng = np.random.default_rng(seed)
    turned, _ = np.linalg.qr(rng.normal(size=(width, width)))
    along = rng.normal(size=(count, width)) * 10.0 / (1 + np.arange(width))
    return (along @ turned.T + 5).astype(np.float32)


def lost(rows, back):
    off = rows - rows.mean(0, dtype=float)
    return float(np.square(back.astype(float) - rows).sum() / np.square(off).sum())


@pytest.mark.parametrize("loss", [0.05, 0.01, 0.001])
def test_as_much_of_the_variance_is_lost_as_was_asked_for(loss):
    rows = points(500)
    codes = encoded(rows, loss)
    assert codes.numbers.dtype == np.int8
    assert 0.9 * loss <= lost(rows, codes.rows) <= loss * 1.0001
    less = encoded(rows, loss / 2)
    assert less.step < codes.step
    assert lost(rows, less.rows) < lost(rows, codes.rows)


@pytest.mark.parametrize("rows", [points(1), np.ones((4, 3), np.float32)])
def test_one_row_and_equal_rows_come_back(rows):
    np.testing.assert_allclose(encoded(rows, 0.01).rows, rows, rtol=1e-6)


def test_short_axes_take_no_place():
    rows = points(300, width=40)
    codes = encoded(rows, 0.1)
    assert codes.numbers.shape[1] < 40
    assert len(codes.reflections) == length(40, codes.numbers.shape[1])


@pytest.mark.parametrize("rows", [points(1), np.ones((4, 12), np.float32)])
def test_a_bank_without_an_axis_travels(rows):
    coded = coded_bank(bank_of(rows, "graz", images=4), 0.01).sealed("graz", "float32")
    assert coded.axes == 0
    back = CodedBank.unpack(*coded.pack()).bank
    np.testing.assert_allclose(back.rows, rows, rtol=1e-6)
    both = chosen(back, [coded])
    np.testing.assert_array_equal(both.bank.rows, back.rows)


def test_rows_of_more_features_than_rows_are_coded():
    rows = points(5, width=30)
    assert lost(rows, encoded(rows, 0.01).rows) <= 0.0101


def sent(config, number=0):
    return fit(config, SITES[number], embed).upload


def test_an_upload_is_decoded_to_nearly_patchcores_and_the_own_rows_are_exact():
    config = config_of("coded_patchcore", loss=0.001)
    coded = fit(config, SITES[0], embed)
    plain = fit(config_of("patchcore"), SITES[0], embed)
    assert isinstance(coded.upload, CodedBank)
    order = np.lexsort((plain.own.row, plain.own.category))
    for name in ("category", "row"):
        of_plain = getattr(plain.upload, name)[order]
        np.testing.assert_array_equal(getattr(coded.upload.bank, name), of_plain)
    for name in ("images", "patches"):
        np.testing.assert_array_equal(getattr(coded.upload.bank, name), getattr(plain.upload, name))
    assert 0 < lost(plain.upload.rows[order], coded.upload.bank.rows) < 0.003
    np.testing.assert_array_equal(coded.own.exact.rows, plain.own.rows[order])
    np.testing.assert_array_equal(coded.own.exact.source, plain.own.source[order])


def test_an_upload_holds_no_column_of_its_rows_and_none_that_stays():
    upload = sent(config_of("coded_patchcore"))
    tensors, _ = upload.pack()
    assert not {"rows", "source", "row", "ranks", "site", "category"} & {*tensors}
    assert max(one.size for name, one in tensors.items() if name != "packed") < len(upload)


def test_where_ranks_are_of_all_products_together_they_travel():
    config = config_of("coded_patchcore")
    config = replace(config, bank=replace(config.bank, scope="mixed"))
    upload = sent(config)
    assert not np.array_equal(upload.ranks, np.arange(len(upload)))
    again = CodedBank.unpack(*upload.pack())
    np.testing.assert_array_equal(again.row, upload.row)
    np.testing.assert_array_equal(np.sort(again.bank.row), np.arange(len(upload)))
    assert admit_upload(config, again, enrolled(SITES[0]), FIRST) == (again, [])


@pytest.mark.parametrize("size", [0, 40])
def test_what_comes_down_are_the_numbers_that_went_up(size):
    config = config_of("coded_patchcore")
    config = replace(config, bank=replace(config.bank, size=size))
    learned = learn(config, SITES, embed)
    model = learned.model
    assert len(model) == size or not size
    uploads = {name: one.upload for name, one in learned.local.items()}
    for number, name in enumerate(model.sites):
        (codes,) = uploads[name].codes
        ranks = model.row[model.site == number]
        at = np.array([int(np.flatnonzero(uploads[name].row == rank)[0]) for rank in ranks])
        np.testing.assert_array_equal(
            model.bank.rows[model.site == number], uploads[name].bank.rows[at]
        )
        np.testing.assert_array_equal(
            model.codes[number].numbers[:, : codes.numbers.shape[1]], codes.numbers[at]
        )
    again = CodedBank.unpack(*model.pack())
    np.testing.assert_array_equal(again.bank.rows, model.bank.rows)


def test_uploads_of_other_widths_are_joined():
    one = coded_bank(bank_of(points(60, width=12), "graz", images=4), 0.2)
    other = coded_bank(bank_of(points(60, width=12, seed=3), "lyon", images=4), 0.001)
    assert one.axes < other.axes
    banks = [one.bank, other.bank]
    model = chosen(join(banks), [one, other])
    np.testing.assert_array_equal(model.bank.rows, np.concatenate([b.rows for b in banks]))
    assert not model.ranks.size
    few = chosen(join(banks).take(np.array([99, 3, 7, 61])), [one, other])
    np.testing.assert_array_equal(few.row, few.ranks)
    assert len(few.ranks) == 4
    again = CodedBank.unpack(*few.pack())
    np.testing.assert_array_equal(again.bank.row, few.row)
    for number, bank in enumerate(banks):
        mine = few.bank.site == number
        at = [int(np.flatnonzero(bank.row == rank)[0]) for rank in few.row[mine]]
        np.testing.assert_array_equal(again.bank.rows[mine], bank.rows[at])


def test_bytes_are_a_fraction_of_float32s():
    rows = points(2000, width=64)
    plain = bank_of(rows, "graz", images=4)
    coded = coded_bank(plain, 0.01).sealed("graz", "float32")
    size = [sum(t.nbytes for t in one.pack()[0].values()) for one in (plain, coded)]
    assert size[1] * 5 < size[0]


def _compressed(numbers):
    made = lzma.compress(numbers.tobytes(), format=lzma.FORMAT_RAW, filters=FILTERS)
    return np.frombuffer(made, np.uint8)


HOSTILE = {
    "cut short": (lambda u: u.replace(packed=u.packed[:-3]), "size"),
    "of nothing": (lambda u: u.replace(packed=u.packed[:0]), "size"),
    "of other bytes": (lambda u: u.replace(packed=np.full(99, 255, np.uint8)), "size"),
    "with more behind": (lambda u: u.replace(packed=np.r_[u.packed, u.packed]), "size"),
    "of fewer numbers": (lambda u: u.replace(packed=_compressed(np.ones(3, np.int8))), "size"),
    "of a hundred million numbers": (
        lambda u: u.replace(packed=_compressed(np.zeros(10**8, np.int8))),
        "size",
    ),
    "with steps beyond any feature": (lambda u: u.replace(step=u.step * 0 + 9e3), "range"),
    "of an axis less": (lambda u: u.replace(axes=u.axes - 1), "size"),
    "of no axis": (lambda u: u.replace(axes=0), "size"),
    "of a row more": (lambda u: u.replace(held=u.held + 1), "size"),
    "with ranks that stand twice": (
        lambda u: u.replace(ranks=np.zeros(len(u), np.int32)),
        "column",
    ),
    "with a step of 0": (lambda u: u.replace(step=u.step * 0, mean=u.mean * 0), "norm"),
    "with more rows than patches": (lambda u: u.replace(held=u.held * 99), "counts"),
    "of more images": (lambda u: u.replace(images=u.images * 2), "counts"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_no_site_can_have_coded_is_refused_by_its_word(what):
    config = config_of("coded_patchcore")
    change, word = HOSTILE[what]
    honest, who = sent(config), enrolled(SITES[0])
    assert admit_upload(config, honest, who, FIRST) == (honest, [])
    with pytest.raises(UploadError) as refused:
        admit_upload(config, change(honest), who, FIRST)
    assert refused.value.reason == word


MALFORMED = {
    "no row": lambda u: u.replace(held=u.held * 0),
    "more axes than features": lambda u: u.replace(axes=u.mean.shape[1] + 1),
    "a rank less than rows": lambda u: u.replace(ranks=u.row[1:]),
    "rows of another product": lambda u: u.replace(held=np.append(u.held, u.held[:, :1], 1)),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_what_does_not_fit_together_is_refused_before_anything_is_unpacked(what):
    upload = MALFORMED[what](sent(config_of("coded_patchcore")))
    with pytest.raises(UploadError) as refused:
        CodedBank.unpack(*upload.pack())
    assert refused.value.reason == "shape"


def test_what_decodes_to_more_than_may_travel_is_refused_before_it_is_unpacked():
    config = config_of("coded_patchcore")
    honest, who = sent(config), enrolled(SITES[0])
    few = replace(config, wire=replace(config.wire, largest_mb=honest.decoded_bytes * 1e-6 - 1e-6))
    upload = honest.replace(packed=honest.packed[:0])
    with pytest.raises(UploadError, match=r"MB when decoded, expected at most wire\.largest-mb"):
        admit_upload(few, upload, who, FIRST)
    count = LARGEST_ROWS // (D * 4) + 1
    upload = upload.replace(held=honest.held * 0 + count)
    with pytest.raises(UploadError, match=r"bytes when decoded, expected at most 4,294,967,296"):
        upload.check()


def test_values_next_to_nothing_are_zeros_once_they_are_decoded():
    rows = points(9)
    codes = replace(encoded(rows, 0.01), mean=np.full(12, 1e-40, np.float32), step=1e-41)
    assert not codes.rows.any()


def test_it_says_how_many_bytes_its_rows_take():
    config = config_of("coded_patchcore")
    model = learn(config, SITES, embed).model
    told = method_of(config).describe(model)
    assert told["coded_bytes"] == model.packed.size
    assert 1 <= told["axes"] <= D + 2
    assert told["rows"] == len(model)


@pytest.mark.parametrize("scoring", ["nearest", "with_own", "standardised"])
def test_training_images_are_left_out_quickly_as_they_are_slowly(scoring):
    config = config_of("coded_patchcore", loss=0.05)
    config = replace(config, score=replace(config.score, scoring=scoring))
    learned, method = learn(config, SITES, embed), method_of(config)
    assert isinstance(method, LeavingOut)
    model, own, features = learned.model, learned.own("lyon"), embed(SITES[1].train)
    quick, slow = (of(model, own, "lyon") for of in (method.leaving_out, _forgotten(method)))
    for image in range(len(SITES[1].train)):
        found = quick(features.take([image]), [image])
        assert found == pytest.approx(slow(features.take([image]), [image]), rel=1e-5)
        assert found >= method.score(model, features.take([image]), own=own)[1][0]


def _forgotten(method):
    return lambda model, own, site: forgotten(method, model, own, site)


def test_a_sites_part_are_its_rows_as_others_have_them_and_a_half_of_its_images():
    config = config_of("coded_patchcore", loss=0.05)
    learned, method = learn(config, SITES, embed), method_of(config)
    model, own = learned.model, learned.own("lyon")
    assert isinstance(method, Dividing)
    mine, exact = method.part(model, own, "lyon")
    sent = learned.local["lyon"].upload.bank
    np.testing.assert_array_equal(mine.rows[mine.row.argsort()], sent.rows[sent.row.argsort()])
    np.testing.assert_array_equal(exact.rows, own.exact.rows)
    half, kept = method.part(model, own, "lyon", rng=np.random.default_rng(0))
    images = {*kept.image.tolist()}
    assert len(images) == len(SITES[1].train) // 2
    assert 0 < len(half) == len(kept) < len(mine)
