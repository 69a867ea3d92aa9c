"""`fedad bank build`: at a plant without a network, the bank that it carries to the server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fedad.commands.options import AsJson, Layout, Overrides


def bank_build(  # noqa: PLR0917 - options, which are named
    folder: Annotated[Path, typer.Argument(help="One plant's own folder of images, or an image.")],
    site: Annotated[str, typer.Option(help="The plant's name.")],
    out: Annotated[Path, typer.Option(help="The file that may leave the plant.")],
    dataset: Layout = "auto",
    memory: Annotated[
        float, typer.Option(min=0, help="GB that it may take; 0: as much as it likes.")
    ] = 0.0,
    models: Annotated[
        Path | None,
        typer.Option(
            help="Also keep it as a model that `fedad inspect` judges by, in this folder."
        ),
    ] = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """At a plant: its good images -> the bank that it would upload."""
    from fedad.commands.show import show_added, show_json
    from fedad.datasets.base import open_dataset
    from fedad.plumbing.console import say
    from fedad.plumbing.progress import Bars, shown_by
    from fedad.running.by_hand import build
    from fedad.running.overlay import read_config

    knobs = [f"data.dir={folder.absolute()}", f"data.dataset={dataset}", *(overrides or [])]
    if memory:
        knobs.append(f"coreset.memory-gb={memory}")
    config = read_config(None, knobs)
    found = open_dataset(config.data)
    say(*found.notes, *found.warnings, error=as_json)
    if models is not None:
        from fedad.models.by_hand import build_and_keep
        from fedad.models.gate import Gate
        from fedad.models.store import models_folder

        with shown_by(Bars()):
            added, rows = build_and_keep(config, site, out, models_folder(models), Gate())
        if not as_json:
            told = f"and as a model in {models}, which also has what never leaves"
            say(f"{rows} rows in {out}, {told}")
        show_added(added, as_json=as_json, file=out, rows=rows, models=models)
        return
    with shown_by(Bars()):
        bank = build(config, site, out)
    images = int(bank.images.sum())
    if as_json:
        show_json({"file": out, "rows": len(bank), "images": images, "sites": bank.sites})
        return
    say(f"{len(bank)} rows of {images} images in {out}")
