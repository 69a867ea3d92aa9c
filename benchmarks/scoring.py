"""Nearest rows: ours beside torch.cdist, faiss' flat index and anomalib's own, at two widths.

    python benchmarks/scoring.py [--data DIR] [--rounds 5] [--threads 1]

6,272 patches against a bank of 4,704 rows, real features of 152 numbers; for 1,536 the same ones by
a random rotation, padded with noise. Rows and distances are compared before the times are.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from common import Peak, heading, origin, pairs, patches, row, threads

from fedad.banks.bank import Bank
from fedad.config import ScoreKnobs
from fedad.scoring.nearest import nearest
from fedad.types import Fingerprint

QUERIES, ROWS = 6_272, 4_704


def bank_of(rows: np.ndarray) -> Bank:
    column = np.zeros(len(rows), np.int32)
    table = np.ones((1, 1), np.int64)
    mark = Fingerprint("", "", "", "", 3, 256, "")
    return Bank(
        rows=rows,
        category=column,
        site=column,
        row=column,
        categories=("part",),
        sites=("site",),
        images=table,
        patches=table,
        fingerprint=mark,
    )


def widened(points: np.ndarray, width: int) -> np.ndarray:
    """The points in more dimensions: rotated, with a little noise in the new ones."""
    rng = np.random.default_rng(0)
    if width == points.shape[1]:
        return points
    noise = 0.1 * points.std() * rng.standard_normal((len(points), width - points.shape[1]))
    rotation = np.linalg.qr(rng.standard_normal((width, width)))[0]
    return (np.hstack([points, noise]) @ rotation).astype(np.float32)


def by_cdist(rows: torch.Tensor, queries: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    found = torch.cdist(queries, rows).min(1)
    return found.values, found.indices


def measure(data: str, width: int, rounds: int) -> None:
    points = widened(patches(QUERIES + ROWS, data), width)
    queries, rows = points[:QUERIES], np.ascontiguousarray(points[QUERIES:])
    bank, q, r = bank_of(rows), torch.from_numpy(queries), torch.from_numpy(rows)
    peers = {"torch.cdist(...).min(1)": lambda: by_cdist(r, q)}
    try:
        import faiss

        index = faiss.IndexFlatL2(width)
        index.add(rows)
        peers["faiss-cpu flat"] = lambda: index.search(queries, 1)
    except ImportError:
        pass
    truth, which = by_cdist(r, q)
    for search in ("torch", "bfloat16"):
        knobs = ScoreKnobs(search=search)
        with Peak() as peak:
            found = nearest(bank, queries, knobs=knobs)
        off = np.abs(found.distance - truth.numpy()).max() / truth.numpy().max()
        agree = float((found.row == which.numpy()).mean())
        for name, peer in peers.items():
            times = pairs(lambda knobs=knobs: nearest(bank, queries, knobs=knobs), peer, rounds)
            row(
                width,
                search,
                name,
                *times,
                f"{agree:.4f}",
                f"{off:.0e}",
                f"{peak.above / 2**20:.0f} MiB",
            )


def latency(data: str, width: int, rounds: int) -> None:
    """One image at a time, as on the line: 1,024 patches."""
    points = widened(patches(1024 + ROWS, data), width)
    bank = bank_of(np.ascontiguousarray(points[1024:]))
    queries = points[:1024]
    r, q = torch.from_numpy(bank.rows), torch.from_numpy(queries)
    times = pairs(lambda: nearest(bank, queries), lambda: by_cdist(r, q), rounds)
    row(width, "torch", "one image, torch.cdist", *times, "", "", "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="", help="a data set in AutoVI's layout")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    heading()
    print(f"{origin(options.data)}, {QUERIES} patches, {ROWS} rows, {options.threads} threads\n")
    row("width", "search", "against", "ours s", "theirs s", "ratio", "same row", "off", "memory")
    row(*9 * ["---"])
    with threads(options.threads):
        for width in (152, 1536):
            measure(options.data, width, options.rounds)
            latency(options.data, width, options.rounds)


if __name__ == "__main__":
    main()
