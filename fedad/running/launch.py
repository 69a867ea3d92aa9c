"""A checked configuration -> a finished run folder: what `fedad run` and `fedad demo` do."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from fedad import yardsticks
from fedad.config import Config
from fedad.datasets.base import check_trainable, open_dataset
from fedad.judging.findings import Findings
from fedad.judging.gains import gains_of
from fedad.judging.parts import ready
from fedad.methods.base import Foreseeing, method_of
from fedad.partition import partition
from fedad.plumbing.files import private_file
from fedad.plumbing.journal import NAME as JOURNAL
from fedad.plumbing.journal import events_of
from fedad.plumbing.progress import Sink, shown_by
from fedad.reporting.record import figures_of
from fedad.reporting.run_folder import new_folder, point_latest, read_record, write_record
from fedad.reporting.tracking import check_tracker, tracked
from fedad.running.finishing import finish
from fedad.types import Site


def launch(config: Config, *, via: str, root: Path, with_yardsticks: bool, sink: Sink) -> Path:
    """Run once, and return the run folder below `root`, to which `root/latest` leads.

    A configuration that goes on with a run does so in that run's folder.

    Args:
        via: "flwr" runs the Flower app under Ray, "local" the same apps in this process.
        with_yardsticks: also judge the test images isolated and centralised.

    Raises:
        FedadError: anything that a user can mend; nothing has started where the configuration,
            the folders or the sites are wrong.
    """
    check_tracker(config.round.track)
    with shown_by(sink):
        sites = sites_of(config)
    knobs = config.round
    folder = Path(knobs.out) if knobs.resume else new_folder(knobs.name, root)
    try:
        config = run_in(folder, config, sites, via=via, sink=sink)
    except KeyboardInterrupt as stop:
        stop.add_note(_kept(folder))
        raise
    if with_yardsticks:
        with shown_by(sink):
            _add_yardsticks(config, sites, folder)
    point_latest(folder)
    return folder


def _kept(folder: Path) -> str:
    """What there is of a run that was stopped, and how to go on."""
    if not (folder / JOURNAL).exists():
        return f"the run had not begun: {folder} has its log alone"
    return f"what the sites gave is kept: fedad run --resume {folder} goes on"


def run_in(folder: Path, config: Config, sites: Sequence[Site], *, via: str, sink: Sink) -> Config:
    """Run once into `folder` over `sites`; return the configuration as it was run.

    Args:
        sites: what `sites_of` gives for the configuration.
        via: as for `launch`.

    Raises:
        FedadError: the run failed; the message is the cause.
    """
    config = replace(
        config,
        data=replace(config.data, sites=len(sites)),
        round=replace(config.round, out=str(folder)),
    )
    with shown_by(sink):
        if config.round.resume:
            _check_contents(folder, sites)
        if via == "flwr":
            from fedad.running.flower import run_flower

            run_flower(config.flat(), folder, sites=len(sites), sink=sink)
        else:
            from server_app.local_grid import run_locally  # before its logger is redirected

            with _flower_log_in(folder / "flower.log"):
                run_locally(config.flat(), sites=len(sites))
    finish(folder, sites, config)
    return config


def _check_contents(folder: Path, sites: Sequence[Site]) -> None:
    """Refuse to go on with a run of other images; a site that learned nothing yet may have any."""
    from client_app.contents import LISTED, hold

    run = str(events_of(folder)[0]["key"])
    for site in sites:
        if (kept := folder / "sites" / site.name / run / LISTED).exists():
            hold(site, kept.parent)


def without_figures(sites: Sequence[Site]) -> list[str]:
    """Why a category has no figures, or none of pixels: what its test images lack."""
    told = []
    for category in sorted({one.category for site in sites for one in (*site.train, *site.test)}):
        test = [one for site in sites for one in site.test if one.category == category]
        lack = [
            word
            for word, good in (("good", True), ("defective", False))
            if not any(one.is_good is good for one in test)
        ]
        if lack:
            told.append(
                f"{category}: no {' and no '.join(lack)} test image, so that there is nothing to "
                "rank: its figures are '-'"
            )
        elif not any(one.masks for one in test):
            told.append(f"{category}: no mask of a defect: its figures of pixels are '-'")
    return told


def instead(config: Config, sites: Sequence[Site]) -> dict[str, Any]:
    """What else could be sent: each site's good images, or the weights of the backbone."""
    from fedad.embedders.backbone import parameters_of

    return {
        "image_bytes": {
            site.name: sum(sample.path.stat().st_size for sample in site.train) for site in sites
        },
        "backbone_weights": parameters_of(config.embedder),
    }


def sites_of(config: Config) -> tuple[Site, ...]:
    """The sites of a simulation, checked as far as folders and counts tell.

    Raises:
        FedadError: no such folder, a category without a good image, or knobs that so many images
            cannot meet.
    """
    from fedad.embedders.backbone import grid_of

    dataset = open_dataset(config.data)
    check_trainable(dataset)
    sites = partition(dataset, config.data, seed=config.round.seed)
    h, w, _ = grid_of(config.embedder)
    method = method_of(config)
    if isinstance(method, Foreseeing):
        method.foresee([_counted(site) for site in sites], h * w)
    return sites


def _counted(site: Site) -> dict[str, int]:
    """How many good images a site has of each category."""
    categories = [sample.category for sample in site.train]
    return {category: categories.count(category) for category in set(categories)}


@contextmanager
def _flower_log_in(path: Path) -> Iterator[None]:
    """What Flower logs goes to a file: the terminal shows progress and the result."""
    logger = logging.getLogger("flwr")
    before, file = logger.handlers[:], logging.FileHandler(private_file(path))
    logger.handlers = [file]
    try:
        yield
    finally:
        logger.handlers = before
        file.close()


def _add_yardsticks(config: Config, sites: Sequence[Site], folder: Path) -> None:
    """Put the isolated and the centralised figures before and after those of a finished run."""
    from fedad.embedders.embedder import Embedder

    embed, record = Embedder(config.embedder), read_record(folder)
    sites = [ready(config, site, embed).site for site in sites]
    alone = yardsticks.isolated(config, sites, embed)
    isolated = {"isolated": figures_of(alone)}
    centralised = {"centralised": figures_of(yardsticks.centralised(config, sites, embed))}
    figures = {**isolated, **record["figures"], **centralised}
    added = {**record, "bytes": {}, "seconds": {}, "figures": isolated | centralised}
    warnings = [*record["warnings"], *tracked(folder, added)]
    gains = gains_of(_judged(folder), alone)
    write_record(folder, {**record, "figures": figures, "gains": gains, "warnings": warnings})


def _judged(folder: Path) -> dict[str, Findings]:
    """What each site of a finished run found, as the journal names it."""
    from fedad import wire

    return {
        str(event["site"]): wire.unpack_findings(wire.load(folder / str(event["file"]))[0])
        for event in events_of(folder)
        if event["event"] == "judged"
    }
