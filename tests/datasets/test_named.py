"""Which of a model's products a picture is of, for `score` and `calibrate` alike."""

from pathlib import Path

import pytest

from fedad.errors import ConfigError, DataError
from fedad.running.named import named
from fedad.types import Dataset, Sample


def folder(*products: str) -> Dataset:
    samples = [
        Sample(name, "test", "unknown", Path(f"/x/{name}/{k}.png"), None)
        for name in products
        for k in range(2)
    ]
    return Dataset("folder", Path("/x"), "", tuple(samples))


OWN, ONE = ["bolt", "nut"], ["bolt"]
CASES = {  # folders, products of the model, data.categories; products found, what is said
    "the model's own": (OWN, OWN, "", OWN, ""),
    "some of them": (ONE, OWN, "", ONE, ""),
    "a flat folder of the only product": (["new"], ONE, "", ONE, "new is taken for bolt"),
    "batches of the only product": (["a", "b"], ONE, "", ONE, "a, b is taken for bolt"),
    "a flat folder of one that is named": (["new"], OWN, "nut", ["nut"], "new is taken"),
    "one of several": (OWN, OWN, "nut", ["nut"], "2 images are not used: of bolt"),
    "a name with a comma": (["a, b", "nut"], ["a, b"], "a, b", ["a, b"], "not used: of nut"),
    "one beside others": (["bolt", "misc"], ONE, "bolt", ONE, "2 images are not used: of misc"),
}


@pytest.mark.parametrize("case", CASES)
def test_each_picture_is_of_a_product_of_the_model_and_what_that_changes_is_said(case):
    there, known, text, wanted, told = CASES[case]
    found = named(folder(*there), known, text)
    assert sorted({one.category for one in found.samples}) == wanted
    assert told in "".join(found.notes)
    assert bool(told) == bool(found.notes)


@pytest.mark.parametrize(
    ("there", "known", "text", "kind"),
    [
        (["bolt"], ["bolt"], "nut", ConfigError),
        (["new"], ["bolt", "nut"], "", DataError),
        (["bolt", "misc"], ["bolt"], "", DataError),
        (["new"], ["bolt", "nut"], "bolt,nut", DataError),
    ],
)
def test_where_nothing_says_which_it_is_it_is_asked(there, known, text, kind):
    with pytest.raises(kind, match="the model knows"):
        named(folder(*there), known, text)
