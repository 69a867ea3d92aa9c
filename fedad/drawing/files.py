"""The demo plants as files in AutoVI's layout: whatever of a plan is not on disk is drawn."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from fedad.drawing.part import Product
from fedad.drawing.plan import PRODUCTS, DrawingPlan, Shot, draw_image, shots
from fedad.plumbing.files import write_atomic
from fedad.plumbing.progress import track


def complete(root: Path, plan: DrawingPlan) -> None:
    """Draws every image and table that is missing below `root`.

    Two processes may do so at once: a file appears whole, and both write the same bytes.
    """
    planned = list(shots(plan))
    for product in PRODUCTS:
        _write_tables(root, product, [shot for shot in planned if shot.product is product], plan)
    missing = [shot for shot in planned if not all(file.exists() for file in _files(root, shot))]
    with ThreadPoolExecutor(os.cpu_count()) as pool, track("drawing", len(missing)) as progress:
        drawn = pool.map(lambda shot: _write_shot(root, shot, plan), missing)
        for done, _ in enumerate(drawn, start=1):
            progress(done)


def _write_tables(root: Path, product: Product, taken: Sequence[Shot], plan: DrawingPlan) -> None:
    config, sites = root / product.name / "defects_config.json", root / product.name / "sites.csv"
    if not config.exists():
        write_atomic(config, json.dumps(_saturations(product, plan.size), indent=1), flush=False)
    if not sites.exists():
        rows = sorted(f"{shot.file},{shot.plant.name}" for shot in taken)
        write_atomic(sites, "\n".join(["file,site", *rows, ""]), flush=False)


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


def _write_shot(root: Path, shot: Shot, plan: DrawingPlan) -> None:
    image, masks = draw_image(shot, seed=plan.seed, size=plan.size)
    *truth, file = _files(root, shot)
    for path, reading in zip(truth, shot.readings, strict=True):
        level = masks[reading] * np.uint8(shot.product.pixel_values[reading])
        write_atomic(path, _png(np.repeat(level[..., None], 3, axis=2)), flush=False)
    write_atomic(file, _png(image), flush=False)


def _png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)  # noise does not compress anyway
    return buffer.getvalue()
