"""A checked configuration -> a finished run folder: what `fedad run` and `fedad demo` do."""

from __future__ import annotations

import logging
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from fedad import yardsticks
from fedad.config import Config, read
from fedad.datasets.base import check_trainable, open_dataset
from fedad.errors import ConfigError, DataError
from fedad.images.usable import sift
from fedad.methods.base import Foreseeing, method_of
from fedad.partition import partition
from fedad.plumbing.journal import events_of
from fedad.plumbing.progress import Sink, shown_by
from fedad.reporting.gallery import gather
from fedad.reporting.record import figures_of
from fedad.reporting.run_folder import (
    FAILURE,
    RECORD,
    new_folder,
    point_latest,
    read_record,
    write_record,
)
from fedad.reporting.tracking import check_tracker, tracked
from fedad.types import Site


def read_config(path: Path | None, overrides: Sequence[str]) -> Config:
    """A TOML overlay and `key=value` overrides, in that order, over the defaults.

    Raises:
        ConfigError: no such file, not TOML, or a knob or value that is wrong.
    """
    knobs = flat(read_toml(path)) if path else {}
    return read(absolute({**knobs, **read_knobs(overrides)}))


def read_knobs(overrides: Sequence[str]) -> dict[str, Any]:
    """`key=value` as knobs.

    Raises:
        ConfigError: no `=` in one of them.
    """
    knobs = {}
    for override in overrides:
        key, sign, value = override.partition("=")
        if not sign:
            raise ConfigError(f"-c {override}: expected key=value, such as coreset.local-ratio=0.2")
        knobs[key.strip()] = _value(value.strip())
    return knobs


def chosen_config(path: Path | None, overrides: Sequence[str], resume: Path | None) -> Config:
    """The configuration of a new run, or of the one in the folder `resume`, which has its own.

    Raises:
        ConfigError, DataError: both a file and a run are named, or either is wrong.
    """
    if resume is None:
        return read_config(path, overrides)
    if path is not None:
        raise ConfigError(
            f"{path} and --resume {resume}: expected one of them, since a run goes on as it was "
            "begun; -c round.train-seconds=... gives it time"
        )
    return resumed_config(resume.absolute(), overrides)


def resumed_config(folder: Path, overrides: Sequence[str]) -> Config:
    """The configuration of the run in `folder`, to go on with it; `overrides` may give it time.

    Raises:
        ConfigError: an override that is wrong; the folder is left as it is.
        DataError: no run has begun there, or it has finished.
    """
    if (folder / RECORD).exists():
        raise DataError(f"{folder}: the run has finished: {RECORD} is there")
    knobs = {**events_of(folder)[0]["config"], **read_knobs(overrides)}
    config = read({**absolute(knobs), "round.out": str(folder), "round.resume": True})
    (folder / FAILURE).unlink(missing_ok=True)
    return config


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
    config = run_in(folder, config, sites, via=via, sink=sink)
    if with_yardsticks:
        with shown_by(sink):
            _add_yardsticks(config, sites, folder)
    point_latest(folder)
    return folder


def run_in(folder: Path, config: Config, sites: Sequence[Site], *, via: str, sink: Sink) -> Config:
    """Run once into `folder`, over the `sites` that the configuration gives, and return it as run.

    Raises:
        FedadError: the run failed; the message is the cause.
    """
    config = replace(
        config,
        data=replace(config.data, sites=len(sites)),
        round=replace(config.round, out=str(folder)),
    )
    with shown_by(sink):
        if via == "flwr":
            from fedad.running.flower import run_flower

            run_flower(config.flat(), folder, sites=len(sites), sink=sink)
        else:
            from server_app.local_grid import run_locally  # before its logger is redirected

            with _flower_log_in(folder / "flower.log"):
                run_locally(config.flat(), sites=len(sites))
    write_record(folder, {**read_record(folder), "instead": instead(config, sites)})
    gather(folder / "sites", folder / "pictures")
    return config


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
    """The sites of a simulation, checked as far as folders and counts tell."""
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
    categories = [sample.category for sample in site.train]
    return {category: categories.count(category) for category in set(categories)}


@contextmanager
def _flower_log_in(path: Path) -> Iterator[None]:
    """What Flower logs goes to a file: the terminal shows progress and the result."""
    logger = logging.getLogger("flwr")
    before, file = logger.handlers[:], logging.FileHandler(path)
    logger.handlers = [file]
    try:
        yield
    finally:
        logger.handlers = before
        file.close()


def _add_yardsticks(config: Config, sites: Sequence[Site], folder: Path) -> None:
    from fedad.embedders.embedder import Embedder

    embed, record = Embedder(config.embedder), read_record(folder)
    sites = [sift(config, site).site for site in sites]
    isolated = {"isolated": figures_of(yardsticks.isolated(config, sites, embed))}
    centralised = {"centralised": figures_of(yardsticks.centralised(config, sites, embed))}
    found = {**isolated, **record["figures"], **centralised}
    added = {**record, "bytes": {}, "seconds": {}, "figures": isolated | centralised}
    warnings = [*record["warnings"], *tracked(folder, added)]
    write_record(folder, {**record, "figures": found, "warnings": warnings})


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file.

    Raises:
        ConfigError: no such file, or not TOML.
    """
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise ConfigError(f"{path}: not TOML ({error})") from error


def flat(tables: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested tables as `table.key`."""
    knobs: dict[str, Any] = {}
    for key, value in tables.items():
        if isinstance(value, Mapping):
            knobs |= flat(value, f"{prefix}{key}.")
        else:
            knobs[prefix + key] = value
    return knobs


def _value(text: str) -> str | int | float | bool:
    """A value as TOML reads it; what TOML cannot read is a string without its quotes."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def absolute(knobs: Mapping[str, Any]) -> dict[str, Any]:
    """Folders given relative to where the user stands, as Flower's processes stand elsewhere."""
    folders = [
        key for key in ("data.dir", "embedder.cache") if knobs.get(key, "off") not in ("", "off")
    ]
    found = {key: str(Path(str(knobs[key])).expanduser().absolute()) for key in folders}
    weights = str(knobs.get("embedder.weights", ""))
    if Path(weights).suffix:
        found["embedder.weights"] = str(Path(weights).expanduser().absolute())
    return {**knobs, **found}
