"""`fedad model export`: a model that a site keeps, as one file to carry."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fedad.commands.options import AsJson, Models


def model_export(
    name: Annotated[
        str, typer.Argument(help="The first letters of its name; `current` is the one that judges.")
    ],
    out: Annotated[Path, typer.Argument(help="The file, such as model.fedad.")],
    models: Models = Path("models"),
    keys: Annotated[
        Path | None, typer.Option(help="The site's folder of keys: its own signs the file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a model as one file, without what is the site's own: rows, scores, images."""
    from fedad.commands.show import show_json
    from fedad.messages.file import checksum
    from fedad.models.archive import write_archive
    from fedad.models.kept import kept_named
    from fedad.models.signature import Signer
    from fedad.plumbing.console import say

    kept, signer = kept_named(models, name), Signer.at(keys) if keys else None
    write_archive(kept, out, signer)
    digest, whose = checksum(kept.model_file), signer.site if signer else ""
    if as_json:
        show_json({"file": out, "model": kept.name, "sha256": digest, "signed": whose})
        return
    told = f"signed by {whose}" if whose else "not signed: --keys names the site's folder of keys"
    say(f"model {kept.name}, {digest[:16]}, in {out}, {told}")
