"""No answer of a site costs the server much more than an honest one of the same stated limits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fedad.banks.admission import SHORTER, admit_bank
from fedad.config import Config, EmbedderKnobs, read
from fedad.embedders.embedder import Embedder
from fedad.embedders.handshake import longest, probe
from fedad.errors import UploadError
from fedad.evaluation import summarise
from fedad.judging.admission import admit_upload
from fedad.methods.base import FIRST
from fedad.methods.patchcore import PatchCore
from fedad.types import Enrolled, Features
from server_app.kept import Judged
from tests.redteam import costs

ROOT = Path(__file__).parents[2]
MOST = 3.0  # times what an honest answer costs
NOISE = 40e6  # bytes that differ from one run of the same to the next


@pytest.fixture(scope="module", params=["findings", "merge"])
def told(request):
    """What each case cost, in a fresh process of one thread."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    done = subprocess.run(
        [sys.executable, "-m", "tests.redteam.costs", request.param],
        cwd=ROOT,
        env={**os.environ, **threads},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    return request.param, json.loads(done.stdout)


@pytest.mark.reliability  # a ratio of seconds: other work on the machine moves it
def test_no_answer_costs_more_than_three_times_an_honest_one(told):
    what, cases = told
    if what == "merge":
        yardsticks = {name: f"honest{', alone' * name.endswith('alone')}" for name in cases}
    else:  # what every honest answer takes, or that of a method whose scores cross 0
        yardsticks = dict.fromkeys(cases, "honest distances")
        yardsticks["as many bins as may be"] = "honest logits"
    wrong = {
        name: (one, cases[yardsticks[name]])
        for name, one in cases.items()
        if not name.startswith("honest")
        and (
            one["seconds"] > MOST * cases[yardsticks[name]]["seconds"]
            or one["memory"] > MOST * cases[yardsticks[name]]["memory"] + NOISE
        )
    }
    assert not wrong


def test_what_is_refused_is_refused_by_its_word_and_honest_answers_are_not(told):
    _, cases = told
    words = {name: one["word"] for name, one in cases.items() if one["word"]}
    assert words == (
        {}
        if "all equal" in cases
        else {
            "195 kinds": "size",
            "too many bins": "size",
            "bins far apart": "size",
            "every bin in a row": "size",
            "a megabyte of names": "names",
        }
    )


def test_a_byte_of_findings_costs_at_most_three_times_an_honest_byte(told):
    what, cases = told
    if what == "merge":
        pytest.skip("rows are counted, not bytes")
    honest = cases["honest distances"]["seconds"] / cases["honest distances"]["bytes"]
    wrong = {
        name: one["seconds"] / one["bytes"] / honest
        for name, one in cases.items()
        if one["seconds"] / one["bytes"] > MOST * honest
    }
    assert not wrong


def test_findings_are_unpacked_and_reduced_once(monkeypatch):
    """However often the record, the log and the warnings look at them."""
    made = []

    def counted(*counts):
        made.append(counts)
        return summarise(*counts)

    monkeypatch.setattr("fedad.judging.findings.summarise", counted)
    judged, found = Judged(), costs.honest(5.0)
    content = costs.wire.pack_findings(found)
    monkeypatch.setattr("fedad.wire.unpack_findings", lambda content: pytest.fail("unpacked again"))
    for name in ("graz", "lyon"):
        judged.take(name, content, replace(found))
    for _ in range(3):
        reports = [judged[name].report for name in judged] + [judged.together.report]
    assert len(made) == 3
    assert reports[0]["mean"] == reports[1]["mean"]
    assert not judged["graz"].replicates.cells
    assert judged.together.replicates.cells == found.replicates.cells


def test_a_site_that_answers_again_counts_once():
    judged, found = Judged(), costs.spread(costs.kinds(2), 4, 1)
    for _ in range(2):
        judged.take("lyon", costs.wire.pack_findings(found))
    assert judged.together.counts.sizes() == found.counts.sizes()


@pytest.fixture(scope="module")
def lite0():
    return Embedder(EmbedderKnobs(cache="off", threads=1))


def uniform(embed: Embedder) -> dict[str, np.ndarray]:
    """(1, h, w, D): what the demo's network makes of images in which there is nothing to see."""
    rng = np.random.default_rng(0)
    pixels = {
        "black": np.zeros((64, 64, 3), np.uint8),
        "white": np.full((64, 64, 3), 255, np.uint8),
        "mean": np.tile(np.array([124, 116, 104], np.uint8), (64, 64, 1)),
        "noise": rng.integers(0, 256, (64, 64, 3), dtype=np.uint8),
    }
    prepare = embed.backbone.prepare
    return {
        name: embed.backbone(prepare(Image.fromarray(one))[None]) for name, one in pixels.items()
    }


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_no_honest_site_is_refused_for_short_rows(lite0, dtype):
    """Images of one colour are embedded alike, and a hundred times longer than is refused."""
    config = read({"wire.dtype": dtype, "coreset.local-ratio": 0.1})
    seen = probe(lite0)
    for name, grid in uniform(lite0).items():
        features = Features(
            np.tile(grid, (2, 1, 1, 1)), ("bolt",) * 2, ("a", "b"), seen.fingerprint
        )
        counts = {"bolt": 2}
        most = longest(seen.features)
        site = Enrolled("lyon", counts, counts, seen.fingerprint, grid.shape[-1], most)
        made = PatchCore.of(config).fit(features, FIRST, rng=np.random.default_rng(0))
        upload = made.sealed("lyon", dtype)
        admit_upload(config, upload, site, FIRST)
        lengths = np.linalg.norm(upload.rows.astype(np.float64), axis=1)
        assert lengths.min() > 0.1 * most > 1000 * SHORTER * most, name
        for scale in (1e-6, 1e-10, 1e-20, 1e-40):
            short = upload.replace(rows=(upload.rows.astype(np.float64) * scale).astype(np.float32))
            one = upload.rows.copy()
            one[3] = short.rows[3]
            for lie in (short, upload.replace(rows=one)):
                with pytest.raises(UploadError) as caught:
                    admit_bank(config, lie, site)
                assert caught.value.reason == "norm"


def test_a_subnormal_value_now_and_then_is_no_lie(lite0):
    """Of honest rows in half precision some hold one; in single precision hardly any does."""
    config, seen = Config(), probe(lite0)
    rows = uniform(lite0)["noise"]
    features = Features(rows, ("bolt",), ("a",), seen.fingerprint)
    upload = PatchCore.of(config).fit(features, FIRST, rng=np.random.default_rng(0))
    upload = upload.sealed("lyon", "float32")
    counts = {"bolt": 1}
    site = Enrolled(
        "lyon", counts, counts, seen.fingerprint, rows.shape[-1], longest(seen.features)
    )
    some = upload.rows.copy()
    some[:, :1] = 1e-40
    admit_upload(config, upload.replace(rows=some), site, FIRST)
    some[:, :100] = 1e-40
    with pytest.raises(UploadError, match="closer to 0 than"):
        admit_upload(config, upload.replace(rows=some), site, FIRST)
