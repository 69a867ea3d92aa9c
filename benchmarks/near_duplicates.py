"""Recall of near-duplicates on second shots, and pairs among good images as they are.

    python benchmarks/near_duplicates.py ../shared/data/parts ball_screw magnetic_tile metal_plate

Second shots of good training images: moved by 1 to 3 pixels, 2 % brighter or darker, saved as JPEG
of quality 85, noise of 1 or 2 grey levels, and all of these at once. One image in four has a second
shot among the others. Ratios were chosen on every second image (`chosen on`) of metal_plate and of
the demo's plants; the figures are those of the rest. Every pair among the images as they are is
listed, to be looked at: a set may hold second shots of its own.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from fedad.config import EmbedderKnobs
from fedad.embedders.backbone import build
from fedad.images.near_duplicates import groups_by_features, groups_by_thumbnail, thumbnail
from fedad.images.pixels import read_image

MOST = 3  # pixels
QUALITY = 85
ONE_IN = 4


def moved(light: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    height, width = light.shape[:2]
    down, across = 0, 0
    while not (down or across):
        down, across = rng.integers(-MOST, MOST + 1, 2)
    rows = np.clip(np.arange(height) + down, 0, height - 1)
    return light[rows][:, np.clip(np.arange(width) + across, 0, width - 1)]


def brighter(light: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return light * rng.choice([0.98, 1.02])


def noisy(light: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return light + rng.normal(0, rng.choice([1, 2]), light.shape)


def saved(light: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    stream = io.BytesIO()
    eight(light).save(stream, "JPEG", quality=QUALITY)
    return np.asarray(Image.open(io.BytesIO(stream.getvalue())).convert("RGB"), np.float64)


def eight(light: np.ndarray) -> Image.Image:
    return Image.fromarray(np.clip(np.rint(light), 0, 255).astype(np.uint8))


Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]
SHOTS: dict[str, Sequence[Change]] = {
    "moved": (moved,),
    "brighter": (brighter,),
    "jpeg": (saved,),
    "noise": (noisy,),
    "all of it": (moved, brighter, noisy, saved),
}


def shot(image: Image.Image, changes: Sequence[Change], rng: np.random.Generator) -> Image.Image:
    light = np.asarray(image, np.float64)
    for change in changes:
        light = change(light, rng)
    return eight(light)


def described(images: Sequence[Image.Image], backbone) -> tuple[np.ndarray, np.ndarray]:
    """Patch features and thumbnails."""
    pixels = [backbone.prepare(image) for image in images]
    size = backbone.knobs.batch
    grids = [backbone(np.stack(pixels[at : at + size])) for at in range(0, len(pixels), size)]
    return np.concatenate(grids), np.stack([thumbnail(image) for image in images])


def recall(find, parts: np.ndarray, shots: np.ndarray) -> float:
    found = []
    for first in range(ONE_IN):
        twice = np.arange(first, len(parts), ONE_IN)
        groups = find(np.concatenate([parts, shots[twice]]))
        found += (groups[twice] == groups[len(parts) :]).tolist()
    return float(np.mean(found))


def pairs(find, parts: np.ndarray) -> list[tuple[int, ...]]:
    groups = find(parts)
    sizes = np.bincount(groups)
    return [tuple(np.flatnonzero(groups == g).tolist()) for g in np.flatnonzero(sizes > 1)]


def main(root: Path, names: Sequence[str]) -> None:
    backbone = build(EmbedderKnobs(cache="off"))
    for name in names:
        files = sorted((root / name / "train" / "good").iterdir())
        images, rng = [read_image(file) for file in files], np.random.default_rng(7)
        plain = described(images, backbone)
        shots = {
            k: described([shot(i, how, rng) for i in images], backbone) for k, how in SHOTS.items()
        }
        for kind, find in enumerate((groups_by_features, groups_by_thumbnail)):
            for half, told in ((1, "reported"), (0, "chosen on")):
                some = slice(half, None, 2)
                figures = [
                    f"{k} {recall(find, plain[kind][some], v[kind][some]):.2f}"
                    for k, v in shots.items()
                ]
                whose = f"{name} {find.__name__} ({told}, {len(plain[kind][some])})"
                print(f"{whose}: {', '.join(figures)}", flush=True)
            print(
                f"{name} {find.__name__} as they are ({len(files)}): {pairs(find, plain[kind])}",
                flush=True,
            )


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
