"""Which members count, found forward by defects that were drawn into good images.

The rule: begin with the member that tells drawn defects best. Of the others join the one whose mean
with those before it, of calibrated outputs and with equal weights, tells them best, if that is
better by more than the standard error of the difference; end where none is, or at `MOST` members.
So where drawn defects tell nothing of what joining helps, the ensemble is one member. Scores of
images and maps are decided apart. (Caruana et al., Ensemble selection from libraries of models,
ICML 2004, without their drawing of members more than once.)

A measure is a mean over the images that defects were drawn into, so that what sites send adds: sums
of the candidates' measures and of their products, by which the paired standard error of any two is
the centralised one. Of maps an image's measure is the mean share, over its defects, of the patches
above the limits at which 0 to 5 % of all patches without a defect lie: those of good images, and
those around a drawn defect, so that a map that smears it pays, as in AUC-sPRO. Of scores the mean
is the AUROC of drawn images against good ones, and an image's measure how its drawn ones rank among
all good ones, and itself below all drawn ones (DeLong et al., Biometrics 1988, of pairs that have
an image in common).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import numpy as np

from fedad.averaging.counted import check_images
from fedad.averaging.moments import Moments, square
from fedad.averaging.sums import BELOW, Sums
from fedad.ensembles.calibrating import BINS, TENTH, Calibration, ScoreCounts, averaged, bins_of
from fedad.ensembles.weighing import LEVEL
from fedad.errors import UploadError
from fedad.types import Enrolled

MOST = 3  # members that are joined
LEAST_MEASURE, MOST_MEASURE = -1.0, 2.0  # of an image; the mean is 0 to 1
UNITS = {"z": 1.0, "quantile": TENTH, "p": 1.0, "e": 1.0}  # of outputs, as bins count them
Chosen = tuple[int, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class Measures(Sums):
    """The moments of images' measures: of each product one cell, with a point an image, of 2 Q
    dimensions for Q candidates; those of scores come first."""


@lru_cache(maxsize=16)
def candidates(members: int) -> tuple[Chosen, ...]:
    """Which members may be joined: each alone, then two, up to `MOST`."""
    sizes = range(1, min(members, MOST) + 1)
    return tuple(chosen for size in sizes for chosen in combinations(range(members), size))


def joint(values: np.ndarray, how: Calibration) -> np.ndarray:
    """(Q, ...): each candidate's mean of calibrated outputs (M, ...), in units that bins count."""
    every = candidates(len(values))
    return np.stack([averaged(values[[*chosen]], how) for chosen in every]) / UNITS[how]


def of_images(
    good: np.ndarray, drawn: np.ndarray, all_good: np.ndarray, all_drawn: np.ndarray
) -> np.ndarray:
    """(n,): the images' measures by one candidate's scores.

    Args:
        good: (n,) scores, drawn: (n, d) of what was drawn into each.
        all_good, all_drawn: (K,) counts in bins of all sites' scores.
    """
    above, below = _lower(all_good)[bins_of(drawn)].mean(1), 1 - _lower(all_drawn)[bins_of(good)]
    found: np.ndarray = above + below - _auroc(all_good, all_drawn)
    return found


def of_maps(drawn: np.ndarray, shown: np.ndarray, all_good: np.ndarray) -> np.ndarray:
    """(n,): the images' measures by one candidate's maps.

    Args:
        drawn: (n, d, h w) values of what was drawn into each, shown: the same bool, which patches
            show some of a defect.
        all_good: (K,) counts in bins of all sites' patches without a defect.
    """
    false = 1 - _lower(all_good)  # the share of patches without a defect that are as high
    found = np.clip(1 - false / LEVEL, 0, 1)[bins_of(drawn)]
    each = (found * shown).sum(2) / np.maximum(shown.sum(2), 1)
    measures: np.ndarray = each.mean(1)
    return measures


def selected(measures: Moments, members: int) -> tuple[Chosen, Chosen]:
    """Who counts of images' scores, and who of maps, by the moments of 2 Q measures."""
    half = len(candidates(members))
    means = measures.sums / measures.number
    errors = errors_of(measures)
    return (
        _forward(means[:half], errors[:half, :half], members),
        _forward(means[half:], errors[half:, half:], members),
    )


def errors_of(measures: Moments) -> np.ndarray:
    """(P, P): the standard errors of differences of P mean measures; infinite of one image."""
    number, sums = measures.number, measures.sums
    if number < 2:
        return np.full((len(sums), len(sums)), np.inf)
    about = square(measures.products) - np.outer(sums, sums) / number
    of_each = np.diag(about)
    squares = np.maximum(of_each[:, None] + of_each - 2 * about, 0)
    found: np.ndarray = np.sqrt(squares / (number - 1) / number)
    return found


def weights_of(chosen: Chosen, members: int) -> np.ndarray:
    """(M,): 1 together, alike among the chosen."""
    found = np.zeros(members)
    found[[*chosen]] = 1 / len(chosen)
    return found


def check_trials(upload: ScoreCounts, patches: int, members: int, most: int) -> None:
    """Refuse counts of other candidates, or of other scores than so many images have, or of more
    drawn defects than `most` an image.

    Raises:
        UploadError: of the words `shape` and `counts`.
    """
    half = len(candidates(members))
    if (found := upload.good.shape[1:]) != (2 * half, BINS) or upload.drawn.shape[1:] != found:
        told = f"counts of {found} and {upload.drawn.shape[1:]}, expected {(2 * half, BINS)}"
        raise UploadError(told, "shape")
    images, defects = upload.images[:, None], upload.defects[:, None]
    good, drawn = upload.good.sum(2), upload.drawn.sum(2)
    wrong = [
        good[:, :half] != images,
        drawn[:, :half] != defects,
        defects > most * images,
        good[:, half:] + drawn[:, half:] != (images + defects) * patches,
        drawn != drawn[:, [0] * half + [half] * half],
    ]
    if any(one.any() for one in wrong):
        raise UploadError("counts of other scores than its held-out images have", "counts")


def check_measures(upload: Measures, site: Enrolled, members: int, least: int) -> None:
    """Refuse measures of other candidates, or such as no images have.

    Raises:
        UploadError: of the words `shape` and `counts`.
    """
    check_images(upload, site, least=least)
    if (found := upload.sums.shape[1:]) != (1, wanted := 2 * len(candidates(members))):
        raise UploadError(f"measures of {found}, expected (1, {wanted})", "shape")
    if (upload.count[:, 0] != upload.images).any():
        raise UploadError("measures of other images than its held-out ones", "counts")
    for product in range(len(upload.categories)):
        moments = upload.of(product, 0)
        mean = moments.sums / moments.number
        covariance = square(moments.products) / moments.number - np.outer(mean, mean)
        most = (MOST_MEASURE - mean) * (mean - LEAST_MEASURE)  # of a variance, by its mean
        if (most < 0).any() or (np.diag(covariance) > most + BELOW).any():
            raise UploadError("measures that no images have: beyond -1 to 2", "counts")
        if np.linalg.eigvalsh(covariance)[0] < -BELOW:
            raise UploadError("measures that no images have: a variance is below 0", "counts")


def _forward(means: np.ndarray, errors: np.ndarray, members: int) -> Chosen:
    every = candidates(members)
    now = int(np.argmax(means[:members]))
    while True:
        more = [k for k, one in enumerate(every) if _joins(one, every[now])]
        best = max(more, key=lambda k: (means[k], -k), default=now)
        if not means[best] - means[now] > errors[best, now]:
            return every[now]
        now = best


def _joins(one: Chosen, before: Chosen) -> bool:
    return len(one) == len(before) + 1 and {*before} <= {*one}


def _lower(counts: np.ndarray) -> np.ndarray:
    """(K,): the share of counts (K,) in lower bins, and half of those in the same."""
    before = np.concatenate([[0], np.cumsum(counts)[:-1]])
    found: np.ndarray = (before + counts / 2) / max(1, int(counts.sum()))
    return found


def _auroc(good: np.ndarray, drawn: np.ndarray) -> float:
    return float((drawn * _lower(good)).sum() / max(1, int(drawn.sum())))
