"""What a site answers, on its own disk before it is sent: asked again, it gives the same bytes.

    <output-dir>/<run>/contents.json         which images the run began with, by digest
    <output-dir>/<run>/own.safetensors       what the site keeps to itself; own-2 in round 2
    <output-dir>/<run>/upload.safetensors    its answer to "train"; upload-2 to "train-2"
    <output-dir>/<run>/receipt.json          what its release did; receipt-2 in round 2
    <output-dir>/<run>/coverage-*.safetensors  its answers to "coverage", one a bank
    <output-dir>/<run>/findings.safetensors  its answer to "evaluate"

Flower delivers an answer at most once, and a killed server or site asks again; `<run>` is the key
that the server's journal gives to a run, and stays when the run is resumed.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Sequence
from logging import INFO, WARNING
from pathlib import Path

from flwr.app import Message, RecordDict
from flwr.supercore import log

from fedad import wire
from fedad.config import Config
from fedad.errors import ConfigError, DataError
from fedad.messages.file import LISTING, about, load
from fedad.messages.payload import Payload
from fedad.methods.base import Round
from fedad.plumbing.shown import for_log

FINDINGS = "findings.safetensors"
KEY = re.compile(r"[0-9a-f]{32}")
KEPT = 10  # runs of which a site keeps its files
BANKS = 10  # whose coverage one run may ask for: `covering.cover` takes five, resumed once as many


def run_folder(folder: Path, message: Message) -> Path:
    """The folder, in a site's own, of the run that a request belongs to."""
    return folder / run_key(message)


def run_key(message: Message) -> str:
    """The run that a request belongs to.

    Raises:
        ConfigError: the request does not say which run, or in another form.
    """
    records = message.content.config_records
    key = str(records[wire.RUN].get("key", "")) if wire.RUN in records else ""
    if not KEY.fullmatch(key):
        raise ConfigError(f"the request names the run {key!r}, expected 32 hexadecimal digits")
    return key


def round_of(message: Message, rounds: int) -> int:
    """The number of the round that a request belongs to.

    Raises:
        ConfigError: there is no such round.
    """
    number = message.content.config_records[wire.RUN].get("round", 1)
    if type(number) is not int or not 1 <= number <= rounds:
        raise ConfigError(f"the request is of round {number!r}, expected 1 to {rounds}")
    return number


def in_round(folder: Path, name: str, number: int) -> Path:
    """A file of a run's folder in a round, such as `own.safetensors` and `own-2.safetensors`."""
    stem, _, ending = name.partition(".")
    return folder / (name if number == 1 else f"{stem}-{number}.{ending}")


def last_own(folder: Path, rounds: Sequence[Round], until: int) -> tuple[Payload | None, str]:
    """What the site keeps of the newest round up to `until`, with the digest of the images that it
    was learned from; None and nothing if there is none."""
    for number in range(until, 0, -1):
        if (path := in_round(folder, "own.safetensors", number)).exists():
            return load(path, rounds[number - 1].upload), about(path).get(LISTING, "")
    return None, ""


def once(
    path: Path,
    made_of: str,
    make: Callable[[], RecordDict],
    permit: Callable[[str], None] = lambda made_of: None,
) -> RecordDict:
    """The answer sealed at `path`; at the first time what `make` gives, sealed before it is sent.

    Args:
        made_of: all that the answer depends on, as `mark` gives it.
        permit: whether it may be made; it is not asked of what is sealed already.

    Raises:
        PolicyError: `permit` says no.
        ConfigError: the same run asks for something else than before.
        DataError: the site's disk is full or cannot be written.
    """
    if path.exists():
        try:
            content, about = wire.load(path)
        except DataError as error:
            log(WARNING, "%s: it is made anew", for_log(error))
        else:
            if about["made-of"] != made_of:
                raise ConfigError(f"{path}: the same run has asked for something else before")
            log(INFO, "sent as sealed before")
            return content
    permit(made_of)
    content = make()
    try:
        wire.save(path, content, **{"made-of": made_of})
    except OSError as error:
        told = f"{path}: cannot be written ({error.strerror}): is the disk full?"
        raise DataError(told) from error
    log(INFO, "sealed %s", path.name)
    return content


def coverage_file(folder: Path, made_of: str) -> Path:
    """Where the answer about one bank is sealed, named by what it is made of.

    Raises:
        ConfigError: the run has asked about many banks: distances to any number of them would tell
            where the site's images are.
    """
    path = folder / f"coverage-{made_of[:16]}.safetensors"
    if not path.exists() and len(list(folder.glob("coverage-*.safetensors"))) >= BANKS:
        raise ConfigError(f"{folder}: the run has asked about {BANKS} banks, which is enough")
    return path


def mark(config: Config, asked: RecordDict) -> str:
    """A sha256 over the knobs that results depend on and over what came with the request."""
    digest = hashlib.sha256(json.dumps(config.essence(), sort_keys=True).encode())
    for name, record in sorted(asked.array_records.items()):
        for key, array in sorted(record.items()):
            digest.update(f"{name}/{key} {array.shape} {array.dtype}".encode())
            digest.update(array.data)
    for name, value in sorted(asked.config_records.get("header", {}).items()):
        digest.update(f"header/{name} {value!r}".encode())
    return digest.hexdigest()


def forget_old(folder: Path) -> None:
    """Remove what a site keeps of runs before the last ten."""
    runs = [path for path in folder.iterdir() if KEY.fullmatch(path.name)]
    for path in sorted(runs, key=lambda path: path.stat().st_mtime)[:-KEPT]:
        shutil.rmtree(path, ignore_errors=True)
