"""Every case of bad data ends as its rule says, with its word, in seconds and in bounded memory."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from fedad.config import read
from fedad.datasets.base import check_trainable, open_dataset
from fedad.errors import DataError
from fedad.images.usable import sift
from fedad.messages.faults import REFUSED, SKIPPED, USED
from fedad.partition import one_site, partition
from tests.bad_data.cases import REFUSE, SKIP, USE, WARN, Case, copied, draw_plant
from tests.bad_data.image_cases import IMAGES
from tests.bad_data.tree_cases import TREES
from tests.bounds import bounded
from tests.users import ordinary_user

CASES = [*IMAGES, *TREES]


@pytest.fixture(scope="module")
def plant(tmp_path_factory) -> Path:
    """A good one. It is read once, so that no module is imported as the ordinary user, who may not
    be let into the folder where they are."""
    root = draw_plant(tmp_path_factory.mktemp("good") / "plant")
    outcome(root, str(tmp_path_factory.mktemp("cache")), listed=True)
    return root


def outcome(
    root: Path, cache: str, *, listed: bool, knobs: Mapping[str, object] = MappingProxyType({})
) -> tuple[str, set[str]]:
    """The rule that applied to a site's folder, and the words that came with it."""
    own = {"data.dataset": "autovi", "data.dir": str(root), "embedder.cache": cache}
    config = read({**own, **knobs})
    try:
        dataset = open_dataset(config.data)
        check_trainable(dataset)
        if listed:
            (site,) = partition(dataset, config.data, seed=0)
        else:
            site = one_site("lyon", dataset, config.data, seed=0)
        faults = [*dataset.faults, *sift(config, site).faults]
        texts, refused = [fault.text for fault in faults], None
    except DataError as error:
        texts, refused = [str(error)], {error.reason}
    assert all(text.isprintable() for text in texts)
    if refused:
        return REFUSE, refused
    words = {fault.reason for fault in faults}
    return (SKIP if words & set(SKIPPED) else WARN if words else USE), words


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_case_ends_as_its_rule_says_and_so_a_second_time(case: Case, plant, public_path):
    root = copied(plant, public_path / "plant")
    case.build(root)
    for _ in range(2):  # the second time good images are remembered
        with bounded(), ordinary_user() if case.read == "ordinary user" else nullcontext():
            listed, cache = case.read == "sites.csv", str(public_path / "cache")
            rule, words = outcome(root, cache, listed=listed, knobs=case.knobs)
        assert rule == case.rule, words
        assert case.reason in words or not (case.reason or words)


def test_every_word_has_a_case():
    """But the words for what is no file of a data set (weights, a cache, a site's own folder), and
    for what features tell when thresholds are calibrated."""
    without = {*SKIPPED, *USED, *REFUSED} - {case.reason for case in CASES}
    assert without == {"contents", "data", "repeated"}
    assert DataError("weights that are cut short").reason == "data"


def test_memory_shows_under_an_earlier_peak():
    np.ones(20_000_000)  # 160 MB, given back
    with pytest.raises(AssertionError), bounded(50_000_000):
        np.ones(10_000_000)
    with bounded(50_000_000):
        np.ones(1_000_000)
