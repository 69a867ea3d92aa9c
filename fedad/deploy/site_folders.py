"""The sites of a simulation as folders, one a site, as the plants of a federation have them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
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
        for source, place in _places(sample):
            _place(source, folder / sample.category / place)
    return folder


def _places(sample: Sample) -> Iterator[tuple[Path, Path]]:
    """The files that belong to a sample, and where each goes in its category's folder: where it
    lies in a tree of splits and defects, and else where it would lie in MVTec AD's."""
    category = sample.path.parents[2]
    own = sample.path.parent.name == sample.defect and sample.path.parts[-3] == sample.split
    if own and all(path.is_relative_to(category) for path in _masks(sample)):
        for path in (sample.path, *_masks(sample), category / CONFIG):
            yield path, path.relative_to(category)
        return
    name = sample.file.replace("/", "-").removesuffix(sample.path.suffix)
    ended = sample.file.endswith(sample.path.suffix)
    stem = f"{name}-{sample.path.suffix[1:]}" if ended else name
    yield sample.path, Path(sample.split, sample.defect, f"{stem}{sample.path.suffix}")
    truth, masks = Path("ground_truth", sample.defect), _masks(sample)
    for number, path in enumerate(masks):
        place = f"{stem}_mask" if len(masks) == 1 else f"{stem}/{number:03d}"
        yield path, truth / f"{place}{path.suffix}"


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
