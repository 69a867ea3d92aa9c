"""What the sites and the server of `experts` send each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Annotated, Any, Literal, Self

import numpy as np

from fedad.averaging.counted import Counted
from fedad.averaging.sums import PRODUCTS, SUMS
from fedad.banks.bank import Bank
from fedad.errors import UploadError
from fedad.messages.schema import COUNTS, DOUBLES, FLOATS, Array, Dtype, Names, Number
from fedad.methods._adaptation import Adapt, Place, adapted
from fedad.methods._projection import Learned
from fedad.methods._router import KEYS, Router
from fedad.methods._seen import Move
from fedad.methods.discriminator import Heads


def nothing() -> np.ndarray:
    """What is usual where nobody says."""
    return np.empty((0, 0), np.float32)


def no_matrix() -> np.ndarray:
    """The projections of products that have none."""
    return np.empty((0, 0, 0), np.float32)


def no_product() -> np.ndarray:
    """Their products."""
    return np.empty(0, np.int32)


Usual = Annotated[np.ndarray, Array("U V", ("float32",), stays=True)]  # U products or experts


@dataclass(frozen=True, eq=False, kw_only=True)
class Routes(Counted):
    """R means of the signatures of a site's own clusters, the product of each, how many images it
    stands for, and the key of its sub-class where these are given.

    `usual` is the mean signature of each of C products, which centroids are less.
    """

    centroids: Annotated[np.ndarray, Array("R F", FLOATS)]
    product: Annotated[np.ndarray, Array("R", ("int32",), into="categories")]
    routed: Annotated[np.ndarray, Array("R", ("int64",), least=1, most=COUNTS)]
    key: Annotated[np.ndarray, Array("R", ("int64",), least=0, most=KEYS)]
    usual: Annotated[np.ndarray, Array("C F", FLOATS)]
    dtype: Dtype = "float32"


@dataclass(frozen=True, eq=False, kw_only=True)
class Votes(Counted):
    """Of a site's images that go to each of E experts: how many, the sum of their silhouettes, and
    the sums of their patches' features and of their squares. They add over sites."""

    routed: Annotated[np.ndarray, Array("E", ("int64",), least=0, most=COUNTS)]
    silhouette: Annotated[np.ndarray, Array("E", DOUBLES, least=-COUNTS, most=COUNTS)]
    patches: Annotated[np.ndarray, Array("E", ("int64",), least=0, most=COUNTS)]
    sums: Annotated[np.ndarray, Array("E A", DOUBLES, least=-SUMS, most=SUMS)]
    squares: Annotated[np.ndarray, Array("E A", DOUBLES, least=0, most=PRODUCTS)]


@dataclass(frozen=True, eq=False, kw_only=True)
class Projections(Counted):
    """Of each of C products with several experts a projection of signatures after a round at a
    site; of each of E experts its centre there, and of how many images: 0 where there are none."""

    matrix: Annotated[np.ndarray, Array("C P F", FLOATS)]
    targets: Annotated[np.ndarray, Array("E P", FLOATS)]
    routed: Annotated[np.ndarray, Array("E", ("int64",), least=0, most=COUNTS)]
    dtype: Dtype = "float32"


@dataclass(frozen=True, eq=False, kw_only=True)
class Tally(Counted):
    """How many held-out good patches' scores by each of E experts fall into each bin; what is usual
    at the site of each product stays there."""

    counts: Annotated[np.ndarray, Array("E N", ("int64",), least=0, most=COUNTS)]
    usual: Usual = field(default_factory=nothing)


@dataclass(frozen=True, eq=False, kw_only=True)
class SiteBank(Bank):
    """A bank whose products are experts, and what is usual at the site of the product of each."""

    usual: Usual = field(default_factory=nothing)

    def with_own(self, sealed: Bank) -> SiteBank:
        """As `Bank.with_own`, with what is usual."""
        found: Any = super().with_own(sealed).replace(usual=self.usual)
        kept: SiteBank = found
        return kept


@dataclass(frozen=True, eq=False, kw_only=True)
class SiteHeads(Heads):
    """Heads whose products are experts, and what is usual at the site of the product of each."""

    usual: Usual = field(default_factory=nothing)


@dataclass(frozen=True, eq=False, kw_only=True)
class Experts(Counted):
    """E experts of C products: whose images go to each, and where these lie.

    After the first round there may be several candidates a product, of `choice` experts each;
    afterwards one. `centroids` are the means of their images' signatures, which are less what is
    usual at their site, or `usual`, the mean of all sites, where a site has none of its own.
    `largest` is how many of an expert's images are of the site that has most of them. J products
    have a learned projection of signatures (`_projection.py`), and their experts centres in it.
    """

    experts: Annotated[tuple[str, ...], Names("E")]
    product: Annotated[np.ndarray, Array("E", ("int32",), into="categories")]
    choice: Annotated[np.ndarray, Array("E", ("int64",), least=1, most=COUNTS)]
    key: Annotated[np.ndarray, Array("E", ("int64",), least=0, most=KEYS)]
    routed: Annotated[np.ndarray, Array("E", ("int64",), least=0, most=COUNTS)]
    largest: Annotated[np.ndarray, Array("E", ("int64",), least=0, most=COUNTS)]
    silhouette: Annotated[np.ndarray, Array("E", DOUBLES, least=-1, most=1)]
    centroids: Annotated[np.ndarray, Array("E F", FLOATS)]
    usual: Annotated[np.ndarray, Array("C F", FLOATS)]
    centre: Annotated[np.ndarray, Array("E A", DOUBLES, least=-SUMS, most=SUMS)]
    spread: Annotated[np.ndarray, Array("E A", DOUBLES, least=0, most=SUMS)]
    low: Annotated[np.ndarray, Array("E", DOUBLES, least=-SUMS, most=SUMS)]
    width: Annotated[np.ndarray, Array("E", DOUBLES, least=0, most=SUMS)]
    router: Router
    centred: Literal["yes", "no"]
    adapt: Adapt
    blend: Annotated[float, Number(0, 1)]
    matrix: Annotated[np.ndarray, Array("J P F", FLOATS, optional=True)] = field(
        default_factory=no_matrix
    )
    projected: Annotated[np.ndarray, Array("J", ("int32",), into="categories", optional=True)] = (
        field(default_factory=no_product)
    )
    targets: Annotated[np.ndarray, Array("E P", FLOATS, optional=True)] = field(
        default_factory=nothing
    )
    dtype: Dtype = "float32"

    def check(self) -> None:
        """Refuse projections without their products or centres, or two of one product."""
        if len({*self.projected.tolist()}) < len(self.matrix) or (
            len(self.matrix) and not len(self.targets)
        ):
            raise UploadError(
                f"{len(self.matrix)} projections of {len(self.projected)} products, with "
                f"{len(self.targets)} centres",
                "shape",
            )

    def projection(self, category: str) -> Learned | None:
        """How a product's signatures are projected, where they are."""
        (at,) = np.nonzero(self.projected == self.categories.index(category))
        if not len(at):
            return None
        matrix, targets = self.matrix[at[0]], self.targets[self.of(category)]
        return Learned(matrix.astype(np.float64), targets.astype(np.float64))

    def place(self, expert: int) -> Place:
        """Where the patches lie that an expert has learned from."""
        return Place(self.centre[expert], self.spread[expert])

    def of(self, category: str) -> np.ndarray:
        """(K,): the numbers of a product's experts."""
        return np.flatnonzero(self.product == self.categories.index(category))

    def product_of(self, expert: str) -> str:
        """The product that an expert of this name is of."""
        return self.categories[self.product[self.experts.index(expert)]]

    def described(self) -> dict[str, Any]:
        """What the record says of them: of how many images each is, how far apart they are, and how
        much of an expert is of one site, which is 1 where experts are sites."""
        numbers = np.bincount(self.product, minlength=len(self.categories)).tolist()
        return {
            "experts": len(self.experts),
            "experts_by_category": dict(zip(self.categories, numbers, strict=True)),
            "images_by_expert": dict(zip(self.experts, self.routed.tolist(), strict=True)),
            "images_by_category": self.by_product(),
            "silhouette": [round(value, 6) for value in self.silhouette.tolist()],
            "projections": len(self.matrix),
            "purity_by_site": float(self.largest.sum() / max(1, self.routed.sum())),
        }

    def on_scale(self, ends: Mapping[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
        """Product -> the outermost of the ends of its experts' colours, on the scale of all."""
        found: dict[str, list[float]] = {name: [] for name in self.categories}
        for name, low, width in zip(self.experts, self.low, self.width, strict=True):
            found[self.product_of(name)] += [float((end - low) / width) for end in ends[name]]
        return {name: (min(values), max(values)) for name, values in found.items()}

    def take(self, experts: Sequence[int]) -> Self:
        """These experts alone, in this order, and the products that they are of."""
        at = np.array(experts, np.intp)
        kept = sorted({*self.product[at].tolist()})
        product = np.searchsorted(kept, self.product[at]).astype(np.int32)
        there = np.isin(self.projected, kept)
        return self.replace(
            matrix=self.matrix[there],
            projected=np.searchsorted(kept, self.projected[there]).astype(np.int32),
            targets=self.targets[at] if there.any() else nothing(),
            **{name: getattr(self, name)[at] for name in _BY_EXPERT},
            product=product,
            experts=tuple(self.experts[k] for k in at),
            images=self.images[kept],
            usual=self.usual[kept],
            categories=tuple(self.categories[k] for k in kept),
        )

    def facts(self) -> dict[str, Any]:
        """Its own fields, by name: what a model with more of them begins with."""
        return {one.name: getattr(self, one.name) for one in fields(Experts)}

    def bare(self) -> Experts:
        """Itself without what experts judge by."""
        return Experts(**self.facts())


_BY_EXPERT = (
    "choice",
    "key",
    "routed",
    "largest",
    "silhouette",
    "centroids",
    "centre",
    "spread",
    "low",
    "width",
)


def as_seen(model: Experts, numbers: np.ndarray) -> tuple[list[str], Move | None]:
    """The names of the experts of these numbers (B,), and what brings an image's patches to where
    those of an expert lie; None: nothing does."""

    def move(grid: np.ndarray, name: str) -> np.ndarray:
        place = model.place(model.experts.index(name))
        patches = grid.reshape(-1, grid.shape[-1])
        return adapted(patches, place, model.adapt, model.blend).reshape(grid.shape)

    moves = model.adapt != "off" and model.blend > 0
    return [model.experts[k] for k in numbers], move if moves else None


def at_site(
    made: Bank | Heads, model: Experts, usual: Mapping[str, np.ndarray]
) -> SiteBank | SiteHeads:
    """A bank or heads whose products are experts, with what is usual at the site."""
    kind: Any = SiteHeads if isinstance(made, Heads) else SiteBank
    parts = {one.name: getattr(made, one.name) for one in fields(made)}
    products = [model.product_of(name) for name in made.categories]
    found: SiteBank | SiteHeads = kind(**parts, usual=usual_rows(usual, products))
    return found


def usual_rows(usual: Mapping[str, np.ndarray], products: Sequence[str]) -> np.ndarray:
    """(U, F) float32: what is usual of these products, as it stays at a site."""
    return np.array([usual[name] for name in products], np.float32)
