"""`fedad preflight` without a server: each thing that is wrong fails its own check, with a fix.

With a server, and one in another's place: tests/reliability/test_gates.py.
"""

import hashlib
import shutil
import socket
import sys

import pytest
from flwr.cli.build import build_fab_from_disk

from fedad.config import read
from fedad.deploy import checks, plant, site_checks
from fedad.deploy.certificates import make_keys
from fedad.deploy.guard import programs
from fedad.deploy.reach import split_address
from fedad.deploy.server_checks import server_checks
from fedad.errors import ConfigError
from fedad.plumbing import memory
from fedad.running.flower import app_digest, assemble
from tests.conftest import LENIENT

AWAY = {"server"}  # what fails while there is no server
APP = "3" * 64


@pytest.fixture
def keys(tmp_path):
    make_keys(tmp_path / "keys", hosts=("localhost",), sites=["lyon", "graz"], days=30)
    return tmp_path / "keys"


@pytest.fixture
def nobody():
    """An address where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def check(knobs, keys, plants, nobody, tmp_path):
    """The checks that fail at a site, or pass, by name."""
    config = read({**knobs, "data.dir": "", "embedder.cache": "off"})

    def run(data=plants, policy=None, *, passed=False, **changed):
        settings = read({**config.flat(), **changed})
        looked_at = site_checks.site_checks(
            settings, "lyon", keys / "lyon", data, tmp_path / "output", nobody, policy
        )
        return {one.name: one for one in looked_at if one.passed == passed}

    return run


@pytest.fixture(autouse=True)
def _app(monkeypatch, tmp_path):
    """It takes seconds to make this app and the guard's programs, for each look at a site."""
    monkeypatch.setattr(site_checks, "app_digest", lambda: APP)
    monkeypatch.setattr(site_checks, "programs", lambda **how: tmp_path / "programs")


def test_only_the_server_is_missing(check):
    failed = check()
    assert set(failed) == AWAY
    assert all(one.fix and one.told for one in failed.values())
    assert failed["server"].told.startswith("127.0.0.1:")


def test_keys_that_others_may_read_or_that_are_not_there(check, keys):
    (keys / "lyon" / "node.key").chmod(0o644)
    assert "others may read it" in check()["keys"].told
    (keys / "lyon" / "node.key").unlink()
    failed = check()
    assert "node.key: is not there" in failed["keys"].told
    assert "identity" in failed


def test_a_key_that_is_not_the_one_the_server_was_told(check, keys):
    shutil.copy(keys / "graz" / "node.pub", keys / "lyon" / "node.pub")
    assert "not of one pair" in check()["identity"].told


def test_the_key_of_another_site(check, keys):
    for path in (keys / "graz").iterdir():
        shutil.copy(path, keys / "lyon")
    assert "node.pub is the key of 'graz', and this is 'lyon'" in check()["identity"].told


def test_data_that_a_run_would_refuse(check, plants, tmp_path):
    own = shutil.copytree(plants, tmp_path / "own")
    for path in (own / "bolt" / "train" / "good").glob("*.png"):
        path.write_bytes(b"no image")
    assert "bolt" in check(own)["data"].told
    failed = check(tmp_path / "gone")
    assert failed["data"].told.startswith(str(tmp_path / "gone"))
    assert set(failed) == {*AWAY, "data"}


def test_a_policy_that_can_be_read_and_lists_this_app(check, tmp_path):
    path = tmp_path / "policy.toml"
    assert APP in check(passed=True)["policy"].told
    assert "cannot be read" in check(policy=path)["policy"].told
    path.write_text("appz = []")
    assert "no line 'appz'" in check(policy=path)["policy"].told
    path.write_text(f'apps = ["{"4" * 64}"]')
    assert APP in check(policy=path)["policy"].told
    path.write_text(f'apps = ["{APP}"]\nruns-a-day = 4')
    told = check(policy=path)["policy"].told
    assert "is refused (backbones: embedder.backbone = test_resnet" in told
    path.write_text(f'apps = ["{APP}"]\nruns-a-day = 4\n{LENIENT}'.replace("runs-a-day = 100", ""))
    told = check(policy=path, passed=True)["policy"].told
    assert told.startswith(f"{path} limits apps, runs-a-day")


@pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning")
def test_the_app_is_the_one_that_flower_would_bring(tmp_path):
    whole = build_fab_from_disk(assemble(tmp_path / "app"))
    assert app_digest() == hashlib.sha256(whole).hexdigest()


def test_a_guard_that_cannot_be_put_in_flowers_place(check, monkeypatch, tmp_path):
    monkeypatch.setattr(site_checks, "programs", programs)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    guard = tmp_path / "cache" / "fedad" / "guard"
    assert str(guard) in check(passed=True)["guard"].told
    assert not [*guard.glob("programs-*")]
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    assert "/no/such/python" in check()["guard"].told


def test_weights_that_are_not_there(check):
    failed = check(**{"embedder.weights": "/gone/weights.safetensors"})
    assert "/gone/weights.safetensors" in failed["weights"].told


def test_too_little_disk_and_memory(check, monkeypatch):
    usage = shutil.disk_usage("/")._replace(free=1000)
    monkeypatch.setattr(checks.shutil, "disk_usage", lambda path: usage)
    monkeypatch.setattr(plant, "available", lambda: 2**20)
    failed = check()
    assert set(failed) == {*AWAY, "disk", "memory"}
    assert "GB needed" in failed["memory"].told


def test_memory_is_what_the_container_may_have(monkeypatch):
    whole = memory.available()
    monkeypatch.setattr(memory, "_of_container", lambda: 2**20)
    assert memory.available() == 2**20 < whole


def test_a_server_without_a_superlink(keys, nobody, tmp_path):
    looked_at = list(server_checks(keys / "server", nobody, nobody, tmp_path))
    failed = {one.name for one in looked_at if not one.passed}
    assert failed == {"superlink", "proxy"}
    assert next(one.told for one in looked_at if one.name == "sites") == "2 keys: graz, lyon"
    (keys / "server" / "sites" / "lyon.known").unlink()  # as an older version's keys have none
    (told,) = (
        c for c in server_checks(keys / "server", nobody, nobody, tmp_path) if "known" in c.told
    )
    assert not told.passed
    make_keys(keys, hosts=(), sites=(), days=30)
    assert all(
        c.passed
        for c in server_checks(keys / "server", nobody, nobody, tmp_path)
        if c.name == "sites"
    )


def test_what_other_users_may_read_is_named_with_what_shuts_it(check, keys, tmp_path, nobody):
    (tmp_path / "output").mkdir()
    (tmp_path / "output").chmod(0o755)  # whatever the umask
    (keys / "server" / "ca.crt").chmod(0o644)
    assert check()["modes"].told.startswith(f"{tmp_path / 'output'}: mode 0755, which lets other")
    assert check()["modes"].fix == f"chmod -R go= {tmp_path / 'output'}"
    looked_at = server_checks(keys / "server", nobody, nobody, tmp_path / "output")
    failed = [
        one.told.partition(":")[0] for one in looked_at if one.name == "modes" and not one.passed
    ]
    assert failed == [str(keys / "server" / "ca.crt"), str(tmp_path / "output")]


@pytest.mark.parametrize(
    "address",
    [
        "localhost",
        "localhost:",
        ":80",
        "localhost:0",
        "a:b",
        "a..b:8443",
        "a:²",
        f"{'a' * 64}:8443",
    ],
)
def test_an_address_has_a_host_and_a_port(address):
    with pytest.raises(ConfigError, match="expected HOST:PORT"):
        split_address(address)
    assert split_address("[::1]:8443") == ("::1", 8443)
