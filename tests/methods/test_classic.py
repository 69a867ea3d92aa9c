"""`patchcore.preset = classic` is PatchCore as it was before there were presets, byte for byte."""

import json

import numpy as np
import pytest

from tests.methods.classic_golden import GOLDEN, SETTINGS, given


@pytest.mark.parametrize("name", SETTINGS)
def test_classic_gives_the_bytes_that_it_gave(name):
    expected = json.loads(GOLDEN.read_text())[name]
    found = given({**SETTINGS[name], "patchcore.preset": "classic"})
    assert found.keys() == expected.keys()
    for what, value in expected.items():
        if isinstance(value, list):
            np.testing.assert_allclose(found[what], value, rtol=1e-6, err_msg=what)
        else:
            assert found[what] == value, what
