"""Which images of its own a site had when it kept a model: names, places, and what each is of.

A model's own rows say of which training image each is by its number in this list.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fedad.config import DataKnobs
from fedad.errors import DataError
from fedad.images.reading import reading_of
from fedad.plumbing.files import read_json, write_json
from fedad.types import Sample, Site

FILE = "images.json"
KINDS = ("train", "held", "test")


@dataclass(frozen=True)
class OwnImage:
    """One of a site's own images; `use` is one of `KINDS`."""

    use: str
    name: str
    path: Path
    category: str
    split: str
    defect: str
    kind: str
    group: str
    label: str
    roi: str


def images_of(site: Site) -> tuple[OwnImage, ...]:
    """The images of a site, in their order."""
    lists = zip(KINDS, (site.train, site.held, site.test), strict=True)
    return tuple(_of(use, sample) for use, samples in lists for sample in samples)


def write_images(folder: Path, site: str, images: Iterable[OwnImage]) -> None:
    """Write which images a site has."""
    rows = [{**vars(one), "path": str(one.path)} for one in images]
    write_json(folder / FILE, {"site": site, "images": rows})


def read_images(folder: Path) -> tuple[str, tuple[OwnImage, ...]]:
    """The name of a site, and its images; none where nothing was written.

    Raises:
        DataError: the file is not what `write_images` wrote.
    """
    file = folder / FILE
    if not file.exists():
        return "", ()
    told = read_json(file, "the images of a site")
    try:
        rows = [OwnImage(**{**row, "path": Path(row["path"])}) for row in told["images"]]
        return str(told["site"]), tuple(rows)
    except (KeyError, TypeError) as error:
        raise DataError(f"{file}: not the images of a site ({error!r})") from error


def training(images: Iterable[OwnImage]) -> tuple[OwnImage, ...]:
    """Those that were learned from, in the order that rows number them by."""
    return tuple(one for one in images if one.use == "train")


def site_of(name: str, images: Sequence[OwnImage], knobs: DataKnobs) -> Site:
    """The site again, with the images that are still there.

    Raises:
        DataError: a training image is gone: rows could not be told apart any more.
    """
    lost = [one.path for one in training(images) if not one.path.is_file()]
    if lost:
        raise DataError(
            f"{lost[0]}: {len(lost)} of the images that were learned from are gone, so that no "
            "threshold follows from them: name good parts with --good"
        )
    reading = reading_of(knobs)
    there = {use: list[Sample]() for use in KINDS}
    for one in images:
        if one.path.is_file():
            sample = Sample(
                one.category,
                one.split,
                one.defect,
                one.path,
                () if one.defect == "good" else None,
                one.kind,
                one.group,
                one.label,
                reading,
                Path(one.roi) if one.roi else None,
            )
            there[one.use].append(sample)
    return Site(name, tuple(there["train"]), tuple(there["test"]), tuple(there["held"]))


def _of(use: str, sample: Sample) -> OwnImage:
    return OwnImage(
        use,
        sample.name,
        sample.path.absolute(),
        sample.category,
        sample.split,
        sample.defect,
        sample.kind,
        sample.group,
        sample.file,
        str(sample.roi or ""),
    )
