"""What a reader finds beside the images and masks that it uses: nothing is left out in silence."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fedad.datasets._walk import (
    LEADS_BACK,
    LEADS_NOWHERE,
    File,
    is_hidden,
    leads_back,
    leads_nowhere,
    walk,
)
from fedad.datasets.layout import Layout
from fedad.images.pixels import SUFFIXES, shown
from fedad.messages.faults import Fault
from fedad.types import Sample, Unused

LICENCES = re.compile(r"(licen[cs]e|copying|readme)\b.*", re.IGNORECASE)
# Endings of pictures that are not read.
UNREAD = (
    *(".avif", ".cr2", ".cr3", ".dng", ".exr", ".fits", ".gif", ".heic", ".heif", ".ico", ".j2k"),
    *(".jfif", ".jp2", ".jpe", ".jxl", ".mat", ".nef", ".npy", ".npz", ".arw", ".orf", ".pbm"),
    *(".pcx", ".pgm", ".pnm", ".ppm", ".psd", ".raw", ".rw2", ".svg", ".tga", ".webp", ".czi"),
    *(".dcm", ".dicom", ".nii", ".hdr", ".dds", ".dib", ".bip", ".bil", ".vtf", ".mp4", ".avi"),
    *(".3fr", ".avifs", ".erf", ".heics", ".hif", ".insp", ".j2c", ".jpf", ".jpx", ".kdc", ".mov"),
    *(".mkv", ".mpo", ".mrw", ".pef", ".raf", ".srf", ".srw", ".webm", ".x3f", ".xpm", ".mts"),
)
ELSEWHERE = "in another folder than expected"
_ODD = {
    "no-mask": "defective images have no mask",
    "defects": "images in train are of defects: nothing is learned from them",
    "hidden": "hidden files have an image's ending, and are not read",
    "spare-mask": "masks are of a good image, or of none",
    "unread": "images are in another folder than expected, or of no format that is read "
    f"({' '.join(SUFFIXES)})",
    "aside": "images are of a split that is not used, such as one without labels",
}


@dataclass
class Odd:
    """What is found and not used, as it is found: files with the reason, and counts by category."""

    unused: list[Unused] = field(default_factory=list)
    licences: list[Path] = field(default_factory=list)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    missing: list[Fault] = field(default_factory=list)

    def note(self, category: str, word: str, path: Path, why: str) -> None:
        """One file, and the word for it."""
        self.unused.append(Unused(path, why))
        if word:
            self.counts[category, word] += 1

    def left(self, category: str, left: Sequence[Unused]) -> None:
        """What a walk left out."""
        for path, why in left:
            self.note(category, "hidden" if why == "hidden" else "", path, why)

    def licence(self, file: File) -> bool:
        """Whether a file says what may be done with the images; it is kept."""
        found = LICENCES.fullmatch(file.path.name) is not None
        if found:
            self.licences.append(file.path)
            self.unused.append(Unused(file.path, "licence or notes"))
        return found

    def learned(self, category: str, file: File) -> None:
        self.note(category, "defects", file.path, "a defect among the training images")

    def no_split(self, category: str, file: File) -> None:
        self.note(category, "unread", file.path, "of no split in the table of splits")

    def no_config(self, category: str, path: Path) -> None:
        self.missing.append(
            Fault(
                "no-config",
                f"{category}: {shown(path)} is missing: what saturates a region is not known, so "
                "that all of it has to be found",
            )
        )

    def rest(self, category: str, layout: Layout, files: Sequence[File]) -> None:
        """The files of a category that are neither images, nor masks of one, nor known."""
        for file in files:
            word, why = _reason(layout, file)
            self.note(category, word, file.path, why)

    def other(self, category: str, file: File) -> None:
        """A file that has no ending of an image that is read."""
        word, why = _no_image(file)
        self.note(category, word, file.path, why)

    def around(self, root: Path, folders: Mapping[str, Path], layout: Layout) -> None:
        """What stands beside the products' folders."""
        for path in sorted(root.iterdir()):
            if is_hidden(path.name) or any(one.is_relative_to(path) for one in folders.values()):
                continue
            if path.is_file():
                if not self.licence(File(path, path.name)):
                    self._stray(path)
            elif leads_back(path):
                self.unused.append(Unused(path, LEADS_BACK))
            elif leads_nowhere(path):
                self.unused.append(Unused(path, LEADS_NOWHERE))
            elif path.is_dir() and not layout.table.startswith(f"{path.name}/"):
                self._folder(path, root)

    def _stray(self, path: Path) -> None:
        word = "unread" if _is_picture(path) else ""
        if path.name not in ("sites.csv", "texture_ad.yaml"):
            self.note(path.parent.name, word, path, "beside the products' folders")

    def _folder(self, folder: Path, root: Path) -> None:
        try:
            pictures = sum(_is_picture(file.path) for file in walk(folder).files)
        except OSError as error:  # of somebody else's files, which are not needed
            self.unused.append(Unused(folder, f"no product's folder, {error.strerror}"))
            return
        why = f"no product's folder, with {pictures} images" if pictures else "no product's folder"
        self.unused.append(Unused(folder, why))
        self.counts[folder.name, "unread"] += pictures

    def instead(self, files: Sequence[File]) -> str:
        """What a category without an image has."""
        tops = Counter(file.place.rpartition("/")[0] or "." for file in files)
        told = ", ".join(f"{count} files in {place}" for place, count in tops.most_common(4))
        return f"; found {told}" if told else ""

    def faults(self, samples: Sequence[Sample]) -> tuple[Fault, ...]:
        """A sentence for each word of each category."""
        for sample in samples:
            if sample.masks is None:
                self.counts[sample.category, "no-mask"] += 1
        order = list(_ODD)
        counted = sorted(self.counts.items(), key=lambda one: (one[0][0], order.index(one[0][1])))
        return (
            *self.missing,
            *(Fault(word, f"{name}: {n} {_ODD[word]}") for (name, word), n in counted if n),
        )


def _reason(layout: Layout, file: File) -> tuple[str, str]:
    """The word and the reason for a file that is not used."""
    for top, why in layout.aside.items():
        if file.place.startswith(f"{top}/"):
            return ("aside" if _is_picture(file.path) else ""), why
    if file.path.suffix.lower() not in SUFFIXES:
        return _no_image(file)
    for rule in layout.rules:
        top = rule.place.split("{")[0]
        if top and file.place.startswith(top):
            return "spare-mask", "a mask of a good image, or of none"
    return "unread", ELSEWHERE


def _no_image(file: File) -> tuple[str, str]:
    """The same for one that has no ending of an image that is read."""
    if _is_picture(file.path):
        return "unread", f"no format that is read: {' '.join(SUFFIXES)}"
    return "", LEADS_NOWHERE if leads_nowhere(file.path) else "no image"


def _is_picture(path: Path) -> bool:
    """Whether a file is called as a picture is, read or not."""
    return path.suffix.lower() in (*SUFFIXES, *UNREAD)


def licence_of(layout: Layout, categories: Sequence[str], files: Sequence[Path]) -> str:
    """Whose terms the images of these categories have, as far as it can be told.

    A layout says nothing of the pictures in it: a data set's own terms hold for the products that
    it was published with.
    """
    told = f" (see {', '.join(shown(path) for path in files[:3])})" if files else ""
    if layout.licence and layout.products and set(categories) <= set(layout.products):
        return f"{layout.title}'s, by the names of its products: {layout.licence}{told}"
    if layout.licence and not layout.products:
        return f"{layout.licence}, if these are {layout.title}'s own images{told}"
    if files:
        return f"see {', '.join(shown(path) for path in files[:3])}"
    return f"not known: laid out as {layout.title}, whose own products these are not"
