"""How long `fedad data check` takes, and how much memory, on drawn JPGs of 640 x 480.

    python benchmarks/data_check.py 1000 10000

Each number of images is checked in a process of its own with nothing remembered. The wall clock is
that of this machine as it is; the processor's seconds are what two free cores share.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (480, 640)


def draw(folder: Path, count: int) -> None:
    """`count` parts under one camera, of which each has two marks of its own."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    light = 120 + 60 * np.sin(x / 43) + 40 * np.cos(y / 30)
    grain = [rng.normal(0, 4, (*SIZE, 3)) for _ in range(20)]
    for split in ("train", "test"):
        (folder / "bolt" / split / "good").mkdir(parents=True)
    for number in range(count):
        pixels = light[..., None] + np.roll(grain[number % 20], number, axis=1)
        for _ in range(2):
            top, left = rng.integers(0, SIZE[0] - 60), rng.integers(0, SIZE[1] - 60)
            pixels[top : top + 60, left : left + 60] += rng.integers(-90, 90)
        split = "test" if number % 5 == 0 else "train"
        path = folder / "bolt" / split / "good" / f"{number:05d}.jpg"
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path, quality=90)


def measured(folder: Path, cache: Path) -> tuple[float, float, float, str]:
    """Wall seconds, processor seconds and peak megabytes of the command, and its last line."""
    began = time.monotonic()
    command = [sys.executable, "-c", "import fedad.cli; fedad.cli.main()", "data", "check"]
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    with subprocess.Popen(
        [*command, str(folder)], stdout=subprocess.PIPE, env=environment, text=True
    ) as process:
        assert process.stdout is not None
        said = process.stdout.read()
        _, _, used = os.wait4(process.pid, 0)
    wall = time.monotonic() - began
    return wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, said.splitlines()[-1]


def main(counts: list[int]) -> None:
    for count in counts:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "parts"
            draw(folder, count)
            wall, busy, peak, last = measured(folder, Path(place) / "cache")
            print(
                f"{count} images: {wall:.0f} s, {busy:.0f} s of processors, {peak:.0f} MB; {last}",
                flush=True,
            )


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]] or [1000, 10_000])
