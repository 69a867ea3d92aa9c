"""Can this site have sent this, in this run? What is well formed may still lie.

An upload is held against what the site enrolled with: its name, its products, its fingerprint, its
width. Then the method itself says whether the site can have made it (`Method.admit`).

Findings are on no more test images, and of no other products, than the site has, and on no more
pixels, regions and patches than so many images can have. Their replicates are drawn from the very
same images; how much both may take of the server is said in `evaluation/packing.py`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from fedad.config import Config
from fedad.dp.released import DTYPE as RELEASED
from fedad.errors import UploadError
from fedad.evaluation import COARSE, FINE, Binning, Counts
from fedad.evaluation.coarsened import disagreement
from fedad.evaluation.counts import COVERED, IMAGES, NEGATIVE, POSITIVE
from fedad.images.reading import reading_of
from fedad.judging.findings import Findings
from fedad.messages.payload import Payload
from fedad.messages.schema import FLOATS, Array, slots
from fedad.methods.base import Turn, method_of
from fedad.types import Enrolled

MOST_REGIONS = 1000  # of an image: each is a mask file of its own
LONGEST_NAME = 255  # of a defect: it was a folder's
MOST_CELLS = 64  # of a product: its defects by kind; public data sets have up to 20
TINY, FEW = 1e-18, 0.01  # a value whose square float32 hardly holds; the share of such that passes


def admit_upload(
    config: Config, upload: Payload, enrolled: Enrolled, turn: Turn
) -> tuple[Any, list[str]]:
    """The upload as far as this site can have made it, and what was odd about it.

    Raises:
        UploadError: an upload that this site cannot have made in this round.
    """
    method, what = method_of(config), upload.record()
    enrolled = method.expected(enrolled, turn)
    if upload.sites != (enrolled.site,):
        raise UploadError(f"it sent a {what} of {', '.join(upload.sites)!s:.80}", "identity")
    if unknown := sorted({*upload.categories} - {*enrolled.train}):
        raise UploadError(f"its {what} knows {unknown[0]!a:.80}, of which it has no image", "names")
    if differing := enrolled.fingerprint.differences(upload.fingerprint):
        raise UploadError(
            f"its {what} is not embedded as it said ({'; '.join(differing)!s:.300})", "fingerprint"
        )
    expected = RELEASED if upload.fingerprint.projection else config.wire.dtype
    if (dtype := getattr(upload, "dtype", expected)) != expected:
        raise UploadError(f"a {what} of {dtype}, expected {expected}", "header")
    _check_tiny(upload, what)
    return method.admit(upload, enrolled, turn)


def _check_tiny(upload: Payload, what: str) -> None:
    """Refuse arrays of values so small that a processor takes 100 times as long for them."""
    for name, slot in slots(type(upload)).items():
        if not isinstance(slot.kind, Array) or slot.kind.kinds != FLOATS:
            continue
        values = getattr(upload, name).reshape(-1)
        tiny = sum(
            np.count_nonzero(np.abs(some) < TINY) - np.count_nonzero(some == 0)
            for some in np.array_split(values, 1 + values.size // 2**20)
        )
        if tiny > FEW * values.size:
            raise UploadError(
                f"{tiny:,} of the {values.size:,} values of {what}/{name} are closer to 0 than "
                f"{TINY:g} and not 0: no network or training gives so many",
                "norm",
            )


def admit_findings(
    config: Config,
    findings: Findings,
    enrolled: Enrolled,
    sites: Iterable[str],
    judged: Iterable[str] | None = None,
) -> None:
    """Refuse findings that these test images cannot give, or that would not add to the others'. A
    site that says nothing of its test images has none.

    Args:
        sites: of the bank that the images were judged with.
        judged: the site's products that the model can judge; None: all.

    Raises:
        UploadError: naming what there is too much of.
    """
    if judged is not None and (more := sorted({*findings.counts.categories} - {*judged})):
        raise UploadError(f"it judged {more[0]!a:.80}, which the model does not know", "names")
    if not enrolled.test and findings.is_empty():
        return
    _check_said(findings, enrolled, sites)
    _check_cells(findings)
    _check_bins(findings.counts, FINE, ())
    _check_bins(findings.replicates, COARSE, (1 + config.score.replicates,))
    _check_scores(findings)
    if told := disagreement(findings.counts, findings.replicates):
        raise UploadError(f"its replicates are not drawn from what it counted: {told}", "counts")
    _check_drawn(findings)
    for counts in (findings.counts, findings.replicates):
        _check_pixels(counts, reading_of(config.data).most_pixels)
    _check_good(config, findings, enrolled)


def _check_said(findings: Findings, enrolled: Enrolled, sites: Iterable[str]) -> None:
    """Whose products, images and sites these are."""
    found: Counter[str] = Counter()
    totals = findings.counts.totals()
    for k, cell in enumerate(findings.counts.cells):
        found[cell.category] += int(totals[..., k, IMAGES].sum())
    for name, made in findings.decisions.items():
        found[name] = max(found[name], made.good + made.defective)
    for name, made_by_others in findings.borrowed.items():
        found[name] = max(found[name], made_by_others.good + made_by_others.defective)
    said = {*found, *findings.calibrated, *findings.nearest, *findings.replicates.categories}
    has = {*enrolled.test, *enrolled.train, *enrolled.validation}
    if unknown := sorted(said - has):
        raise UploadError(f"it found something on {unknown[0]!a:.80}, which it has not", "names")
    for name, images in found.items():
        if images > enrolled.test.get(name, 0):
            raise UploadError(
                f"it judged {images:,} images of {name}, and has {enrolled.test.get(name, 0):,}",
                "counts",
            )
    whose = {site for counts in findings.nearest.values() for site in counts}
    if strangers := sorted(whose - {*sites, enrolled.site}):
        raise UploadError(f"it names {strangers[0]!a:.80}, which is not in the bank", "names")


def _check_cells(findings: Findings) -> None:
    """Something was found, and drawn again of all of it."""
    cells = set(findings.counts.cells)
    if not cells or cells != set(findings.replicates.cells):
        raise UploadError(
            f"it counted {len(cells)} kinds of images and drew {len(findings.replicates.cells)} "
            "again, expected some and the same",
            "counts",
        )
    name, most = max(Counter(cell.category for cell in cells).items(), key=lambda one: one[1])
    if most > MOST_CELLS:
        raise UploadError(
            f"it counted {most} kinds of images of {name!a:.80}, expected at most {MOST_CELLS}: is "
            "there a folder for each image?",
            "size",
        )
    for name in {text for cell in cells for text in (cell.defect, cell.kind)}:
        if not name.isprintable() or len(name) > LONGEST_NAME:
            raise UploadError(f"it names a defect {name!a:.80}", "names")


def _check_scores(findings: Findings) -> None:
    """An image has one score: a row of images takes no more bins than there are images."""
    images = findings.counts.totals()[:, IMAGES]
    for counts in (findings.counts, findings.replicates):
        if (counts.places()[:, IMAGES] > images).any():
            raise UploadError("it counted more image scores than images", "counts")


def _check_drawn(findings: Findings) -> None:
    """Every replicate has as many good and defective images of a product as there are."""
    cells = findings.counts.cells
    counted, resampled = (
        counts.totals()[..., IMAGES] for counts in (findings.counts, findings.replicates)
    )
    for category, good in sorted({(cell.category, cell.is_good()) for cell in cells}):
        some = [(cell.category, cell.is_good()) == (category, good) for cell in cells]
        there, drawn = counted[..., some].sum(-1), resampled[..., some].sum(-1)
        if (drawn != there).any():
            raise UploadError(
                f"it drew {drawn.max():,} images of {category} from {there:,}", "counts"
            )


def _check_pixels(counts: Counts, most_pixels: int) -> None:
    """So many pixels and regions can be of so many images, as large as the run lets them be."""
    unit, totals = counts.binning.unit if counts.binning else 1, counts.totals()
    for k, cell in enumerate(counts.cells):
        images, negative, positive, covered = (
            totals[..., k, row] for row in (IMAGES, NEGATIVE, POSITIVE, COVERED)
        )
        for what, found, most in (
            ("pixels", negative + positive, most_pixels),
            ("regions", covered // unit, MOST_REGIONS),
        ):
            if (found / most > images).any():
                raise UploadError(
                    f"it counted {found.max():,} {what} on {images.max():,} images of "
                    f"{cell.category}, expected at most {most:,} an image",
                    "counts",
                )


def _check_good(config: Config, findings: Findings, enrolled: Enrolled) -> None:
    """Thresholds rest on good images that are there, and patches are those of the test images."""
    share = config.data.holdout
    held = share / (1 - share)  # images held out for each that is learned from
    for name, images in findings.calibrated.items():
        most = math.floor(max(1.0, held) * enrolled.train.get(name, 0) + 1e-6)
        most += enrolled.validation.get(name, 0)
        if not 0 <= images <= most:
            raise UploadError(
                f"its threshold of {name} rests on fewer good parts than 0, or on more than the "
                f"{most:,} it has",
                "counts",
            )
    for name, patches in findings.nearest.items():
        most = enrolled.test.get(name, 0) * enrolled.fingerprint.patches
        if patches.total() > most:
            raise UploadError(
                f"it judged more patches of {name} than the {most:,} it has", "counts"
            )


def admit_distances(distances: Mapping[str, float], enrolled: Enrolled) -> None:
    """Refuse distances of products that the site does not have.

    Raises:
        UploadError: naming the first.
    """
    if unknown := sorted(set(distances) - {*enrolled.train, *enrolled.validation}):
        raise UploadError(f"it measured {unknown[0]!a:.80}, which it has not", "names")


def _check_bins(counts: Counts, binning: Binning, batch: tuple[int, ...]) -> None:
    if counts.binning is not binning or counts.batch != batch:
        name = counts.binning.name if counts.binning else ""
        raise UploadError(
            f"counts of {counts.batch or 'no'} replicates in bins {name!r}, expected "
            f"{batch or 'no'} in {binning.name!r}",
            "header",
        )
