"""Sites that embed otherwise are refused by name; threads and batches make no difference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from fedad.config import EmbedderKnobs as Knobs
from fedad.embedders import handshake as probing
from fedad.embedders.embedder import Embedder
from fedad.embedders.handshake import (
    ACCEPTED,
    WARNED,
    Probe,
    check_features,
    compare,
    distance,
    drawn,
)
from fedad.errors import UploadError
from tests.conftest import MARK
from tests.mismatches import MISMATCHES, probed, rounded


@pytest.fixture(scope="module")
def embed():
    """The demo's network: a small random one hardly tells one way to resize from another."""
    return Embedder(Knobs(batch=6, threads=1, cache="off"))


@pytest.fixture(scope="module")
def honest(embed):
    return probing.probe(embed)


@pytest.mark.parametrize("name", MISMATCHES)
def test_who_embeds_otherwise_is_refused_by_name(name, embed, honest):
    odd = probed(embed, MISMATCHES[name])
    assert odd.fingerprint == honest.fingerprint
    hands = compare({"graz": honest, "lyon": odd, "turin": honest})
    assert set(hands.refused) == {"lyon"}
    assert "apart at graz and lyon" in hands.refused["lyon"]


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("batch", [1, 4, 16])
def test_threads_and_batches_refuse_nobody(threads, batch, embed, honest):
    other = probed(embed, threads=threads, batch=batch)
    assert distance(other.features, honest.features) < ACCEPTED / 10
    assert compare({"graz": honest, "lyon": other}) == ({}, [])


def test_coarser_arithmetic_is_accepted_with_a_warning(embed, honest):
    other = probed(embed, rounded(torch.float16))
    refused, (warning,) = compare({"graz": honest, "lyon": other})
    assert not refused
    assert "apart at graz and lyon, more than 0.001" in warning


def made(scale=1.0, **fingerprint):
    """A probe of made-up features."""
    features = np.random.default_rng(0).normal(size=(6, 32, 8)).astype(np.float32)
    return Probe(replace(MARK, **fingerprint), features * np.float32(scale))


def test_the_majority_is_the_yardstick_wherever_its_names_stand():
    hands = compare({"a": made(1.1), "b": made(), "c": made(1.0002), "d": made()})
    assert set(hands.refused) == {"a"}
    assert not hands.warnings


def test_another_fingerprint_is_refused_naming_what_differs():
    hands = compare({"a": made(layers="layer1"), "b": made(), "c": made(threads=7, batch=9)})
    assert set(hands.refused) == {"a"}
    assert "(layers: layer2,layer3 and layer1)" in hands.refused["a"]


def test_of_two_the_second_is_refused_and_both_are_named():
    ((name, reason),) = compare({"lyon": made(2), "graz": made()}).refused.items()
    assert name == "lyon"
    assert "at graz and lyon" in reason


@pytest.mark.parametrize(("off", "ends"), [(0.9 * ACCEPTED, 0), (0.9 * WARNED, 1), (2 * WARNED, 2)])
def test_the_two_limits(off, ends):
    refused, warnings = compare({"a": made(), "b": made(), "c": made(1 + off)})
    assert (len(refused), len(warnings)) == [(0, 0), (0, 1), (1, 0)][ends]


def test_the_drawn_images_are_the_same_every_time():
    assert drawn.__wrapped__() == drawn()
    assert len(set(drawn())) == probing.IMAGES


@pytest.mark.parametrize(
    "features",
    [
        np.zeros((5, 32, 8), np.float32),
        np.zeros((6, 0, 8), np.float32),
        np.full((6, 32, 8), np.nan, np.float32),
    ],
)
def test_what_no_network_made_is_refused(features):
    with pytest.raises(UploadError, match="a probe"):
        check_features(features)


def test_nobody_to_compare_with():
    assert compare({}) == ({}, [])
    assert compare({"a": made()}) == ({}, [])
