"""A payload that says how many good images of each product it stands for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from fedad.errors import UploadError
from fedad.messages.payload import Payload
from fedad.messages.schema import COUNTS, Array, Names
from fedad.types import Enrolled, Features, Fingerprint

if TYPE_CHECKING:  # who only merges needs no network in memory
    from fedad.embedders.in_parts import InParts


@dataclass(frozen=True, eq=False, kw_only=True)
class Counted(Payload):
    """The base of payloads that are no rows: images of each of C products, and whose they are."""

    images: Annotated[np.ndarray, Array("C", ("int64",), least=0, most=COUNTS)]
    categories: Annotated[tuple[str, ...], Names("C")]
    sites: Annotated[tuple[str, ...], Names("S")]
    fingerprint: Fingerprint

    def by_product(self) -> dict[str, int]:
        """Product -> how many images."""
        return dict(zip(self.categories, self.images.tolist(), strict=True))


def of_features(features: Features | InParts, *, least: int = 1) -> dict[str, Any]:
    """What a `Counted` says of features: of each product with at least so many images."""
    counts = Counter(features.categories)
    categories = tuple(sorted(name for name, count in counts.items() if count >= least))
    return {
        "images": np.array([counts[name] for name in categories], np.int64),
        "categories": categories,
        "sites": ("",),
        "fingerprint": features.fingerprint,
    }


def of_all(uploads: Sequence[Counted]) -> dict[str, Any]:
    """What a `Counted` says that stands for all the images of `uploads`."""
    images = Counter[str]()
    for one in uploads:
        images.update(one.by_product())
    categories = tuple(sorted(images))
    return {
        "images": np.array([images[name] for name in categories], np.int64),
        "categories": categories,
        "sites": tuple(sorted({site for one in uploads for site in one.sites})),
        "fingerprint": uploads[0].fingerprint,
    }


def check_images(upload: Counted, site: Enrolled, *, least: int = 1) -> None:
    """Refuse more images than a site enrolled, or fewer than `least` of a product.

    Raises:
        UploadError: of the word `counts`.
    """
    enrolled = np.array([site.train[name] for name in upload.categories], np.int64)
    if (upload.images < least).any() or (upload.images > enrolled).any():
        raise UploadError(
            f"a {upload.record()} of {upload.images.sum():,} images, of {enrolled.sum():,} "
            f"enrolled, expected at least {least} of each product",
            "counts",
        )
