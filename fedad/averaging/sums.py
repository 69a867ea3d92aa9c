"""The moments of patches as they travel: they add over sites, and are held against the patches that
a site can have.

Federated sums are the centralised ones but for the order in which float64 adds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Self

import numpy as np

from fedad.averaging.counted import Counted, check_images, of_all
from fedad.averaging.moments import Moments, mean_and_covariance, square
from fedad.errors import UploadError
from fedad.messages.schema import COUNTS, DOUBLES, Array, Number
from fedad.types import Enrolled

SUMS, PRODUCTS = 1e18, 1e22  # the largest sums of features and of their products that are read
LONGER = 4.0  # times the longest probed patch: as long as patches may be on average
SHORTER = 1e-5  # times the same: as short as they may be
BELOW = 1e-6  # times the mean square length: how far rounding may bring a variance below 0


@dataclass(frozen=True, eq=False, kw_only=True)
class Sums(Counted):
    """The moments of P-dimensional patches, for each of C products and K cells; T = P (P + 1) / 2
    values are an upper triangle. They add over sites."""

    count: Annotated[np.ndarray, Array("C K", ("int64",), least=0, most=COUNTS)]
    sums: Annotated[np.ndarray, Array("C K P", DOUBLES, least=-SUMS, most=SUMS)]
    products: Annotated[np.ndarray, Array("C K T", DOUBLES, least=-PRODUCTS, most=PRODUCTS)]
    features: Annotated[int, Number(1, 2**20, alike=True)]  # D, before they are brought to P

    @classmethod
    def made_of(
        cls,
        table: Sequence[Sequence[Moments]],
        *,
        cells: int,
        dimensions: int,
        features: int,
        about: Mapping[str, Any],
    ) -> Self:
        """Of the moments of each product (outer) and cell, of which there may be no product.

        Args:
            about: as `counted.of_features` gives it.
        """
        flat = [cell for row in table for cell in row]
        half = dimensions * (dimensions + 1) // 2
        return cls(
            count=np.array([cell.number for cell in flat], np.int64).reshape(-1, cells),
            sums=np.array([cell.sums for cell in flat], np.float64).reshape(-1, cells, dimensions),
            products=np.array([cell.products for cell in flat], np.float64).reshape(
                -1, cells, half
            ),
            features=features,
            **about,
        )

    def of(self, category: int, cell: int) -> Moments:
        """The moments of one product and cell."""
        count = int(self.count[category, cell])
        return Moments(count, self.sums[category, cell], self.products[category, cell])

    def check(self) -> None:
        """Refuse triangles of another size than the sums'."""
        if self.products.shape[2] * 2 != self.sums.shape[2] * (self.sums.shape[2] + 1):
            raise UploadError(
                f"products of {self.products.shape} and sums of {self.sums.shape}", "shape"
            )


def added(uploads: Sequence[Sums]) -> Sums:
    """The moments of all sites, in the order of the uploads, over all their products."""
    about = of_all(uploads)
    categories = about["categories"]
    shapes = [getattr(uploads[0], name).shape[1:] for name in ("count", "sums", "products")]
    count, sums, products = (np.zeros((len(categories), *shape)) for shape in shapes)
    for upload in uploads:
        at = [categories.index(name) for name in upload.categories]
        count[at] += upload.count
        sums[at] += upload.sums
        products[at] += upload.products
    return uploads[0].replace(
        count=count.astype(np.int64),
        sums=sums,
        products=products,
        **about,
    )


def check_sums(upload: Sums, site: Enrolled, *, cells: int, dimensions: int, least: int) -> None:
    """Refuse moments that the site's patches cannot have.

    Args:
        cells: K that was asked for; dimensions: P that was asked for.
        least: images that a product must have.

    Raises:
        UploadError: other counts than the site's images have, other cells or dimensions, patches of
            another length than the network gives, or a matrix that is no sum of outer products.
    """
    per_image, images = site.fingerprint.patches, upload.images
    check_images(upload, site, least=least)
    if (upload.count.sum(1) != images * per_image).any() or not upload.count.all():
        raise UploadError(
            f"moments of {upload.count.sum():,} patches, and {images.sum():,} images have "
            f"{images.sum() * per_image:,}, some in each cell",
            "counts",
        )
    if upload.features != site.features:
        raise UploadError(
            f"moments of {upload.features} features, and its probe has {site.features}", "shape"
        )
    if upload.sums.shape[2] != dimensions:
        raise UploadError(
            f"moments of {upload.sums.shape[2]} dimensions, expected {dimensions}", "shape"
        )
    if upload.sums.shape[1] != cells:
        raise UploadError(
            f"moments of {upload.sums.shape[1]} cells, expected {cells} of {per_image} patches",
            "shape",
        )
    for category, cell in np.ndindex(*upload.count.shape):
        _check_lengths(upload.of(category, cell), site.longest)


def left_out(upload: Sums, site: Enrolled, *, knob: str, least: int) -> list[str]:
    """A sentence for each product that a site with few images of it has sent nothing of; as a
    member of an ensemble it has learned of none that is held out."""
    few = sorted({name for name, count in site.train.items() if count} - {*upload.categories})
    return [
        f"site {site.site} has {site.train[name]} good images of {name}, "
        f"{'less those held out ' if site.train[name] >= least else ''}fewer than "
        f"{knob} = {least}, and left the product out"
        for name in few
    ]


def _check_lengths(moments: Moments, longest: float) -> None:
    """Patches of this network have these moments: such lengths, and no variance below 0."""
    _, covariance = mean_and_covariance(moments)
    power = np.trace(square(moments.products)) / moments.number
    if power > (LONGER * longest) ** 2:
        raise UploadError(
            f"patches of the mean length {math.sqrt(power):.3g}, expected at most "
            f"{LONGER:g} times the {longest:.3g} of the drawn images",
            "norm",
        )
    if np.linalg.eigvalsh(covariance)[0] < -BELOW * power:
        raise UploadError("moments that no points have: a variance is below 0", "counts")
    if power < (SHORTER * longest) ** 2:
        raise UploadError(
            f"patches of the mean length {math.sqrt(power):.3g}, expected at least "
            f"{SHORTER:g} times the {longest:.3g} of the drawn images",
            "norm",
        )
