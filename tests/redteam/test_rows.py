"""What the order of an upload's rows tells: nothing. Its bytes are a function of their set."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedad.banks.bank import Bank
from fedad.config import read
from fedad.errors import UploadError
from fedad.methods.base import FIRST, method_of
from fedad.round import merge
from fedad.seeding import stream
from tests.conftest import bank_of, features_of

SELECTIONS = ("kcenter", "uniform")


def features(seed: int, images: int = 4):
    grid = np.random.default_rng(seed).normal(size=(images, 6, 6, 5))
    return features_of(grid, ["bolt", "hose"] * (images // 2))


def uploaded(
    some, selection: str, dtype: str = "float32", scope: str = "category", preset: str = "default"
) -> Bank:
    config = read(
        {
            "coreset.selection": selection,
            "coreset.local-ratio": 0.4,
            "wire.dtype": dtype,
            "bank.scope": scope,
            "patchcore.preset": preset,
        }
    )
    rng = stream(0, "lyon", "fit")
    return method_of(config).fit(some, FIRST, own=None, rng=rng).sealed("lyon", dtype)


def packed(bank: Bank) -> bytes:
    tensors, header = bank.pack()
    return repr(header).encode() + b"".join(tensors[name].tobytes() for name in sorted(tensors))


@given(
    seed=st.integers(0, 99),
    selection=st.sampled_from(SELECTIONS),
    dtype=st.sampled_from(("float32", "float16", "int8")),
)
def test_permuted_rows_are_the_same_bytes(seed, selection, dtype):
    bank = uploaded(features(seed), selection, dtype)
    order = np.random.default_rng(seed).permutation(len(bank))
    again = bank.take(order).sealed("lyon", dtype)
    assert packed(again) == packed(bank)


@pytest.mark.parametrize("scope", ["category", "mixed"])
def test_the_order_of_the_images_is_not_in_the_bytes(scope):
    some = features(3, 6)
    order = [4, 0, 2, 5, 3, 1]
    assert packed(uploaded(some.take(order), "kcenter", scope=scope)) == packed(
        uploaded(some, "kcenter", scope=scope)
    )


def test_who_replays_the_draw_cannot_tell_which_patches_they_are():
    """With rows as they were drawn, the server knew the place of each from seed and name."""
    some = features(0, 2)
    bank = uploaded(some, "uniform", preset="classic")
    patches = some.grid.reshape(-1, 5)
    replayed = np.concatenate(
        [
            36 * k + np.sort(row)  # what a server can draw again, product by product
            for k, row in enumerate(_draws(stream(0, "lyon", "fit")))
        ]
    )
    same = (bank.rows == patches[replayed]).all(1)
    assert same.mean() < 0.3
    assert {r.tobytes() for r in bank.rows} == {r.tobytes() for r in patches[replayed]}


def _draws(rng):
    from fedad.coresets.uniform import uniform

    for _ in range(2):
        yield uniform(np.zeros((36, 5), np.float32), 14, rng=rng)


@pytest.mark.parametrize("selection", SELECTIONS)
def test_the_server_takes_the_rows_in_the_order_of_selection(selection):
    bank = uploaded(features(1), selection, preset="classic")
    assert sorted(bank.row.tolist()) == list(range(len(bank)))
    ordered = bank.in_selection_order()
    assert ordered.row.tolist() == list(range(len(bank)))
    if selection == "kcenter":  # from the central row on, always the farthest
        one = ordered.of_category("bolt").rows.astype(float)
        gaps = [np.linalg.norm(one[:k, None] - one[None, k:], axis=2).min(0) for k in range(1, 9)]
        assert all(gap.argmax() == 0 for gap in gaps)


def test_a_site_knows_its_own_rows_by_rank():
    config = read({"coreset.local-ratio": 0.4, "patchcore.preset": "classic"})
    made = method_of(config).fit(features(2), FIRST, own=None, rng=stream(0, "lyon", "fit"))
    sealed = made.sealed("lyon", "float32")
    own = made.with_own(sealed)
    patches = features(2).grid.reshape(-1, 5)
    np.testing.assert_array_equal(patches[own.source], own.rows)


@pytest.mark.parametrize("ranks", [[0, 0, 1], [0, 1, 3], [-1, 0, 1]])
def test_ranks_that_are_no_permutation_are_refused(ranks):
    from fedad.banks.admission import _check_rows

    bank = bank_of(np.ones((3, 4))).replace(row=np.array(ranks, np.int32))
    with pytest.raises(UploadError, match="ranked") as refused:
        _check_rows(bank, None)
    assert refused.value.reason == "column"


@pytest.mark.parametrize(
    "aggregation", ["concatenate", "federated_coreset", "quota", "diversity_preserving"]
)
@pytest.mark.parametrize("scope", ["category", "mixed"])
def test_each_site_has_a_row_in_the_bank(aggregation, scope):
    rng = np.random.default_rng(0)
    uploads = [
        bank_of(rng.normal(size=(60, 4)), "large", images=10_000).replace(scope=scope),
        bank_of(rng.normal(size=(5, 4)) * 0.01, "small", images=1).replace(scope=scope),
    ]
    knobs = {"merge.aggregation": aggregation, "bank.size": 20, "bank.scope": scope}
    bank = merge(read(knobs), uploads)
    assert len(bank) == 20
    assert {bank.sites[k] for k in bank.site} == {"large", "small"}
