"""What sites count before banks are made with `patchcore.preset = auto`: what tells defects apart.

Counts are sums over a site's images, which add over sites. A product of which a site has fewer good
images than `patchcore.least-images` is left out. No image, feature or score leaves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Self

import numpy as np

from fedad.averaging.counted import Counted, check_images, of_all
from fedad.errors import UploadError
from fedad.messages.schema import COUNTS, Array
from fedad.types import Enrolled

LEVELS = (0.005, 0.01, 0.02, 0.03, 0.04, 0.05)  # shares of good patches above a limit
COUNT = ("int64",)
HELD = 12  # images of a product that are held out; more where the least is more


@dataclass(frozen=True, eq=False, kw_only=True)
class Evidence(Counted):
    """Of each of C products: how well each of K candidates tells defects that were drawn from good
    images that were held out; see `_presets.py`.

    `found` are patches of defects above the limit of each of L levels, `ordered` is twice the pairs
    of a good image and a defective one in which the defect scores higher, of a tie once, and
    `placed` are good patches that found their own place, of those that were `looked` at.
    """

    held: Annotated[np.ndarray, Array("C", COUNT, least=0, most=COUNTS)]
    looked: Annotated[np.ndarray, Array("C", COUNT, least=0, most=COUNTS)]
    placed: Annotated[np.ndarray, Array("C", COUNT, least=0, most=COUNTS)]
    defects: Annotated[np.ndarray, Array("C", COUNT, least=0, most=COUNTS)]
    defective: Annotated[np.ndarray, Array("C", COUNT, least=0, most=COUNTS)]
    pairs: Annotated[np.ndarray, Array("C", COUNT, least=0, most=COUNTS)]
    ordered: Annotated[np.ndarray, Array("C K", COUNT, least=0, most=COUNTS)]
    found: Annotated[np.ndarray, Array("C K L", COUNT, least=0, most=COUNTS)]

    def of_each(self) -> dict[str, Self]:
        """What it says of each product."""
        return {product: self._row(k) for k, product in enumerate(self.categories)}

    def of(self, product: str) -> Self:
        """What it says of one product."""
        return self._row(self.categories.index(product))

    def pooled(self) -> Self:
        """What it says of all products together, in one row."""
        columns = {name: getattr(self, name).sum(axis=0, keepdims=True) for name in self.counted()}
        return self.replace(categories=("all",), **columns)

    def _row(self, number: int) -> Self:
        columns = {name: getattr(self, name)[[number]] for name in self.counted()}
        return self.replace(categories=(self.categories[number],), **columns)

    @classmethod
    def counted(cls) -> tuple[str, ...]:
        """The fields that have a row for each product, and add."""
        of = ("held", "looked", "placed", "defects", "defective", "pairs", "ordered", "found")
        return ("images", *of)


def held_out(images: int | np.ndarray, least: int) -> int | np.ndarray:
    """How many of a product's images are held out; never fewer than the least that a site counts
    something of."""
    return np.minimum(images, max(HELD, least))


def added(uploads: Sequence[Evidence]) -> Evidence:
    """What all sites counted, product by product, in the order of the sites' names."""
    about = of_all(uploads)
    at = {product: number for number, product in enumerate(about["categories"])}
    columns: dict[str, np.ndarray] = {}
    for name in uploads[0].counted():
        first: np.ndarray = getattr(uploads[0], name)
        total = np.zeros((len(about["categories"]), *first.shape[1:]), first.dtype)
        for one in uploads:
            rows = [at[product] for product in one.categories]
            np.add.at(total, rows, getattr(one, name))
        columns[name] = total
    return uploads[0].replace(**{**about, **columns})


def check_counted(upload: Evidence, site: Enrolled, *, candidates: int, least: int) -> None:
    """Refuse what no site with these images can have counted.

    Raises:
        UploadError: by its word: `shape` or `counts`.
    """
    check_images(upload, site, least=least)
    k, levels = upload.found.shape[1:]
    if (k, levels, upload.ordered.shape[1]) != (candidates, len(LEVELS), candidates):
        raise UploadError(
            f"counts of {upload.ordered.shape[1]} and {k} candidates at {levels} levels, expected "
            f"{candidates} at {len(LEVELS)}",
            "shape",
        )
    per_image = site.fingerprint.patches
    wrong = [
        upload.held != held_out(upload.images, least),
        (upload.defects != upload.held) & (upload.defects != 0),  # 0: no patch was valid
        upload.looked > per_image * upload.held,
        upload.placed > upload.looked,
        upload.defective > per_image * upload.defects,
        upload.pairs != upload.held * upload.defects,
        (upload.ordered > 2 * upload.pairs[:, None]).any(axis=1),
        (upload.found > upload.defective[:, None, None]).any(axis=(1, 2)),
        (np.diff(upload.found, axis=2) < 0).any(axis=(1, 2)),  # each level has a lower limit
    ]
    if np.any(wrong):
        raise UploadError("it counted more than its images, patches and pairs are", "counts")
