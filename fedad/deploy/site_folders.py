"""The sites of a simulation as folders, one a site, as the plants of a federation have them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from fedad.errors import DataError
from fedad.plumbing.files import private_file, private_folder
from fedad.types import Sample, Site

CONFIG = "defects_config.json"


def split(sites: Iterable[Site], out: Path) -> list[Path]:
    """Make each site's folder below `out`: its images, their masks and `defects_config.json`.

    Files are linked where the disk allows it, and copied elsewhere.

    Returns:
        a folder a site, in the order of `sites`; its name is the site's.

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
    """Link or copy a file, unless there is none, or another image brought it before."""
    if not source.exists() or target.exists():
        return
    private_folder(target.parent)
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, private_file(target))
