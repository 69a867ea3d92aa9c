"""The colour profile in an image file: its name, and colours converted by it."""

from __future__ import annotations

import io
from functools import cache
from typing import Any

from PIL import Image

BROKEN = "broken"
SPACES = {"RGB": ("RGB",), "GRAY": ("L",), "CMYK": ("CMYK",)}  # of a profile -> modes


def profile_of(image: Image.Image) -> bytes:
    """The profile's bytes; none where the file has none."""
    found = image.info.get("icc_profile")
    return found if isinstance(found, bytes) else b""


@cache
def name_of(profile: bytes) -> str:
    """What a profile calls itself; `sRGB` for all that is that, nothing where there is none."""
    if not profile:
        return ""
    from PIL import ImageCms

    try:
        name = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile)))
    except Exception:  # whatever bytes that are no profile lead to
        return BROKEN
    name = " ".join(name.split())
    return "sRGB" if "srgb" in name.lower() else name or "unnamed"


def as_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """The image as 8-bit RGB, its colours converted by a profile of its own colour space.

    Raises:
        ValueError: the bytes are no profile, or one of other colours than the image has.
    """
    from PIL import ImageCms

    try:
        given = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = given.profile.xcolor_space.strip()
        if (image.mode == "CMYK") != (space == "CMYK") or space not in SPACES:
            raise ValueError(f"a profile of {space or 'no'} colours for an image in {image.mode}")
        mode = SPACES[space][0]
        source = image if image.mode == mode else image.convert("RGB").convert(mode)
        made = ImageCms.profileToProfile(source, given, _srgb(), outputMode="RGB")
    except (OSError, ImageCms.PyCMSError, AttributeError) as error:
        raise ValueError(f"no colour profile ({error})") from error
    if made is None:
        raise ValueError("no conversion")
    return made


@cache
def _srgb() -> Any:
    from PIL import ImageCms

    return ImageCms.createProfile("sRGB")
