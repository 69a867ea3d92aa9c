"""Docker's look at whether a process is well."""

import socket
import subprocess
import sys

import pytest

from fedad.deploy.health import check
from fedad.errors import ConfigError, DataError
from tests.operations.conftest import shown


def test_a_superlink_and_a_proxy_are_well_if_they_answer_as_they_should(keys):
    ca = str(keys / "server" / "ca.crt")
    with shown(keys / "server") as address:
        assert "/health answers 200" in check(["superlink", address, ca])
        assert "/ answers 403" in check(["proxy", address, ca])
    with pytest.raises(DataError, match="refused"):
        check(["supernode", address])


def test_a_supernode_is_well_if_it_takes_connections():
    with socket.create_server(("127.0.0.1", 0)) as there:
        address = f"127.0.0.1:{there.getsockname()[1]}"
        assert check(["supernode", address]) == f"{address} takes connections"


def test_what_starts_a_program_again_is_not_that_program(tmp_path):
    def process(number, *words):
        (tmp_path / number).mkdir()
        (tmp_path / number / "cmdline").write_bytes("\0".join(words).encode() + b"\0")

    process("1", "python", "/venv/bin/fedad", "supervise", "--", "flower-superexec", "--insecure")
    (tmp_path / "self").mkdir()
    with pytest.raises(DataError, match="flower-superexec: no such process"):
        check(["process", "flower-superexec"], tmp_path)
    process("7", "python", "/venv/bin/flower-superexec", "--insecure")
    assert check(["process", "flower-superexec"], tmp_path).endswith("runs as process 7")


def test_its_exit_code_is_what_docker_asks_for():
    def ended(*words):
        command = [sys.executable, "-m", "fedad.deploy.health", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    done = ended("process", "no-such-program")
    assert done.returncode == 1
    assert done.stderr == "no-such-program: no such process runs here\n"
    with pytest.raises(ConfigError, match="expected superlink, proxy, supernode or process"):
        check(["superlink"])
