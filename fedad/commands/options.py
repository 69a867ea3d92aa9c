"""Options that several commands have."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Via(StrEnum):
    """How a run is run: by `flwr run`, or by the same apps in this process."""

    FLWR = "flwr"
    LOCAL = "local"


Overrides = Annotated[
    list[str] | None, typer.Option("-c", "--set", metavar="KEY=VALUE", help="Set one knob.")
]
Runs = Annotated[Path, typer.Option(help="Where run folders go.")]
ViaOption = Annotated[Via, typer.Option(help="The real thing, or the same in this process.")]
Layout = Annotated[
    str, typer.Option(help="Whose layout its folders have; auto finds out.", metavar="DATASET")
]
Keys = Annotated[Path, typer.Option("--keys", help="The folder of this machine's keys.")]
Superlink = Annotated[str, typer.Option(help="Its address, HOST:PORT.")]
Ledgers = Annotated[
    Path,
    typer.Argument(
        help="The site's ledgers: `ledger` in its node-config, or `ledger` below its output-dir."
    ),
]
Models = Annotated[
    Path, typer.Option("--models", help="A site's folder of models, or the folder that it is in.")
]
ModelName = Annotated[
    str, typer.Argument(help="The first letters of its name; the current model's if none.")
]
PolicyFile = Annotated[
    Path | None, typer.Option("--policy", help="The site's policy, whose gate it has to pass.")
]
NewGood = Annotated[
    Path | None, typer.Option("--good", help="Images of new good parts to set thresholds by.")
]
AsJson = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON object, and all else on standard error."),
]
Metrics = Annotated[
    Path | None,
    typer.Option(help="Also write metrics, for node_exporter's textfile collector: a .prom file."),
]
CacheFolder = Annotated[
    Path | None,
    typer.Option("--folder", help="`embedder.cache`, if that is another than this user's own."),
]
