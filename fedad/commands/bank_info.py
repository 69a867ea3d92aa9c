"""`fedad bank info`: what the file of a bank, or of another model, holds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedad.commands.options import AsJson

if TYPE_CHECKING:
    from rich.table import Table


def bank_info(
    file: Annotated[
        Path, typer.Argument(help="A model's file, such as runs/latest/bank.safetensors.")
    ],
    as_json: AsJson = False,
) -> None:
    """What a bank file holds, and how its features were made."""
    from fedad.commands.show import show_json
    from fedad.plumbing.console import show

    if as_json:
        show_json(info(file))
        return
    show(info_table(file))


def info(path: Path) -> dict[str, Any]:
    """The same as `info_table`, as plain values.

    Raises:
        DataError: no such file, or no whole model.
    """
    from fedad.config import Config
    from fedad.methods.base import method_of
    from fedad.plumbing.backbones import licence_of
    from fedad.running.model_file import open_model

    config, model = open_model(Config(), path)
    return {
        "file": path,
        "method": config.round.method,
        "model": method_of(config).describe(model),
        "fingerprint": vars(model.fingerprint),
        "licence": licence_of(model.fingerprint.backbone),
    }


def info_table(path: Path) -> Table:
    """The method of a model's file, what the method says of the model, and its fingerprint.

    Raises:
        DataError: no such file, or no whole model.
    """
    from fedad.config import Config
    from fedad.methods.base import method_of
    from fedad.plumbing.backbones import licence_of
    from fedad.plumbing.console import add_row, table
    from fedad.running.model_file import open_model

    config, model = open_model(Config(), path)
    made = table(path, ("", ""), words=(0, 1))
    made.show_header = False
    add_row(made, "method", config.round.method)
    for name, value in method_of(config).describe(model).items():
        for row in _rows(name, value):
            add_row(made, *row)
    for name, value in vars(model.fingerprint).items():
        add_row(made, name, value)
    if licence := licence_of(model.fingerprint.backbone):
        add_row(made, "licence of the backbone", licence)
    return made


def _rows(name: str, value: Any) -> list[tuple[str, str]]:
    """A line for a plain value, or one a site."""
    words = name.replace("_", " ")
    if not isinstance(value, Mapping):
        return [(words, f"{value:,}" if isinstance(value, int) else str(value))]
    return [
        (f"{words.removesuffix(' by site')} of {site}", _listed(part))
        for site, part in value.items()
    ]


def _listed(part: Any) -> str:
    if not isinstance(part, Mapping):
        return str(part)
    return ", ".join(f"{name} {count}" for name, count in part.items())
