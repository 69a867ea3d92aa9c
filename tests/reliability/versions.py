"""The tree of the last tag beside this one: installed there, as another machine has it."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TAG = "v0.1.0"
PACKAGES = ("fedad", "server_app", "client_app", "pyproject.toml", "configs")
MAIN = "from fedad.cli import main; main()"


@dataclass(frozen=True)
class Version:
    """A fedad that a machine has installed."""

    name: str
    tree: Path

    @property
    def environment(self) -> dict[str, str]:
        """In which Python finds this fedad and no other."""
        return {"PYTHONPATH": str(self.tree)}

    def python(self, code: str, *words: object, code_expected: int = 0) -> str:
        """What a piece of code prints, run by this version; it ends with the exit code expected."""
        done = subprocess.run(
            [sys.executable, "-c", code, *map(str, words)],
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            check=False,
            cwd=self.tree,
        )
        assert done.returncode == code_expected, f"{self.name}: {done.stdout}{done.stderr}"
        return done.stdout

    def fedad(self, *words: object, code_expected: int = 0) -> str:
        """What a command of this version prints."""
        return self.python(MAIN, *words, code_expected=code_expected)

    def app(self) -> str:
        """The sha256 of the app that it brings to a run."""
        code = "from fedad.running.flower import app_digest; print(app_digest())"
        return self.python(code).strip()


def both_versions(folder: Path) -> tuple[Version, Version]:
    """The last tag, unpacked into a folder, and this tree; skips where a clone lacks the tag."""
    command = ["git", "-C", str(ROOT), "archive", TAG, *PACKAGES]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except OSError as error:
        pytest.skip(f"git is not here ({error.strerror}): the tree of {TAG} cannot be had")
    if done.returncode:
        told = done.stderr.decode(errors="replace").strip()
        pytest.skip(f"{TAG} is not in this clone ({told}): git fetch --tags")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as packed:
        packed.extractall(folder, filter="data")
    return Version(TAG, folder), Version("this tree", ROOT)
