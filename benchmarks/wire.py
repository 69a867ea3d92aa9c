"""Fewer bits on the wire, or in the network: bytes and figures.

    python benchmarks/wire.py [--data DIR] [--knob embedder.precision --bits float32 bfloat16]

Bytes are those of the banks as they are written to disk and sent: the uploads of all sites, and
the bank that each site gets. Figures are means over products, all sites' test images ranked
together.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from common import PUBLISHED, heading, origin, row

from fedad.banks.bank import Bank
from fedad.config import Config, read
from fedad.datasets.base import open_dataset
from fedad.embedders.embedder import Embedder
from fedad.evaluation import summarise
from fedad.judging.findings import Findings
from fedad.messages.file import save
from fedad.partition import partition
from fedad.round import examine, fit, merge


def measure(config: Config, folder: Path) -> tuple[list[int], dict[str, float]]:
    """Bytes up and down, and the figures."""
    sites, embed = (
        partition(open_dataset(config.data), config.data, seed=0),
        Embedder(config.embedder),
    )
    learning = [site for site in sites if site.train]
    uploads = [fit(config, site, embed).upload for site in learning]
    bank = merge(config, uploads)
    up = sum(_bytes(folder / upload.sites[0], upload) for upload in uploads)
    found = sum((examine(config, site, embed, bank, {}) for site in sites), Findings())
    figures = {key: float(one["value"]) for key, one in summarise(found.counts)["mean"].items()}
    return [up, len(sites) * _bytes(folder / "bank", bank)], figures


def _bytes(path: Path, bank: Bank) -> int:
    save(path, bank)
    return path.stat().st_size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="", help="a data set in AutoVI's layout")
    parser.add_argument("--knob", default="wire.dtype")
    parser.add_argument("--bits", nargs=2, default=["float32", "float16"])
    options = parser.parse_args()
    heading()
    data = {"data.dataset": "autovi", "data.dir": options.data} if options.data else {}
    knobs = {**PUBLISHED, **data, "coreset.local-ratio": 0.2, "score.replicates": 0}
    with tempfile.TemporaryDirectory() as folder:
        found = [
            measure(read({**knobs, options.knob: dtype}), Path(folder)) for dtype in options.bits
        ]
    (single, full), (half, less) = found
    print(f"{origin(options.data)}\n")
    row(options.knob, *options.bits, "difference")
    row(*4 * ["---"])
    for name, a, b in zip(("MB up", "MB down"), single, half, strict=True):
        row(name, f"{a / 1e6:.2f}", f"{b / 1e6:.2f}", f"{b / a:.3f} of it")
    for key, value in full.items():
        row(key, f"{value:.5f}", f"{less[key]:.5f}", f"{less[key] - value:+.5f}")


if __name__ == "__main__":
    main()
