"""Does the share of good parts that `fedad inspect` stops hold to what was wished?

    python benchmarks/wished_rate.py [--name flat_connector] [--draws 20] [--learn 45] [--good 150]
        [--size 256] [--threads 2]

Drawn data. A pool of good parts of one product at one plant is drawn, and of it `--learn` are taken
anew for each draw: a model is built of them, with thresholds by leaving each out in turn, as
`fedad bank build --models` does. Then other good parts, the same for all draws, are judged as
`fedad inspect` does. A part is stopped at a wished rate if its p-value is at most that. Shares are
means over draws with two standard errors; `take again` is the share of good parts whose picture is
said to be none that can be judged.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from common import heading, row, threads

from fedad.config import read
from fedad.drawing.provide import provide
from fedad.drawing.sets import drawn_set, plan_of
from fedad.inspection.inspection import Inspection
from fedad.inspection.opened import open_inspector
from fedad.judging.verdict_words import AGAIN
from fedad.models.by_hand import build_and_keep
from fedad.models.gate import Gate
from fedad.plugins import plugin
from fedad.types import GOOD, Sample

RATES = (0.05, 0.1, 0.2)


def drawn(folder: Path, name: str, pool: int, good: int) -> tuple[list[Sample], list[Sample]]:
    """Good parts to choose from, and others to judge."""
    part = drawn_set(name)
    provide(folder, part, plan_of(part, images=pool, sites=1, good=good, defective=1))
    samples = [one for one in plugin("datasets", part.layout)(folder).samples if one.defect == GOOD]
    split = {use: [one for one in samples if one.split == use] for use in ("train", "test")}
    return split["train"], split["test"]


def judged(
    place: Path, learn: Sequence[Sample], new: Sequence[Sample], size: int, count: int
) -> list[Inspection]:
    """What a model of some parts says of others."""
    folder = place / "learn" / "part" / "good"
    folder.mkdir(parents=True)
    for number, sample in enumerate(learn):
        shutil.copy(sample.path, folder / f"{number:03d}{sample.path.suffix}")
    knobs = {
        "data.dataset": "auto",
        "data.dir": str(place / "learn"),
        "embedder.size": size,
        "embedder.threads": count,
        "embedder.cache": str(place.parent / "cache"),
        "coreset.local-ratio": 0.1 * (256 / size) ** 2,
    }
    build_and_keep(read(knobs), "here", None, place / "models", Gate(false_rejects=1.0))
    inspector = open_inspector(place / "models")
    return [inspector.inspect(sample.path) for sample in new]


def shares(found: Sequence[Inspection]) -> list[float]:
    """The share that is stopped at each of `RATES`, and that is to be taken again."""
    stopped = [np.mean([one.p_value <= rate + 1e-9 for one in found]) for rate in RATES]
    return [*map(float, stopped), float(np.mean([one.verdict == AGAIN for one in found]))]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--name", default="flat_connector")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--learn", type=int, default=45)
    parser.add_argument("--good", type=int, default=150)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    heading()
    row("", *(f"stopped, wish {rate:.0%}" for rate in RATES), "take again")
    made = []
    with tempfile.TemporaryDirectory() as folder, threads(asked.threads):
        root = Path(folder)
        pool, new = drawn(root / "drawn", asked.name, 4 * asked.learn, asked.good)
        for number in range(asked.draws):
            chosen = np.random.default_rng(number).permutation(len(pool))[: asked.learn]
            place = root / f"draw-{number}"
            learn = [pool[k] for k in chosen]
            made.append(shares(judged(place, learn, new, asked.size, asked.threads)))
            shutil.rmtree(place)
            row(f"draw {number}", *(f"{one:.3f}" for one in made[-1]))
    found = np.array(made)
    error = 2 * found.std(axis=0, ddof=1) / np.sqrt(len(found)) if len(found) > 1 else 0 * found[0]
    told = (f"{one:.3f} +- {two:.3f}" for one, two in zip(found.mean(axis=0), error, strict=True))
    row(f"mean of {len(found)} draws", *told)


if __name__ == "__main__":
    main()
