"""`fedad report`: one page of a run, a site or a comparison, plots and tables beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    folder: Annotated[
        Path, typer.Argument(help="A run's folder, a site's own folder, or a comparison's.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="The HTML file; report.html in the folder if not given.")
    ] = None,
) -> None:
    """Write one self-contained page, its plots as SVG and CSV, and tables for papers."""
    from fedad.plumbing.console import say
    from fedad.reporting.report import report as write

    path = write(folder, out)
    say(f"{path} ({path.stat().st_size / 1e6:.1f} MB); beside it plots/ and tables/")
