"""Which mask of a folder is which picture's: by the name, and the folders around both."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from fedad.datasets._folder import MASK_ENDS, Seen, Sorted
from fedad.datasets._walk import File
from fedad.datasets._words import role_of
from fedad.types import GOOD, Channel

BY_MASK = "defect"  # what a defect is called of which there is a mask alone


def masks_of(defective: Sequence[Seen], masks: Sequence[File]) -> dict[str, tuple[Channel, ...]]:
    """A picture's place -> its masks; a picture without any has no entry.

    `NAME_mask.png` beside it; or in a folder of masks, `NAME.png`, `NAME_mask.png` or `NAME/*.png`,
    below as many of the picture's own folders as it shares. A mask that would fit two pictures
    equally well is of neither.
    """
    by_name: dict[str, list[File]] = defaultdict(list)
    for mask in masks:
        for name in _names(mask):
            by_name[name].append(mask)
    claims: dict[str, list[tuple[int, str]]] = defaultdict(list)  # mask -> how near, which picture
    files = {mask.place: mask for mask in masks}
    for one in defective:
        for mask in by_name[one.file.path.stem.casefold()]:
            if (near := _near(one.file, mask)) is not None:
                claims[mask.place].append((near, one.file.place))
    owned: dict[str, list[tuple[int, File]]] = defaultdict(list)
    for mask_place, rivals in claims.items():
        best = max(near for near, _ in rivals)
        owners = [place for near, place in rivals if near == best]
        if len(owners) == 1:
            owned[owners[0]].append((best, files[mask_place]))
    return {place: _channels(found) for place, found in owned.items()}


def marked(found: Sorted, root: Path) -> Sorted:
    """The pictures with those of a defect that no folder says anything of, but a mask does."""
    by_mask = masks_of([one for one in found.seen if not _is_said(one, root)], found.masks)
    seen = [
        one._replace(defect=BY_MASK) if one.file.place in by_mask else one for one in found.seen
    ]
    return found._replace(seen=seen)


def _is_said(one: Seen, root: Path) -> bool:
    """Whether the name of a folder says that a picture is good, or of a defect."""
    folders = (root.name, *one.file.place.split("/")[:-1])
    return one.defect not in (GOOD, "") or any(role_of(name) == "good" for name in folders)


def _channels(found: Sequence[tuple[int, File]]) -> tuple[Channel, ...]:
    """Of several masks the nearest; all of them where they are in one folder of the picture's."""
    best = max(near for near, _ in found)
    files = sorted((file for near, file in found if near == best), key=lambda file: file.place)
    return tuple(Channel(file.path, {}, "any") for file in files)


def _names(mask: File) -> set[str]:
    """What the picture of a mask may be called."""
    stem = mask.path.stem.casefold()
    names = {stem} | {stem.removesuffix(end) for end in MASK_ENDS if stem.endswith(end)}
    above = mask.place.split("/")[-2:-1]
    return names | {name.casefold() for name in above if role_of(name) == "other"}


def _near(picture: File, mask: File) -> int | None:
    """How many folders a mask shares with a picture; None where it is in another's folder."""
    own = [name.casefold() for name in picture.place.split("/")[:-1]]
    stem = picture.path.stem.casefold()
    shared = 0
    for name in mask.place.split("/")[:-1]:
        folder = name.casefold()
        if folder in own:
            shared += 1
        elif folder != stem and role_of(name) not in ("masks", "train", "test", "bad", "batch"):
            return None
    return shared
