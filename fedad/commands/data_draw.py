"""`fedad data draw`: the demo plants as folders of images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def data_draw(
    folder: Annotated[Path, typer.Argument(help="Where the demo plants go.")],
    seed: Annotated[int, typer.Option(help="Another seed draws other parts.")] = 0,
) -> None:
    """Draw the demo plants: three products at three plants, in AutoVI's layout."""
    from fedad.datasets.synthetic import synthetic
    from fedad.plumbing.console import say

    dataset = synthetic(folder, seed=seed)
    say(f"{len(dataset.samples)} images of {', '.join(dataset.categories)} in {folder}")
