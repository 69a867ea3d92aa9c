"""How a bank judges images: by their nearest rows, described and read as its fingerprint says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from fedad.banks.bank import Bank
from fedad.banks.measured import measured
from fedad.config import ScoreKnobs
from fedad.descriptors.apply import described_features
from fedad.descriptors.density import divided, gaps
from fedad.descriptors.settings import settings_of, table_of
from fedad.descriptors.smoothed_maximum import smoothed_maximum
from fedad.dp.projected import as_rows
from fedad.errors import MismatchError
from fedad.methods.base import check_scorable
from fedad.scoring.base import Ready, Scoring, prepared
from fedad.search.base import Nearest
from fedad.types import Features

OWN = -1  # in place of a site's number: the site's own bank, which did not travel


class Judged(NamedTuple):
    """Of B images their maps and scores, and the number in `model.sites` of the site that the
    nearest row of each patch is from, or `OWN`."""

    maps: np.ndarray  # (B, h, w) float32
    scores: np.ndarray  # (B,) float32
    whose: np.ndarray  # (B, h, w) int32


class Part(NamedTuple):
    """Of a product what the bank has, what the site has, and how patches are scored by both."""

    bank: Bank
    own: Bank | None
    score: Ready


class Kept:
    """What was found out of one bank and what one site has: both as they are measured, and how
    patches are scored by them, product by product."""

    def __init__(self, model: Bank, own: Bank | None) -> None:
        self.model, self.own = model, own
        self.bank = measured(model)
        self.mine = None if own is None else measured(own, model)
        self.parts = dict[str, Part]()

    def is_of(self, model: Bank, own: Bank | None) -> bool:
        """Whether it is of these very ones."""
        return model is self.model and own is self.own


def judged(
    kept: Kept, features: Features, *, scoring: Scoring, knobs: ScoreKnobs, device: str
) -> Judged:
    """What a bank says of images, product by product unless it is mixed.

    Args:
        kept: the bank and the site's own rows, and what earlier calls found out of them; it grows.

    Raises:
        MismatchError: features of another backbone than the bank's, or that are described in words
            that this version does not know, or to another width than its rows have.
        DataError: an image of a category that no site had a good image of.
    """
    model = kept.bank
    check_scorable(model, features)
    from fedad.search.image_scores import image_scores

    table = table_of(model.fingerprint)
    features = described_features(features, table)
    _check_width(model, features)
    maps = np.empty(features.grid.shape[:3], np.float32)
    scores, whose = np.empty(len(maps), np.float32), np.empty(maps.shape, np.int32)
    parts = _parts(kept, features, scoring=scoring, knobs=knobs, device=device)
    for images, (bank, mine, score) in parts:
        settings = settings_of(table, features.categories[int(images[0])])
        grid = features.grid if len(images) == len(maps) else features.grid[images]
        patches = grid.reshape(-1, grid.shape[-1])
        found = score(patches)
        if settings.density:
            found = _by_density(found, bank, mine, settings.density)
        if features.valid is not None:
            seen = features.valid[images].ravel()
            found = found._replace(distance=np.where(seen, found.distance, np.float32(0)))
        maps[images] = found.distance.reshape(grid.shape[:3])
        at = np.append(bank.site, OWN)[np.minimum(found.row, len(bank))]
        whose[images] = at.reshape(grid.shape[:3])
        if settings.smoothed_maximum:
            each = found.distance.reshape(len(images), -1)
            scores[images] = smoothed_maximum(each, settings.smoothed_maximum)
            continue
        scores[images] = image_scores(
            found,
            as_rows(bank.fingerprint, patches),
            bank.rows,
            per_image=features.patches_per_image,
            neighbours=knobs.neighbours,
        )
    return Judged(maps, scores, whose)


def _parts(
    kept: Kept, features: Features, *, scoring: Scoring, knobs: ScoreKnobs, device: str
) -> Iterator[tuple[np.ndarray, Part]]:
    """Numbers of images, and the part of the bank that they are scored with."""
    model, groups = kept.bank, {"": np.arange(len(features.grid))}
    if model.scope != "mixed":
        names = features.categories
        groups = {
            name: np.array([i for i, c in enumerate(names) if c == name])
            for name in sorted(set(names))
        }
    for name, images in groups.items():
        if name not in kept.parts:
            bank = model.of_category(name) if name else model
            mine = _same_part(kept.mine, bank)
            kept.parts[name] = Part(bank, mine, prepared(scoring, bank, mine, knobs, device))
        yield images, kept.parts[name]


def _same_part(own: Bank | None, bank: Bank) -> Bank | None:
    """What a site's own bank has of the category that `bank` is the part of; all where mixed."""
    if own is None or bank.scope == "mixed":
        return own
    (category,) = bank.categories
    return own.of_category(category) if category in own.categories else None


def _by_density(found: Nearest, bank: Bank, own: Bank | None, power: float) -> Nearest:
    """The distances by how far apart rows of the bank lie around each one's nearest row."""
    rows, at = np.unique(found.row, return_inverse=True)
    mine = rows >= len(bank)
    points = bank.rows[rows[~mine]]
    if own is not None and mine.any():
        points = np.concatenate([points, own.rows[rows[mine] - len(bank)]])
    return found._replace(distance=divided(found.distance, gaps(bank.rows, points)[at], power))


def _check_width(model: Bank, features: Features) -> None:
    """Refuse rows that are no such features; those of a private release are projected first."""
    width, rows = features.grid.shape[-1], model.rows.shape[1]
    if width != rows and not model.fingerprint.projection:
        raise MismatchError(
            f"the bank has rows of {rows} features, expected {width}, as its fingerprint says: was "
            "its fingerprint or its rows changed?"
        )
