"""What is done in a quicker way says the same, to the last bit."""

from __future__ import annotations

import platform
import resource

import numpy as np
import pytest
import torch

from fedad.plumbing.compute import keep_memory
from fedad.plumbing.progress import _ignore
from fedad.reporting.heatmap import _STOPS, colours
from fedad.search import nearest_rows as file

BATCH = 8 * 2**20  # bytes, about what a layer makes of an image


def test_the_smallest_of_a_table_is_torchs_own_and_of_equals_the_first():
    rng = np.random.default_rng(0)
    table = torch.from_numpy(rng.integers(0, 40, (64, 300)).astype(np.float32))
    value, number = file._smallest(table)
    assert torch.equal(value, table.min(1).values)
    assert number.tolist() == [int(np.flatnonzero(row == row.min())[0]) for row in table.numpy()]


@pytest.mark.parametrize("at_once", [256, 512])
def test_rows_do_not_hang_on_how_many_patches_are_centred_at_a_time(at_once, monkeypatch):
    rng = np.random.default_rng(1)
    rows, patches = (rng.normal(size=(n, 20)).astype(np.float32) for n in (2000, 1100))
    whole = file.by_torch(rows, patches, "cpu", _ignore)
    monkeypatch.setattr(file, "PATCHES", at_once)
    np.testing.assert_array_equal(file.by_torch(rows, patches, "cpu", _ignore), whole)


def test_colours_one_by_one_are_those_of_whole_stops():
    scores = np.random.default_rng(2).normal(1, 2, (40, 30)).astype(np.float32)
    at = (scores / 2.0).clip(0, 1) * (len(_STOPS) - 1)
    low = np.minimum(at.astype(int), len(_STOPS) - 2)
    share = (at - low)[..., None]
    whole = np.rint(_STOPS[low] * (1 - share) + _STOPS[low + 1] * share).astype(np.uint8)
    np.testing.assert_array_equal(colours(scores, (0.0, 2.0)), whole)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_memory_that_was_given_back_is_not_asked_for_anew():
    keep_memory()
    torch.zeros(BATCH, dtype=torch.uint8)  # once
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        torch.zeros(BATCH, dtype=torch.uint8)
    asked = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    assert asked < 20 * BATCH / resource.getpagesize() / 10
