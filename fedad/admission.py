"""Can this site have made this bank, or found this, in this run? What is well formed may still lie.

What a site sends is held against what it said before and against what its own network does:

- its name, its products and its fingerprint are those that it enrolled with;
- it learned from no more images than it enrolled, and its rows are `coreset.local-ratio` of their
  patches, and not much longer than what its network makes of the drawn images of the handshake
  (`fedad/probe.py`);
- its counts are clamped to what its rows can stand for. A site keeps `coreset.local-ratio` of its
  patches, so a lie about images has to be paid for in rows, and their bytes are limited;
- it finds nothing on more test images, or of other products, than it has, and on no more pixels,
  regions and patches than so many images can have.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from fedad.config import Config
from fedad.errors import UploadError
from fedad.findings import Findings
from fedad.images import MOST_PIXELS
from fedad.metrics import COARSE, FINE, Binning, Cell, Counts
from fedad.metrics._counts import COVERED, IMAGES, NEGATIVE, POSITIVE
from fedad.types import Bank, Fingerprint

LONGER = 4.0  # times the longest probed patch: real parts came to 1.5, a tenfold outlier to 10
MOST_REGIONS = 1000  # of an image: each is a mask file of its own
LONGEST_NAME = 255  # of a defect: it was a folder's


class Enrolled(NamedTuple):
    """What a site said of itself before it was asked for anything."""

    site: str
    train: Mapping[str, int]  # category -> good images to learn from
    test: Mapping[str, int]
    fingerprint: Fingerprint
    features: int  # D
    longest: float  # length of a patch in its probe


def admit_bank(
    config: Config, bank: Bank, enrolled: Enrolled, *, per_image: int
) -> tuple[Bank, list[str]]:
    """The bank with counts that can be true, and what was odd about it.

    Args:
        per_image: patches of an image.

    Raises:
        UploadError: a bank that this site cannot have made.
    """
    _check_names(config, bank, enrolled)
    if differing := enrolled.fingerprint.differences(bank.fingerprint):
        raise UploadError(
            f"its bank is not embedded as it said ({'; '.join(differing)!s:.300})", "fingerprint"
        )
    _check_rows(bank, enrolled)
    _check_counts(config, bank, enrolled, per_image=per_image)
    return clamped(config, bank, per_image=per_image)


def clamped(config: Config, bank: Bank, *, per_image: int) -> tuple[Bank, list[str]]:
    """The bank with counts no larger than its rows can stand for; an honest one stays as it is."""
    ratio, claimed = config.coreset.local_ratio, bank.patches[0]
    if bank.scope == "mixed":  # rows are chosen among all products: only the sum can be held to
        most = math.floor((len(bank) + 1) / ratio)
        share = min(1.0, most / max(1, int(claimed.sum())))
        patches = claimed if share == 1 else np.floor(claimed * share).astype(np.int64)
    else:  # a share of so many patches was rounded down to these rows
        rows = np.bincount(bank.category, minlength=len(bank.categories))
        patches = np.minimum(claimed, np.floor((rows + 1) / ratio).astype(np.int64))
    images = np.minimum(bank.images[0], -(-patches // per_image))
    if (patches == claimed).all() and (images == bank.images[0]).all():
        return bank, []
    told = (
        f"site {bank.sites[0]} says that its {len(bank)} rows stand for {bank.images.sum():,} "
        f"images: {images.sum():,} are believed at coreset.local-ratio = {ratio:g}"
    )
    return bank.replace(images=images[None], patches=patches[None]), [told]


def admit_findings(
    config: Config, findings: Findings, enrolled: Enrolled, sites: Iterable[str]
) -> None:
    """Refuse findings that these test images cannot give, or that would not add to the others'.

    Args:
        sites: of the bank that the images were judged with.

    Raises:
        UploadError: naming what there is too much of.
    """
    _check_said(findings, enrolled, sites)
    _check_cells(findings)
    _check_bins(findings.counts, FINE, ())
    _check_bins(findings.replicates, COARSE, (1 + config.score.replicates,))
    _check_drawn(findings)
    for counts in (findings.counts, findings.replicates):
        _check_pixels(counts)
    _check_good(config, findings, enrolled)


def _check_said(findings: Findings, enrolled: Enrolled, sites: Iterable[str]) -> None:
    """Whose products, images and sites these are."""
    found: Counter[str] = Counter()
    for cell, table in findings.counts.cells.items():
        found[cell.category] += int(table[..., IMAGES, :].sum())
    for name, made in findings.decisions.items():
        found[name] = max(found[name], made.good + made.defective)
    for name, made_by_others in findings.borrowed.items():
        found[name] = max(found[name], made_by_others.good + made_by_others.defective)
    said = {*found, *findings.calibrated, *findings.nearest, *findings.replicates.categories}
    if unknown := sorted(said - set(enrolled.test) - set(enrolled.train)):
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
    for name in {text for cell in cells for text in (cell.defect, cell.kind)}:
        if not name.isprintable() or len(name) > LONGEST_NAME:
            raise UploadError(f"it names a defect {name!a:.80}", "names")


def _check_drawn(findings: Findings) -> None:
    """Every replicate has as many good and defective images of a product as there are."""
    for category in findings.counts.categories:
        for wanted in (Cell.is_good, Cell.is_bad):
            there, drawn = (
                counts.in_category(category).only(wanted).row(IMAGES).sum(-1)
                for counts in (findings.counts, findings.replicates)
            )
            if (drawn != there).any():
                raise UploadError(
                    f"it drew {drawn.max():,} images of {category} from {there:,}", "counts"
                )


def _check_pixels(counts: Counts) -> None:
    """So many pixels and regions can be of so many images."""
    unit = counts.binning.unit if counts.binning else 1
    for cell, table in counts.cells.items():
        images, negative, positive, covered = (
            table[..., row, :].sum(-1) for row in (IMAGES, NEGATIVE, POSITIVE, COVERED)
        )
        for what, found, most in (
            ("pixels", negative + positive, MOST_PIXELS),
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
        if not 0 <= images <= most:
            raise UploadError(
                f"its threshold of {name} rests on fewer good images than 0, or on more than the "
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
    if unknown := sorted(set(distances) - set(enrolled.train)):
        raise UploadError(f"it measured {unknown[0]!a:.80}, which it has not", "names")


def _check_names(config: Config, bank: Bank, enrolled: Enrolled) -> None:
    if bank.sites != (enrolled.site,):
        raise UploadError(f"it sent a bank of {', '.join(bank.sites)!s:.80}", "identity")
    if unknown := sorted(set(bank.categories) - set(enrolled.train)):
        raise UploadError(f"it sent rows of {unknown[0]!a:.80}, of which it has no image", "names")
    if bank.categories != tuple(sorted(bank.categories)):
        raise UploadError("a bank whose categories are not in order", "names")
    if (bank.dtype, bank.scope) != (config.wire.dtype, config.bank.scope):
        raise UploadError(
            f"it sent a bank of {bank.dtype}, {bank.scope}, expected {config.wire.dtype}, "
            f"{config.bank.scope}",
            "header",
        )


def _check_rows(bank: Bank, enrolled: Enrolled) -> None:
    if bank.rows.shape[1] != enrolled.features:
        raise UploadError(
            f"its rows have {bank.rows.shape[1]} features, its probe {enrolled.features}", "shape"
        )
    of_category = np.bincount(bank.category, minlength=len(bank.categories))
    if not len(bank) or (bank.scope == "category" and not of_category.all()):
        raise UploadError("a bank that has no row of one of its products", "shape")
    if (of_category > bank.patches[0]).any():
        raise UploadError(
            f"it sent {len(bank):,} rows, and says it had {bank.patches.sum():,} patches", "counts"
        )
    if not np.array_equal(bank.row, np.arange(len(bank))):
        raise UploadError("a bank whose rows are not numbered in order", "column")
    longest = float(np.sqrt(np.square(bank.rows).sum(1, dtype=np.float64)).max())
    if longest > LONGER * enrolled.longest:
        raise UploadError(
            f"a row of its bank has the length {longest:.3g}, expected at most {LONGER:g} times "
            f"the {enrolled.longest:.3g} that its network makes of the drawn images",
            "norm",
        )


def _check_counts(config: Config, bank: Bank, enrolled: Enrolled, *, per_image: int) -> None:
    """No more images than were enrolled, patches than these have, or rows than are kept of them."""
    images, patches = bank.images[0], bank.patches[0]
    has = np.array([enrolled.train[name] for name in bank.categories], np.float64)
    if (images > has).any() or (patches > per_image * has).any():
        raise UploadError(
            f"it says that its rows stand for {images.sum():,} images and {patches.sum():,} "
            f"patches, and enrolled {has.sum():,.0f} images of {per_image}",
            "counts",
        )
    rows = np.bincount(bank.category, minlength=len(bank.categories))
    if bank.scope == "mixed":  # chosen among all products: only the sum is known
        rows, patches = rows.sum(keepdims=True), patches.sum(keepdims=True)
    kept = np.maximum(1, np.floor(config.coreset.local_ratio * patches + 1e-9))
    if (rows > kept).any():
        raise UploadError(
            f"it sent {len(bank):,} rows, and coreset.local-ratio = "
            f"{config.coreset.local_ratio:g} of its patches are {int(kept.sum()):,}",
            "counts",
        )


def _check_bins(counts: Counts, binning: Binning, batch: tuple[int, ...]) -> None:
    if counts.binning is not binning or counts.batch != batch:
        name = counts.binning.name if counts.binning else ""
        raise UploadError(
            f"counts of {counts.batch or 'no'} replicates in bins {name!r}, expected "
            f"{batch or 'no'} in {binning.name!r}",
            "header",
        )
