"""Coded rows: what is lost, that no row is rounded twice, and what no site can have coded."""

import lzma
from dataclasses import replace

import numpy as np
import pytest

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
    assert 0.5 * loss <= lost(rows, codes.rows) <= 1.2 * loss + 2e-4
    less = encoded(rows, loss / 2)
    assert less.step < codes.step
    assert lost(rows, less.rows) < lost(rows, codes.rows)


@pytest.mark.parametrize("rows", [points(1), np.ones((4, 3), np.float32)])
def test_one_row_and_equal_rows_come_back(rows):
    np.testing.assert_allclose(encoded(rows, 0.01).rows, rows, rtol=1e-6)


def test_short_axes_take_no_place():
    rows = points(300, width=40)
    assert encoded(rows, 0.1).axes.shape[1] < 40


def sent(config, number=0):
    return fit(config, SITES[number], embed).upload


def test_an_upload_is_decoded_to_nearly_patchcores_and_the_own_rows_are_exact():
    config = config_of("coded_patchcore", loss=0.001)
    coded = fit(config, SITES[0], embed)
    plain = fit(config_of("patchcore"), SITES[0], embed)
    assert isinstance(coded.upload, CodedBank)
    for name in ("category", "row", "images", "patches"):
        np.testing.assert_array_equal(getattr(coded.upload.bank, name), getattr(plain.upload, name))
    assert 0 < lost(plain.upload.rows, coded.upload.bank.rows) < 0.003
    np.testing.assert_array_equal(coded.own.exact.rows, plain.own.rows)
    np.testing.assert_array_equal(coded.own.exact.source, plain.own.source)
    assert "rows" not in coded.upload.pack()[0]


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
    assert one.axes.shape[1] < other.axes.shape[1]
    banks = [one.bank, other.bank]
    model = chosen(joined(banks), [one, other])
    np.testing.assert_array_equal(model.bank.rows, np.concatenate([b.rows for b in banks]))


def joined(banks):
    from fedad.banks.bank import join

    return join(banks)


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
    "with axes longer than 1": (lambda u: u.replace(axes=_longer(u.axes)), "range"),
    "with a scale that is no number": (lambda u: u.replace(axes=_nan(u.axes)), "finite"),
    "with a step of 0": (lambda u: u.replace(step=u.step * 0, mean=u.mean * 0), "norm"),
    "with more rows than patches": (lambda u: _repeated(u, 99), "counts"),
    "of more images": (lambda u: u.replace(images=u.images * 2), "counts"),
}


def _scaled(axes, scale):
    changed = axes.copy()
    changed[..., -4:] = np.array([scale], "<f4").view(np.int8)
    return changed


def _longer(axes):
    return _scaled(axes, 0.5)


def _nan(axes):
    return _scaled(axes, np.nan)


def _repeated(upload, times):
    rows = len(upload) * times
    return upload.replace(
        category=np.tile(upload.category, times),
        site=np.tile(upload.site, times),
        row=np.arange(rows, dtype=np.int32),
    )


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
    "no row": (lambda u: u.replace(category=u.category[:0], site=u.site[:0], row=u.row[:0])),
    "more axes than features": lambda u: u.replace(axes=np.concatenate([u.axes, u.axes], 1)),
    "axes of other features": lambda u: u.replace(axes=u.axes[..., 1:]),
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
    few = replace(config, wire=replace(config.wire, largest_mb=len(honest) * D * 4e-6 - 1e-6))
    upload = honest.replace(packed=honest.packed[:0])
    with pytest.raises(UploadError, match=r"MB when decoded, expected at most wire\.largest-mb"):
        admit_upload(few, upload, who, FIRST)
    count = LARGEST_ROWS // (D * 4) + 1
    columns = {n: np.broadcast_to(getattr(honest, n)[:1], count) for n in ("category", "site")}
    upload = upload.replace(**columns, row=np.broadcast_to(np.int32(0), count))
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
