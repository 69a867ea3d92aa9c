"""Every case of bad data ends as its rule says, with its word, in seconds and in bounded memory."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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

CASES = [*IMAGES, *TREES]
OTHERS = 0o005  # may read a folder and go through it
NOBODY = 65534  # a user to whom file modes apply, as they do not to root


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


@contextmanager
def ordinary_user(wanted: bool, folder: Path) -> Iterator[None]:
    """Inside, file modes count, even where the tests run as root."""
    if not wanted or os.geteuid() != 0:
        yield
        return
    for path in folder.parents[:4]:  # those of pytest and its worker, which keep them from others
        if path.stat().st_mode & OTHERS != OTHERS:
            path.chmod(0o755)
    folder.chmod(0o755)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_case_ends_as_its_rule_says_and_so_a_second_time(case: Case, plant, tmp_path):
    root = copied(plant, tmp_path / "plant")
    case.build(root)
    for _ in range(2):  # the second time good images are remembered
        with bounded(), ordinary_user(case.read == "ordinary user", tmp_path):
            listed, cache = case.read == "sites.csv", str(tmp_path / "cache")
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
