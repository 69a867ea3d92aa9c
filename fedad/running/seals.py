"""What a site has sealed of its products in the runs that it still keeps, read by its own app."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fedad.dp.account import Draw
from fedad.errors import DataError


def seals(output: Path, product: str) -> Iterator[Draw]:
    """The draws of a product that are sealed below a site's own folder, and can be read."""
    from client_app.draws import drawn

    for path in sorted(output.glob("*/upload*.safetensors")):
        try:
            draw = drawn(path)
        except DataError:
            continue
        if draw and product in draw.receipt.images:
            yield draw
