"""After a plain `flwr run`: what `fedad run` adds to a simulation's run folder, and its models."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from fedad.config import Config
from fedad.running.finishing import RUNNER, finish


def finish_alone(folder: Path, config: Config) -> list[str]:
    """Finish a run of a simulation where nobody else will, keep each site's model, and let `latest`
    lead to the folder; return what to say of it.

    A run without `round.out` is left as it is: its sites did not know the folder.
    """
    if os.environ.get(RUNNER):
        return []
    if not config.round.out:
        return ["what sites keep is in the cache: name round.out for pictures and models beside it"]
    from fedad.models.after_run import keep_of_run
    from fedad.reporting.run_folder import point_latest
    from fedad.running.launch import sites_of

    sites = sites_of(config)
    finish(folder, sites, replace(config, data=replace(config.data, sites=len(sites))))
    point_latest(folder)
    return [
        f"{site}: {line}"
        for site, added in keep_of_run(folder)
        if not added.is_current
        for line in added.told()[:3]
    ]
