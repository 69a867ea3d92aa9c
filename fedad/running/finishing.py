"""What a simulation's run folder has beyond what a ServerApp writes, whoever started the run.

`fedad run` adds it when a run has ended. After a plain `flwr run` nobody is there to do so, and the
ServerApp does, which finds the sites' images on its own machine.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fedad.config import Config
from fedad.types import Site

RUNNER = "FEDAD_RUNNER"  # in the environment of a run that `fedad run` finishes


@contextmanager
def finished_by_caller() -> Iterator[None]:
    """Inside, a ServerApp in this process leaves the rest to whoever called."""
    before = os.environ.get(RUNNER)
    os.environ[RUNNER] = "1"
    try:
        yield
    finally:
        os.environ.pop(RUNNER)
        if before is not None:
            os.environ[RUNNER] = before


def finish(folder: Path, sites: Sequence[Site], config: Config) -> None:
    """Add to a finished run's record what sites lack and what else could be sent, and gather the
    sites' pictures."""
    from fedad.reporting.gallery import gather
    from fedad.reporting.run_folder import read_record, write_record
    from fedad.running.launch import instead, without_figures

    record = read_record(folder)
    warnings = [*record["warnings"], *without_figures(sites)]
    write_record(folder, {**record, "warnings": warnings, "instead": instead(config, sites)})
    gather(folder / "sites", folder / "pictures")
