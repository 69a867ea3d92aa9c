"""Commands to a SuperLink, which Flower's program is given while it stands in a scratch folder."""

import json
import subprocess
import tomllib
from pathlib import Path

from fedad.commands.submit import register_all
from fedad.deploy.certificates import make_keys
from fedad.deploy.link import NAME


def test_keys_are_found_from_where_the_user_stands(tmp_path, monkeypatch):
    """`fedad register keys/server`, as `fedad certs` prints it; so is the default of `--ca`."""
    make_keys(tmp_path / "keys", hosts=("localhost",), sites=["lyon"], days=30)
    monkeypatch.chdir(tmp_path)
    given, said = [], json.dumps({"success": True, "node-id": 7})

    def flower(command, cwd, **how):
        config = tomllib.loads((cwd / "flwr" / "config.toml").read_text())
        given.extend([command[3], config["superlink"][NAME]["root-certificates"]])
        return subprocess.CompletedProcess(command, 0, said, "")

    monkeypatch.setattr(subprocess, "run", flower)
    assert register_all(Path("keys/server"), "localhost:1", ()) == {"lyon": "7"}
    server = tmp_path / "keys" / "server"
    assert given == [str(server / "sites" / "lyon.pub"), str(server / "ca.crt")]
