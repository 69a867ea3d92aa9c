"""`fedad score`: a map and a score for every image of a folder."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fedad.commands.options import AsJson, Layout, Overrides


class Form(StrEnum):
    """How a map is written."""

    NPY = "npy"
    PNG = "png"
    TIFF = "tiff"


def score(  # noqa: PLR0917 - options, which are named
    folder: Annotated[
        Path, typer.Argument(help="A folder of images, one image, or a data set's test images.")
    ],
    bank_file: Annotated[Path, typer.Option("--bank", help="A bank.safetensors.")],
    maps: Annotated[Path, typer.Option("--maps", help="Where the anomaly maps go.")],
    form: Annotated[
        Form, typer.Option("--format", help="float32 NPY or TIFF, or 16-bit PNG.")
    ] = Form.NPY,
    dataset: Layout = "auto",
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Write the maps of images that `fedad evaluate` reads; for verdicts on parts use `inspect`."""
    from fedad.commands.show import show_json
    from fedad.plumbing.console import say
    from fedad.plumbing.progress import Bars, shown_by
    from fedad.running.maps import write_maps
    from fedad.running.overlay import read_config

    config = read_config(None, [f"data.dataset={dataset}", *(overrides or [])])
    with shown_by(Bars()):
        written = write_maps(config, folder.absolute(), bank_file, maps, form=form)
    if as_json:
        scores = maps / "scores.csv"
        show_json({"folder": maps, "scores": scores, "maps": written.maps, "notes": written.notes})
        return
    say(*written.notes)
    say(f"{written.maps} maps in {maps}, image scores in {maps / 'scores.csv'}")
