"""A finished run in simulation -> the models of each of its virtual sites, in the site's folder.

A deployed site does the same while it judges (`client_app/work.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fedad.config import Config, read
from fedad.embedders.embedder import Embedder
from fedad.errors import DataError
from fedad.judging.looks import good_looks
from fedad.judging.parts import ready
from fedad.judging.promise import promise
from fedad.judging.thresholds import GoodScore
from fedad.messages.file import load
from fedad.messages.payload import Payload
from fedad.methods.base import method_of
from fedad.models.adding import Added, Found, add
from fedad.models.checked import read_checked
from fedad.models.gate import Gate
from fedad.models.store import MODELS
from fedad.plumbing.files import read_json
from fedad.plumbing.journal import events_of
from fedad.reporting.run_folder import model_file, read_record
from fedad.running.launch import sites_of
from fedad.running.thresholds_file import limits_of
from fedad.types import Site


def keep_of_run(folder: Path) -> Iterator[tuple[str, Added]]:
    """Keep the model of a run at each of its sites; a site's name, and what became of it.

    Raises:
        DataError: the folder holds no finished run of a simulation.
    """
    config = read({**read_record(folder)["config"], "round.resume": False})
    kind = method_of(config).rounds[-1].model
    file = folder / model_file(kind)
    model, key = load(file, kind), str(events_of(folder)[0]["key"])
    embed = Embedder(config.embedder)
    for drawn in sites_of(config):
        site = ready(config, drawn, embed).site
        home = folder / "sites" / site.name
        if not home.is_dir():
            continue  # it was lost
        own = _own(config, home / key)
        found = _found(config, site, embed, model, own, home=home)
        yield (
            site.name,
            add(
                home / MODELS,
                config,
                model,
                site=site,
                own=own,
                found=found,
                gate=Gate(),
                source=f"run {folder.name}",
                file=file,
            ),
        )


def _found(
    config: Config, site: Site, embed: Embedder, model: Payload, own: Payload | None, *, home: Path
) -> Found:
    """What a site found out while it judged, and the limits of pictures as a whole."""
    file = home / "thresholds.json"
    told = read_json(file, "a site's thresholds") if file.exists() else {}
    try:
        good = {
            name: tuple(GoodScore(*row) for row in one["good"])
            for name, one in told.items()
            if one["good"]
        }
    except (KeyError, TypeError) as error:
        raise DataError(f"{file}: not a site's thresholds ({error!r})") from error
    promises = {name: promise(some, config.score) for name, some in good.items()}
    looks = good_looks(config, site, embed, model, own)
    limits = limits_of(promises, good, looks)
    return Found(limits, read_checked(home), own_judges=own is not None)


def _own(config: Config, folder: Path) -> Payload | None:
    """What a site kept when it last learned, as `client_app/sealed.py` names it."""
    rounds = method_of(config).rounds
    for number in range(len(rounds), 0, -1):
        path = folder / ("own.safetensors" if number == 1 else f"own-{number}.safetensors")
        if path.exists():
            return load(path, rounds[number - 1].upload)
    return None
