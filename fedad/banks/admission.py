"""Can this site have made this bank? Its form is checked already; what is well formed may lie.

- Its rows are at most `coreset.local-ratio` of the patches that it says it had, and neither much
  longer nor vastly shorter than what its network makes of the drawn images of the handshake.
- Sums that say what positions count in are those that patches of its network can have.
- It learned from no more images than it enrolled.
- Its counts are clamped to what its rows can stand for. A site keeps `coreset.local-ratio` of its
  patches, so a lie about images has to be paid for in rows, and their bytes are limited.
"""

from __future__ import annotations

import math

import numpy as np

from fedad.banks.bank import SUMS, Bank
from fedad.banks.capacity import kept_rows
from fedad.config import Config
from fedad.descriptors.position import COLUMNS, LOOKED, LOOKED_IMAGES
from fedad.descriptors.settings import joins, table_of
from fedad.embedders.box import leaving_out
from fedad.errors import UploadError
from fedad.messages.coded import MOST as CODES
from fedad.types import Enrolled

LONGER = 4.0  # times the longest probed patch: real parts came to 1.5, a tenfold outlier to 10
LEAST_SHOWN = 0.25  # of an image's patches; an image that shows less counts for less
WIDER = 2.0  # times the longest probed patch: as far as patches may be from their mean, in the root
# of the mean of squares
SHORTER = 1e-5  # times the same: a uniform image came to .29, with random weights to .001


def admit_bank(config: Config, bank: Bank, enrolled: Enrolled) -> tuple[Bank, list[str]]:
    """The bank with counts that can be true, and what was odd about it.

    Raises:
        UploadError: a bank that this site cannot have made.
    """
    per_image, wide = enrolled.fingerprint.patches, joins(table_of(enrolled.fingerprint))
    if bank.scope != config.bank.scope:
        raise UploadError(f"a bank of scope {bank.scope}, expected {config.bank.scope}", "header")
    _check_rows(bank, enrolled, COLUMNS if wide else 0)
    _check_sums(bank, enrolled, wide=wide)
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
    images = np.minimum(bank.images[0], -(-patches // _least_shown(config, per_image)))
    sums = {}
    if bank.squares.size:  # of no more patches and images than are believed
        looked = np.minimum(bank.looked, most_looked(images[None], per_image))
        sums = {
            "squares": bank.squares * (patches / np.maximum(1, claimed)),
            "placed": bank.placed * looked // np.maximum(1, bank.looked),
            "looked": looked,
        }
    if (patches == claimed).all() and (images == bank.images[0]).all():
        return bank, []
    told = (
        f"site {bank.sites[0]} says that its {len(bank)} rows stand for {bank.images.sum():,} "
        f"images: {images.sum():,} are believed at coreset.local-ratio = {ratio:g}"
    )
    return bank.replace(images=images[None], patches=patches[None], **sums), [told]


def most_looked(images: np.ndarray, per_image: int) -> np.ndarray:
    """(S, C) int64: patches that can be looked at of so many images (S, C): of two at least."""
    most = np.minimum(images, LOOKED_IMAGES) * min(LOOKED, per_image)
    return np.where(images < 2, 0, most)


def _least_shown(config: Config, per_image: int) -> int:
    """Patches of an image that are believed to be behind it: all but where a run's knobs leave some
    out, which sites do that the server cannot see."""
    return max(1, int(per_image * LEAST_SHOWN)) if leaving_out(config) else per_image


def _check_rows(bank: Bank, enrolled: Enrolled, places: int = 0) -> None:
    """Refuse rows that no patches are.

    Args:
        places: how many of their last columns say where a patch is.
    """
    of_category = np.bincount(bank.category, minlength=len(bank.categories))
    if bank.scope == "category" and not of_category.all():
        raise UploadError("a bank that has no row of one of its products", "shape")
    if (of_category > bank.patches[0]).any():
        raise UploadError(
            f"it sent {len(bank):,} rows, and says it had {bank.patches.sum():,} patches", "counts"
        )
    if not np.array_equal(np.sort(bank.row), np.arange(len(bank))):
        raise UploadError("a bank whose rows are not ranked from 0 on, each once", "column")
    rows, where = np.split(bank.rows, [bank.rows.shape[1] - places], axis=1)
    lengths = np.sqrt(np.einsum("nd,nd->n", rows, rows, dtype=np.float64))
    longest, shortest = float(lengths.max()), float(lengths.min())
    if longest > LONGER * enrolled.longest:
        raise UploadError(
            f"a row of its bank has the length {longest:.3g}, expected at most {LONGER:g} times "
            f"the {enrolled.longest:.3g} that its network makes of the drawn images",
            "norm",
        )
    if shortest < SHORTER * enrolled.longest:  # a processor takes 100 times as long for the tiniest
        raise UploadError(
            f"a row of its bank has the length {shortest:.3g}, expected at least {SHORTER:g} times "
            f"the {enrolled.longest:.3g} that its network makes of the drawn images",
            "norm",
        )
    rounding = np.abs(bank.rows).max(axis=1, keepdims=True) / CODES  # where a row is coded
    if (np.abs(where) > 1 + rounding).any():
        raise UploadError(
            f"a row of its bank lies at {float(np.abs(where).max()):.3g}, expected -1 to 1, the "
            "edges of its image",
            "range",
        )


def _check_sums(bank: Bank, enrolled: Enrolled, *, wide: bool) -> None:
    """Refuse sums that no patches of its network have, and of more patches than are looked at."""
    if wide != (bank.squares.size > 0):
        told = "lacks" if wide else "has"
        raise UploadError(f"its bank {told} {', '.join(SUMS)}", "fields")
    if not wide:
        return
    most = bank.patches * (WIDER * enrolled.longest) ** 2
    if (bank.squares > most).any():
        raise UploadError("patches farther from their mean than its network makes them", "norm")
    if (bank.looked > most_looked(bank.images, enrolled.fingerprint.patches)).any():
        raise UploadError(
            f"it looked at {bank.looked.max():,} patches, expected at most {LOOKED} of each of "
            f"{LOOKED_IMAGES} images",
            "counts",
        )
    if (bank.placed > bank.looked).any():
        raise UploadError("more patches found their place than it looked at", "counts")


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
    kept = np.array([kept_rows(config, count) for count in patches.tolist()])
    if (rows > kept).any():
        raise UploadError(
            f"it sent {len(bank):,} rows, and coreset.local-ratio = "
            f"{config.coreset.local_ratio:g} of its patches are {int(kept.sum()):,}",
            "counts",
        )
