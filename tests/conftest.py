"""Small plants and a small network, so that the whole path runs in seconds."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from PIL import Image

from fedad.banks.bank import Bank
from fedad.cli import main
from fedad.config import read
from fedad.types import Features, Fingerprint

# A busy machine makes no law of ours untrue.
settings.register_profile("fedad", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("fedad")

SIDE = 64
MARK = Fingerprint(
    "tiny", "0" * 64, "layer2,layer3", "layer2", 3, SIDE, "rgb", patches=64, threads=1, batch=4
)
SITES = ("graz", "lyon", "turin")


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory, monkeypatch):
    """No test reads or fills the user's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="module", autouse=True)
def _umask_of_the_module():
    """What a command set for its process, or a shell for this one, is not that of a module's
    fixtures: others may read what they make."""
    os.umask(0o022)


@pytest.fixture(autouse=True)
def _umask_of_the_test():
    """What a command sets for its process ends with the test."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def public_path() -> Iterator[Path]:
    """A folder that everybody may go to, as none of pytest's own: a session beside this one closes
    them again."""
    with TemporaryDirectory(prefix="fedad-test-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.fixture(scope="session")
def plants(tmp_path_factory) -> Path:
    """Two products at three sites in AutoVI's layout: striped parts, with a blot as defect."""
    root = tmp_path_factory.mktemp("plants")
    for category in ("bolt", "hose"):
        draw_category(root / category, category)
    return root


def draw_category(folder: Path, category: str, *, train: int = 2, test: int = 2) -> None:
    """`train` good, `test` good and `test` blotted images a site."""
    rows = ["file,site"]
    for number, site in enumerate(SITES):
        for split, defect, count in (
            ("train", "good", train),
            ("test", "good", test),
            ("test", "blot", test),
        ):
            for k in range(count):
                stem = f"{number * 10 + k:04d}"
                rng = np.random.default_rng([number, k, *map(ord, split + defect + category)])
                pixels, mask = _part(rng, number, blotted=defect == "blot")
                save(folder / split / defect / f"{stem}.png", pixels)
                if defect == "blot":
                    truth = folder / "ground_truth" / "blot" / stem
                    save(truth / "0000.png", np.repeat(mask[..., None], 3, 2))
                rows.append(f"{split}/{defect}/{stem}.png,{site}")
    (folder / "sites.csv").write_text("\n".join(rows) + "\n")
    entry = {
        "defect_name": "blot",
        "pixel_value": 255,
        "saturation_threshold": 0.5,
        "relative_saturation": True,
    }
    (folder / "defects_config.json").write_text(json.dumps([entry]))


def _part(rng: np.random.Generator, tone: int, *, blotted: bool) -> tuple[np.ndarray, np.ndarray]:
    stripes = 90 + 20 * tone + 40 * (np.arange(72) // 8 % 2)
    pixels = np.repeat(stripes[None, :, None], 60, 0) + rng.normal(0, 4, (60, 72, 3))
    mask = np.zeros((60, 72), np.uint8)
    if blotted:
        y, x = rng.integers(5, 35, 2)
        pixels[y : y + 16, x : x + 16] = rng.integers(0, 255, (16, 16, 3))
        mask[y : y + 16, x : x + 16] = 255
    return np.clip(pixels, 0, 255).astype(np.uint8), mask


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture(scope="session")
def knobs(plants, tmp_path_factory) -> dict[str, str | int | float]:
    """A run over `plants` with a random network of 0.5 million weights."""
    return {
        "data.dataset": "autovi",
        "data.dir": str(plants),
        "embedder.backbone": "test_resnet.r160_in1k",
        "embedder.weights": "random",
        "embedder.size": SIDE,
        "embedder.batch": 4,
        "embedder.threads": 1,
        "embedder.cache": str(tmp_path_factory.mktemp("features")),
        "coreset.local-ratio": 0.25,
    }


LENIENT = """\
backbones = ["test_resnet.r160_in1k"]
largest-local-ratio = 0.25
smallest-group = 1
runs-a-day = 100
methods = ["discriminator", "gaussian", "patchcore"]
"""


@pytest.fixture(scope="session")
def factory(knobs, tmp_path_factory):
    """The node-config of a factory that lets the small network's runs in, from its folders."""
    policy = tmp_path_factory.mktemp("policy") / "policy.toml"
    policy.write_text(LENIENT)
    own = {key: knobs[f"embedder.{key}"] for key in ("weights", "batch", "threads", "cache")}

    def node_config(site, data, output="", **more):
        paths = {"data-dir": str(data), "output-dir": str(output), "policy": str(policy)}
        return {"site": site, **paths, **own, **more}

    return node_config


@pytest.fixture(scope="session")
def config(knobs):
    return read(knobs)


@pytest.fixture
def fedad(capsys, monkeypatch, tmp_path):
    """Run `fedad ...` in this process: (exit code, what it said on stderr, on stdout)."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["fedad", *map(str, words)])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
        said = capsys.readouterr()
        return code, said.err, said.out

    return run


def bank_of(rows, site="lyon", category="bolt", *, images=1, mark=MARK) -> Bank:
    """A bank of one site and category with these rows."""
    rows = np.asarray(rows, np.float32)
    m = len(rows)
    return Bank(
        rows=rows,
        category=np.zeros(m, np.int32),
        site=np.zeros(m, np.int32),
        row=np.arange(m, dtype=np.int32),
        categories=(category,),
        sites=(site,),
        images=np.array([[images]], np.int64),
        patches=np.array([[images * 100]], np.int64),
        fingerprint=mark,
    )


def features_of(grid, categories=None) -> Features:
    """Features from any (B, h, w, D) array, all of one category unless told."""
    grid = np.asarray(grid, np.float32)
    names = tuple(f"image-{k}" for k in range(len(grid)))
    return Features(grid, tuple(categories or ["bolt"] * len(grid)), names, MARK)


@pytest.fixture
def in_a_run(monkeypatch):
    """Flower makes messages only inside a run."""
    from flwr.supercore.task_identity import TaskIdentity

    for part in ("run_id", "node_id", "task_id"):
        monkeypatch.setattr(TaskIdentity, f"_{part}", 1)


@pytest.fixture
def overlay(knobs, tmp_path):
    """`knobs` as a TOML file."""
    path = tmp_path / "tiny.toml"
    path.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in knobs.items()))
    return path
