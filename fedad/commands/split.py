"""`fedad data split`: the sites of a simulation as folders, as a federation reads them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from fedad.errors import DataError
from fedad.types import Sample, Site

CONFIG = "defects_config.json"


def split(sites: Iterable[Site], out: Path) -> list[Path]:
    """The folder of each site below `out`, with its images, masks and `defects_config.json`.

    Files are linked where the disk allows it, and copied elsewhere.

    Raises:
        DataError: a site's folder is there already.
    """
    return [_split(site, out / site.name) for site in sites]


def _split(site: Site, folder: Path) -> Path:
    if folder.exists():
        raise DataError(f"{folder}: is there already: expected a new folder for site {site.name}")
    for sample in (*site.train, *site.held, *site.test):
        category = sample.path.parents[2]
        for path in (sample.path, *_masks(sample), category / CONFIG):
            _place(path, folder / sample.category / path.relative_to(category))
    return folder


def _masks(sample: Sample) -> list[Path]:
    return [channel.path for channel in sample.masks or ()]


def _place(source: Path, target: Path) -> None:
    if not source.exists() or target.exists():
        return  # no configuration of saturation, or one that another image brought
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copy2(source, target)
