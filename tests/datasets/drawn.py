"""Trees drawn from a `Layout` itself, with images of a few pixels."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from fedad.datasets.layout import Layout, filled
from fedad.plugins import names, plugin

SIZE = (24, 32)  # H, W
PRODUCTS = ("clip", "plate")
TRAIN, GOOD, BAD, ASIDE, VALIDATION = 4, 3, 3, 2, 3  # images of each product
VALUE = 255


class Drawn(NamedTuple):
    """The folder that a user would name, the layout, and what lies there that is not used."""

    root: Path
    layout: Layout
    aside: int


def layouts() -> Iterator[tuple[str, Layout]]:
    """Every layout of every data set, with a name for it."""
    for name in names("datasets"):
        for number, layout in enumerate(getattr(plugin("datasets", name), "layouts", ())):
            yield f"{name}-{number}" if number else name, layout


def draw(
    layout: Layout,
    folder: Path,
    *,
    products=PRODUCTS,
    seed: int = 0,
    channels: int = 2,
    few: bool = False,
) -> Drawn:
    """A data set of this layout below `folder`; of `few` images two of a kind are kept."""
    base = folder / layout.inside if layout.inside else folder
    rows = ["object,split,label,image,mask"]
    aside = 0
    for number, name in enumerate(products):
        product = base / Path(*[f"m{number}"] * (layout.levels - 1), name)
        rng = np.random.default_rng([seed, number])
        _train(layout, base, product, rng, rows)
        _test(layout, base, product, rng, rows, channels)
        aside += _aside(layout, product, rng)
        if "{split}" in layout.image:
            for k in range(VALIDATION):
                save(_image(layout, product, layout.validation[0], layout.good[0], k), pixels(rng))
        if layout.config:
            entry = {
                "defect_name": "cut",
                "pixel_value": VALUE,
                "saturation_threshold": 0.5,
                "relative_saturation": True,
            }
            (product / layout.config).write_text(json.dumps([entry]))
        if layout.labels:
            (product / layout.labels).write_text("image,label,mask\n")
    if layout.table:
        (base / layout.table).parent.mkdir(parents=True, exist_ok=True)
        (base / layout.table).write_text("\n".join(rows) + "\n")
    if few:
        for path in folder.rglob("*2.*"):
            path.unlink()
    return Drawn(folder, layout, aside)


def flat_files(root: Path) -> Path:
    """Good and bad pictures of two products, and masks, as people have them."""
    rng = np.random.default_rng(0)
    for product in ("clip", "nut"):
        for k in range(2):
            save(root / product / "OK" / f"a{k}.jpg", pixels(rng))
            save(root / product / "NG" / f"b{k}.jpg", pixels(rng))
            save(root / product / "masks" / f"b{k}.png", pixels(rng)[..., 0])
    return root


def defects(layout: Layout) -> tuple[str, ...]:
    return layout.defects or tuple(layout.kinds) or ("cut", "hole")


def _train(layout, base, product, rng, rows) -> None:
    for k in range(TRAIN):
        path = _image(layout, product, layout.train, layout.good[0], k)
        save(path, pixels(rng))
        rows.append(f"{product.name},train,normal,{path.relative_to(base).as_posix()},")


def _test(layout, base, product, rng, rows, channels) -> None:  # noqa: PLR0917
    # Where a table tells the splits, images of both are in one folder, and number on.
    first = 0 if "{split}" in layout.image else TRAIN
    for k in range(first, first + GOOD):
        path = _image(layout, product, layout.test, layout.good[0], k)
        save(path, pixels(rng))
        rows.append(f"{product.name},test,normal,{path.relative_to(base).as_posix()},")
    for defect in defects(layout):
        for k in range(BAD):
            path = _image(layout, product, layout.test, defect, k)
            save(path, pixels(rng))
            rows.append(f"{product.name},test,anomaly,{path.relative_to(base).as_posix()},")
            _masks(layout, product, defect, path.stem, rng, channels)


def _masks(layout, product, defect, stem, rng, channels) -> None:  # noqa: PLR0917
    place = filled(layout.masks.place, defect=defect, stem=stem, split=layout.test)
    folder = place.endswith("/*")
    for channel in range(channels if folder else 1):
        name = place.replace("*", f"{channel:03d}") if folder else place
        levels = np.zeros(SIZE, np.uint8)
        y, x = rng.integers(2, 12, 2)
        levels[y : y + 4 + channel, x : x + 5] = VALUE
        save(product / f"{name}{layout.mask_suffix}", levels)


def _aside(layout, product, rng) -> int:
    for top in layout.aside:
        for k in range(ASIDE):
            save(product / top / "good" / f"{k:03d}.png", pixels(rng))
    return ASIDE * len(layout.aside)


def _image(layout, product, split, defect, number) -> Path:
    place = filled(layout.image, split=split, defect=defect, stem=layout.stem.format(number))
    return product / f"{place}{layout.suffixes[0]}"


def pixels(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (*SIZE, 3)).astype(np.uint8)


def save(path: Path, levels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = "JPEG" if path.suffix.lower() in (".jpg", ".jpeg") else None
    Image.fromarray(levels).save(path, kind)


def product_names(layout: Layout) -> list[str]:
    return [
        "-".join([f"m{number}"] * (layout.levels - 1) + [name])
        for number, name in enumerate(PRODUCTS)
    ]
