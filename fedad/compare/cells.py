"""A plan -> cells: one run each, found again by what it is made of, whatever the folder's name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from fedad.compare.plan import CENTRALISED, FEDERATED, ISOLATED, Plan
from fedad.compare.sources import of_runs
from fedad.config import NEAREST, Config, DataKnobs, MergeKnobs
from fedad.datasets.base import open_dataset
from fedad.errors import DataError
from fedad.plumbing.compute import made_by
from fedad.plumbing.files import read_json
from fedad.plumbing.progress import track
from fedad.types import Dataset
from fedad.yardsticks import exact

SCHEMA = 1  # counts up when a cell's folder holds something else
DONE = "cell.json"

Place = tuple[str, int, str]  # a point's label, a seed, a way of sharing


@dataclass(frozen=True)
class RunCell:
    """A way of sharing under one configuration; `key` says all that it is made of.

    `content` says it whatever the code and the machine, and `images` of the images alone; `seen` is
    how their files looked then.
    """

    way: str
    config: Config
    images: str
    content: str
    key: str
    seen: str = ""

    def check_images(self) -> None:
        """Refuse to run on other images than the key tells of.

        Raises:
            DataError: a file was changed since, as far as its size and time tell.
        """
        data = self.config.data
        if self.seen and data_listing(data.dataset, data.dir, data.categories) != self.seen:
            raise DataError(
                f"{data.dir or data.dataset}: its images were changed while the comparison went "
                "on: run the same command again once they stay as they are"
            )

    def folder(self, root: Path) -> Path:
        return root / "cells" / self.key

    def is_done(self, root: Path) -> bool:
        """Whether the run has left all that it leaves; `cell.json` comes last."""
        return (self.folder(root) / DONE).exists()

    def told(self, root: Path) -> dict[str, Any]:
        """What `cell.json` says: the way, the seconds that the cell took."""
        return read_json(self.folder(root) / DONE, "a finished cell")


def cells_of(plan: Plan) -> dict[Place, RunCell]:
    """The cell of every point, seed and way; a yardstick that points share is one cell."""
    identity, listing = cache(data_identity), cache(data_listing)  # read once, not for each cell
    found = {}
    for seed in plan.seeds:
        for point in plan.points:
            config = plan.config(point, seed)
            data = config.data.dataset, config.data.dir, config.data.categories
            seen, images = listing(*data), identity(*data)
            for way in (FEDERATED, *plan.yardsticks):
                cell = cell_of(config, way, images)
                found[point.label, seed, way] = replace(cell, seen=seen)
    return found


def distinct(cells: Mapping[Place, RunCell]) -> Iterator[RunCell]:
    """Every cell once."""
    yield from {cell.key: cell for cell in cells.values()}.values()


def cell_of(config: Config, way: str, images: str) -> RunCell:
    """The cell of one configuration on `images`, less what does not matter to this way of sharing.

    Nobody merges where everybody has all, or their own, and nothing is released. Where everybody
    keeps their own, nobody asks for a size, and all scorings are one: they differ in what the rows
    of others count.
    """
    if way in (ISOLATED, CENTRALISED):
        config = replace(exact(config), merge=MergeKnobs())
    if way == ISOLATED:
        config = replace(config, bank=replace(config.bank, size=0))
        config = replace(config, score=replace(config.score, scoring=NEAREST))
    content = content_of(config, way, images)
    key = _digest([SCHEMA, of_runs(), made_with(config.embedder.device), content])
    return RunCell(way, config, images, content, key)


def made_with(device: str) -> dict[str, str]:
    """What may change the last bits of a cell's figures beside its code: the device, how many
    threads compute, and the versions of the libraries.

    Args:
        device: `embedder.device`.

    Raises:
        ConfigError: there is no such device.
    """
    import torch

    return {**made_by(device), "threads": str(torch.get_num_threads())}


def content_of(config: Config, way: str, images: str) -> str:
    """What a cell is made of but for the code, the libraries and the machine."""
    return _digest(
        {
            "way": way,
            "knobs": config.essence(),
            "images": images,
            "weights": _file_identity(config.embedder.weights),
        }
    )


def outdated(cells: Iterable[RunCell], root: Path) -> int:
    """How many of the cells that `root` lacks it holds as other code or libraries made them."""
    there = {
        read_json(path, "a finished cell").get("content") for path in root.glob(f"cells/*/{DONE}")
    }
    return sum(cell.content in there and not cell.is_done(root) for cell in cells)


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def data_identity(dataset: str, folder: str, categories: str) -> str:
    """A sha256 over every image, mask and list of sites that a run reads."""
    knobs = DataKnobs(dataset=dataset, dir=folder, categories=categories)
    digest, files = hashlib.sha256(), list(_files(open_dataset(knobs)))
    with track("telling images apart", len(files)) as progress:
        for done, (name, path) in enumerate(files, start=1):
            digest.update(f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
            progress(done)
    return digest.hexdigest()


def data_listing(dataset: str, folder: str, categories: str) -> str:
    """A sha256 over the size and time of every file that `data_identity` reads, which costs little.

    A file that is gone has none.
    """
    knobs, digest = DataKnobs(dataset=dataset, dir=folder, categories=categories), hashlib.sha256()
    for name, path in _files(open_dataset(knobs)):
        try:
            stat = path.stat()
            digest.update(f"{name} {stat.st_size} {stat.st_mtime_ns}\n".encode())
        except OSError:
            digest.update(f"{name} gone\n".encode())
    return digest.hexdigest()


def _files(dataset: Dataset) -> Iterator[tuple[str, Path]]:
    lists = set()
    for sample in dataset.samples:
        yield sample.name, sample.path
        for channel in sample.masks or ():
            yield f"{channel.path.relative_to(dataset.root)} {channel.saturation}", channel.path
        lists |= {folder / "sites.csv" for folder in (dataset.folder(sample), dataset.root)}
    for path in sorted(lists):
        if path.exists():
            yield str(path.relative_to(dataset.root)), path


def _file_identity(weights: str) -> str:
    path = Path(weights)
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else weights
