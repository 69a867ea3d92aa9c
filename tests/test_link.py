"""Commands to a SuperLink, which Flower's program is given while it stands in a scratch folder."""

import asyncio
import json
import subprocess
import tomllib
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from flwr.common.constant import NOOP_ACCOUNT_NAME, NOOP_FLWR_AID
from flwr.supercore.constant import FLWR_IN_MEMORY_DB_NAME
from flwr.supercore.primitives.asymmetric import public_key_to_bytes
from flwr.superlink import main as flower

from fedad.deploy.certificates import make_keys
from fedad.deploy.link import NAME
from fedad.deploy.reach import Server
from fedad.deploy.register import register_all, unregister
from fedad.errors import DataError

ADDRESS = "localhost:1"


@pytest.fixture
def keys(tmp_path, monkeypatch):
    make_keys(tmp_path / "keys", hosts=("localhost",), sites=["graz", "lyon"], days=30)
    monkeypatch.chdir(tmp_path)
    return Path("keys/server")


@pytest.fixture
def superlink(monkeypatch):
    """Flower's own answers about the keys that it knows, without a process."""
    monkeypatch.setattr(flower, "get_ee_linkstate_db", lambda: FLWR_IN_MEMORY_DB_NAME)
    app = flower.create_app()

    async def posted(path, kind):
        there = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=there, base_url="http://superlink") as client:
            return await client.post(path, headers={"Content-Type": kind, "Accept": kind})

    def ask(server, path, *, kind):
        answer = asyncio.run(posted(path, kind))
        return answer.status_code, answer.content

    monkeypatch.setattr(Server, "ask", ask)
    return app.state.linkstate_factory.state()


@pytest.fixture
def given(monkeypatch):
    """What Flower's program is told, which knows every key already."""
    told, refusal = [], {"success": False, "error-message": "Public key already in use."}

    def program(command, **how):
        told.append(command[2:4])
        said = refusal if "register" in command else {"success": True}
        return subprocess.CompletedProcess(command, 0, json.dumps(said), "")

    monkeypatch.setattr(subprocess, "run", program)
    return told


def known(superlink, path, site):
    """The number of a key that the SuperLink is told of."""
    key = public_key_to_bytes(serialization.load_ssh_public_key(path.read_bytes()))
    node = superlink.create_node(NOOP_FLWR_AID, NOOP_ACCOUNT_NAME, key, 30.0, name=site)
    return str(node)


def test_keys_are_found_from_where_the_user_stands(keys, tmp_path, monkeypatch):
    """`fedad register keys/server`, as `fedad certs` prints it; so is the default of `--ca`."""
    given, said = [], json.dumps({"success": True, "node-id": 7})

    def program(command, cwd, **how):
        config = tomllib.loads((cwd / "flwr" / "config.toml").read_text())
        given.extend([command[3], config["superlink"][NAME]["root-certificates"]])
        return subprocess.CompletedProcess(command, 0, said, "")

    monkeypatch.setattr(subprocess, "run", program)
    assert register_all(keys, ADDRESS, ["lyon"]) == {"lyon": ("7", True)}
    server = tmp_path / "keys" / "server"
    assert given == [str(server / "sites" / "lyon.pub"), str(server / "ca.crt")]


def test_a_known_key_has_its_number_and_one_that_was_shut_out_is_said(keys, superlink, given):
    numbers = {
        site: known(superlink, keys / "sites" / f"{site}.pub", site) for site in ("graz", "lyon")
    }
    assert register_all(keys, ADDRESS, ()) == {site: (numbers[site], False) for site in numbers}
    superlink.delete_node(NOOP_FLWR_AID, int(numbers["lyon"]))
    with pytest.raises(DataError, match=r"lyon\.pub: this key was shut out for good"):
        register_all(keys, ADDRESS, ["lyon"])


def test_a_known_key_is_known_also_where_nobody_says_its_number(keys, given):
    assert register_all(keys, "127.0.0.1:1", ["lyon"]) == {"lyon": ("", False)}


def test_a_site_is_shut_out_by_its_name(keys, superlink, given, tmp_path):
    number = known(superlink, keys / "sites" / "lyon.pub", "lyon")
    assert unregister(keys, ADDRESS, "lyon") == number
    assert given == [["unregister", number]]
    with pytest.raises(DataError, match="graz: no such site may come: there are lyon"):
        unregister(keys, ADDRESS, "graz")
    make_keys(tmp_path / "other", hosts=("localhost",), sites=["lyon"], days=30)
    other = known(superlink, tmp_path / "other" / "lyon" / "node.pub", "lyon")
    with pytest.raises(DataError, match="lyon: it may come by several keys, name a number") as told:
        unregister(keys, ADDRESS, "lyon")
    assert f"{number} (keys/server/sites/lyon.pub)" in str(told.value)
    superlink.delete_node(NOOP_FLWR_AID, int(other))
    assert unregister(keys, ADDRESS, "lyon") == number


def test_a_number_is_taken_as_it_is(keys, given):
    assert unregister(keys, ADDRESS, "123") == "123"
    assert given == [["unregister", "123"]]
