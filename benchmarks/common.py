"""What the benchmarks share: the machine they ran on, timing in pairs, memory, features to use."""

from __future__ import annotations

import ctypes
import gc
import os
import platform
import resource
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

import numpy as np
import torch

from fedad.config import EmbedderKnobs as Knobs
from fedad.datasets.autovi import autovi
from fedad.datasets.synthetic import synthetic
from fedad.embedders.embedder import Embedder
from fedad.plumbing.files import cache_root

# What tables are of whose commands say nothing else: PatchCore as published, at 256 pixels.
PUBLISHED: dict[str, str | int | float] = {
    "embedder.size": 256,
    "coreset.local-ratio": 0.1,
    "patchcore.preset": "classic",
}
PACKAGES = ("torch", "timm", "numpy", "anomalib", "faiss-cpu")


def heading() -> None:
    """Print the machine, the versions and the command."""
    cpu = next(
        (line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if "model name" in line),
        platform.processor(),
    )
    versions = ", ".join(f"{name} {_version(name)}" for name in PACKAGES)
    print(
        f"{cpu}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python "
        f"{platform.python_version()}, {versions}"
    )
    print(f"python {' '.join(sys.argv)}\n", flush=True)


def pairs(ours: Callable[[], object], theirs: Callable[[], object], count: int) -> list[str]:
    """Time both in turn, ours first; [our median s, their median s, median and range of ratios]."""
    times = [(_seconds(ours), _seconds(theirs)) for _ in range(count)]
    ratios = sorted(other / mine for mine, other in times)
    mine, other = (statistics.median(column) for column in zip(*times, strict=True))
    return [
        f"{mine:.3f}",
        f"{other:.3f}",
        f"{statistics.median(ratios):.2f}x ({ratios[0]:.2f} - {ratios[-1]:.2f})",
    ]


def row(*cells: object) -> None:
    """Print one line of a Markdown table."""
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Everything inside on so many threads of torch (and of faiss, where it is installed)."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        import faiss

        faiss.omp_set_num_threads(count)
    except ImportError:
        pass
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Peak:
    """The most memory that this process held inside `with`, above what it held before, in bytes.

    Sampled a hundred times a second from the kernel's count of resident pages. What was freed
    before is given back first, so that it cannot be used again unseen.
    """

    def __enter__(self) -> Peak:
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        self.before = self.most = resident()
        self.done = threading.Event()
        self.watch = threading.Thread(target=self._sample)
        self.watch.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self.done.set()
        self.watch.join()

    @property
    def above(self) -> int:
        return self.most - self.before

    def _sample(self) -> None:
        while not self.done.wait(0.01):
            self.most = max(self.most, resident())


def resident() -> int:
    """Bytes of memory that this process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def patches(count: int, data: str, *, layers: str = "layer2,layer3") -> np.ndarray:
    """(count, D) float32: patches of good images in `data`, or of the demo plants where it is ''.

    All images of the test set follow where the training images do not suffice.
    """
    dataset = autovi(Path(data)) if data else synthetic(cache_root() / "plants")
    embed = Embedder(Knobs(layers=layers, size=256))
    samples = sorted(dataset.samples, key=lambda sample: (sample.split != "train", sample.name))
    rows: list[np.ndarray] = []
    have = 0
    for sample in samples:
        rows.append(embed([sample]).patches)
        have += len(rows[-1])
        if have >= count:
            return np.concatenate(rows)[:count]
    raise SystemExit(f"{dataset.root} has {have} patches, {count} are wanted")


def origin(data: str) -> str:
    """What a row says of its data."""
    return f"real parts in {data}" if data else "drawn demo plants"


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _lines(path: str) -> list[str]:
    file = Path(path)
    return file.read_text().splitlines() if file.exists() else []
