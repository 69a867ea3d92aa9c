"""Every byte that a factory sends, well or unwell: no path, no file name, no text of an error."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from pathlib import Path

import pytest
from flwr.app import ArrayRecord
from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects

from client_app import app as client_module
from client_app import sealed
from fedad.config import read
from fedad.datasets.base import open_dataset
from fedad.deploy.site_folders import split
from fedad.errors import ConfigError, FedadError
from fedad.partition import partition
from server_app.local_grid import LocalGrid
from server_app.strategy import MethodStrategy
from tests.conftest import LENIENT, SITES

SECRET = "zebra"  # in every path and every file name of these factories
TELLING = (SECRET, ".png", ".safetensors", ".json", "Traceback", "No such file", "/tmp", "/root")


pytestmark = pytest.mark.usefixtures("in_a_run")


@pytest.fixture
def factories(config, tmp_path) -> Path:
    """A folder a site, with one broken image each, named as nothing that may travel."""
    root = tmp_path / SECRET
    sites = partition(open_dataset(config.data), config.data, seed=config.round.seed)
    for folder in split(sites, root):
        for number, image in enumerate(sorted(folder.glob("*/train/good/*.png"))):
            image.rename(image.with_name(f"{SECRET}-{number}.png"))
        (folder / "bolt" / "train" / "good" / f"{SECRET}-broken.png").write_bytes(b"no image")
    return root


def sent(root: Path, knobs, weighting: str = "n") -> bytes:
    """Run once over the factories, however it ends, and return every byte of their answers."""
    told: list[bytes] = []

    def recorder(message, context):
        answer = client_module.app(message, context)
        told.extend(one.deflate() for one in get_all_nested_objects(answer).values())
        told.append(repr(vars(answer.metadata)).encode())
        return answer

    settings = {**knobs, "data.dir": "", "data.skip-budget": 0.4, "score.replicates": 3}
    settings |= {"round.min-sites": 1, "merge.weighting": weighting}
    policy = root.parent / "policy.toml"
    policy.write_text(f"{LENIENT}coverage-a-day = 20\n")
    own = {k: knobs[f"embedder.{k}"] for k in ("weights", "batch", "threads", "cache")}
    nodes = [
        {
            **{"site": name, "data-dir": str(root / name), "output-dir": str(root / "out" / name)},
            **{"policy": str(policy), **own},
        }
        for name in SITES
    ]
    with contextlib.suppress(FedadError):
        MethodStrategy(read(settings)).start(LocalGrid(recorder, nodes, settings), ArrayRecord())
    assert len(told) >= len(SITES)
    return b"\n".join(told)


def check(content: bytes) -> None:
    assert [word for word in TELLING if word.encode() in content] == []


def test_of_a_round_that_goes_well_only_words_and_numbers_leave(factories, knobs, caplog):
    content = sent(factories, knobs, "coverage")
    check(content)
    for word in ("rows", "distances", "replicates", "train.format"):  # all stages were heard
        assert word.encode() in content
    assert f"{SECRET}-broken.png" in caplog.text  # and the site's own log names the file


def replaced(path: Path, content: bytes) -> None:
    """Another file of that name: the one that is there is shared with other tests."""
    path.unlink()
    path.write_bytes(content)


def _lost(root: Path, patch) -> None:
    shutil.rmtree(root / "lyon")


def _config(root: Path, patch) -> None:
    replaced(root / "lyon" / "hose" / "defects_config.json", SECRET.encode())


def _all_broken(root: Path, patch) -> None:
    for image in (root / "lyon").glob("*/t*/*/*.png"):
        replaced(image, b"no image")


def _masks(root: Path, patch) -> None:
    for mask in (root / "lyon").glob("*/ground_truth/*/*/*.png"):
        replaced(mask, b"no mask")


def _no_disk(root: Path, patch) -> None:
    (root / "out").mkdir()
    (root / "out" / "lyon").write_text("a file where the folder goes")


def _crash(root: Path, patch) -> None:
    def crashes(*args):
        raise RuntimeError(f"{root}/lyon/{SECRET}-7.png exploded")

    patch.setattr("client_app.work.learn", crashes)


def _gone_while_judging(root: Path, patch) -> None:
    from client_app import work

    judge = work.judge

    def vanishes(*args):
        shutil.rmtree(root / "lyon")
        return judge(*args)

    patch.setattr("client_app.work.judge", vanishes)


def _bad_field(root: Path, patch) -> None:
    """A site's app that would send more than is listed."""
    from client_app import work

    learn = work.learn

    def talkative(*args):
        content = learn(*args)
        content["metrics"][f"{SECRET}.png"] = 1
        return content

    patch.setattr("client_app.work.learn", talkative)


@pytest.mark.parametrize(
    "breaks",
    [_lost, _config, _all_broken, _masks, _no_disk, _crash, _gone_while_judging, _bad_field],
    ids=lambda breaks: breaks.__name__[1:],
)
def test_of_a_round_that_goes_wrong_no_word_of_it_leaves(
    breaks, factories, knobs, caplog, monkeypatch
):
    breaks(factories, monkeypatch)
    content = sent(factories, knobs)
    check(content)
    assert b"refusal" in content
    assert SECRET in caplog.text


def test_of_a_full_disk_the_site_reads_a_line_and_the_server_a_word(
    factories, knobs, caplog, monkeypatch
):
    def full(*args, **how):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("client_app.work.save", full)
    content = sent(factories, knobs)
    check(content)
    assert b"DataError" in content
    assert b"InternalError" not in content
    assert "(No space left on device): is the disk full?" in caplog.text
    assert "Traceback" not in caplog.text


def test_a_site_answers_about_so_many_banks_and_again_as_before(factories, knobs, monkeypatch):
    """Who could ask about any number of banks would learn where a site's images are."""
    assert b"refusal" not in sent(factories, knobs, "coverage")  # several times about one bank
    (path,) = (factories / "out" / "lyon").rglob("coverage-*")
    assert sealed.coverage_file(path.parent, path.stem.removeprefix("coverage-")) == path
    monkeypatch.setattr(sealed, "BANKS", 1)
    with pytest.raises(ConfigError, match="asked about 1 banks"):
        sealed.coverage_file(path.parent, "0" * 64)
    monkeypatch.setattr(sealed, "BANKS", 0)
    assert b"refusal" in sent(factories, knobs, "coverage")


def test_the_recorder_would_see_it(factories, knobs, monkeypatch):
    """Without the whitelist the talkative app's file name is found in what was sent."""
    _bad_field(factories, monkeypatch)
    monkeypatch.setattr("fedad.messages.envelope.check_fields", lambda content, fields, stage: None)
    assert SECRET.encode() in sent(factories, knobs)
