"""Make the public numbers of an embedding, which releases with differential privacy compute with.

    python benchmarks/public_projection.py OUT [--from plants textures loco photos] [--without P]
        [--backbone tf_efficientnet_lite0.in1k] [--weights package] [--layers layer2,layer3]
        [--images 6] [--patches 128] [--seed 0]

OUT is the file, such as fedad/dp/public/NAME.json, or a folder for it. Pictures come from drawn
sets, from the two photographs that scikit-learn carries ("photos", by danielbuechele, CC BY 2.0),
or from folders of pictures that anybody may have. NEVER FROM PICTURES OF A SITE: what is in the
file is not protected. Drawings are of other seeds than the demo's. `--without P` leaves a product
out, so that it can be evaluated with numbers that no image of it had a part in.

The same command gives the same file on one machine.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from fedad.config import EmbedderKnobs
from fedad.dp.make_public import make_public
from fedad.dp.public import Public, save
from fedad.drawing.plan import draw_image
from fedad.drawing.sets import SETS, drawn_set, plan_of
from fedad.embedders.embedder import Embedder
from fedad.embedders.pixels import SitePixels
from fedad.errors import ConfigError, FedadError
from fedad.seeding import stream
from fedad.types import GOOD

SOURCES = ("plants", "textures", "loco", "photos")
PHOTOS = "photos"
OTHER_SEED = 1_000_000  # of drawings: no picture of the demo or of a comparison is drawn with it
AT_ONCE = 16  # pictures in memory


def drawn(name: str, without: set[str], images: int, seed: int) -> Iterator[np.ndarray]:
    """Good images (H, W, 3) of each product of a drawn set, of each plant that makes it."""
    plan = plan_of(drawn_set(name), images=images, seed=OTHER_SEED + seed)
    for shot in drawn_set(name).shots(plan):
        if shot.split == "train" and shot.defect == GOOD and shot.product.name not in without:
            yield draw_image(shot, seed=plan.seed, size=plan.size)[0]


def photos() -> Iterator[np.ndarray]:
    """scikit-learn's photographs, whole and in six parts each."""
    from sklearn.datasets import load_sample_images

    for image in load_sample_images().images:
        yield image
        for rows in np.array_split(image, 2, axis=0):
            yield from np.array_split(rows, 3, axis=1)


def of_folder(folder: Path) -> Iterator[np.ndarray]:
    """All pictures below a folder, by name."""
    files = [p for p in sorted(folder.rglob("*")) if p.suffix.lower() in (".jpg", ".png", ".jpeg")]
    if not files:
        raise ConfigError(f"{folder}: expected a drawn set ({', '.join(SETS)}), photos or pictures")
    for file in files:
        with Image.open(file) as image:
            yield np.asarray(image.convert("RGB"))


def pictures(source: str, without: set[str], images: int, seed: int) -> Iterator[np.ndarray]:
    if source == PHOTOS:
        return photos()
    return drawn(source, without, images, seed) if source in SETS else of_folder(Path(source))


def patches(
    embedder: Embedder, images: Iterator[np.ndarray], count: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """(count, D) of each image, drawn at random."""
    network = SitePixels(embedder, ())
    while some := [*islice(images, AT_ONCE)]:
        for grid in network.embed(some):
            rows = grid.reshape(-1, grid.shape[-1])
            yield rows[np.sort(rng.choice(len(rows), min(count, len(rows)), replace=False))]


def made(
    knobs: EmbedderKnobs,
    sources: tuple[str, ...] = SOURCES,
    *,
    without: tuple[str, ...] = (),
    images: int = 6,
    count: int = 128,
    seed: int = 0,
) -> Public:
    """The public numbers of the embedding that the knobs ask for.

    Raises:
        ConfigError: a product left out that no source has.
    """
    products = {one.name for name in sources if name in SETS for one in SETS[name].products}
    if unknown := {*without} - products:
        raise ConfigError(f"--without {min(unknown)}: there are {', '.join(sorted(products))}")
    embedder, rng = Embedder(knobs), stream(seed, "public", "patches")
    found = [
        rows
        for source in sources
        for rows in patches(embedder, pictures(source, {*without}, images, seed), count, rng)
    ]
    source = ", ".join(sources) + (f" without {', '.join(without)}" if without else "")
    return make_public(np.concatenate(found), embedder.fingerprint, source=source, seed=seed)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--from", dest="sources", nargs="+", default=SOURCES)
    parser.add_argument("--without", nargs="*", default=())
    parser.add_argument("--images", type=int, default=6, help="of a product and plant")
    parser.add_argument("--patches", type=int, default=128, help="of a picture")
    parser.add_argument("--seed", type=int, default=0)
    for name in ("backbone", "weights", "layers", "grid", "pool", "precision"):
        default = getattr(EmbedderKnobs, name)
        parser.add_argument(f"--{name}", type=type(default), default=default)
    told = parser.parse_args()
    names = ("backbone", "weights", "layers", "grid", "pool", "precision")
    knobs = EmbedderKnobs(**{n: getattr(told, n) for n in names}, cache="off", threads=1)
    try:
        public = made(
            knobs,
            tuple(told.sources),
            without=tuple(told.without),
            images=told.images,
            count=told.patches,
            seed=told.seed,
        )
    except FedadError as error:
        parser.exit(error.exit_code, f"error: {error}\n")
    out = told.out / f"{told.backbone}.json" if told.out.is_dir() else told.out
    save(out, public)
    print(
        f"{out}: {out.stat().st_size:,} bytes, {public.axes.shape} axes, radius "
        f"{public.radius:.3f}, longest {public.longest:.2f}, step {public.step:g}, {public.digest}"
    )


if __name__ == "__main__":
    main()
