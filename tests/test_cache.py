"""Cached features: shared by processes, never more than the limit and one file, never broken."""

import errno
import json
import multiprocessing
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL
import pytest
from safetensors.numpy import save

from fedad.config import EmbedderKnobs
from fedad.datasets.autovi import autovi
from fedad.embedders.cache import Cache, say_unusable
from fedad.embedders.embedder import Embedder
from fedad.images.remembered import KnownImages
from fedad.plumbing.compute import made_by
from tests.conftest import MARK

GRID = np.random.default_rng(0).normal(size=(4, 4, 8)).astype(np.float32)


def size_of(root: Path) -> int:
    sizes = []
    for path in root.rglob("*"):
        try:
            sizes.append(path.stat().st_size if "safetensors" in path.name else 0)
        except FileNotFoundError:
            continue
    return sum(sizes)


def use(root: Path, limit: int, seed: int) -> None:
    """What an embedder does: opens, which trims, and writes."""
    rng = np.random.default_rng(seed)
    for _ in range(60):
        cache = Cache(root, limit)
        cache.trim()
        for image in rng.integers(40, size=3):
            place = cache.place(MARK, bytes([image]))
            found = cache.get(place)
            assert found is None or np.array_equal(found, GRID)
            cache.put(place, GRID)


def test_processes_share_a_cache_that_never_outgrows_its_limit_by_more_than_a_file(tmp_path):
    cache = Cache(tmp_path, 10**9)
    cache.put(cache.place(MARK, b"one"), GRID)
    one = size_of(tmp_path)
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=use, args=(tmp_path, 10 * one, k)) for k in range(3)]
    for worker in workers:
        worker.start()
    largest = 0
    while any(worker.is_alive() for worker in workers):
        with cache._alone():  # or a file might be counted in two places
            largest = max(largest, size_of(tmp_path))
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    assert one < largest <= 10 * one


def test_a_file_that_vanishes_while_another_trims_is_no_error(tmp_path, monkeypatch):
    cache = Cache(tmp_path, 1)
    cache.put(cache.place(MARK, b"one"), GRID)
    stat = Path.stat

    def gone(self, **how):
        found = stat(self, **how)
        if self.suffix == ".safetensors":
            self.unlink(missing_ok=True)
        return found

    monkeypatch.setattr(Path, "stat", gone)
    cache.trim()
    assert not [*tmp_path.rglob("*.safetensors")]


def test_what_was_used_last_stays(tmp_path):
    cache = Cache(tmp_path, 10**9)
    places = [cache.place(MARK, bytes([k])) for k in range(4)]
    for place in places:
        cache.put(place, GRID)
    cache.get(places[0])
    small = Cache(tmp_path, int(3.5 * places[0].stat().st_size))
    small.put(small.place(MARK, b"five"), GRID)
    assert [place.exists() for place in places] == [True, False, False, True]


BAD = {
    "shape": save({"grid": GRID[:2]}),
    "no checksum": save({"grid": GRID}),
    "not finite": None,
    "turned bit": None,
    "cut short": None,
    "another type": save({"grid": GRID.astype(np.float64)}),
}


@pytest.mark.parametrize("harm", BAD)
def test_a_grid_that_is_not_what_was_cached_is_embedded_anew_and_said(
    harm, config, plants, tmp_path, caplog
):
    samples = autovi(plants).samples[:2]
    knobs = replace(config.embedder, cache=str(tmp_path))
    embed = Embedder(knobs)
    first = embed(samples)
    path = embed.cache.path(embed.fingerprint, samples[0].path)
    content = bytearray(path.read_bytes())
    if harm == "not finite":
        embed.cache.put(path, np.full_like(first.grid[0], np.nan))
    elif harm == "turned bit":
        content[-7] ^= 4
        path.write_bytes(content)
    elif harm == "cut short":
        path.write_bytes(content[:-9])
    else:
        path.write_bytes(BAD[harm])
    assert not caplog.messages
    np.testing.assert_array_equal(Embedder(knobs)(samples).grid, first.grid)
    (told,) = caplog.messages
    assert str(path) in told
    assert "embedded anew" in told
    np.testing.assert_array_equal(Embedder(knobs)(samples).grid, first.grid)
    assert len(caplog.messages) == 1


def test_a_whole_grid_of_another_shape_is_not_taken(config, plants, tmp_path, caplog):
    samples = autovi(plants).samples[:1]
    embed = Embedder(replace(config.embedder, cache=str(tmp_path)))
    first = embed(samples)
    embed.cache.put(embed.cache.path(embed.fingerprint, samples[0].path), first.grid[0, :3])
    np.testing.assert_array_equal(embed(samples).grid, first.grid)
    assert "expected (8, 8, " in caplog.text


def _full(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("harm", ["a file in its place", "full", "no home", "nobody's home"])
def test_a_cache_that_cannot_be_written_costs_time_and_is_said_once(  # noqa: PLR0917 - fixtures
    harm, config, plants, tmp_path, caplog, monkeypatch
):
    samples = autovi(plants).samples[:3]
    wanted = Embedder(replace(config.embedder, cache="off"))(samples).grid
    root = tmp_path / "cache"
    if harm == "a file in its place":
        root.write_text("")
    if harm == "full":
        monkeypatch.setattr("fedad.embedders.cache.write_atomic", _full)
    if harm == "no home":
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.setenv("HOME", "")
        monkeypatch.setattr("os.path.expanduser", lambda path: path)
    say_unusable.cache_clear()
    given = {"no home": "", "nobody's home": "~nobody-of-this-name/cache"}.get(harm, str(root))
    knobs = replace(config.embedder, cache=given)
    for _ in range(2):
        np.testing.assert_array_equal(Embedder(knobs)(samples).grid, wanted)
    (told,) = caplog.messages
    assert "cannot be written" in told
    assert "features are not kept" in told
    KnownImages.of(knobs).save()


def test_a_cache_that_may_only_be_read_is_read(config, plants, tmp_path, caplog, monkeypatch):
    samples = autovi(plants).samples[:3]
    knobs = replace(config.embedder, cache=str(tmp_path))
    kept = Embedder(knobs)(samples).grid

    def refused(*_, **__):
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), "of another user")

    say_unusable.cache_clear()
    monkeypatch.setattr("os.utime", refused)
    monkeypatch.setattr("fedad.embedders.cache.private_file", refused)
    embed = Embedder(knobs)
    embed._decoded = lambda samples, missing: iter(()) if not missing else pytest.fail("missed")
    np.testing.assert_array_equal(embed(samples).grid, kept)
    (told,) = caplog.messages
    assert "cannot be written" in told


@pytest.mark.parametrize("what", ["device", "numpy", "pillow", "timm", "torch"])
def test_features_of_another_machine_or_library_are_in_another_place(what, config, tmp_path):
    knobs = replace(config.embedder, cache=str(tmp_path))
    one = Embedder(knobs)
    told = made_by("cpu")
    assert all(told[name] in one.cache.made_with for name in told)
    other = replace(one.cache, made_with=one.cache.made_with.replace(told[what], "another"))
    assert other.folder(one.fingerprint) != one.cache.folder(one.fingerprint)


@pytest.mark.parametrize(
    "look",
    [
        [2, "", [["a"], "PNG", [9, 9], [], 8, 1, "", 255.0, ""]],
        [2, "", ["a", "PNG", "99", [], 8, 1, "", 255.0, ""]],
        [2, "", ["a", "PNG", [9, -9], [], 8, 1, "", 255.0, ""]],
        [2, "", ["a", "PNG", [9, 9], [[]], 8, 1, "", 255.0, ""]],
        [2, "", ["a", 3, [9, 9], [], 8, 1, "", 255.0, ""]],
        [2, "", ["a", "PNG", [9, 9], [], "8", 1, "", 255.0, ""]],
        [2, "", ["a", "PNG", [9, 9], [], 8, 0, "", 255.0, ""]],
        [2, "", ["a", "PNG", [9, 9], [], 8, 1, "", None, ""]],
        [2, "", ["a", "PNG", [9, 9], [], 8, 1, "", 255.0, 7]],
        [2, "", ["a", "PNG", [9, 9], []]],
        [2, 7, ["a", "PNG", [9, 9], [], 8, 1, "", 255.0, ""]],
        ["2", "", ["a", "PNG", [9, 9], [], 8, 1, "", 255.0, ""]],
        [1, "a", "PNG", [9, 9], []],
        7,
    ],
)
def test_what_is_remembered_of_no_image_is_forgotten(look, tmp_path):
    path = tmp_path / f"looks-{PIL.__version__}.jsonl"
    whole = [2, "", ["b", "PNG", [9, 9], ["flat"], 8, 1, "", 255.0, ""]]
    path.write_text(f"{json.dumps(look)}\n{json.dumps(whole)}\n")
    assert list(KnownImages.of(EmbedderKnobs(cache=str(tmp_path))).known) == ["b"]
