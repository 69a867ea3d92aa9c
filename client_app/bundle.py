"""Whether an app is the one that a server's words about it name.

Flower loads an app from the folder that its id, version and hash add up to, as the server gives
them: other words load other code than was unpacked.
"""

from __future__ import annotations

import hashlib
import io
import re
import stat
import unicodedata
import zipfile
import zlib
from pathlib import PurePosixPath
from typing import NamedTuple

from fedad.plumbing.parse import from_toml

LARGEST = 10 * 2**20  # bytes; Flower's own limit
LARGEST_UNPACKED = 100 * 2**20
MOST_FILES = 10_000
PROJECT, LARGEST_PROJECT = "pyproject.toml", 2**20
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}/[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
VERSION = re.compile(r"[A-Za-z0-9]+([.+_-][A-Za-z0-9]+){0,15}")  # no two dots, no slash
LONGEST_VERSION = 64


class Named(NamedTuple):
    """An app in the words of a server."""

    id: str
    version: str
    hashes: tuple[str, ...]  # of the run and of the app, which are one


def check(app: bytes, named: Named) -> None:
    """Hold an app's bytes against the words about it.

    Raises:
        ValueError: what is wrong, in one line; nothing of the app was unpacked.
    """
    digest = hashlib.sha256(app).hexdigest()
    for said in named.hashes:
        if said != digest:
            raise ValueError(f"the hash that the server names is {_shown(said)}")
    if not ID.fullmatch(named.id):
        raise ValueError(f"the id that the server names is {_shown(named.id)}: no publisher/name")
    if not VERSION.fullmatch(named.version) or len(named.version) > LONGEST_VERSION:
        raise ValueError(f"the version that the server names is {_shown(named.version)}")
    if len(app) > LARGEST:
        raise ValueError(f"{len(app)} bytes, at most {LARGEST}")
    own = _own_names(app)
    for what, said, is_ in zip(("id", "version"), named[:2], own, strict=True):
        if said != is_:
            raise ValueError(
                f"the {what} that the server names is {_shown(said)}, its own {_shown(is_)}"
            )


def _own_names(app: bytes) -> tuple[str, str]:
    """The id and version in an app's pyproject.toml, after a look at all its files."""
    try:
        with zipfile.ZipFile(io.BytesIO(app)) as bundle:
            _check_files(bundle.infolist())
            if bundle.getinfo(PROJECT).file_size > LARGEST_PROJECT:
                raise ValueError(f"{PROJECT} has more than {LARGEST_PROJECT} bytes")
            text = bundle.read(PROJECT)
    except KeyError as error:
        raise ValueError(f"there is no {PROJECT}") from error
    except (zipfile.BadZipFile, RuntimeError, EOFError, OSError, zlib.error) as error:
        raise ValueError(f"not an app that can be unpacked ({type(error).__name__})") from error
    try:
        project = from_toml(text)
    except ValueError as error:
        raise ValueError(f"its {PROJECT} is not TOML ({error!a:.200})") from error
    try:
        publisher, own = project["tool"]["flwr"]["app"]["publisher"], project["project"]
        return f"{publisher}/{own['name']}", f"{own['version']}"
    except (KeyError, TypeError) as error:
        raise ValueError(f"its {PROJECT} has no name, version or publisher") from error


def _check_files(files: list[zipfile.ZipInfo]) -> None:
    """That each file goes into the app's folder, is a file, and is there once."""
    if len(files) > MOST_FILES:
        raise ValueError(f"{len(files)} files, at most {MOST_FILES}")
    if (size := sum(file.file_size for file in files)) > LARGEST_UNPACKED:
        raise ValueError(f"{size} bytes when unpacked, at most {LARGEST_UNPACKED}")
    there, above = set[str](), set[str]()
    for file in files:
        name = file.orig_filename  # as it stands in the app: `filename` is cut at a zero byte
        if not name.isprintable() or "\\" in name or ":" in name:
            raise ValueError(f"a file that is called {_shown(name)}")
        if {*name.removesuffix("/").split("/")} & {"", ".", ".."}:
            raise ValueError(f"a file outside the app's folder: {_shown(name)}")
        kind = stat.S_IFMT(file.external_attr >> 16)
        if kind not in (0, stat.S_IFDIR if file.is_dir() else stat.S_IFREG):
            raise ValueError(f"a link or device: {_shown(name)}")
        path = PurePosixPath(unicodedata.normalize("NFKC", name).casefold())
        if str(path) in there:
            raise ValueError(f"a file that is there twice: {_shown(name)}")
        if not file.is_dir():
            there.add(str(path))
        above |= {str(one) for one in path.parents}
    if both := there & above:
        raise ValueError(f"a file that is a folder too: {_shown(min(both))}")


def _shown(text: object) -> str:
    """What a stranger wrote, short and without control bytes."""
    return ascii(str(text)[:80])
