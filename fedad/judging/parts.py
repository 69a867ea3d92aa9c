"""Images of one part among a site's good images, found by their features."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from fedad.config import Config
from fedad.datasets.parts import NEAR_DUPLICATES
from fedad.images.near_duplicates import cell_means, groups_by_cells
from fedad.images.usable import Sifted, sift, survey
from fedad.judging.verdicts import chunk_of
from fedad.messages.faults import Fault
from fedad.partition import hold_out
from fedad.privacy.base import is_private
from fedad.types import Features, Site

if TYPE_CHECKING:  # who only merges needs no network in memory
    from fedad.embedders.embedder import Embed


def ready(config: Config, site: Site, embed: Embed) -> Sifted:
    """A site as it takes part: less images that cannot be used, and with near-duplicates grouped as
    one part where `data.group` says so.

    Raises:
        DataError: too many cannot be used. Under a private release a site takes part with whatever
            is left: a refusal would tell of its images.
    """
    sifted = survey(config, site) if is_private(config) else sift(config, site)
    if config.data.group != NEAR_DUPLICATES:
        return sifted
    return sifted._replace(site=_grouped(config, sifted.site, embed))


def _grouped(config: Config, site: Site, embed: Embed) -> Site:
    """The site with the part of each good image, of which parts are held out anew."""
    good = sorted((*site.train, *site.held), key=lambda sample: sample.name)
    seen = Seen()
    at_once = chunk_of(embed)
    for at in range(0, len(good), at_once):
        seen.add(embed(good[at : at + at_once]))
    group = dict(seen.groups())
    told = [replace(sample, group=group[sample.name]) for sample in good]
    train = tuple(sample for sample in told if sample.split == "train")
    given = tuple(sample for sample in told if sample.split != "train")
    return hold_out(replace(site, train=train, held=given), config.data.holdout, config.round.seed)


class Seen:
    """What is kept of good images to tell near-duplicates by, whenever their features pass."""

    def __init__(self) -> None:
        self.cells: dict[str, list[np.ndarray]] = defaultdict(list)
        self.names: dict[str, list[str]] = defaultdict(list)

    def add(self, features: Features) -> None:
        """Remember these images."""
        for name, category, cells in zip(
            features.images, features.categories, cell_means(features.grid), strict=True
        ):
            self.cells[category].append(cells)
            self.names[category].append(name)

    def groups(self) -> Iterator[tuple[str, str]]:
        """The name of each image, and that of its group within its category."""
        for category, cells in self.cells.items():
            numbers = groups_by_cells(np.stack(cells)).tolist()
            yield from zip(self.names[category], map(str, numbers), strict=True)

    def repeated(self) -> dict[str, int]:
        """Category -> how many of its images show a part that another one shows too."""
        return {
            category: int((np.bincount(numbers)[numbers] > 1).sum())
            for category, cells in self.cells.items()
            if len(numbers := groups_by_cells(np.stack(cells)))
        }


def repetitions(repeated: int, category: str) -> list[Fault]:
    """The warning that near-duplicates are no evidence of their own, one a good image."""
    text = f"{category}: {repeated} good images show a part that another one shows, and data.group "
    text += "is not set: they count as parts of their own"
    return [Fault("repeated", text, "train")] * repeated
