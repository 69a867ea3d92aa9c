"""What can be wrong with a site's files: a word for each, what follows from it, and how much of it
a site may have.

The words may leave a site, with how often each occurred. The sentences beside them name files, and
stay in the site's own log. A file is used, used with a warning, or skipped and counted; above
`data.skip-budget` of skipped files, and where the folder as a whole is wrong, the site refuses to
take part, since a half-dead camera must not become what is normal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from fedad.errors import DataError

SKIPPED = {
    "missing": "there is no such file, or a link leads nowhere",
    "kind": "a folder, a pipe or a device has an image's name",
    "unreadable": "the file may not be read, or its disk fails",
    "name": "the name is not Unicode or has control characters",
    "empty": "the file has no bytes",
    "large": "the file is larger than an image of the most pixels that are read",
    "format": "no PNG, JPEG, BMP or TIFF, whatever its ending says",
    "cut": "the file ends too early, or its contents contradict each other",
    "bomb": "decoded it has more pixels, tiles or scans than are read",
    "colours": "a colour profile that cannot be followed",
    "depth": "32-bit or floating-point values, which have no agreed white",
    "small": "a side is shorter than that of any photograph",
    "constant": "all pixels are equal: a cap on the lens, or a dead camera",
    "changed": "the file changed while it was read",
    "mask-file": "a mask that cannot be read as an image",
    "mask-size": "a mask of another size than its image",
    "mask-value": "a mask without a value, with several, or with one that nobody defined",
}
USED = {
    "alpha": "pixels that are partly transparent: their colours are used as they are",
    "cmyk": "colours for print, converted to RGB",
    "clipped": "values above the white that data.bits or data.white says, which become white",
    "deep": "16 bits a pixel, of which the upper 8 are used",
    "dim": "16 bits a pixel, of which hardly any is used: set data.bits to what the camera writes",
    "duplicate": "the same bytes as another image of this site",
    "ending": "the ending is that of another format",
    "flat": "hardly any contrast",
    "frames": "several frames or pages, of which the first is used",
    "mixed": "files of one product that differ in bits, orientation or colour profile",
    "profile": "a colour profile other than sRGB, which data.profile does not follow",
    "leaked": "a test image with the same bytes as a training image",
    "repeated": "near-duplicates of another good image, taken for parts of their own (data.group)",
    "rotated": "a tag says to turn it: pixels are taken as stored (data.orientation), as masks are",
    "shape": "one side is more than ten times the other",
    "defects": "defective images among the training images: nothing is learned from them",
    "inverted": "a mask marks most of its image and all corners of it: is its background white?",
    "hidden": "hidden files with an image's ending, which are not read",
    "no-mask": "a defective image without a mask, which counts for image figures alone",
    "no-config": "no defects_config.json: all of a region has to be found, whatever saturates it",
    "aside": "images of a split that is not used, such as one without labels",
    "turned-mask": "a mask whose tag turns it otherwise than its image's does",
    "spare-mask": "a mask of a good image, or of none, which is not read",
    "unread": "images of another format, or in a folder deeper down, which are not read",
}
REFUSED = {
    "tree": "the folders are not what the data set's docstring shows, or may not be read",
    "config": "defects_config.json is not what it should be",
    "sites": "sites.csv is not what it should be, or lacks an image",
    "budget": "more files are skipped than data.skip-budget allows, or all of a product",
    "contents": "the images are not those that the run began with",
    "data": "anything else that is wrong with a folder or a file",
}


class Fault(NamedTuple):
    """Something wrong with one file, or with a folder: a word that may travel, and a sentence."""

    reason: str
    text: str
    split: str = ""  # "train" or "test", where it is one of their images

    @property
    def skipped(self) -> bool:
        return self.reason in SKIPPED


def tally(faults: Sequence[Fault]) -> dict[str, int]:
    """How often each happened, such as `{"train.cut": 2}`: what a site may say of its faults."""
    return dict(sorted(Counter(f"{fault.split}.{fault.reason}" for fault in faults).items()))


def lines(faults: Sequence[Fault]) -> list[str]:
    """For the site's own log: a line for each file that is skipped, and one for each other word."""
    skipped = [f"skipped ({fault.reason}): {fault.text}" for fault in faults if fault.skipped]
    used = Counter((fault.split, fault.reason) for fault in faults if not fault.skipped)
    return skipped + [
        f"used with a warning ({reason}): {count} {split} images: {USED[reason]}"
        for (split, reason), count in sorted(used.items())
    ]


def check_budget(faults: Sequence[Fault], images: int, budget: float, what: str) -> None:
    """Refuse more skipped files than a share of `images`.

    Raises:
        DataError: naming the first of them, with how many there are of each reason.
    """
    skipped = [fault for fault in faults if fault.skipped]
    if len(skipped) > budget * images:
        reasons = Counter(fault.reason for fault in skipped)
        told = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
        raise DataError(
            f"{skipped[0].text} ({len(skipped)} of {images} {what} cannot be used: {told}; "
            f"data.skip-budget = {budget:g} allows {int(budget * images)})",
            reason="budget",
        )
