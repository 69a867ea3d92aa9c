"""A drawn set as files: whatever of a plan is not on disk is drawn."""

from __future__ import annotations

import io
import json
import os
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from fedad.drawing.drawn_set import DrawnSet
from fedad.drawing.part import Product
from fedad.drawing.plan import DrawingPlan, Shot, draw_image
from fedad.plumbing.files import write_atomic
from fedad.plumbing.progress import track

LICENCE = "Apache-2.0: drawn by fedad, no photograph in it"


def complete(root: Path, drawn: DrawnSet, plan: DrawingPlan) -> None:
    """Draws every image and table that is missing below `root`.

    Two processes may do so at once: a file appears whole, and both write the same bytes.
    """
    planned = list(drawn.shots(plan))
    if not (root / "LICENSE.txt").exists():
        write_atomic(root / "LICENSE.txt", f"{LICENCE}\n", flush=False)
    for product in drawn.products:
        _write_tables(root, product, [shot for shot in planned if shot.product is product], plan)
    missing = [shot for shot in planned if not all(file.exists() for file in _files(root, shot))]
    with ThreadPoolExecutor(os.cpu_count()) as pool, track("drawing", len(missing)) as progress:
        written = pool.map(lambda shot: write_shot(root, shot, drawn, plan), missing)
        for done, _ in enumerate(written, start=1):
            progress(done)


def _write_tables(root: Path, product: Product, taken: Sequence[Shot], plan: DrawingPlan) -> None:
    config, sites = root / product.name / "defects_config.json", root / product.name / "sites.csv"
    if not config.exists():
        write_atomic(config, json.dumps(_saturations(product, plan.size), indent=1), flush=False)
    if not sites.exists():
        write_atomic(sites, "\n".join([*_listed(product, taken), ""]), flush=False)


def _listed(product: Product, taken: Sequence[Shot]) -> list[str]:
    """The lines of `sites.csv`: the plant of each image, and its part where it has several."""
    if not product.views:
        return ["file,site", *sorted(f"{shot.file},{shot.plant.name}" for shot in taken)]
    rows = sorted(f"{shot.file},{shot.plant.name},{shot.part}" for shot in taken)
    return ["file,site,part", *rows]


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
    truth = folder / "ground_truth" / shot.place
    masks = [truth / f"{channel:04d}.png" for channel in range(len(shot.readings))]
    return [*masks, folder / shot.file]


def write_shot(root: Path, shot: Shot, drawn: DrawnSet, plan: DrawingPlan) -> None:
    """Draws one image and writes it below `root` with its masks."""
    image, masks = draw_image(shot, seed=plan.seed, size=plan.size)
    *truth, file = _files(root, shot)
    for path, reading in zip(truth, shot.readings, strict=True):
        level = masks[reading] * np.uint8(shot.product.pixel_values[reading])
        if drawn.rgb_masks:
            level = np.repeat(level[..., None], 3, axis=2)
        write_atomic(path, _png(level), flush=False)
    write_atomic(file, _png(image), flush=False)


def _png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    # Noise has nothing that repeats: to look for it costs time and gives larger files.
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1, compress_type=zlib.Z_RLE)
    return buffer.getvalue()
