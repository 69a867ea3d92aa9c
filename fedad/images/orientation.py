"""The tag by which a camera says how to turn a picture, and turning it.

Pillow turns TIFF by itself and nothing else, so a TIFF is turned back where the tag is not to be
followed: every format is read alike.
"""

from __future__ import annotations

from PIL import Image

TAG = 0x112
_Turn = Image.Transpose
TURNS = {
    2: _Turn.FLIP_LEFT_RIGHT,
    3: _Turn.ROTATE_180,
    4: _Turn.FLIP_TOP_BOTTOM,
    5: _Turn.TRANSPOSE,
    6: _Turn.ROTATE_270,
    7: _Turn.TRANSVERSE,
    8: _Turn.ROTATE_90,
}
BACK = {**TURNS, 6: _Turn.ROTATE_90, 8: _Turn.ROTATE_270}
ON_ITS_SIDE = (5, 6, 7, 8)
TURNED = {3: "upside down", 6: "a quarter to the right", 8: "a quarter to the left"}


def tag_of(image: Image.Image) -> int:
    """1 to 8, of an image that is not loaded yet if it is TIFF; 1: as stored, or nothing is said.

    What a broken tag leads Pillow to is as if there were none.
    """
    try:
        tags = image.tag_v2 if image.format == "TIFF" else image.getexif()  # type: ignore[attr-defined]
        found = tags.get(TAG, 1)
    except Exception:  # whatever a broken tag leads Pillow to
        return 1
    return found if found in TURNS else 1


def turned(image: Image.Image, tag: int, kind: str | None, *, follow: bool) -> Image.Image:
    """An image as it is to be read: turned by its file's tag, or as it was stored.

    Args:
        tag: as `tag_of` gave it.
        kind: Pillow's name of the file's format.
    """
    if tag == 1 or follow == (kind == "TIFF"):  # as stored, or as Pillow has turned it
        return image
    return image.transpose(TURNS[tag] if follow else BACK[tag])


def size_of(image: Image.Image, tag: int, *, follow: bool) -> tuple[int, int]:
    """(H, W) that `turned` will give, of an image that is not loaded."""
    stored = (image.height, image.width)
    on_its_side = tag in ON_ITS_SIDE
    already = image.format == "TIFF"
    return stored[::-1] if on_its_side and follow != already else stored


def told(tag: int) -> str:
    """What a tag asks for, in words."""
    return TURNED.get(tag, "mirrored")
