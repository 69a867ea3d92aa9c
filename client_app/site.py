"""What this node is: which plant, its images, its own folder, its knobs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from logging import INFO, WARNING
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flwr.app import Context
from flwr.supercore import log

from client_app.own import folder_of, policy_of
from fedad.config import AT_THE_SITE, Config, read
from fedad.config import EmbedderKnobs as Knobs
from fedad.datasets.base import DRAWN, open_dataset
from fedad.embedders.patch_count import patches_of
from fedad.errors import ConfigError
from fedad.partition import one_site, partition
from fedad.plumbing.files import cache_root
from fedad.plumbing.progress import Files, Log, Sink, shown_by
from fedad.plumbing.shown import for_log
from fedad.policy import CHECKED_APP, Policy, Warden
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
    policy: Policy | None = None  # of a factory; a virtual site has none

    @property
    def embed(self) -> Embedder:
        return _embedder(self.config.embedder)


def node_of(context: Context) -> Node:
    """The plant that this node is.

    A factory's node-config has `site` and `data-dir`, `output-dir` if its folder is not to be below
    the home folder, `policy` if it has one, and the knobs of `AT_THE_SITE` that are not to be as
    shipped, such as `threads`; a virtual node has `partition-id` and `num-partitions`.

    Raises:
        ConfigError: a node-config with neither, or virtual nodes that do not fit the sites.
        PolicyError: the run asks for more than the factory's policy allows; no image was read.
        DataError: a data folder that is missing or not as expected.
    """
    config, node = read(context.run_config), context.node_config
    if is_virtual(node):
        return _virtual(config, int(node["partition-id"]), int(node.get("num-partitions", 0)))
    if "site" in node and "data-dir" in node:
        return _factory(config, node, str(context.run_id))
    raise ConfigError(
        f"node-config {dict(node)}: expected site and data-dir (a factory) or partition-id and "
        "num-partitions (a virtual site)"
    )


def is_virtual(node: Mapping[str, Any]) -> bool:
    """Whether a node is one of a simulation, on one machine with all others: what `fedad guard` has
    looked at runs at a factory, whatever its node-config says."""
    return "partition-id" in node and CHECKED_APP not in os.environ


def _factory(config: Config, node: Mapping[str, Any], run: str) -> Node:
    name, folder, policy = str(node["site"]), folder_of(node), policy_of(node, run)
    config = settled(config, node)
    Warden(policy, folder).admit_settings(run, config, partial(patches_of, config))
    if config.data.dataset == DRAWN:
        raise ConfigError(f"data.dataset = {DRAWN!r}: a factory has images, none are drawn there")
    own = replace(config.data, dir=str(node["data-dir"]))
    site = one_site(name, open_dataset(own), own, seed=config.round.seed)
    return Node(site, folder, replace(config, data=own), simulated=False, policy=policy)


def settled(config: Config, node: Mapping[str, Any]) -> Config:
    """The configuration with what a factory settles for itself: as node-config says, or as shipped.

    What the run asked for instead is named in the site's log.

    Raises:
        ConfigError: a value in node-config that cannot be.
    """
    asked, shipped = config.flat(), Config().flat()
    given = {key: node.get(key.partition(".")[2], shipped[key]) for key in AT_THE_SITE}
    made = read({**asked, **given, "data.dir": "", "round.out": "", "round.track": ""})
    for key, value in given.items():
        if asked[key] != value:
            told = f"{key} = {value!r}, as this site has it, not {asked[key]!r}, as the run asks"
            log(WARNING, "%s", for_log(told))
    return made


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
    log(INFO, "%s", for_log(line))


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
