"""The command line as a user meets it: answers in a second, and errors that say what to do."""

import json
import os
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.main import get_command

from fedad import commands
from fedad.banks.bank import Bank
from fedad.cli import app
from fedad.messages.file import load
from fedad.messages.file import save as save_payload
from tests.conftest import bank_of, save

FEDAD = (sys.executable, "-c", "from fedad.cli import main; main()")


@pytest.fixture
def own(plants, tmp_path):
    """A copy of the plants that a test may break."""
    return shutil.copytree(plants, tmp_path / "plants")


@pytest.fixture
def refused(fedad, overlay):
    """Run a configuration in process; it has to end with one line that names these words."""

    def run(*overrides, words):
        sets = [part for override in overrides for part in ("-c", override)]
        code, said, _ = fedad("run", overlay, "--via", "local", *sets)
        lines = [line for line in said.splitlines() if line.startswith("error: ")]
        assert code != 0
        assert len(lines) == 1
        assert "Traceback" not in said
        for word in words:
            assert str(word) in lines[0]

    return run


def test_the_version_is_that_of_the_package(fedad):
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    assert fedad("--version")[2].strip() == f"fedad {project['version']}"


def test_help_answers_in_under_a_second():
    began = time.perf_counter()
    done = subprocess.run(
        [*FEDAD, "--help"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert "demo" in done.stdout
    assert time.perf_counter() - began < 1


def test_every_command_is_the_file_of_its_name():
    """`fedad data check` is commands/data_check.py."""

    def words_of(command, *before):
        below = getattr(command, "commands", {})
        return [w for name, one in below.items() for w in words_of(one, *before, name)] or [before]

    shared = {"__init__", "options", "show"}
    files = {path.stem for path in Path(commands.__file__).parent.glob("*.py")} - shared
    assert sorted("_".join(words) for words in words_of(get_command(app))) == sorted(files)


def test_no_data_folder(refused, tmp_path):
    refused(
        f"data.dir={tmp_path / 'gone'}", words=[tmp_path / "gone", "no such folder", "data.dir"]
    )


def test_an_empty_category(refused, own):
    (own / "nut" / "train" / "good").mkdir(parents=True)
    refused(f"data.dir={own}", words=[own / "nut", "no image", "train/good"])


def test_a_truncated_png(refused, own):
    path = own / "bolt" / "train" / "good" / "0000.png"
    path.write_bytes(path.read_bytes()[:600])
    refused(f"data.dir={own}", words=["graz", path, "cut short"])


def test_a_mask_of_another_size_than_its_image(refused, own):
    path = own / "hose" / "ground_truth" / "blot" / "0000" / "0000.png"
    save(path, np.full((10, 20, 3), 255, np.uint8))
    refused(f"data.dir={own}", words=[path, "20 x 10", "72 x 60"])


def test_a_mask_value_that_the_config_does_not_list(refused, own):
    path = own / "hose" / "ground_truth" / "blot" / "0000" / "0000.png"
    save(path, np.full((60, 72, 3), 77, np.uint8))
    refused(f"data.dir={own}", words=[path, "77", "defects_config.json", "255"])


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("merge.aggregation=federated_corset", ["did you mean 'federated_coreset'?"]),
        ("embedder.backbone=wide_resnet50", ["did you mean 'wide_resnet50_2'?"]),
        ("coreset.local-ration=0.2", ["did you mean 'coreset.local-ratio'?"]),
        ("corset.local-ratio=0.2", ["did you mean 'coreset.local-ratio'?"]),
        ("coreset.local-ratio=2", ["coreset.local-ratio = 2", "less than or equal to 1"]),
        ("round.seed=x", ["round.seed = 'x'", "integer"]),
        ("embedder.layers=layer2,layer9", ["layer9", "layer4"]),
        ("data.partition=categories", ["data.partition", "'category'"]),
        ("bank.size=100000", ["bank.size = 100000", "192 rows", "local-ratio"]),
    ],
)
def test_a_wrong_knob_is_answered_with_the_right_one(refused, override, words):
    refused(override, words=words)


def test_a_weights_file_that_does_not_fit(refused, tmp_path):
    from safetensors.numpy import save_file

    path = tmp_path / "other.safetensors"
    save_file({"conv.weight": np.zeros((3, 3), np.float32)}, path)
    refused(
        f"embedder.weights={path}", words=[path, "does not fit test_resnet", "conv1", "missing"]
    )


def test_two_sites_with_different_fingerprints(fedad, plants, overlay, tmp_path):
    small = [part for key in _tiny(overlay) for part in ("-c", key)]
    for site, pool in (("graz", 3), ("lyon", 1)):
        code, _, _ = fedad(
            "bank",
            "build",
            plants,
            "--site",
            site,
            "--out",
            tmp_path / f"{site}.safetensors",
            *small,
            "-c",
            f"embedder.pool={pool}",
        )
        assert code == 0
    code, said, _ = fedad(
        "bank",
        "merge",
        tmp_path / "graz.safetensors",
        tmp_path / "lyon.safetensors",
        "--out",
        tmp_path / "bank.safetensors",
    )
    assert code != 0
    assert "graz and lyon do not mix (pool: 3 and 1)" in said
    assert said.count("\n") == 1


def test_a_bank_within_memory_that_does_not_suffice(fedad, plants, overlay, tmp_path):
    small = [part for key in _tiny(overlay) for part in ("-c", key)]
    out = tmp_path / "graz.safetensors"
    words = ["--site", "graz", "--out", out, "--memory", "0.01"]
    code, said, _ = fedad("bank", "build", plants, *words, *small)
    assert code != 0
    assert "coreset.memory-gb = 0.01: a bank of" in said
    assert said.count("\n") == 1
    assert not out.exists()


def _tiny(overlay):
    lines = overlay.read_text().splitlines()
    return [line.replace(" = ", "=", 1) for line in lines if line.startswith("embedder")]


def test_nan_in_an_upload(fedad, tmp_path):
    rows = np.ones((4, 3))
    rows[2, 1] = np.nan
    save_payload(tmp_path / "nan.safetensors", bank_of(rows, "lyon"))
    code, said, _ = fedad(
        "bank", "merge", tmp_path / "nan.safetensors", "--out", tmp_path / "bank.safetensors"
    )
    assert code != 0
    assert "nan.safetensors" in said
    assert "bank/rows holds NaN or infinity at [2, 1]" in said
    assert not (tmp_path / "bank.safetensors").exists()


def test_a_lie_about_images_that_is_carried_by_file_is_not_believed(fedad, tmp_path):
    for site, images in (("graz", 1), ("lyon", 10**9)):
        rows = np.random.default_rng(images).normal(size=(12, 3))
        save_payload(tmp_path / site, bank_of(rows, site, images=images))
    out = tmp_path / "bank.safetensors"
    code, said, _ = fedad("bank", "merge", tmp_path / "graz", tmp_path / "lyon", "--out", out)
    assert code == 0
    assert "warning: site lyon says that its 12 rows stand for 1,000,000,000 images" in said
    assert "graz says" not in said
    assert load(out, Bank).images.tolist() == [[1], [5]]  # 13 / .0444 patches, 64 an image


def test_an_explicit_bank_size_above_what_the_sites_uploaded(fedad, tmp_path):
    save_payload(tmp_path / "a.safetensors", bank_of(np.ones((4, 3)), "lyon"))
    code, said, _ = fedad(
        "bank",
        "merge",
        tmp_path / "a.safetensors",
        "--out",
        tmp_path / "b.safetensors",
        "-c",
        "bank.size=9",
    )
    assert code != 0
    assert "bank.size = 9" in said
    assert "4 rows" in said


def test_a_category_with_no_good_image_anywhere(refused, own):
    shutil.rmtree(own / "hose" / "train")
    refused(f"data.dir={own}", words=[own, "'hose'", "no good training image", "train/good"])


def test_a_site_folder_that_is_missing(fedad, tmp_path):
    code, said, _ = fedad(
        "bank", "build", tmp_path / "turin", "--site", "turin", "--out", tmp_path / "t.safetensors"
    )
    assert code != 0
    assert f"{tmp_path / 'turin'}: there is no such folder" in said


def test_a_bank_that_was_changed_or_cut(fedad, tmp_path):
    path = tmp_path / "bank.safetensors"
    save_payload(path, bank_of(np.arange(12).reshape(4, 3), "lyon"))
    whole = path.read_bytes()
    for broken in (whole[:-5], whole[:-3] + b"\x07" + whole[-2:], b"", b"not a bank"):
        path.write_bytes(broken)
        code, said, _ = fedad("bank", "info", path)
        assert code == 3
        assert f"{path}: not a whole" in said


def test_score_writes_the_maps_that_evaluation_reads(fedad, plants, knobs, overlay, tmp_path):
    code, _, _ = fedad("run", overlay, "--via", "local", "--runs", tmp_path / "runs")
    assert code == 0
    bank = tmp_path / "runs" / "latest" / "bank.safetensors"
    small = ["-c", "embedder.weights=random", "-c", "embedder.batch=4"]
    for form in ("npy", "png", "tiff"):
        maps = tmp_path / form
        code, _, said = fedad(
            "score", plants, "--bank", bank, "--maps", maps, "--format", form, *small
        )
        assert code == 0
        assert "24 maps" in said
    one = np.load(tmp_path / "npy" / "bolt" / "test" / "blot" / "0000.npy")
    with Image.open(tmp_path / "png" / "bolt" / "test" / "blot" / "0000.png") as image:
        levels = np.asarray(image).astype(float)
    with Image.open(tmp_path / "tiff" / "bolt" / "test" / "blot" / "0000.tiff") as image:
        np.testing.assert_array_equal(np.asarray(image), one)
    assert one.shape == levels.shape == (60, 72)
    full = json.loads((tmp_path / "png" / "maps.json").read_text())["scale"]["bolt"]
    low, high = full
    assert low == 0
    np.testing.assert_allclose(levels * high / 65535, np.minimum(one, high), atol=high / 65535)


def test_evaluate_reads_what_score_wrote(fedad, plants, overlay, tmp_path):
    fedad("run", overlay, "--via", "local", "--runs", tmp_path / "runs")
    bank = tmp_path / "runs" / "latest" / "bank.safetensors"
    small = ["-c", "embedder.weights=random", "-c", "embedder.batch=4"]
    maps, out = tmp_path / "maps", tmp_path / "out"
    fedad("score", plants, "--bank", bank, "--maps", maps, *small)
    words = ("evaluate", "--data", plants, "--maps", maps, "--out", out, "--replicates", 50)
    code, _, said = fedad(*words, "--limits", "0.05,0.3")
    assert code == 0
    assert "AUC-sPRO@0.05" in said
    official = json.loads((out / "bolt" / "metrics.json").read_text())
    assert set(official["localization"]["auc_spro"]) == {"0.05", "0.3"}
    code, _, said = fedad(*words, "--json", "--categories", "hose", "--mode", "official")
    assert set(json.loads(said)["categories"]) == {"hose"}
    (maps / "bolt" / "test" / "good" / "0000.npy").unlink()
    code, said, _ = fedad(*words)
    assert code == 3
    assert "0000.png has no anomaly map" in said
    code, said, _ = fedad(*words, "--limits", "5 %")
    assert code == 2
    assert "--limits 5 %" in said


def test_score_refuses_a_bank_of_another_network(fedad, plants, tmp_path, overlay):
    path = tmp_path / "bank.safetensors"
    save_payload(path, bank_of(np.ones((4, 3))))
    code, said, _ = fedad("score", plants, "--bank", path, "--maps", tmp_path / "maps")
    assert code != 0
    assert "embedder.backbone = 'tiny'" in said


def test_data_check_counts_and_finds_what_is_wrong(fedad, own, plants):
    code, _, said = fedad("data", "check", plants)
    assert code == 0
    assert "ready: " in said.splitlines()[-1]
    assert "licence" in said
    image = own / "bolt" / "test" / "blot" / "0000.png"
    image.write_bytes(image.read_bytes()[:300])
    mask = own / "hose" / "ground_truth" / "blot" / "0000"
    shutil.rmtree(mask)
    code, _, said = fedad("data", "check", own)
    assert code == 1
    assert str(image) in said
    assert "1 defective images have no mask" in said
    assert said.splitlines()[-1].startswith("not ready, first: ")


@pytest.mark.parametrize("command", ["run", "submit"])
def test_a_run_that_goes_on_takes_no_other_configuration(fedad, overlay, command):
    code, said, _ = fedad(command, overlay, "--resume", "runs/before")
    assert code == 2
    assert f"{overlay} and --resume runs/before: expected one of them" in said


def test_a_superlink_that_is_not_there_leaves_no_run_folder(fedad, tmp_path, monkeypatch):
    def flower(command, **how):
        return subprocess.CompletedProcess(command, 1, "", "Connection refused")

    (tmp_path / "runs" / "kept").mkdir(parents=True)
    monkeypatch.setattr(subprocess, "run", flower)
    code, said, _ = fedad("submit", "--superlink", "localhost:1")
    assert code != 0
    assert "Flower says: Connection refused" in said
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["kept"]


def test_unknown_words_of_the_command_line_are_answered(fedad):
    code, said, _ = fedad("rnu")
    assert code == 2
    assert "No such command" in said


def test_what_fedad_itself_does_wrong_is_one_line_and_a_file(fedad, monkeypatch, tmp_path):
    def fail(path):
        raise RuntimeError("a bug")

    monkeypatch.setattr("fedad.commands.bank_info.info_table", fail)
    code, said, _ = fedad("bank", "info", tmp_path)
    assert code == 70
    assert "RuntimeError: a bug" in said
    assert said.count("\n") == 1
    report = Path(said.rsplit(" ", 1)[1].strip())
    assert "Traceback" in report.read_text()


def test_a_folder_that_cannot_be_written_is_said(fedad, tmp_path):
    (tmp_path / "file").touch()
    for words in (
        ("certs", "file/keys", "--host", "localhost"),
        ("submit", "--runs", "file/runs"),
        ("data", "draw", "plants", "file/plants"),
    ):
        code, said, _ = fedad(*words)
        assert code == 3
        assert said.startswith("error: ")
        assert "file/" in said
        assert said.count("\n") == 1


def test_a_run_that_fails_under_flower_says_why_and_exits_with_its_code(overlay, own, tmp_path):
    path = own / "bolt" / "train" / "good" / "0000.png"
    path.write_bytes(path.read_bytes()[:600])
    done = subprocess.run(
        [*FEDAD, "run", overlay, "-c", f"data.dir={own}", "--runs", tmp_path / "runs"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ,
    )
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode != 0
    assert last.startswith("error: site graz: ")
    assert str(path) in last
    assert "Traceback" not in done.stderr


def test_a_bank_on_disk_is_the_bank_in_memory(tmp_path):
    bank = bank_of(np.random.default_rng(0).normal(size=(5, 3)), "lyon")
    save_payload(tmp_path / "b.safetensors", bank)
    again = load(tmp_path / "b.safetensors", Bank)
    np.testing.assert_array_equal(bank.rows, again.rows)
    assert bank.fingerprint == again.fingerprint
