"""The parts of an ensemble in the order in which they are learned, each by rounds of its own.

Every part has `rounds`, and `fit`, `merge`, `expected` and `admit` as a method has them; what it is
given as `turn.model` is the whole model so far, and what its `merge` returns is its own part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

import numpy as np

from fedad.averaging.counted import check_images
from fedad.ensembles.blocks import (
    Blocks,
    BlockSums,
    added_up,
    check_block_sums,
    components_of,
    sums_of,
)
from fedad.ensembles.composite import Composite
from fedad.ensembles.held import folds_of, in_turn, joined, split
from fedad.ensembles.seen import BLOCKS, HEAD, Seen
from fedad.ensembles.taps import part_of
from fedad.errors import ConfigError, DataError
from fedad.messages.payload import Payload
from fedad.methods.base import Round, Turn
from fedad.types import Enrolled

if TYPE_CHECKING:  # who only merges needs no network in memory
    pass

T = TypeVar("T", bound=Payload)
Images = Any  # Features | InParts
LONGEST = 25.0  # spreads that joined features are long, at most, as a site's longest patch


class Part(Protocol):
    """See the module."""

    @property
    def name(self) -> str:
        """What it is called in the model."""
        ...

    @property
    def rounds(self) -> Sequence[Round]:
        """Its own."""
        ...

    def fit(
        self, features: Images, turn: Turn, *, own: Any | None, rng: np.random.Generator
    ) -> Payload:
        """At a site, of all its good images."""
        ...

    def merge(self, uploads: Sequence[Any], turn: Turn, *, rng: np.random.Generator) -> Payload:
        """At the server: the part as it is after this round."""
        ...

    def expected(self, site: Enrolled, turn: Turn) -> Enrolled:
        """What a site enrolled with, as its upload has it."""
        ...

    def admit(self, upload: Any, site: Enrolled, turn: Turn) -> tuple[Any, list[str]]:
        """The upload as far as this site can have made it, and what was odd."""
        ...


class Step(NamedTuple):
    """A round of the ensemble: of which part, and which of its own rounds."""

    part: Part
    number: int


@dataclass(frozen=True)
class Learner:
    """A part that is learned as a method or a member is: of all images that are not held out, or of
    what `seen` makes of them. With folds a member that judges learns of all images, and one of a
    `fold` of those of the others."""

    name: str
    by: Any  # a `Method` or a `Member`
    seen: Seen
    headed: bool = False
    fold: int | None = None

    @property
    def rounds(self) -> Sequence[Round]:
        """Its own."""
        found: Sequence[Round] = self.by.rounds
        return found

    def fit(
        self, features: Images, turn: Turn, *, own: Any | None, rng: np.random.Generator
    ) -> Payload:
        """As it learns alone; a head of the products alone that there are components of.

        Raises:
            DataError: it is a head, and no site has enough good images of this site's products.
        """
        numbers = self._numbers(features)
        if self.headed:
            model: Composite = turn.model
            known = {name for name in {*features.categories} if self.seen.knows(model, name)}
            numbers = [k for k in numbers if features.categories[k] in known]
            if not numbers:
                least = self.seen.knobs.least_images
                raise DataError(
                    f"ensemble.least-images = {least}: no site has so many good "
                    f"images of {', '.join(sorted({*features.categories}))!s:.80}, of which alone "
                    "this site has any: a head on joined features needs them"
                )
        images = features.take(numbers)
        if self.headed:
            width = self.seen.width(model.part(BLOCKS, Blocks))
            images = joined(images, self.seen.joined(model), (*images.shape[:2], width))
        made: Payload = self.by.fit(images, self._turn(turn), own=own, rng=rng)
        return made

    def merge(self, uploads: Sequence[Any], turn: Turn, *, rng: np.random.Generator) -> Payload:
        """As alone."""
        made: Payload = self.by.merge(uploads, self._turn(turn), rng=rng)
        return made

    def expected(self, site: Enrolled, turn: Turn) -> Enrolled:
        """As alone; a head is given joined features, of which the longest a site can have is known
        by how they are made."""
        if self.headed:
            blocks: Blocks = turn.model.part(BLOCKS, Blocks)
            width = self.seen.width(blocks)
            unit = np.sqrt(width if self.seen.knobs.whiten else blocks.widths.sum())
            site = site._replace(features=width, longest=LONGEST * float(unit))
        made: Enrolled = self.by.expected(site, self._turn(turn))
        return made

    def admit(self, upload: Any, site: Enrolled, turn: Turn) -> tuple[Any, list[str]]:
        """As alone."""
        made: tuple[Any, list[str]] = self.by.admit(upload, site, self._turn(turn))
        return made

    def _numbers(self, features: Images) -> list[int]:
        """Of the images that it learns from."""
        knobs, seed = self.seen.knobs, self.seen.config.round.seed
        if self.fold is None and knobs.folds > 1:
            return [*range(len(features.images))]
        return folds_of(features, knobs.folds, knobs.holdout, seed)[self.fold or 0][0]

    def _turn(self, turn: Turn) -> Turn:
        """The turn as it would have it alone."""
        if turn.number == 1:
            return Turn()
        model: Composite = turn.model
        return Turn(turn.number, model.part(self.name, self.rounds[turn.number - 2].model))


@dataclass(frozen=True)
class BlockPart:
    """The components of the members' channels, by one round of sums over all training images that
    are not held out."""

    seen: Seen
    name: str = BLOCKS
    rounds: Sequence[Round] = (Round(BlockSums, Blocks),)

    def fit(
        self, features: Images, turn: Turn, *, own: Any | None, rng: np.random.Generator
    ) -> BlockSums:
        """The moments of the site's channels."""
        knobs, model, found = self.seen.knobs, turn.model, dict[str, Any]()
        numbers, _ = split(features, knobs.holdout, self.seen.config.round.seed)
        images, taps = features.take(numbers), self.seen.taps(turn.model)
        count = Counter(images.categories)
        for few in in_turn(images):
            for name in sorted({*few.categories}):
                if count[name] < knobs.least_images or not self.seen.knows(model, name):
                    continue
                mine = few.take([k for k, of in enumerate(few.categories) if of == name])
                new = sums_of(self.seen.channels(taps, mine))
                old = found.get(name)
                found[name] = [a.plus(b) for a, b in zip(old, new, strict=True)] if old else new
        table = [found[name] for name in sorted(found)]  # empty where each product has too few
        widths = [len(one.sums) for one in table[0]] if table else []
        halves = sum(width * (width + 1) // 2 for width in widths)
        sums, products = np.empty((len(table), sum(widths))), np.empty((len(table), halves))
        for k, row in enumerate(table):
            sums[k] = np.concatenate([one.sums for one in row])
            products[k] = np.concatenate([one.products for one in row])
        counts = [[one.number for one in row] for row in table]
        return BlockSums(
            widths=np.array(widths, np.int64),
            count=np.array(counts, np.int64).reshape(len(table), len(widths)),
            sums=sums,
            products=products,
            images=np.array([count[name] for name in sorted(found)], np.int64),
            categories=tuple(sorted(found)),
            sites=("",),
            fingerprint=features.fingerprint,
        )

    def merge(
        self, uploads: Sequence[BlockSums], turn: Turn, *, rng: np.random.Generator
    ) -> Blocks:
        """The components of all sites' channels."""
        total = added_up(with_some(uploads, "ensemble.least-images"))
        knobs = self.seen.knobs
        return components_of(total, knobs.dimensions, knobs.share, knobs.whiten)

    def expected(self, site: Enrolled, turn: Turn) -> Enrolled:
        """What the site enrolled with."""
        return site

    def admit(self, upload: BlockSums, site: Enrolled, turn: Turn) -> tuple[BlockSums, list[str]]:
        """The sums, if images can have them."""
        check_images(upload, site, least=self.seen.knobs.least_images)
        if upload.categories:
            patches = site.fingerprint.patches if self.seen.knobs.block == "global" else 0
            check_block_sums(upload, self.seen.widest, patches)
        return upload, []


def with_some(uploads: Sequence[T], knob: str) -> list[T]:
    """The uploads that say something of a product.

    Raises:
        ConfigError: none does.
    """
    if found := [one for one in uploads if one.categories]:
        return found
    raise ConfigError(
        f"{knob}: no site has so many images of any product: lower it, or raise ensemble.holdout"
    )


def learners(seen: Seen) -> list[Part]:
    """The parts that are learned before outputs are calibrated, in their order.

    Members of many rounds come first: what comes down holds all parts so far, and a bank would come
    down again in each round of a member that is learned after it.
    """
    parts: list[Part] = [Learner(part_of(name), one, seen) for name, one in _longest_first(seen)]
    if seen.head is not None:
        parts += [BlockPart(seen), Learner(HEAD, seen.head, seen, headed=True)]
    return parts


def of_folds(seen: Seen) -> list[Part]:
    """The members less each fold, where there are several: whose scores are of images that they
    have not seen. They leave the model once these are counted."""
    return [
        Learner(part_of(name, fold), one, seen, fold=fold)
        for fold in seen.folds
        if fold is not None
        for name, one in _longest_first(seen)
    ]


def _longest_first(seen: Seen) -> list[tuple[str, Any]]:
    return sorted(seen.members.items(), key=lambda one: -len(one[1].rounds))
