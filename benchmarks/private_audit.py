"""How much a private release tells of an image that is known to everybody: audits and membership.

    fedad data draw plants DIR --images 600 --good 100 --defective 100 --seed 11
    python benchmarks/private_audit.py DIR [--product tank_screw] [--epsilon 1 5 10] [--runs 100]
        [--canaries 240] [--members 300] [--cache FOLDER]

Drawn images, features of the shipped network, every second patch an axis, one site; the public
projection is the shipped one. Epsilon by add/remove of one image at delta 1e-5.

- *many runs*: releases with a canary and as many without, beside 50 images; the canary is an image
  of another product. Who guesses knows all images but whether it was there, and all noisy sums:
  the statistic is the logarithm of the likelihood ratio. A bound on epsilon that assumes nothing,
  and mu with its bound, which assumes that the statistic is normal.
- *one run*: so many images of the product, each in by a fair coin; who guesses fits the coins to
  the noisy sums by least squares, and guesses the half of which it is surest.
- *membership*: what `fedad leak` measures, of a release and of a plain upload of the same images.

Bounds are 95 % sure. Seconds are of the processor, on one core.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from common import PUBLISHED, heading, row
from private_gain import RATIO, strided

from fedad.config import read
from fedad.coresets.kcenter import kcenter
from fedad.datasets.base import open_dataset
from fedad.dp import tree
from fedad.dp.audit import gaussian_mu, lower_bound, one_run
from fedad.dp.gaussian import epsilon_of, multiplier
from fedad.dp.levels import LEVELS, Start
from fedad.dp.noise import Noise, OsNoise
from fedad.dp.public import Public, public_of
from fedad.dp.tree import Unit
from fedad.embedders.embedder import Embedder
from fedad.leakage.gaps import STATISTICS
from fedad.leakage.membership import membership
from fedad.partition import partition
from fedad.privacy.dp_tree import units_of
from fedad.search.nearest_rows import by_torch
from fedad.types import Features, Site

DELTA = 1e-5
BESIDE = 50  # images that are there in every run
START: Start = "positions"


def seen(
    fixed: Sequence[Unit], canaries: Sequence[Unit], inside: np.ndarray, public: Public, mu: float
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """What who knows all images sees of one release, level by level: the noisy sums less those of
    `fixed`, and what each canary would give, both over the noise: (Q,) and (Q, C)."""
    noise: Noise = OsNoise()
    centres = public.centres.astype(float)
    there = [one for one, is_in in zip(canaries, inside, strict=True) if is_in]
    for level in LEVELS[START]:
        cells_of, reference = tree.cut(level, centres)
        radius, sigmas = level.radius * public.radius, level.noise(mu)
        known = tree.sums(fixed, cells_of, reference, radius)
        added = tree.sums(there, cells_of, reference, radius)
        told = [
            tree.noisy(one + other, sigma, noise)
            for one, other, sigma in zip(known, added, sigmas, strict=True)
        ]
        alone = [tree.sums([one], cells_of, reference, radius) for one in canaries]
        for k, sigma in enumerate(sigmas):
            gap = (told[k] - known[k] / tree.GRID) / sigma
            each = np.stack([sums[k].ravel() for sums in alone], 1) / (tree.GRID * sigma)
            yield gap.ravel(), each
        a, b = told
        centres = tree.refined(a, b, reference, radius, sigmas).points


def likelihood(
    fixed: Sequence[Unit], canary: Unit, is_in: bool, public: Public, mu: float
) -> float:
    """The logarithm of the likelihood ratio of the canary being in."""
    parts = seen(fixed, [canary], np.array([is_in]), public, mu)
    return sum(float(gap @ each[:, 0] - each[:, 0] @ each[:, 0] / 2) for gap, each in parts)


def fitted(canaries: Sequence[Unit], inside: np.ndarray, public: Public, mu: float) -> np.ndarray:
    """(C,): how much of each canary there looks to be in the sums, by least squares."""
    gram, found = np.zeros((len(inside), len(inside))), np.zeros(len(inside))
    for gap, each in seen([], canaries, inside, public, mu):
        gram += each.T @ each
        found += each.T @ gap
    return np.linalg.solve(gram + 1e-6 * np.eye(len(inside)), found)


def audits(
    units: Sequence[Unit], canary: Unit, public: Public, options: argparse.Namespace
) -> Iterator[list[str]]:
    """A row for each epsilon."""
    rng = np.random.default_rng()
    for epsilon in options.epsilon:
        began, mu = time.process_time(), 1 / multiplier(epsilon, DELTA)
        with_, without = (
            np.array(
                [likelihood(units[:BESIDE], canary, k, public, mu) for _ in range(options.runs)]
            )
            for k in (True, False)
        )
        estimate = gaussian_mu(with_, without)
        bound = lower_bound(with_, without, delta=DELTA)
        inside = rng.random(options.canaries) < 0.5
        scores = fitted(units[: options.canaries], inside, public, mu)
        once = one_run(inside, scores, options.canaries // 2, delta=DELTA)
        yield [
            f"{epsilon:g}",
            f"{bound:.2f}",
            f"{mu:.3f}",
            f"{estimate.mu:.3f}",
            f"{estimate.lower:.3f}",
            f"{epsilon_of(estimate.lower, DELTA) if estimate.lower else 0:.2f}",
            f"{once:.2f}",
            f"{time.process_time() - began:.0f}",
        ]


def statistics(patches: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(B, 3): those that `fedad leak` takes, of patches (B, P, D)."""
    flat = np.ascontiguousarray(patches.reshape(-1, patches.shape[-1]))
    nearest = by_torch(rows, flat, "cpu", lambda done: None)
    far = np.linalg.norm(flat - rows[nearest], axis=1).reshape(patches.shape[:2])
    return np.stack([far.min(1), np.quantile(far, 0.01, axis=1), far.mean(1)], 1)


def recognised(name: str, patches: np.ndarray, rows: np.ndarray, members: int) -> list[str]:
    """The attack on rows that the first so many of the images were learned from."""
    told = statistics(patches, rows)
    found = membership(STATISTICS, told[:members], told[members:])
    best = found.best
    cells = [name, f"{len(rows):,}", f"{found.members} and {found.others}"]
    cells += [f"{best.auc:.3f} ({best.low:.3f} to {best.high:.3f})", best.statistic]
    return [*cells, "-" if best.found is None else f"{best.found.cases / best.found.of:.3f}"]


def released(units: Sequence[Unit], public: Public, epsilon: float) -> np.ndarray:
    """(M, 64): the rows of a release, without padding."""
    found = tree.release(units, public, LEVELS[START], 1 / multiplier(epsilon, DELTA), OsNoise())
    return tree.padded(found, len(found.points), public.longest)


def _of_images(features: Features) -> np.ndarray:
    """(B, P, D): the patches of each image."""
    return features.grid.reshape(len(features.images), -1, features.shape[-1])


def embedded(embed: Embedder, site: Site, product: str, most: int) -> Features:
    return strided(embed, [sample for sample in site.train if sample.category == product][:most])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("root")
    parser.add_argument("--product", default="tank_screw")
    parser.add_argument("--other", default="pipe_clip", help="the product of the canary")
    parser.add_argument("--epsilon", type=float, nargs="+", default=[1, 5, 10])
    parser.add_argument(
        "--runs", type=int, default=100, help="with the canary, and as many without"
    )
    parser.add_argument("--canaries", type=int, default=240)
    parser.add_argument("--members", type=int, default=300, help="and as many others")
    parser.add_argument("--cache", default="off")
    options = parser.parse_args()
    heading()
    torch.set_num_threads(1)
    config = read(
        {
            **PUBLISHED,
            **{"data.dataset": "synthetic", "data.dir": options.root},
            **{"embedder.threads": 1, "embedder.cache": options.cache},
        }
    )
    embed = Embedder(config.embedder)
    site = partition(open_dataset(config.data), config.data, seed=0)[0]
    features = embedded(embed, site, options.product, 2 * options.members)
    public, shown = public_of(embed.fingerprint), tuple(map(str, range(len(features.images))))
    began = time.process_time()
    units = units_of(features, options.product, public, shown, 1)
    projected = time.process_time() - began
    other = embedded(embed, site, options.other, 1)
    (canary,) = units_of(other, options.other, public, ("0",), 1)
    began = time.process_time()
    released(units, public, 10.0)
    print(
        f"a release of {len(units)} images at epsilon 10, after features: "
        f"{projected:.1f} s to project, {time.process_time() - began:.1f} s to release\n"
    )
    columns = ["epsilon claimed", "many runs: at least", "mu claimed", "mu seen", "mu at least"]
    columns += ["as epsilon", "one run: at least", "seconds"]
    row(*columns)
    row(*["---"] * len(columns))
    for cells in audits(units, canary, public, options):
        row(*cells)
    print()
    columns = ["what is held", "rows", "members and others", "AUC of the best statistic"]
    columns += ["which", "found at 1 % false alarms"]
    row(*columns)
    row(*["---"] * len(columns))
    members, patches = options.members, _of_images(features)
    points = patches[:members].reshape(-1, patches.shape[-1])
    plain = points[kcenter(points, int(RATIO * len(points)), rng=np.random.default_rng(0))]
    row(*recognised("plain upload", patches, plain, members))
    seen_ = np.stack([unit.points for unit in units])
    for epsilon in options.epsilon:
        rows = released(units[:members], public, epsilon)
        row(*recognised(f"dp_tree, epsilon {epsilon:g}", seen_, rows, members))


if __name__ == "__main__":
    main()
