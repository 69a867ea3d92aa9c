"""Can this site have made this bank, or found this, in this run? What is well formed may still lie.

What a site sends is held against what it said before and against what its own network does:

- its name, its products and its fingerprint are those that it enrolled with;
- its rows are no more than its patches, and not much longer than what its network makes of the
  drawn images of the handshake (`fedad/probe.py`);
- its counts are clamped to what its rows can stand for. A site keeps `coreset.local-ratio` of its
  patches, so a lie about images has to be paid for in rows, and their bytes are limited;
- it finds nothing on more test images, or of other products, than it has.
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
from fedad.metrics import COARSE, FINE, Binning, Counts
from fedad.types import Bank, Fingerprint

LONGER = 4.0  # times the longest probed patch: real parts came to 1.5, a tenfold outlier to 10
IMAGES = 0  # the row of a cell's table that counts images


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
        f"images: {images.sum():,} are believed"
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
    _check_bins(findings.counts, FINE, ())
    _check_bins(findings.replicates, COARSE, (1 + config.score.replicates,))


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


def _check_bins(counts: Counts, binning: Binning, batch: tuple[int, ...]) -> None:
    if counts.cells and (counts.binning is not binning or counts.batch != batch):
        name = counts.binning.name if counts.binning else ""
        raise UploadError(
            f"counts of {counts.batch or 'no'} replicates in bins {name!r}, expected "
            f"{batch or 'no'} in {binning.name!r}",
            "header",
        )
