"""A federation rehearsed: all of its processes on this machine, and one run on the demo plants."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from fedad.config import Config
from fedad.datasets.base import open_dataset
from fedad.deploy.federation import Federation
from fedad.deploy.services import settings_of
from fedad.deploy.site_folders import split
from fedad.deploy.submit import run_on
from fedad.partition import partition
from fedad.plumbing.console import say
from fedad.running.overlay import read_config

SITES = ("lyon", "graz")  # as in docker/compose.yaml


def rehearse(overrides: Sequence[str], runs: Path) -> Path:
    """Start everything, run once, end everything; return the run folder.

    Args:
        overrides: `key=value` over the defaults.
        runs: where run folders go.

    Raises:
        FedadError: nginx is missing, a process does not start, or the run failed.
    """
    config = read_config(None, overrides)
    work = Path(tempfile.mkdtemp(prefix="fedad-federation-"))
    try:
        plants = demo_plants(config, work / "data", SITES)
        with Federation(work, plants, settings=settings_of(config)) as up:
            folder = run_on(up.link(), factory_config(config, SITES), runs)
    except KeyboardInterrupt as stop:
        stop.__notes__ = [  # without its keys nobody goes on with its run
            f"all processes are ended; their logs are in {work / 'logs'}, and what came of the run "
            f"in {runs}: fedad federation begins anew"
        ]
        raise
    except BaseException:
        say(f"every process's log is in {work / 'logs'}", error=True)
        raise
    shutil.rmtree(work)
    return folder


def demo_plants(config: Config, folder: Path, names: Sequence[str]) -> dict[str, Path]:
    """Make a folder of images below `folder` for each of the sites `names`; return them by site."""
    sites = partition(open_dataset(config.data), config.data, seed=config.round.seed)
    chosen = [site for site in sites if site.name in names]
    return {path.name: path for path in split(chosen, folder)}


def factory_config(config: Config, sites: Sequence[str]) -> Config:
    """`config` for sites that each have a folder of their own, in which all images are theirs."""
    return replace(
        config,
        data=replace(config.data, dataset="autovi", dir="", sites=len(sites)),
        round=replace(config.round, expected=",".join(sites), name=config.round.name or "demo"),
    )
