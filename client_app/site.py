"""What this node is: which plant, its images, its own folder, its knobs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from flwr.app import Context

from fedad.config import Config, read
from fedad.config import EmbedderKnobs as Knobs
from fedad.datasets.base import open_dataset
from fedad.errors import ConfigError
from fedad.partition import one_site, partition
from fedad.plumbing.files import cache_root
from fedad.plumbing.progress import Files, Log, Sink, shown_by
from fedad.types import Site

if TYPE_CHECKING:  # a site that only says who it is needs no network in memory
    from fedad.embedders.embedder import Embedder
    from fedad.embedders.handshake import Probe


@dataclass(frozen=True)
class Node:
    """A plant in a run. `folder` is its own disk: what is there never travels."""

    site: Site
    folder: Path
    config: Config
    simulated: bool

    @property
    def embed(self) -> Embedder:
        return _embedder(self.config.embedder)


def node_of(context: Context) -> Node:
    """The plant that this node is.

    A factory's node-config has `site` and `data-dir`, and `output-dir` if its folder is not to be
    below the home folder; a virtual node has `partition-id` and `num-partitions`.

    Raises:
        ConfigError: a node-config with neither, or virtual nodes that do not fit the sites.
        DataError: a data folder that is missing or not as expected.
    """
    config, node = read(context.run_config), context.node_config
    if "partition-id" in node:
        return _virtual(config, int(node["partition-id"]), int(node.get("num-partitions", 0)))
    if "site" in node and "data-dir" in node:
        name = str(node["site"])
        own = replace(config.data, dir=str(node["data-dir"]))
        folder = Path(str(node.get("output-dir") or cache_root() / "sites" / name)).expanduser()
        site = one_site(name, open_dataset(own), own, seed=config.round.seed)
        return Node(site, folder, replace(config, data=own), simulated=False)
    raise ConfigError(
        f"node-config {dict(node)}: expected site and data-dir (a factory) or partition-id and "
        "num-partitions (a virtual site)"
    )


def _virtual(config: Config, number: int, count: int) -> Node:
    sites = partition(open_dataset(config.data), config.data, seed=config.round.seed)
    if count not in (0, len(sites)):
        raise ConfigError(
            f"num-supernodes = {count}: data.partition = {config.data.partition!r} makes "
            f"{len(sites)} sites: start as many virtual SuperNodes"
        )
    out = Path(config.round.out) if config.round.out else cache_root()
    return Node(sites[number], out / "sites" / sites[number].name, config, simulated=True)


@contextmanager
def progress_of(node: Node) -> Iterator[None]:
    """Show a site's progress: in a file that the runner reads, or in the site's log."""
    sink: Sink = (
        Files(Path(node.config.round.out) / "progress", node.site.name)
        if node.simulated and node.config.round.out
        else Log(_log)
    )
    with shown_by(sink):
        yield


def _log(line: str) -> None:
    from logging import INFO

    from flwr.supercore import log

    log(INFO, line)


@lru_cache(maxsize=1)
def _embedder(knobs: Knobs) -> Embedder:
    """The network in memory: Flower's virtual nodes share a process, and so share it."""
    from fedad.embedders.embedder import Embedder

    return Embedder(knobs)


@lru_cache(maxsize=1)
def probe_of(embed: Embedder) -> Probe:
    """What the network makes of the handshake's images: once, however many nodes share it."""
    from fedad.embedders.handshake import probe

    return probe(embed)
