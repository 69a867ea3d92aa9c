"""The defects of an image, from its mask files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from fedad.images.pixels import mask_levels, read_region
from fedad.types import Channel, Region

BRIGHT = 128  # from here on a value is white, or the soft edge of it, and no class


def regions_of(channels: Iterable[Channel], size: tuple[int, int]) -> tuple[Region, ...]:
    """What there is to be found in an image of `size` (H, W): a region a channel, or one for each
    class where the values of a mask are classes, each of which must be found in full.

    Raises:
        BadFileError: as `read_region` does.
    """
    return tuple(region for channel in channels for region in _of(channel, size))


def _of(channel: Channel, size: tuple[int, int]) -> Iterator[Region]:
    whole = read_region(channel, size)
    if channel.values != "classes":
        yield whole
        return
    levels = mask_levels(channel.path, channel.reading)
    classes = np.unique(levels[whole.mask])
    if classes.max() >= BRIGHT:
        yield whole
        return
    for value in classes:
        mask = whole.mask & (levels == value)
        yield Region(mask, int(np.count_nonzero(mask)))
