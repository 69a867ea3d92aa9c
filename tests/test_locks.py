"""What is installed: each package at one version, each file by its hash, in CI and in the image."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = {
    "requirements.lock": ("compare", "demo", "privacy", "simulation", "test"),
    "docker/image.lock": ("demo",),
}
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def locked(text):
    """Package -> (version, its marker, number of hashes); every line has to be one of these."""
    found = {}
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        words, hashes = HASH.sub("", line).strip(), HASH.findall(line)
        wanted = Requirement(words)
        (pin,) = wanted.specifier
        assert pin.operator == "==", line
        assert not wanted.url, line
        assert hashes, f"{words}: no hash"
        found[canonicalize_name(wanted.name)] = (pin.version, wanted.marker, len(hashes))
    return found


def asked(extras):
    """All that pyproject.toml asks for with these extras, and what builds fedad itself."""
    lists = PROJECT["project"]["optional-dependencies"]
    words = [*PROJECT["project"]["dependencies"], *PROJECT["build-system"]["requires"]]
    return [Requirement(word) for word in (*words, *(w for e in extras for w in lists[e]))]


@pytest.fixture(params=LOCKS)
def lock(request):
    return locked((ROOT / request.param).read_text()), LOCKS[request.param]


def test_all_that_is_asked_for_is_in_the_lock_at_a_version_that_will_do(lock):
    there, extras = lock
    for wanted in asked(extras):
        version, marker, _ = there[canonicalize_name(wanted.name)]
        assert wanted.specifier.contains(version, prereleases=True), f"{wanted} and {version}"
        assert marker is None or marker.evaluate(), f"{wanted}: only where {marker}"


def test_both_locks_have_the_same_versions():
    whole, image = (locked((ROOT / name).read_text()) for name in LOCKS)
    assert set(image) < set(whole)
    assert {name: image[name][0] for name in image} == {name: whole[name][0] for name in image}
    assert not {"pytest", "ruff", "mypy", "bandit", "hypothesis", "ray"} & set(image)


@pytest.mark.parametrize(
    "line",
    [
        "numpy==2.4.6",
        "numpy>=2.0 --hash=sha256:" + "0" * 64,
        "numpy --hash=sha256:" + "0" * 64,
        "numpy @ https://example.org/numpy.whl --hash=sha256:" + "0" * 64,
        "numpy==2.4.6 --hash=md5:" + "0" * 32,
        "--index-url https://example.org",
        "-e .",
    ],
)
def test_a_line_that_would_let_anything_in_is_seen(line):
    with pytest.raises((AssertionError, ValueError)):
        locked(line)


def test_each_place_that_installs_does_so_by_the_lock_and_nothing_else():
    """Every `pip install` asks for hashes, or takes fedad alone, built with what is there."""
    for name, lock in (("Makefile", "requirements.lock"), ("docker/Dockerfile", "image.lock")):
        text = (ROOT / name).read_text().replace("\\\n", " ")
        installs = re.findall(r"pip install .*", text)
        assert len(installs) == 2, name
        by_lock, own = installs
        assert "--require-hashes" in by_lock
        assert lock in by_lock
        assert "--no-deps" in own
        assert "--no-build-isolation" in own
    assert "make test" in (ROOT / ".ci" / "run").read_text()
    assert "pip install" not in (ROOT / ".ci" / "run").read_text()
    assert "ARG LOCK=docker/image.lock" in (ROOT / "docker" / "Dockerfile").read_text()
    assert "!docker/*.lock" in (ROOT / ".dockerignore").read_text().splitlines()
