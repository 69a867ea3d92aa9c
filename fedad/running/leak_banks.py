"""The banks that an attack is meant for: one file, or what a run folder has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from fedad.banks.bank import Bank
from fedad.config import Config, read
from fedad.errors import ConfigError, DataError, UploadError
from fedad.messages.file import METHOD, about, load
from fedad.methods.base import method_of
from fedad.reporting.run_folder import BANK, MODEL, RECORD, read_record
from fedad.running.model_file import embedding_of

UPLOADS = "uploads"  # of a run folder: one file a site
MESSAGE = "content"  # what the header of a sealed answer has, and that of a bank has not


class Opened(NamedTuple):
    """A bank, and the file that it came from."""

    file: Path
    bank: Bank


def banks_of(place: Path) -> Iterator[Opened]:
    """The bank in a file; of a run folder its bank, then the upload of each site that is kept.

    A site's own `upload.safetensors`, as it is sealed before it is sent, is a file too.

    Raises:
        DataError: there is no bank: the message names what is there.
    """
    if not place.is_dir():
        yield Opened(place, _bank(place))
        return
    if not (place / BANK).is_file():
        raise DataError(f"{place}: {_instead(place)}")
    yield Opened(place / BANK, _bank(place / BANK))
    for file in sorted((place / UPLOADS).glob("*.safetensors")):
        yield Opened(file, _bank(file))


def as_in_the_run(config: Config, place: Path, chosen: set[str]) -> Config:
    """`config` with the weights that a run folder's record names, unless others were `chosen`."""
    key = "embedder.weights"
    if not (place / RECORD).is_file() or key in chosen:
        return config
    weights = str(read_record(place)["config"].get(key, config.embedder.weights))
    return read({**config.flat(), key: weights})


def with_embedding(config: Config, opened: Opened) -> Config:
    """`config` with the embedding that a bank's rows were made by."""
    return embedding_of(config, opened.bank.fingerprint, opened.file)


def as_embedded(opened: Opened) -> Bank:
    """The bank as if its rows were features: a public projection is no part of the network."""
    mark = replace(opened.bank.fingerprint, projection="")
    return opened.bank.replace(fingerprint=mark)


def _bank(file: Path) -> Bank:
    if not file.is_file():
        raise DataError(
            f"{file}: there is no such file or folder, expected a bank (.safetensors) or the "
            "folder of a run"
        )
    told = about(file)
    if MESSAGE in told:
        return _sealed(file)
    if (method := told.get(METHOD)) and not _sends_banks(method):
        raise ConfigError(
            f"{file}: a model of the method {method}, which has no rows of patches: these attacks "
            "are on banks"
        )
    return load(file, Bank)


def _sends_banks(method: str) -> bool:
    return method_of(read({"round.method": method})).rounds[-1].model is Bank


def _sealed(file: Path) -> Bank:
    """The bank in an answer that a site sealed."""
    from fedad import wire

    content, _ = wire.load(file)
    try:
        return wire.unpack(content, Bank)
    except UploadError as error:
        raise DataError(f"{file}: a sealed answer without a bank ({error})") from error


def _instead(place: Path) -> str:
    if (place / MODEL).is_file():
        return f"the run left {MODEL}, which is no bank: these attacks are on rows of patches"
    return f"no {BANK} in it: expected the folder of a finished run, or name a bank's file"
