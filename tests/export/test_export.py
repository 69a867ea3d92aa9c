"""A model as an ONNX graph scores as the model does, or it is refused. Needs fedad[export]."""

import json

import numpy as np
import pytest

from fedad.config import read
from fedad.errors import ConfigError, DataError
from fedad.inspection.opened import open_inspector
from fedad.models.by_hand import build_and_keep
from fedad.models.gate import Gate

onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'fedad[export]'")
pytest.importorskip("onnxscript", reason="onnxscript is not installed: pip install 'fedad[export]'")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: 'fedad[export]'")

from fedad.export import verify as file  # noqa: E402
from fedad.export.onnx_file import DIGEST, Engine, about, digest_of, exported  # noqa: E402
from fedad.export.plan import plan_of  # noqa: E402
from fedad.export.verify import compared, own_pictures  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def kept(knobs, folder, **more):
    """An inspector of a model that the plant lyon has built."""
    settings = read({**knobs, "data.dataset": "auto", "score.false-rejects": 0.2, **more})
    build_and_keep(settings, "lyon", None, folder / "models", Gate(false_rejects=1.0))
    return open_inspector(folder / "models")


@pytest.fixture(scope="module", params=["default", "classic", "standardised"])
def inspector(request, knobs, tmp_path_factory):
    more = {"patchcore.preset": request.param}
    if request.param == "standardised":
        more = {"patchcore.preset": "custom", "patchcore.standardise": 1.0}
    return kept(knobs, tmp_path_factory.mktemp(request.param), **more)


@pytest.fixture(scope="module")
def content(inspector):
    return exported(inspector.embed.backbone, plan_of(inspector, "bolt"))


def test_a_file_scores_as_the_model_does(inspector, content, plants):
    agreed = compared(content, inspector, own_pictures(inspector, "bolt", plants))
    assert agreed.pictures == 12
    assert agreed.worst < 1e-5
    assert agreed.map < 1e-3  # a training image's own rows: 0 by differences, not by products
    assert agreed.sites == 0
    assert agreed.exported == agreed.native
    assert agreed.holds
    assert compared(content, inspector, own_pictures(inspector, "bolt", None)).holds


def test_a_file_says_what_it_is_held_against(inspector, content):
    told = about(content)
    assert told["threshold"] == inspector.limits["bolt"].promise.threshold
    assert told["model"] == inspector.opened.name
    assert told["canvas"] == [64, 64]
    assert told["fingerprint"]["weights"] == inspector.embed.fingerprint.weights
    assert told["sites"] == ["lyon"]


@pytest.fixture(scope="module")
def models(knobs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("one")
    kept(knobs, folder)
    return folder / "models"


@pytest.fixture(scope="module")
def one(models):
    """An inspector by the defaults, its file, and pictures."""
    inspector = open_inspector(models)
    content = exported(inspector.embed.backbone, plan_of(inspector, "bolt"))
    return inspector, content, own_pictures(inspector, "bolt", None)


def test_a_flipped_byte_anywhere_in_the_rows_is_refused(one):
    inspector, content, pictures = one
    proto = onnx.load_model_from_string(content)
    (rows,) = (part for part in proto.graph.initializer if part.name == "rows")
    at = content.index(rows.raw_data)
    for byte in (0, 101, len(rows.raw_data) - 1):
        broken = bytearray(content)
        broken[at + byte] ^= 0x10
        with pytest.raises(DataError, match="it was changed, or damaged"):
            compared(bytes(broken), inspector, pictures)


def test_a_file_that_scores_otherwise_is_refused_whatever_it_says_of_itself(one):
    inspector, content, pictures = one
    proto = onnx.load_model_from_string(content)
    for part in proto.graph.initializer:
        if part.name == "rows":
            rows = np.frombuffer(part.raw_data, np.float32) * np.float32(1.01)
            part.raw_data = rows.tobytes()
    for prop in proto.metadata_props:
        if prop.key == DIGEST:
            prop.value = digest_of(proto)
    agreed = compared(proto.SerializeToString(), inspector, pictures)
    assert not agreed.holds
    assert agreed.worst > 1e-3


def test_what_is_no_file_of_ours_is_refused(one):
    inspector, content, pictures = one
    for broken in (b"", b"no graph", content[: len(content) // 2]):
        with pytest.raises(DataError):
            compared(broken, inspector, pictures)
    proto = onnx.load_model_from_string(content)
    del proto.metadata_props[:]
    with pytest.raises(DataError, match="fedad export did not write"):
        compared(proto.SerializeToString(), inspector, pictures)
    with pytest.raises(DataError, match="no picture to compare by"):
        compared(content, inspector, [])


def test_other_sites_count_in_the_sites_own_measure(knobs, tmp_path):
    """By the model of three sites, as a deployed run leaves it, and the site's own rows beside."""
    from fedad.datasets.base import open_dataset
    from fedad.embedders.embedder import Embedder
    from fedad.inspection.inspector import Inspector, Opened
    from fedad.judging.promise import promise
    from fedad.judging.thresholds import good_scores
    from fedad.partition import partition
    from fedad.round import learn
    from fedad.running.thresholds_file import limits_of

    for scoring in ("standardised", "own_first", "with_own", "nearest"):
        config = read(
            {**knobs, "score.scoring": scoring, "score.false-rejects": 0.4, "embedder.batch": 1}
        )
        sites = partition(open_dataset(config.data), config.data, seed=0)
        embed = Embedder(config.embedder)
        learned = learn(config, sites, embed)
        site = next(one for one in sites if one.name == "lyon")
        own = learned.local["lyon"].own
        good = good_scores(config, site, embed, learned.model, own)
        limits = limits_of({k: promise(v, config.score) for k, v in good.items()}, good, {})
        inspector = Inspector(Opened(config, learned.model, limits, "x", "lyon", own), embed)
        plan = plan_of(inspector, "bolt")
        assert (
            len(plan.groups)
            == {"standardised": 3, "own_first": 3, "with_own": 2, "nearest": 1}[scoring]
        )
        content = exported(embed.backbone, plan)
        pictures = own_pictures(inspector, "bolt", config_dir(config))
        agreed = compared(content, inspector, pictures)
        assert agreed.worst < 1e-5, scoring
        assert agreed.sites == 0
        if scoring == "standardised":
            assert {one.factor for one in plan.groups} != {1.0}


def config_dir(config):
    from pathlib import Path

    return Path(config.data.dir)


def test_what_a_graph_would_score_otherwise_is_not_exported(one):
    from dataclasses import replace

    inspector, _, _ = one
    with pytest.raises(ConfigError, match="the model judges bolt, hose"):
        plan_of(inspector, "")
    opened = inspector.opened
    for changes, words in (
        ({"score": replace(opened.config.score, scoring="q_of_n")}, "score.scoring = 'q_of_n'"),
        ({"embedder": replace(opened.config.embedder, fit="pad")}, "embedder.fit = 'pad'"),
        ({"data": replace(opened.config.data, roi="masks")}, "data.roi = 'masks'"),
    ):
        inspector.opened = opened._replace(config=replace(opened.config, **changes))
        with pytest.raises(ConfigError, match=words):
            plan_of(inspector, "bolt")
    inspector.opened = opened


def test_the_command_writes_only_what_agrees(models, fedad, plants, tmp_path, monkeypatch):
    out = tmp_path / "bolt.onnx"
    words = ("export", "--onnx", out, "--models", models, "--images", plants)
    code, err, said = fedad(*words, "--product", "bolt")
    assert code == 0, err
    assert "12 pictures" in said
    code, err, _ = fedad(*words, "--verify")
    assert code == 0, err
    broken = bytearray(out.read_bytes())
    (rows,) = (one for one in onnx.load(out).graph.initializer if one.name == "rows")
    broken[bytes(broken).index(rows.raw_data)] ^= 1
    out.write_bytes(broken)
    code, err, _ = fedad(*words, "--verify")
    assert code == 1
    assert "refused" in err
    monkeypatch.setattr(file, "RELATIVE", -1.0)
    code, err, _ = fedad(*words[:2], tmp_path / "other.onnx", *words[3:], "--product", "bolt")
    assert code == 1
    assert not (tmp_path / "other.onnx").exists()


def test_an_engine_gives_what_it_names(one):
    inspector, content, _ = one
    patches, score, site = Engine(content, 1)(np.full((64, 64, 3), 127, np.uint8))
    assert patches.shape == inspector.embed.shape[:2]
    assert score == pytest.approx(patches.max(), rel=1e-4)
    assert site == 0
    assert json.dumps(about(content))
