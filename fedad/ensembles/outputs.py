"""What the members say of held-out images, and of defects that are drawn into these."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fedad.ensembles.calibrating import BINS, ScoreCounts, added_up
from fedad.ensembles.composite import Composite
from fedad.ensembles.drawing import drawn_into, features_of, masks_of
from fedad.ensembles.held import folds_of
from fedad.ensembles.parts import Images, with_some
from fedad.ensembles.seen import Seen
from fedad.methods.base import Turn
from fedad.types import Enrolled

LEAST = "ensemble.least-images"
FEW = 16  # images at a time: their defects fill the batches of the network
OF_MEMBERS = ("weighted", "logistic", "forest")  # who learn of the members' own drawn scores


class Held(NamedTuple):
    """What M outputs say of n held-out images of a product, and of d defects drawn into each."""

    product: str
    scores: np.ndarray  # (M, n)
    maps: np.ndarray  # (M, n, h w)
    drawn_scores: np.ndarray  # (M, n, d)
    drawn_maps: np.ndarray  # (M, n, d, h w)
    shown: np.ndarray  # (n, d, h w) bool: the patches that show some of a defect

    @property
    def images(self) -> int:
        """n."""
        return self.scores.shape[1]

    @property
    def defects(self) -> int:
        """How many were drawn."""
        return self.images * self.shown.shape[1]

    @property
    def good(self) -> list[np.ndarray]:
        """Of each output: (n,) images' scores, then (n h w,) of patches."""
        return [*self.scores, *self.maps.reshape(len(self.maps), -1)]

    @property
    def drawn(self) -> list[np.ndarray]:
        """The same of drawn defects; of patches those that show some of one."""
        return [
            *self.drawn_scores.reshape(len(self.scores), -1),
            *(one[self.shown] for one in self.drawn_maps),
        ]


def joined(parts: Sequence[Held]) -> Held:
    """The images of all parts, which are of one product."""
    _, *columns, shown = zip(*parts, strict=True)
    scores, maps, odd, far = (np.concatenate(column, axis=1) for column in columns)
    return Held(parts[0].product, scores, maps, odd, far, np.concatenate(shown))


@dataclass(frozen=True)
class Judging:
    """What these parts have in common."""

    seen: Seen

    @property
    def outputs(self) -> int:
        """O: scores of images and of patches, of each output."""
        return 2 * len(self.seen.names)

    @property
    def draws(self) -> int:
        """How many defects are drawn into an image, where the members' own scores of them count."""
        return self.seen.knobs.draws if self.seen.knobs.combine in OF_MEMBERS else 0

    def held(self, model: Composite, features: Images, draws: int) -> Iterator[Held]:
        """What is seen of the held-out images of each product that there are enough of."""
        knobs, seed = self.seen.knobs, self.seen.config.round.seed
        folds = folds_of(features, knobs.folds, knobs.holdout, seed)
        count = Counter(features.categories[k] for _, numbers in folds for k in numbers)
        for product in sorted(count):
            known = all(self.seen.knows(model, product, fold) for fold in self.seen.folds)
            if count[product] < knobs.least_images or not known:
                continue
            yield joined(
                [
                    self._of_some(model, good, some, fold, draws)
                    for fold, (_, numbers) in zip(self.seen.folds, folds, strict=True)
                    for good, some in few_of(features, product, numbers)
                ]
            )

    def _of_some(
        self, model: Composite, good: Images, images: Sequence[int], fold: int | None, draws: int
    ) -> Held:
        """What is seen of some of a product's good images, by the members that have not."""
        product = good.categories[images[0]]
        scores, maps = self.seen.outputs(model, good.in_memory(images), fold)
        members, count, (h, w) = *scores.shape, maps.shape[2:]
        flat = maps.reshape(members, count, h * w)
        if not draws:
            none = scores[:, :, None][:, :, :0], flat[:, :, None][:, :, :0]
            return Held(product, scores, flat, *none, np.empty((count, 0, h * w), np.bool_))
        drawn = [drawn_into(good, k, draws, self.seen.config.round.seed) for k in images]
        every = [one for defects in drawn for one in defects]
        odd, far = self.seen.outputs(model, features_of(every, good, images), fold)
        shown = masks_of(every, self.seen.config, (h, w)).reshape(count, draws, h * w)
        of_drawn = odd.reshape(members, count, draws), far.reshape(members, count, draws, h * w)
        return Held(product, scores, flat, *of_drawn, shown)

    def expected(self, site: Enrolled, turn: Turn) -> Enrolled:
        """What the site enrolled with."""
        return site


def few_of(
    features: Images, product: str, numbers: Sequence[int]
) -> Iterator[tuple[Images, list[int]]]:
    """The images of a product among those of some numbers, and a few of these at a time."""
    together = features.take([k for k in numbers if features.categories[k] == product])
    count = len(together.images)
    yield from ((together, [*range(at, min(at + FEW, count))]) for at in range(0, count, FEW))


def about(found: Sequence[Held], features: Images) -> dict[str, Any]:
    """What an upload says of the images that it stands for."""
    return {
        "images": np.array([one.images for one in found], np.int64),
        "categories": tuple(one.product for one in found),
        "sites": ("",),
        "fingerprint": features.fingerprint,
    }


def score_counts(
    found: Sequence[Held],
    good: Sequence[np.ndarray],
    drawn: Sequence[np.ndarray],
    outputs: int,
    features: Images,
) -> ScoreCounts:
    """What a site sends of its held-out images' counts.

    Args:
        good: of each product in `found` (O, K) counts in bins, drawn: the same of drawn defects.
        outputs: O.
    """
    shape = (-1, outputs, BINS)
    return ScoreCounts(
        good=np.array(good, np.int64).reshape(shape),
        drawn=np.array(drawn, np.int64).reshape(shape),
        defects=np.array([one.defects for one in found], np.int64),
        **about(found, features),
    )


def all_counts(uploads: Sequence[ScoreCounts]) -> ScoreCounts:
    """The counts of all sites."""
    return added_up(with_some(uploads, LEAST), ("good", "drawn", "defects"))
