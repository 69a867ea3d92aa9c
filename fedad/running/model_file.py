"""A model's file -> the model, and the configuration that scores with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from fedad.banks.bank import Bank
from fedad.banks.measured import measures_of
from fedad.config import Config
from fedad.descriptors.settings import embedded, table_of
from fedad.embedders.box import knobs_named
from fedad.embedders.embedder import Embedder
from fedad.errors import DataError, MismatchError
from fedad.images.reading import as_text, remembered
from fedad.messages.file import METHOD, READING, about, load
from fedad.methods.base import method_of
from fedad.types import Fingerprint

UNSAID = "patchcore"  # the method of files that were written before methods had names in them


def open_model(config: Config, path: Path) -> tuple[Config, Any]:
    """The model in a file, and `config` with the method and the embedding that it is of, and with
    files read as those that it was made from, as far as `config` says nothing else.

    Raises:
        DataError: no such file, or not a whole model: the message names it.
        ConfigError: there is no such method here.
        MismatchError: its features are described in words that this version does not know.
    """
    if not path.is_file():
        raise DataError(f"{path}: there is no such file, expected a model (.safetensors)")
    told = about(path)
    name = told.get(METHOD, UNSAID)
    config = replace(config, round=replace(config.round, method=name))
    try:
        config = replace(config, data=remembered(config.data, told.get(READING, "")))
    except ValueError as error:
        raise DataError(f"{path}: how its images were read: {error}") from error
    model = load(path, method_of(config).rounds[-1].model)
    try:
        table_of(model.fingerprint)
    except MismatchError as error:
        raise MismatchError(f"{path}: its model is of {error}") from error
    if isinstance(model, Bank):
        try:
            measures_of(model)
        except MismatchError as error:
            raise MismatchError(f"{path}: {error}") from error
    return embedding_of(config, model.fingerprint, path), model


def embedding_of(config: Config, mark: Fingerprint, path: Path) -> Config:
    """`config` with the embedding that a fingerprint in a file names.

    Raises:
        DataError: there is none of its size here.
    """
    try:
        size = knobs_named(mark.size)
    except DataError as error:
        raise DataError(f"{path}: its model is of {error}") from error
    embedder = replace(
        config.embedder,
        backbone=mark.backbone,
        layers=mark.layers,
        grid=mark.grid,
        pool=mark.pool,
        **size,
    )
    return replace(config, embedder=embedder)


def read_notes(before: Config, after: Config) -> list[str]:
    """What to say of how files are read, where the model says more than the user did."""
    if before.data == after.data:
        return []
    return [f"files are read as those that the model was made from: {as_text(after.data)}"]


def as_read(config: Config) -> dict[str, str]:
    """What a model's file says of how files were read; nothing where it was as usual."""
    told = as_text(config.data)
    return {READING: told} if told else {}


def embedder_of(config: Config, model: Any, path: Path) -> Embedder:
    """What embeds images as those that the model in a file was made from.

    Raises:
        MismatchError: this machine's network does so otherwise.
    """
    embed = Embedder(config.embedder)
    if differing := embedded(model.fingerprint).differences(embed.fingerprint):
        raise MismatchError(
            f"{path}: the model and this embedder differ ({'; '.join(differing)}): "
            "set embedder.weights to the file that the model was made with"
        )
    return embed
