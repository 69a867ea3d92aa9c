"""What outputs of several members mean, by good images that none of them learned from.

Outputs are scores of images and values of maps, each of every member: of M members O = 2 M outputs,
images first. Sites send how many held-out scores there are, their sums and the sums of their
squares; then how many lie in each of `BINS` bins of standard units around the mean of all sites.
Both add over sites, so a calibration over sites is the centralised one. Scores of drawn defects are
counted in the same bins, where something is learned of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

import numpy as np

from fedad.averaging.counted import Counted, of_all
from fedad.averaging.sums import BELOW, PRODUCTS, SUMS
from fedad.errors import UploadError
from fedad.messages.schema import COUNTS, DOUBLES, Array

LOWEST, HIGHEST, BINS = -8.0, 24.0, 512  # of standard units; what lies beyond is in the last bins
KNOTS = np.linspace(0, 1, 101)  # the shares of held-out scores whose quantiles are known
IMAGE_LEVELS, PATCH_LEVELS = (0.5, 0.9), (0.9, 0.995)  # quantiles that become 0 and `TENTH`
TENTH = 0.1
FLAT = 1e-6  # times a mean: the least spread of scores that anything is divided by
T = TypeVar("T", bound=Counted)
Calibration = Literal["z", "quantile", "p", "e"]
COUNT = ("int64",)


@dataclass(frozen=True, eq=False, kw_only=True)
class ScoreSums(Counted):
    """Of each of C products and O outputs: how many held-out scores, their sum and squares."""

    count: Annotated[np.ndarray, Array("C O", COUNT, least=0, most=COUNTS)]
    sums: Annotated[np.ndarray, Array("C O", DOUBLES, least=-SUMS, most=SUMS)]
    squares: Annotated[np.ndarray, Array("C O", DOUBLES, least=0, most=PRODUCTS)]

    @property
    def mean(self) -> np.ndarray:
        """(C, O): the mean of held-out scores; 0 where there are none."""
        return self.sums / np.maximum(self.count, 1)

    @property
    def spread(self) -> np.ndarray:
        """(C, O): their standard deviation, above 0."""
        count = np.maximum(self.count, 1)
        variance = np.maximum(self.squares / count - np.square(self.mean), 0)
        least = np.maximum(FLAT * np.abs(self.mean), np.finfo(np.float32).tiny)
        found: np.ndarray = np.maximum(np.sqrt(variance), least)
        return found


@dataclass(frozen=True, eq=False, kw_only=True)
class ScoreCounts(Counted):
    """Of each of C products and O outputs: how many held-out scores lie in each of K bins, and how
    many of drawn defects, of which there are `defects` in all."""

    good: Annotated[np.ndarray, Array("C O K", COUNT, least=0, most=COUNTS)]
    drawn: Annotated[np.ndarray, Array("C O K", COUNT, least=0, most=COUNTS)]
    defects: Annotated[np.ndarray, Array("C", COUNT, least=0, most=COUNTS)]

    def check(self) -> None:
        """Refuse counts of other bins."""
        if (found := (self.good.shape[2], self.drawn.shape[2])) != (BINS, BINS):
            raise UploadError(f"counts in {found} bins, expected {BINS}", "shape")


def sums_of(values: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(O,) each: how many values, their sums and squares, of each output's (n_o,)."""
    exact = [one.astype(np.float64) for one in values]
    return (
        np.array([len(one) for one in exact], np.int64),
        np.array([one.sum() for one in exact]),
        np.array([np.square(one).sum() for one in exact]),
    )


def counts_of(values: Sequence[np.ndarray], mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """(O, K): how many of each output's values (n_o,) lie in each bin."""
    found = np.zeros((len(values), BINS), np.int64)
    for o, one in enumerate(values):
        units = (one.astype(np.float64) - mean[o]) / spread[o]
        found[o] = np.bincount(bins_of(units), minlength=BINS)
    return found


def bins_of(units: np.ndarray) -> np.ndarray:
    """The bins that values in standard units lie in, of any shape."""
    bins = np.clip((units - LOWEST) / (HIGHEST - LOWEST) * BINS, 0, BINS - 1)
    found: np.ndarray = bins.astype(np.int64)
    return found


def added_up(uploads: Sequence[T], fields: Sequence[str]) -> T:
    """Counts of all sites, in the order of the uploads, over all their products."""
    about, first, totals = of_all(uploads), uploads[0], dict[str, Any]()
    for name in fields:
        part: np.ndarray = getattr(first, name)
        total = np.zeros((len(about["categories"]), *part.shape[1:]), part.dtype)
        for one in uploads:
            at = [about["categories"].index(category) for category in one.categories]
            total[at] += getattr(one, name)
        totals[name] = total
    return first.replace(**totals, **about)


def quantiles(counts: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """(n,): the values, in standard units, below which these shares of counts (K,) lie; linear
    within a bin, so that they are right to a bin's width."""
    width = (HIGHEST - LOWEST) / BINS
    edges = LOWEST + width * np.arange(BINS + 1)
    below = np.concatenate([[0], np.cumsum(counts)]) / max(1, int(counts.sum()))
    full = np.flatnonzero(np.diff(below, prepend=-1) > 0)  # strictly rising
    at = edges[full]
    at[0] = edges[int(np.argmax(counts > 0))]  # where the lowest score's bin begins
    return np.interp(shares, below[full], at)


@dataclass(frozen=True, eq=False)
class Calibrator:
    """Scores of each product and output -> what all outputs can be compared by."""

    sums: ScoreSums
    counts: ScoreCounts | None
    how: Calibration

    def __call__(self, values: np.ndarray, product: str, output: int) -> np.ndarray:
        """The calibrated values of any shape, float64; higher stays more anomalous."""
        units = self.units(values, product, output)
        if self.how == "z":
            return units
        if self.how in ("p", "e"):
            return self.rarity(units, product, output)
        low, high = self._quantiles(product, output, self._levels(output))
        found: np.ndarray = TENTH * (units - low) / max(high - low, self._least())
        return found

    def units(self, values: np.ndarray, product: str, output: int) -> np.ndarray:
        """The values in standard units of held-out scores."""
        at = self.sums.categories.index(product)
        mean, spread = self.sums.mean[at, output], self.sums.spread[at, output]
        found: np.ndarray = (values.astype(np.float64) - mean) / spread
        return found

    def rarity(self, units: np.ndarray, product: str, output: int) -> np.ndarray:
        """Minus the natural logarithm of the share of held-out scores that are as high. Above the
        upper level, where few are, the share falls as that of an exponential distribution."""
        levels = self._levels(output)
        low, high = self._quantiles(product, output, levels)
        knots = self._quantiles(product, output, KNOTS)
        share = np.interp(units, *_rising(knots, KNOTS))
        body = -np.log1p(-np.minimum(share, levels[0]))
        scale = max(high - low, self._least()) / np.log((1 - levels[0]) / (1 - levels[1]))
        tail = -np.log1p(-levels[0]) + (units - low) / scale
        found: np.ndarray = np.where(units <= low, body, tail)
        return found

    def rank(self, values: np.ndarray, product: str, output: int) -> np.ndarray:
        """The share of held-out scores that are lower, up to 1 - 1 / e; from there on it rises
        evenly in the logarithm of how rare a score is, also above 1, so that no two alarms tie."""
        units = self.units(values, product, output)
        rare = self.rarity(units, product, output)
        found: np.ndarray = np.where(rare <= 1, 1 - np.exp(-rare), rare / np.e + 1 - 2 / np.e)
        return found

    def _quantiles(
        self, product: str, output: int, shares: Sequence[float] | np.ndarray
    ) -> np.ndarray:
        if self.counts is None:
            raise ValueError(f"a calibration by {self.how} needs counts")
        at = self.counts.categories.index(product)
        return quantiles(self.counts.good[at, output], np.asarray(shares))

    def _levels(self, output: int) -> tuple[float, float]:
        return IMAGE_LEVELS if output < self.sums.count.shape[1] // 2 else PATCH_LEVELS

    def _least(self) -> float:
        return (HIGHEST - LOWEST) / BINS


def averaged(values: np.ndarray, how: Calibration, weights: np.ndarray | None = None) -> np.ndarray:
    """(...): the mean of calibrated outputs (M, ...), or that by weights (M,), which sum to 1.

    Of `e` the mean is of e-values, 1 / (2 sqrt p) of an output that p of held-out scores reach. It
    holds whatever outputs depend on, where the mean of -log p presumes that they are independent,
    which those of members that see the same features are not (Vovk and Wang, E-values: calibration,
    combination and applications, Annals of Statistics 2021). It is told as p is, 2 log(2 mean).
    """
    if how != "e":
        plain: np.ndarray = np.average(values, 0, weights)
        return plain
    if weights is not None:
        values, weights = values[weights > 0], weights[weights > 0]
    highest = values.max(0)
    found: np.ndarray = highest + 2 * np.log(np.average(np.exp((values - highest) / 2), 0, weights))
    return found


def _rising(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points of which each has another x, in their order: of equal ones the last."""
    keep = np.append(np.diff(x) > 0, True)
    return x[keep], y[keep]


def check_score_sums(upload: ScoreSums, patches: int, outputs: int) -> None:
    """Refuse sums of other scores than so many images have, or that no scores have.

    Raises:
        UploadError: of the words `shape` and `counts`.
    """
    if upload.count.shape[1] != outputs:
        raise UploadError(f"scores of {upload.count.shape[1]} outputs, expected {outputs}", "shape")
    each = upload.count // np.maximum(upload.images, 1)[:, None]
    wanted = np.repeat([1, patches], outputs // 2)
    if (each != wanted).any() or (each * upload.images[:, None] != upload.count).any():
        raise UploadError("scores of other patches than its held-out images have", "counts")
    variance = upload.squares * upload.count - np.square(upload.sums)
    if (variance < -BELOW * upload.squares * upload.count).any():
        raise UploadError("sums that no scores have: a variance is below 0", "counts")


def check_score_counts(upload: ScoreCounts, patches: int, outputs: int, most: int) -> None:
    """Refuse counts of other scores than so many images have, or of more drawn defects than `most`
    an image.

    Raises:
        UploadError: of the words `shape` and `counts`.
    """
    if (found := upload.good.shape[1:]) != (outputs, BINS) or upload.drawn.shape[1:] != found:
        raise UploadError(
            f"counts of {upload.good.shape[1]} outputs in {upload.good.shape[2]} bins, expected "
            f"{outputs} in {BINS}",
            "shape",
        )
    half, good, drawn = outputs // 2, upload.good.sum(2), upload.drawn.sum(2)
    wrong = [
        good[:, :half] != upload.images[:, None],
        good[:, half:] != upload.images[:, None] * patches,
        upload.defects > most * upload.images,
        drawn[:, :half] != upload.defects[:, None],
        drawn[:, half:] > upload.defects[:, None] * patches,
        drawn != drawn[:, [0] * half + [half] * half],
    ]
    if any(one.any() for one in wrong):
        raise UploadError("counts of other scores than its held-out images have", "counts")
