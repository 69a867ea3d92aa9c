"""The public form of a private release: so many rows a product, whatever the site's images are.

A release has `ROWS` rows of each product, ranked: those of the first product are ranked from 0 on,
those of the next from `ROWS` on. The first of them are the centres that the noise left, and the
rest is padding. Its table of images says 1 of each product, and its table of patches how many
centres there are, which the noise decides too.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from fedad.banks.bank import Bank
from fedad.errors import UploadError
from fedad.types import Enrolled

ROWS = 1400  # of a product: with 64 features in float16 an upload of it has 200 kB
DTYPE: Final = "float16"  # of its rows, whatever `wire.dtype` is
FINER = 1.001  # times the public length of a centre: it was rounded to float16
IMAGES = 1  # that a release says it stands for: how many there are is private


def released_rows(upload: Bank) -> Bank:
    """The upload of one site without padding, its rows ranked from 0 on; a bank of several sites,
    which has none, stays."""
    if len(upload.sites) > 1:
        return upload
    centres = upload.patches[0][upload.category]
    kept = np.flatnonzero(upload.row - ROWS * upload.category < centres)
    kept = kept[np.argsort(upload.row[kept], kind="stable")]
    return upload.take(kept).replace(row=np.arange(len(kept), dtype=np.int32))


def admit_released(upload: Bank, enrolled: Enrolled) -> Bank:
    """The release of a site, which has the public form.

    Args:
        enrolled: whose `longest` is the public bound of a centre's length.

    Raises:
        UploadError: one in another form, or with a centre longer than any release has.
    """
    products = len(upload.categories)
    if upload.scope != "category":
        raise UploadError(f"a release of scope {upload.scope}, expected category", "header")
    expected = np.repeat(np.arange(products), ROWS)
    if not np.array_equal(np.sort(upload.category), expected):
        raise UploadError(
            f"a release of {len(upload):,} rows, expected {ROWS:,} of each of its {products} "
            "products",
            "shape",
        )
    order = np.argsort(upload.row, kind="stable")
    if not np.array_equal(upload.row[order], np.arange(len(upload))) or not np.array_equal(
        upload.category[order], expected
    ):
        raise UploadError("a release whose rows are not ranked product by product", "column")
    centres = upload.patches[0]
    if (upload.images != IMAGES).any() or not ((centres >= 1) & (centres <= ROWS)).all():
        raise UploadError(
            f"a release that says it stands for {upload.images.sum():,} images and has "
            f"{centres.sum():,} centres, expected {IMAGES} and 1 to {ROWS:,} of each product",
            "counts",
        )
    length = float(np.sqrt(np.einsum("nd,nd->n", upload.rows, upload.rows)).max())
    if length > FINER * enrolled.longest:
        raise UploadError(
            f"a centre of the length {length:.3g}, expected at most {enrolled.longest:.3g}", "norm"
        )
    return upload
