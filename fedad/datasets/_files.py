"""The demo plants as files in AutoVI's layout: whatever of a plan is not on disk is drawn."""

from __future__ import annotations

import io
import json
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from fedad.datasets._part import Product
from fedad.datasets._plan import PRODUCTS, Plan, Shot, draw_image, shots


def complete(root: Path, plan: Plan) -> None:
    """Draws every image and table that is missing below `root`.

    Two processes may do so at once: a file appears whole, and both write the same bytes.
    """
    planned = list(shots(plan))
    for product in PRODUCTS:
        _write_tables(root, product, [shot for shot in planned if shot.product is product], plan)
    missing = [shot for shot in planned if not all(file.exists() for file in _files(root, shot))]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda shot: _write_shot(root, shot, plan), missing))


def _write_tables(root: Path, product: Product, taken: Sequence[Shot], plan: Plan) -> None:
    config, sites = root / product.name / "defects_config.json", root / product.name / "sites.csv"
    if not config.exists():
        _put(config, json.dumps(_saturations(product, plan.size), indent=1).encode())
    if not sites.exists():
        rows = sorted(f"{shot.file},{shot.plant.name}" for shot in taken)
        _put(sites, "\n".join(["file,site", *rows, ""]).encode())


def _saturations(product: Product, size: int) -> list[dict[str, object]]:
    """The entries of `defects_config.json`: one a reading."""
    readings = [pair for defect in product.defects.values() for pair in defect.readings.items()]
    return [
        {
            "defect_name": name,
            "pixel_value": product.pixel_values[name],
            "saturation_threshold": reading.saturation(size).threshold,
            "relative_saturation": reading.relative,
        }
        for name, reading in readings
    ]


def _files(root: Path, shot: Shot) -> list[Path]:
    """The masks of an image, one a reading, and last the image itself."""
    folder = root / shot.product.name
    truth = folder / "ground_truth" / shot.defect / f"{shot.number:04d}"
    masks = [truth / f"{channel:04d}.png" for channel in range(len(shot.readings))]
    return [*masks, folder / shot.file]


def _write_shot(root: Path, shot: Shot, plan: Plan) -> None:
    image, masks = draw_image(shot, seed=plan.seed, size=plan.size)
    *truth, file = _files(root, shot)
    for path, reading in zip(truth, shot.readings, strict=True):
        level = masks[reading] * np.uint8(shot.product.pixel_values[reading])
        _put(path, _png(np.repeat(level[..., None], 3, axis=2)))
    _put(file, _png(image))


def _png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)  # noise does not compress anyway
    return buffer.getvalue()


def _put(path: Path, content: bytes) -> None:
    """Writes a file that nobody ever sees half written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}")
    part.write_bytes(content)
    part.replace(path)
