"""What the uploads of other methods than `patchcore` draw, by the decoders of `decoder.py`.

    python benchmarks/decoder_methods.py DIR [--quick] [--only feddymem ...] [--size 256]
        [--product magnetic_tile ...]

With classic PatchCore's setting but for the size, each product of DIR private in turn; 12 of its
images are at one site.

- `gaussian`: the mean of each block of positions is decoded.
- `discriminator`: the directions in which training has moved its weights most (they began alike at
  all sites), both ways from the mean public patch, each compared with the private crop that is most
  like it; `none` says what directions of chance come to. `reconpatch`'s maps the same.
- `feddymem`: the rows of the first round of memories, by a decoder of the site's own generator,
  which is sent with them; as it is shipped, and with single patches in place of averages.
- `reconpatch`: the rows of the last round, by a decoder of f(x), which all sites have.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from common import PUBLISHED, heading, row
from decoder import DECODERS
from pairs import IMAGES, Pairs, crops_of, good, joined, of, public_pairs

from fedad.config import read
from fedad.datasets.autovi import autovi
from fedad.embedders.embedder import Embedder
from fedad.leakage.decoders import Drawn, drawable, linear, scores_of
from fedad.methods._generator import generated
from fedad.methods.base import FIRST, Method, Turn, method_of
from fedad.methods.reconpatch import modulated
from fedad.search.nearest_rows import by_torch
from fedad.types import Features

THREADS, ROWS, AXES = 1, 1500, 64


class Private(NamedTuple):
    """A product of one site, and what everybody knows."""

    name: str
    features: Features
    crops: np.ndarray  # (n, 3072), of each of its patches
    learned: Pairs  # of the other products, and of drawn ones
    drawn: Drawn
    quick: bool


def privates(
    folder: Path, quick: bool, size: int, products: Sequence[str] = ()
) -> Iterator[Private]:
    """Each product of DIR in turn, or some."""
    parts = autovi(folder)
    knobs = read({**PUBLISHED, "embedder.size": size}).embedder
    embed = Embedder(replace(knobs, cache="off", threads=THREADS))
    known = public_pairs(embed, folder, quick)
    for name in products or parts.categories:
        samples = good(of(parts.samples, name), 4 if quick else IMAGES)
        features = embed(samples)
        every = np.arange(len(features.patches))
        crops = crops_of(embed, samples, features.grid.shape, every)
        learned = joined([pairs for other, pairs in known.items() if other != name])
        yield Private(name, features, crops, learned, drawable(learned.crops), quick)


def gaussian(one: Private) -> None:
    method, features = method_with({"round.method": "gaussian"}), one.features
    rng = np.random.default_rng(0)
    sums = method.fit(features, FIRST, rng=rng)
    kept = np.flatnonzero(method._axes(FIRST, features.shape[-1]).any(1))
    means = (sums.sums / sums.count[..., None])[0].astype(np.float32)
    decoded = linear(one.learned.rows[:, kept], one.drawn)(means)
    cell = np.tile(method._cells(*features.shape[:2]), len(features.grid))
    some = rng.permutation(len(cell))[:ROWS]
    block = (one.name, "gaussian: sums", "mean of a block, linear")
    told((*block, "each crop in it"), decoded[cell[some]], one.crops[some])
    blocks = np.stack([one.crops[cell == k].mean(0) for k in range(len(means))])
    told((*block, "the block's mean crop"), decoded, blocks)


def discriminator(one: Private) -> None:
    trainer = method_with(
        {"round.method": "discriminator"} | ({"discriminator.epochs": 1} if one.quick else {})
    )
    size = one.features.shape[-1]
    head = trainer.fit(one.features, FIRST, rng=np.random.default_rng(0))
    begun = trainer._head(one.name, size, None)
    for layer in ("adapt", "hidden"):
        changed(one, f"discriminator: change of {layer}", getattr(head, layer)[0] - begun[layer])


def none(one: Private) -> None:
    size = one.features.shape[-1]
    changed(one, "none: directions of chance", np.random.default_rng(0).normal(size=(AXES, size)))


def feddymem(one: Private) -> None:
    for what, knobs in (("averages", {}), ("single patches", {"feddymem.reduce": False})):
        method = method_with({"round.method": "feddymem", **knobs})
        sent = after(method, one, 2)
        layers = sent.layers(0)
        patches, rows = generated(layers, one.features.patches), sent.rows
        label = f"feddymem: {len(rows):,} {what}"
        decoded_rows(one, label, rows, patches, generated(layers, one.learned.rows))


def reconpatch(one: Private) -> None:
    method = method_with({"round.method": "reconpatch"})
    known, maps = method._known(one.name, None, one.features.shape[-1]), after(method, one, 1)
    for layer, begun in zip(("modulation", "projection"), known, strict=True):
        change = getattr(maps, layer)[0] - begun
        if layer == "projection":  # of what f makes of features: both as one map
            change = change @ known[0]
        changed(one, f"reconpatch: change of {layer}", change)
    turn = turn_of(method, one, len(method.rounds))
    bank = method.fit(one.features, turn, rng=np.random.default_rng(0))
    f = turn.model.modulation[0]
    patches = modulated(one.features, {one.name: f}).patches
    label = f"reconpatch: {len(bank.rows):,} rows"
    decoded_rows(one, label, bank.rows, patches, one.learned.rows @ f.T)


def decoded_rows(
    one: Private, label: str, rows: np.ndarray, patches: np.ndarray, public: np.ndarray
) -> None:
    """Rows (M, P) against private patches (n, P), all in the space that they are sent in, by
    decoders of public patches (m, P): against the nearest patch, and all that a row is nearest to.
    """
    nearest_patch = by_torch(patches, rows, "cpu", _unseen)
    some = np.random.default_rng(1).permutation(len(patches))[:ROWS]
    nearest_row = by_torch(rows, patches[some], "cpu", _unseen)
    for kind, train in DECODERS.items():
        decode = train(public, one.drawn)
        said = (one.name, label, f"a row, {kind}")
        told((*said, "the crop nearest to it"), decode(rows), one.crops[nearest_patch])
        told((*said, "each crop it is nearest to"), decode(rows[nearest_row]), one.crops[some])


def changed(one: Private, label: str, change: np.ndarray) -> None:
    """The axes of a change of weights (K, D), both ways along each, against the private crop that
    is most like what is drawn."""
    _, _, axes = np.linalg.svd(change, full_matrices=False)
    usual, spread = one.learned.rows.mean(0), np.linalg.norm(one.learned.rows.std(0))
    ways = np.concatenate([usual + sign * spread * axes[:AXES] for sign in (1, -1)])
    drawn = linear(one.learned.rows, one.drawn)(ways.astype(np.float32))
    seen = one.crops[:: max(1, len(one.crops) // 4000)].astype(np.float32)
    far = np.square(drawn).sum(1)[:, None] - 2 * drawn @ seen.T + np.square(seen).sum(1)
    said = (one.name, label, f"{AXES} directions, both ways", "the most like private crop")
    told(said, drawn, seen[far.argmin(1)])


def after(method: Method, one: Private, number: int) -> Any:
    """What the site sends in a round."""
    turn = turn_of(method, one, number)
    return method.fit(one.features, turn, own=None, rng=np.random.default_rng(number))


def turn_of(method: Method, one: Private, number: int) -> Turn:
    """A round, and the model of those before it, in which the site was alone."""
    turn = FIRST
    for before in range(1, number):
        rng = np.random.default_rng(before)
        sent = method.fit(one.features, turn, own=None, rng=rng).replace(sites=("plant",))
        turn = Turn(before + 1, method.merge([sent], turn, rng=rng))
    return turn


def method_with(knobs: Mapping[str, Any]) -> Any:
    return method_of(read({**PUBLISHED, **knobs, "embedder.threads": THREADS}))


def told(said: Sequence[str], drawn: np.ndarray, crops: np.ndarray) -> None:
    """A line: whose, what was decoded and compared with what, and how alike they are."""
    one = scores_of(drawn, crops)
    row(*said, f"{one.psnr:.1f}", f"{one.base:.1f}", f"{one.gain:+.1f}", f"{one.best:.1f}")


def _unseen(done: int) -> None:
    """Progress that nobody is told of."""


METHODS: dict[str, Callable[[Private], None]] = {
    "gaussian": gaussian,
    "discriminator": discriminator,
    "feddymem": feddymem,
    "reconpatch": reconpatch,
    "none": none,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", action="append", choices=METHODS, default=[])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--product", action="append", default=[])
    options = parser.parse_args()
    torch.set_num_threads(THREADS)
    heading()
    columns = ("private", "upload", "decoded", "compared with", "PSNR", "mean crop's", "gain")
    row(*columns, "best row's PSNR")
    row(*["---"] * (len(columns) + 1))
    for one in privates(options.folder, options.quick, options.size, options.product):
        for name in options.only or METHODS:
            METHODS[name](one)


if __name__ == "__main__":
    main()
