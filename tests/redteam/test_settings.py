"""A hostile server turns every knob: no path of its choosing is opened, no bound is passed."""

from __future__ import annotations

import json
import re
import sys
from functools import partial
from pathlib import Path

import pytest
from flwr.app import ConfigRecord, Context, Message, RecordDict

from client_app.app import app
from client_app.site import node_of
from fedad import wire
from fedad.config import AT_THE_SITE, every_knob, read
from fedad.datasets.base import open_dataset
from fedad.deploy.site_folders import split
from fedad.embedders.patch_count import patches_of
from fedad.errors import FedadError
from fedad.partition import partition
from fedad.permits.settings import beyond, digest_of
from fedad.policy import Policy, audit_of, policy_for
from tests.conftest import LENIENT

pytestmark = pytest.mark.usefixtures("in_a_run")

KEY = "d" * 32
STRICT = """\
shallowest-layer = "layer3"
smallest-pool = 5
largest-local-ratio = 0.01
largest-rows-an-image = 5
smallest-group = 20
"""
# What a server asks for that wants pictures: each opens the way a little.
GREEDY = {
    "embedder.layers": ("layer0", "layer1", "layer2,layer1", "layer01", "../layer2", ""),
    "embedder.grid": ("layer0", "layer1"),
    "embedder.pool": (1, 2),
    "embedder.size": (1024, 4096, 10**6),
    "embedder.backbone": ("resnet18.a1_in1k", "vit_tiny_patch16_224"),
    "coreset.local-ratio": (0.5, 1.0),
    "coreset.selection": ("uniform",),
    "round.method": ("gaussian",),
    "data.dataset": ("synthetic",),
}
WORSE = {bool: (True,), int: (0, 1, 2**31, 2**62), float: (1e-9, 1.0, 1e9), str: ()}

_opened: list[str] = []


def _watch(event: str, args: tuple) -> None:
    if event in {"open", "os.mkdir", "os.remove", "os.rename", "os.scandir", "os.listdir"}:
        _opened.append(str(args[0]))


sys.addaudithook(_watch)  # it cannot be taken out again; it costs little


@pytest.fixture(scope="module")
def plant(config, tmp_path_factory) -> Path:
    """The folder of one factory's images."""
    sites = partition(open_dataset(config.data), config.data, seed=config.round.seed)
    return split(sites[:1], tmp_path_factory.mktemp("plant"))[0]


@pytest.fixture(params=["none", "default", "strict"])
def node(request, plant, factory, tmp_path):
    """node-config of a factory without a policy, with the defaults, and with a strict one."""
    made = factory("graz", plant, tmp_path / "own")
    del made["policy"]
    if request.param != "none":
        path = tmp_path / "policy.toml"
        path.write_text("" if request.param == "default" else STRICT)
        made["policy"] = str(path)
    return made


def policy_of(node) -> Policy:
    path = node.get("policy")
    return policy_for("", Path(path) if path else None, Path(node["output-dir"]))


def asked(node, run_config, kind: str) -> RecordDict:
    context = Context(
        run_id=1, node_id=1, node_config=node, state=RecordDict(), run_config=run_config
    )
    content = RecordDict({wire.RUN: ConfigRecord({"key": KEY, "round": 1})})
    return app(Message(content, 1, kind), context).content


def values(key: str, shipped, hostile: Path) -> list:
    """What a hostile server may say of a knob."""
    found = [*GREEDY.get(key, ()), *WORSE[type(shipped)]]
    if isinstance(shipped, str):
        found += [str(hostile), f"{hostile}/../{hostile.name}/bait", "\x1b]0;x\a", "a" * 10_000]
    return found


def test_every_knob_that_a_server_turns(node, tmp_path):
    hostile = tmp_path / "of-the-server"
    hostile.mkdir()
    (hostile / "bait").write_text("{}")
    shipped, policy = every_knob(), policy_of(node)
    own = {key: node.get(key.partition(".")[2], shipped[key]) for key in AT_THE_SITE}
    refused = taken = 0
    for key, usual in shipped.items():
        for value in values(key, usual, hostile):
            run_config = {**shipped, "data.dataset": "autovi", key: value}
            _opened.clear()
            try:
                made = node_of(Context(1, 1, node, RecordDict(), run_config)).config
            except FedadError:
                refused += 1
            else:
                taken += 1
                assert not [*beyond(policy, made, partial(patches_of, made))], (key, value)
                settled = made.flat()
                assert {knob: settled[knob] for knob in AT_THE_SITE} == own, (key, value)
                assert settled["data.dir"] == node["data-dir"], (key, value)
            assert not [path for path in _opened if str(hostile) in path], (key, value)
    assert (hostile / "bait").read_text() == "{}"
    assert refused > 100
    is_strict = policy.smallest_pool > 3  # stricter than what was asked for everywhere
    assert (taken == 0) if is_strict else (taken > 20)


def test_a_whole_answer_opens_no_path_of_the_servers(plant, factory, knobs, tmp_path):
    """From hello to the upload: what the server names is read, written and deleted nowhere."""
    hostile = tmp_path / "of-the-server"
    hostile.mkdir()
    (hostile / "feature.npy").write_bytes(b"0" * 5000)
    node = factory("graz", plant, tmp_path / "own")
    named = {"embedder.cache": str(hostile), "embedder.cache-gb": 1e-9, "data.dir": str(hostile)}
    named |= {"embedder.weights": str(hostile / "feature.npy"), "round.out": str(hostile)}
    _opened.clear()
    for kind in ("query", "train"):
        content = asked(node, {**knobs, **named}, kind)
        assert wire.REFUSAL not in content, content
    assert (hostile / "feature.npy").stat().st_size == 5000
    assert not [path for path in _opened if str(hostile) in path]
    assert [path.name for path in hostile.iterdir()] == ["feature.npy"]


@pytest.mark.parametrize(
    ("knob", "value", "line"),
    [
        ("embedder.layers", "layer1", "shallowest-layer"),
        ("embedder.layers", "layer2,layer0", "shallowest-layer"),
        ("embedder.grid", "layer1", "shallowest-layer"),
        ("embedder.pool", 1, "smallest-pool"),
        ("embedder.size", 416, "largest-size"),
        ("embedder.size", "64x416", "largest-size"),
        ("embedder.also", "64,512", "largest-size"),
        ("embedder.also", "256", "largest-untried-size"),
        ("embedder.pool", 5, "largest-untried-size"),
        ("embedder.layers", "layer2", "largest-untried-size"),
        ("coreset.local-ratio", 0.11, "largest-local-ratio"),
        ("data.images", 4, "smallest-group"),
        ("coreset.selection", "uniform", "selections"),
        ("round.method", "gaussian", "methods"),
        ("embedder.backbone", "resnet18.a1_in1k", "backbones"),
    ],
)
def test_what_the_defaults_refuse_is_noted(knob, value, line, plant, tmp_path):
    node = {"site": "graz", "data-dir": str(plant), "output-dir": str(tmp_path)}
    answer = asked(node, {"data.dataset": "autovi", knob: value}, "query")
    assert answer[wire.REFUSAL]["reason"] == line
    (noted,) = audit_of(tmp_path)
    assert noted["line"] == line
    assert f"{knob} = {value}" in noted["told"]


def test_what_no_decoder_was_tried_on_is_let_in_at_256_pixels():
    for knobs in ({"pool": 5}, {"layers": "layer3", "grid": "layer3"}, {"also": "192"}):
        made = {f"embedder.{name}": value for name, value in knobs.items()}
        small = read({**made, "embedder.size": 256, "coreset.local-ratio": 0.1})
        assert not [*beyond(Policy(), small, lambda: 1024)]
        ((line, _),) = beyond(Policy(), read(made), lambda: 2304)
        assert line == "largest-untried-size"
        assert not [*beyond(Policy(largest_untried_size=384), read(made), lambda: 2304)]
    assert not [*beyond(Policy(), read({}), lambda: 2304)]


def test_small_tiles_are_bound():
    made = read({"embedder.tile": 128, "embedder.overlap": 32})
    ((line, told),) = beyond(Policy(), made, partial(patches_of, made))
    assert line == "smallest-tile"
    assert "embedder.tile = 128: 256 or more is allowed, or 0" in told


@pytest.mark.parametrize("name", ["discriminator", "reconpatch"])
def test_steps_of_few_patches_are_bound(name):
    made = read({"round.method": name, f"{name}.batch": 255})
    allowed = Policy(methods=(name,))
    told = dict(beyond(allowed, made, lambda: 1024))
    assert told == {"smallest-batch": f"{name}.batch = 255: 256 or more is allowed"}
    assert not dict(beyond(allowed, read({"round.method": name}), lambda: 1024))


@pytest.mark.parametrize(
    "asks",
    [
        {"round.method": "ensemble", "ensemble.members": "discriminator"},
        {
            "round.method": "ensemble",
            "ensemble.members": "patchcore",
            "ensemble.head": "discriminator",
        },
        {"round.method": "experts", "experts.expert": "discriminator"},
    ],
)
def test_steps_of_few_patches_are_bound_in_methods_that_are_made_of_others(asks):
    name = asks["round.method"]
    allowed = Policy(methods=(name, "discriminator", "patchcore"))
    few = {**asks, f"{name}.least-images": 5, "discriminator.batch": 255}
    told = dict(beyond(allowed, read(few), lambda: 1024))
    assert told == {"smallest-batch": "discriminator.batch = 255: 256 or more is allowed"}
    assert not dict(beyond(allowed, read({**few, "discriminator.batch": 256}), lambda: 1024))


@pytest.mark.parametrize("name", ["feddymem", "gaussian", "reconpatch", "subspace"])
def test_methods_whose_uploads_tell_more_or_were_not_tried_are_refused(name):
    (told,) = beyond(Policy(), read({"round.method": name}), lambda: 1024)
    listed = f'"coded_patchcore", "discriminator", "patchcore", "{name}"'
    assert told == (
        "methods",
        f"round.method = {name}: allowed are coded_patchcore, discriminator, patchcore "
        f"(docs/policy.md says why); methods = [{listed}] in the site's policy lets it in",
    )


@pytest.mark.parametrize(
    ("asks", "needs"),
    [
        ({"round.method": "experts", "experts.least-images": 5}, ["experts"]),
        (
            {
                "round.method": "ensemble",
                "ensemble.members": "patchcore,gaussian,ast",
                "ensemble.least-images": 5,
                "gaussian.least-images": 5,
            },
            ["ensemble", "gaussian", "ast"],
        ),
    ],
)
def test_a_refusal_of_a_method_says_the_line_that_lets_it_in(asks, needs):
    made = read(asks)
    told = [why for line, why in beyond(Policy(), made, lambda: 1024) if line == "methods"]
    assert len(told) == len(needs)
    listed = {re.search(r"methods = (\[.*\]) in the site's policy", why)[1] for why in told}
    (line,) = listed
    assert json.loads(line) == [*Policy().methods, *needs]
    assert not [*beyond(Policy(methods=tuple(json.loads(line))), made, lambda: 1024)]


def test_rows_an_image_are_bound_whatever_the_share(plant, tmp_path):
    (tmp_path / "policy.toml").write_text("largest-size = 512")
    node = {"site": "graz", "data-dir": str(plant), "output-dir": str(tmp_path / "own")}
    asks = {"data.dataset": "autovi", "embedder.size": 512, "coreset.local-ratio": 0.1}
    answer = asked({**node, "policy": str(tmp_path / "policy.toml")}, asks, "query")
    assert answer[wire.REFUSAL]["reason"] == "largest-rows-an-image"
    assert "keep 410 rows an image, at most 110" in audit_of(tmp_path / "own")[0]["told"]


def test_an_exact_configuration_passes_and_no_other(plant, factory, knobs, tmp_path):
    wished = {**knobs, "embedder.pool": 1}
    policy = tmp_path / "exact.toml"
    policy.write_text(f'{LENIENT}configurations = ["{digest_of(read(wished))}"]')
    node = factory("graz", plant, tmp_path / "own", policy=str(policy))
    assert wire.REFUSAL not in asked(node, wished, "query")
    assert wire.REFUSAL not in asked(node, {**wished, "embedder.cache": "/elsewhere"}, "query")
    answer = asked(node, {**wished, "coreset.local-ratio": 0.2}, "query")
    assert answer[wire.REFUSAL]["reason"] == "configurations"
