"""Banks that are carried by hand, as fedad is shipped: rows with places, and no round for them."""

from dataclasses import replace

import numpy as np
import pytest

from fedad.banks.bank import SUMS, Bank
from fedad.banks.measured import measures_of
from fedad.config import read
from fedad.datasets.base import open_dataset
from fedad.embedders.embedder import Embedder
from fedad.messages.file import load, save
from fedad.methods.base import method_of
from fedad.round import merge
from fedad.running.by_hand import build, merge_files
from fedad.running.model_file import open_model
from tests.contracts.test_methods import same


@pytest.fixture(scope="module")
def files(knobs, tmp_path_factory):
    """A bank of one product from each of two plants, and of both products from a third."""
    folder = tmp_path_factory.mktemp("banks")
    found = {"graz": "bolt", "lyon": "hose", "turin": "bolt,hose"}
    for site, products in found.items():
        build(read({**knobs, "data.categories": products}), site, folder / site)
    return [folder / site for site in found]


def test_files_that_were_merged_are_the_bank_of_a_run_and_are_scored(files, knobs, tmp_path):
    made, warnings = merge_files(read(knobs), files, tmp_path / "bank.safetensors")
    assert warnings == []
    banks = [load(file, Bank) for file in files]
    same(made, merge(read(knobs), banks))
    assert made.squares.shape == (3, 2)
    for k, bank in enumerate(banks):
        rows = [list(made.categories).index(name) for name in bank.categories]
        for name in SUMS:
            np.testing.assert_array_equal(getattr(made, name)[k, rows], getattr(bank, name)[0])
    classic = read({**knobs, "patchcore.preset": "classic"})
    config, model = open_model(classic, tmp_path / "bank.safetensors")
    assert any(one.position and one.scale for one in measures_of(model).values())
    features = Embedder(config.embedder)(open_dataset(config.data).samples[:2])
    for one, other in zip(
        method_of(config).score(model, features),
        method_of(read(knobs)).score(made, features),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


def test_a_bank_that_was_merged_before_is_merged_again(files, knobs, tmp_path):
    merge_files(read(knobs), files[:2], tmp_path / "two")
    again, _ = merge_files(read(knobs), [tmp_path / "two", files[2]], tmp_path / "three")
    once, _ = merge_files(read(knobs), files, tmp_path / "bank")
    assert measures_of(again) == measures_of(once)
    for name in SUMS:
        np.testing.assert_array_equal(getattr(again, name), getattr(once, name))


def test_a_file_of_some_sums_alone_is_refused(files, tmp_path):
    bank = load(files[0], Bank)
    mark = replace(bank.fingerprint, transform=bank.fingerprint.transform.partition(";")[0])
    save(tmp_path / "odd", bank.replace(fingerprint=mark))
    with pytest.raises(Exception, match="has squares, placed, looked, and its fingerprint"):
        open_model(read({}), tmp_path / "odd")
