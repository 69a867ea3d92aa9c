"""A server in this process, by the model that a small plant has built."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field

import pytest
from PIL import Image
from starlette.testclient import TestClient

from fedad.config import read
from fedad.drift.rows import INSPECTED
from fedad.models.by_hand import build_and_keep
from fedad.models.gate import Gate
from fedad.serving.access import Access
from fedad.serving.app import app_of
from fedad.serving.server import Settings, serving_of
from fedad.serving.state import Serving
from tests.inspection.conftest import models, settings  # noqa: F401 - fixtures of its plant

HERE = "http://127.0.0.1:8400"


@dataclass
class Line:
    """A server, who asks it, and the lines that it logged."""

    serving: Serving
    client: TestClient
    lines: list[str] = field(default_factory=list)

    def inspect(self, path, product="bolt", **query):
        """The answer to a raw picture."""
        return self.client.post(
            "/v1/inspect",
            params={"product": product, "name": path.name, **query},
            content=path.read_bytes(),
            headers={"Content-Type": "image/png"},
        )


@pytest.fixture(scope="package")
def served(models):  # noqa: F811
    """A server of the plant's models that no test changes."""
    with serving(models) as line:
        yield line


@pytest.fixture
def own_models(models, tmp_path):  # noqa: F811
    """A copy of the models that a test may change."""
    return copied(models, tmp_path / "site" / "models")


def copied(models, to):  # noqa: F811
    """Models without what a server of theirs has judged."""
    return shutil.copytree(models, to, symlinks=True, ignore=shutil.ignore_patterns(INSPECTED))


@pytest.fixture
def own(own_models):
    """A server of models that a test may change."""
    with serving(own_models) as line:
        yield line


class serving:  # noqa: N801
    """A server for a while, with these settings."""

    def __init__(self, models, access=None, **settings):  # noqa: F811
        self.models, self.access, self.settings = models, access or Access(), settings

    def __enter__(self) -> Line:
        lines: list[str] = []
        settings = Settings(self.models, **self.settings)  # noqa: F811
        self.serving = serving_of(settings, self.models, self.access, lines.append)
        self.serving.start()
        app = app_of(self.serving, lines.append)
        client = TestClient(app, base_url=HERE, raise_server_exceptions=False)
        return Line(self.serving, client, lines)

    def __exit__(self, *_):
        self.serving.stop()


@pytest.fixture(scope="package")
def unlike(plants, tmp_path_factory):
    """Two products that look otherwise: striped bolts, and discs whose stripes lie."""
    root = tmp_path_factory.mktemp("unlike")
    shutil.copytree(plants / "bolt", root / "bolt")
    shutil.copytree(plants / "bolt", root / "disc")
    for path in (root / "disc").rglob("*.png"):
        with Image.open(path) as image:
            image.transpose(Image.Transpose.ROTATE_90).save(path)
    return root


@pytest.fixture(scope="package")
def told_apart(unlike, settings, tmp_path_factory):  # noqa: F811
    """The models of a plant that makes both."""
    config = read({**settings.flat(), "data.dir": str(unlike)})
    folder = tmp_path_factory.mktemp("both") / "models"
    added, _ = build_and_keep(config, "lyon", None, folder, Gate(false_rejects=1.0))
    assert added.is_current
    return folder


def pictures(plants, defect, product="bolt"):
    return sorted((plants / product / "test" / defect).iterdir())
