"""What a site's run is made of: its images, by digest. The list stays in the site's own folder.

Rows of a bank are of an image by its number, and figures are of the images that were judged: a
folder that changes while a run goes on, or is another one when it is resumed, gives a bank from one
and figures from another. The first request of a run that needs images lists them, and each later
one is held against that list.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from fedad.errors import DataError
from fedad.plumbing.files import read_json, write_json
from fedad.plumbing.progress import track
from fedad.types import Sample, Site

LISTED = "contents.json"


def hold(site: Site, folder: Path, learned_from: str = "") -> str:
    """List what a run is made of in its `folder`, or hold the site against the list; and against
    what it has learned in the run, whatever became of the list.

    Args:
        learned_from: the digest that is sealed with what the site learned; empty if it did not.

    Returns:
        a digest of the list, which is sealed with what the site learns.

    Raises:
        DataError: the site has other images, masks or held-out images than the run began with; the
            message names one, if there is a list.
    """
    path, now = folder / LISTED, contents(site)
    if path.exists():
        before = read_json(path, "what a run is made of")
        if differing := sorted(n for n in {*before, *now} if before.get(n) != now.get(n)):
            told = _told(before, now, differing)
            raise DataError(f"site {site.name}: {told}", reason="contents")
    listing = _whole(now)
    if learned_from and listing != learned_from:
        raise DataError(
            f"site {site.name}: what it learned in this run is of other images than are there now, "
            f"and the list of those, {LISTED}, was changed or lost: begin a new run",
            reason="contents",
        )
    if not path.exists():
        write_json(path, now)
    return listing


def _whole(listed: Mapping[str, str]) -> str:
    told = json.dumps(listed, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(told.encode()).hexdigest()


def contents(site: Site) -> dict[str, str]:
    """Each image's and mask's part in a run and name -> its sha256, or why it cannot be read."""
    files: dict[str, Path] = {}
    for part, samples in (("train", site.train), ("held", site.held), ("test", site.test)):
        for sample in samples:
            files |= {f"{part} {name}": path for name, path in _files(sample)}
    found = {}
    with track("telling images apart", len(files)) as progress:
        for done, (name, path) in enumerate(sorted(files.items()), start=1):
            found[name] = _digest(path)
            progress(done)
    return found


def _files(sample: Sample) -> list[tuple[str, Path]]:
    """The image, and its masks, by names that do not depend on where the folder is."""
    masks = [(f"{sample.name} {mask.path.name}", mask.path) for mask in sample.masks or ()]
    return [(f"{sample.name}{sample.path.suffix}", sample.path), *masks]


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:  # sifting says what is wrong with the file
        return f"unreadable: {error.strerror}"


def _told(before: Mapping[str, str], now: Mapping[str, str], differing: list[str]) -> str:
    new = sum(name not in before for name in differing)
    gone = sum(name not in now for name in differing)
    return (
        f"the images are not those that this run began with: {new} new, {gone} gone, "
        f"{len(differing) - new - gone} changed, such as {differing[0]!a:.200}: put them back to "
        "go on with this run, or begin a new one"
    )
