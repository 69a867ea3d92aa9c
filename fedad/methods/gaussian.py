"""PaDiM over sites (Defard et al., ICPR 2021): a normal distribution of patches, by exact sums.

A site sends how many patches it has, their sums and the sums of their outer products; those add, so
that the federated model is the centralised one. A patch is scored by its Mahalanobis distance.
Patches are told apart by their product and, with `gaussian.cells = blocks`, by the block of
`gaussian.block` x `gaussian.block` positions that they lie in (PaDiM has one position a block).

Features are first brought to `gaussian.dimensions`: the same random ones at all sites, as in the
paper, or the principal axes of all sites' patches, which takes a round of moments before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field
from scipy.linalg import cholesky, solve_triangular

from fedad.averaging.counted import Counted, of_features
from fedad.averaging.moments import (
    Moments,
    mean_and_covariance,
    moments_of,
    principal_axes,
    square,
    triangle,
)
from fedad.averaging.sums import PRODUCTS, SUMS, Sums, added, check_sums, left_out
from fedad.errors import MismatchError
from fedad.messages.payload import Payload
from fedad.messages.schema import COUNTS, DOUBLES, Array, Names, Number
from fedad.methods.base import MethodBase, Round, Turn, check_scorable
from fedad.seeding import stream
from fedad.types import Enrolled, Features, Fingerprint

if TYPE_CHECKING:  # who only merges needs no network in memory
    from fedad.embedders.in_parts import InParts

__all__ = ["Gaussian"]


@dataclass(frozen=True)
class Knobs:
    """`gaussian.*`: which patches share a distribution, and of how many dimensions it is."""

    cells: Literal["blocks", "global"] = "blocks"  # a distribution a block of positions, or one
    block: Annotated[int, Field(ge=1)] = 8  # side of a block, in patches
    dimensions: Annotated[int, Field(ge=1)] = 100  # that features are brought to, at most all
    reduction: Literal["random", "pca"] = "random"  # how
    shrinkage: Annotated[float, Field(gt=0)] = 0.01  # added to each variance, in mean variances
    least_images: Annotated[int, Field(ge=1)] = 5  # of a product; a site with fewer sends nothing


@dataclass(frozen=True, eq=False, kw_only=True)
class Axes(Payload):
    """What the first of two rounds ends with: the P axes (D, P) that features are brought to."""

    axes: Annotated[np.ndarray, Array("D P", DOUBLES)]
    categories: Annotated[tuple[str, ...], Names("C")]
    sites: Annotated[tuple[str, ...], Names("S")]
    fingerprint: Fingerprint


@dataclass(frozen=True, eq=False, kw_only=True)
class Normals(Counted):
    """The distribution of each product and cell: mean (P,), covariance as a triangle (T,)."""

    mean: Annotated[np.ndarray, Array("C K P", DOUBLES, least=-SUMS, most=SUMS)]
    covariance: Annotated[np.ndarray, Array("C K T", DOUBLES, least=-PRODUCTS, most=PRODUCTS)]
    axes: Annotated[np.ndarray, Array("D P", DOUBLES)]  # (D, P) of features
    patches: Annotated[int, Number(0, COUNTS)]


@dataclass(frozen=True)
class Gaussian(MethodBase):
    """The method; see the module."""

    @cached_property
    def knobs(self) -> Knobs:
        """`gaussian.*`."""
        found: Knobs = self.config.knobs("gaussian")
        return found

    @cached_property
    def rounds(self) -> Sequence[Round]:
        """One round of moments; before it, where axes are found, one of moments of all features."""
        moments = Round(Sums, Normals)
        return (Round(Sums, Axes), moments) if self.knobs.reduction == "pca" else (moments,)

    def fit(
        self,
        features: Features | InParts,
        turn: Turn,
        *,
        own: Sums | None = None,
        rng: np.random.Generator,
    ) -> Sums:
        """The moments of the site's patches: of all features for the axes, then along the axes.

        Products with fewer images than `gaussian.least-images` are left out, perhaps all of them:
        their sums would tell too much of each image.
        """
        about = of_features(features, least=self.knobs.least_images)
        h, w, size = features.shape
        if self._finds_axes(turn):
            cells, axes = np.zeros(h * w, np.intp), np.eye(size)
        else:
            cells, axes = self._cells(h, w), self._axes(turn, size)
        table = [self._moments(features, name, cells, axes) for name in about["categories"]]
        return Sums.made_of(
            table,
            cells=int(cells.max()) + 1,
            dimensions=axes.shape[1],
            features=size,
            about=about,
        )

    def merge(
        self, uploads: Sequence[Sums], turn: Turn, *, rng: np.random.Generator
    ) -> Axes | Normals:
        """The axes of all patches; then the mean and covariance of each product and cell."""
        total = added(uploads)
        common: Any = {
            "categories": total.categories,
            "sites": total.sites,
            "fingerprint": total.fingerprint,
        }
        if self._finds_axes(turn):
            pooled = Moments(
                int(total.count.sum()), total.sums.sum((0, 1)), total.products.sum((0, 1))
            )
            _, axes = principal_axes(pooled, min(self.knobs.dimensions, len(pooled.sums)))
            return Axes(axes=axes, **common)
        c, k, p = total.sums.shape
        normals = [mean_and_covariance(total.of(i, j)) for i in range(c) for j in range(k)]
        return Normals(
            mean=np.array([mean for mean, _ in normals], np.float64).reshape(c, k, p),
            covariance=np.array([triangle(one) for _, one in normals], np.float64).reshape(
                c, k, p * (p + 1) // 2
            ),
            axes=self._axes(turn, total.features),
            patches=int(total.count.sum()),
            images=total.images,
            **common,
        )

    def score(
        self, model: Normals, features: Features, *, own: Sums | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The Mahalanobis distance of each patch to its cell's distribution; an image's is its
        largest.

        Raises:
            MismatchError: features of another backbone, or on a grid of other cells.
            DataError: an image of a category that no site had a good image of.
        """
        check_scorable(model, features)
        h, w, _ = features.shape
        cells = self._cells(h, w)
        if cells.max() + 1 != model.mean.shape[1]:
            raise MismatchError(
                f"the model has {model.mean.shape[1]} cells and a grid of {h} x {w} "
                f"{cells.max() + 1}: was it made with another gaussian.block or gaussian.cells?"
            )
        maps = np.empty((len(features.grid), h * w), np.float32)
        for name in sorted({*features.categories}):
            images = np.flatnonzero([category == name for category in features.categories])
            points = features.grid[images].reshape(len(images), h * w, -1) @ model.axes
            for cell in range(model.mean.shape[1]):
                at = np.flatnonzero(cells == cell)
                far = self._distances(model, model.categories.index(name), cell, points[:, at])
                maps[np.ix_(images, at)] = far
        return maps.reshape(-1, h, w), maps.max(1)

    def admit(self, upload: Sums, site: Enrolled, turn: Turn) -> tuple[Sums, list[str]]:
        """The moments, if patches of this network can have them.

        Raises:
            UploadError: other cells or dimensions than were asked for, other counts than the
                site's images have, or moments that no such patches have.
        """
        least, first = self.knobs.least_images, self._finds_axes(turn)
        side = math.isqrt(site.fingerprint.patches)  # images are square, and so are their grids
        check_sums(
            upload,
            site,
            cells=1 if first else int(self._cells(side, side).max()) + 1,
            dimensions=site.features if first else self._size(site.features),
            least=least,
        )
        return upload, left_out(upload, site, knob="gaussian.least-images", least=least)

    def describe(self, model: Normals) -> dict[str, Any]:
        """How many distributions of how many dimensions, and what they stand for."""
        c, k, p = model.mean.shape
        return {
            "distributions": c * k,
            "dimensions": p,
            "patches": model.patches,
            "images_by_category": model.by_product(),
        }

    def scale(self, model: Normals) -> dict[str, tuple[float, float]]:
        """0, and twice the distance that patches of the distributions have on average."""
        usual = math.sqrt(model.mean.shape[2])
        return dict.fromkeys(model.categories, (0.0, 2 * usual))

    def _finds_axes(self, turn: Turn) -> bool:
        return turn.number < len(self.rounds)

    def _size(self, features: int) -> int:
        return min(self.knobs.dimensions, features)

    def _axes(self, turn: Turn, features: int) -> np.ndarray:
        """(D, P): those that the first round found, or those of the same random features."""
        if turn.model is not None:
            found: np.ndarray = turn.model.axes
            return found
        rng = stream(self.config.round.seed, "gaussian", "dimensions")
        chosen = np.sort(rng.permutation(features)[: self._size(features)])
        return np.eye(features)[:, chosen]

    def _cells(self, h: int, w: int) -> np.ndarray:
        """(h w,): the number of each position's cell."""
        if self.knobs.cells == "global":
            return np.zeros(h * w, np.intp)
        y, x = np.divmod(np.arange(h * w), w)
        return y // self.knobs.block * -(-w // self.knobs.block) + x // self.knobs.block

    def _moments(
        self, features: Features | InParts, category: str, cells: np.ndarray, axes: np.ndarray
    ) -> list[Moments]:
        """The moments of one product, cell by cell."""
        found = [moments_of([], axes.shape[1])] * (int(cells.max()) + 1)
        for part in features.parts(category):
            points = part.reshape(-1, len(cells), part.shape[1])
            for cell, known in enumerate(found):
                inside = points[:, cells == cell].reshape(-1, part.shape[1])
                found[cell] = known.plus(moments_of([inside @ axes], axes.shape[1]))
        return found

    def _distances(
        self, model: Normals, category: int, cell: int, points: np.ndarray
    ) -> np.ndarray:
        """(B, n): how far points (B, n, P) are from the distribution of a product and cell."""
        covariance = square(model.covariance[category, cell])
        size = len(covariance)
        ridge = self.knobs.shrinkage * max(np.trace(covariance) / size, np.finfo(float).tiny)
        lower = cholesky(covariance + ridge * np.eye(size), lower=True)
        off = points.reshape(-1, size) - model.mean[category, cell]
        whitened = solve_triangular(lower, off.T, lower=True)
        return np.linalg.norm(whitened, axis=0).reshape(points.shape[:2])
