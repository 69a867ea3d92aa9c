"""Principal components of good patches, by exact sums; a defect is what they do not explain.

A site sends how many patches of each product it has, their sums and the sums of their outer
products, once. Those add, so that the federated components are the centralised ones. A patch is
scored by its distance to the subspace around the mean: the length of what a reconstruction from the
components leaves. An image is scored by the mean of its `subspace.tail` highest patches.

After SubspaceAD (Lendering et al., CVPR 2026, arXiv 2602.23013), which takes features of a large
DINOv2 from several layers, averages them, and learns from turned copies of few images as well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from fedad.averaging.counted import Counted, of_features
from fedad.averaging.moments import Moments, components, moments_of
from fedad.averaging.sums import SUMS, Sums, added, check_sums, left_out
from fedad.errors import UploadError
from fedad.messages.schema import COUNTS, DOUBLES, Array, Number
from fedad.methods.base import MethodBase, Round, Turn, check_scorable
from fedad.types import Enrolled, Features

if TYPE_CHECKING:  # who only merges needs no network in memory
    from fedad.embedders.in_parts import InParts

__all__ = ["Subspace"]


@dataclass(frozen=True)
class Knobs:
    """`subspace.*`: how many components a product has, and how an image is scored."""

    dimensions: Annotated[int, Field(ge=0)] = 0  # components; 0: as many as `share` takes
    share: Annotated[float, Field(gt=0, lt=1)] = 0.99  # of the variance that they explain
    tail: Annotated[float, Field(ge=0, le=1)] = 0.0  # share of patches averaged; 0: the highest
    least_images: Annotated[int, Field(ge=1)] = 5  # of a product; a site with fewer sends nothing


@dataclass(frozen=True, eq=False, kw_only=True)
class Subspaces(Counted):
    """The mean (D,) and the components (D, P) of each of C products; one that has fewer than P
    components has zeros in place of the others."""

    mean: Annotated[np.ndarray, Array("C D", DOUBLES, least=-SUMS, most=SUMS)]
    axes: Annotated[np.ndarray, Array("C D P", DOUBLES, least=-1.5, most=1.5)]
    dimensions: Annotated[np.ndarray, Array("C", ("int64",), least=0, most=2**20)]
    usual: Annotated[np.ndarray, Array("C", DOUBLES, least=0, most=SUMS)]  # root of mean square
    patches: Annotated[int, Number(0, COUNTS)]

    def check(self) -> None:
        """Refuse a product with more components than there are."""
        if (self.dimensions > self.axes.shape[2]).any():
            raise UploadError(
                f"{self.dimensions.max()} components, of {self.axes.shape[2]} that are there",
                "shape",
            )


@dataclass(frozen=True)
class Subspace(MethodBase):
    """The method; see the module."""

    rounds = (Round(Sums, Subspaces),)

    @cached_property
    def knobs(self) -> Knobs:
        """`subspace.*`."""
        found: Knobs = self.config.knobs("subspace")
        return found

    def fit(
        self,
        features: Features | InParts,
        turn: Turn,
        *,
        own: Sums | None = None,
        rng: np.random.Generator,
    ) -> Sums:
        """The moments of the site's patches, product by product.

        Products with fewer images than `subspace.least-images` are left out, perhaps all of them:
        their sums would tell too much of each image.
        """
        about = of_features(features, least=self.knobs.least_images)
        size = features.shape[2]
        table = [[moments_of(features.parts(name), size)] for name in about["categories"]]
        return Sums.made_of(table, cells=1, dimensions=size, features=size, about=about)

    def merge(self, uploads: Sequence[Sums], turn: Turn, *, rng: np.random.Generator) -> Subspaces:
        """The mean and the components of each product's patches at all sites."""
        total = added(uploads)
        found = [self._subspace(total.of(k, 0)) for k in range(len(total.categories))]
        most = max((axes.shape[1] for _, axes, _ in found), default=0)
        axes = np.zeros((len(found), total.features, most))
        for k, (_, some, _) in enumerate(found):
            axes[k, :, : some.shape[1]] = some
        return Subspaces(
            mean=np.array([mean for mean, _, _ in found]).reshape(-1, total.features),
            axes=axes,
            dimensions=np.array([some.shape[1] for _, some, _ in found], np.int64),
            usual=np.array([usual for _, _, usual in found], np.float64),
            patches=int(total.count.sum()),
            images=total.images,
            categories=total.categories,
            sites=total.sites,
            fingerprint=total.fingerprint,
        )

    def score(
        self, model: Subspaces, features: Features, *, own: Sums | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The distance of each patch to its product's subspace; an image's is the mean of its
        highest ones.

        Raises:
            MismatchError: features of another backbone.
            DataError: an image of a category that no site had a good image of.
        """
        check_scorable(model, features)
        h, w, _ = features.shape
        maps = np.empty((len(features.grid), h * w), np.float32)
        for k, name in enumerate(features.categories):  # one by one: alike alone and among others
            product = model.categories.index(name)
            axes = model.axes[product, :, : model.dimensions[product]]
            off = features.grid[k].reshape(h * w, -1) - model.mean[product]
            maps[k] = np.linalg.norm(off - off @ axes @ axes.T, axis=1)
        return maps.reshape(-1, h, w), _tail(maps, self.knobs.tail)

    def admit(self, upload: Sums, site: Enrolled, turn: Turn) -> tuple[Sums, list[str]]:
        """The moments, if patches of this network can have them.

        Raises:
            UploadError: other dimensions than the network's, other counts than the site's images
                have, or moments that no such patches have.
        """
        least = self.knobs.least_images
        check_sums(upload, site, cells=1, dimensions=site.features, least=least)
        return upload, left_out(upload, site, knob="subspace.least-images", least=least)

    def describe(self, model: Subspaces) -> dict[str, Any]:
        """How many components each product has, and what they stand for."""
        return {
            "dimensions": dict(zip(model.categories, model.dimensions.tolist(), strict=True)),
            "patches": model.patches,
            "images_by_category": model.by_product(),
        }

    def scale(self, model: Subspaces) -> dict[str, tuple[float, float]]:
        """0, and three times the distance that good patches have on average."""
        tops = np.maximum(3 * model.usual, np.finfo(np.float32).eps).tolist()
        return {name: (0.0, top) for name, top in zip(model.categories, tops, strict=True)}

    def _subspace(self, moments: Moments) -> tuple[np.ndarray, np.ndarray, float]:
        """The mean (D,), the components (D, P), and the usual distance to them."""
        mean, axes, variances = components(moments)
        size = self.knobs.dimensions or count_of(variances, self.knobs.share)
        return mean, axes[:, :size], math.sqrt(variances[size:].sum())


def count_of(variances: np.ndarray, share: float) -> int:
    """How many of the largest variances (D,), which come first, make up `share` of all."""
    explained = np.cumsum(variances)
    return int(np.searchsorted(explained, share * explained[-1])) + 1 if explained[-1] > 0 else 0


def _tail(maps: np.ndarray, share: float) -> np.ndarray:
    """(B,) float32: the mean of the highest `share` of each image's patches (B, n), at least of
    one."""
    few = max(1, round(share * maps.shape[1]))
    highest: np.ndarray = np.sort(maps, axis=1)[:, maps.shape[1] - few :].mean(1)
    return highest.astype(np.float32)
