"""What a site of `experts` does with signatures: clusters, votes, and which image goes where."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fedad.averaging.counted import of_features
from fedad.descriptors.standardise import sums_of
from fedad.methods._experts import Experts, Projections, Routes, SiteBank, SiteHeads, Votes
from fedad.methods._projection import Learned, begun, routed_by, trained
from fedad.methods._router import (
    Router,
    centred,
    key_of,
    nearest_of,
    signatures,
    silhouettes,
    split,
    unit,
)
from fedad.methods._seen import grids_of
from fedad.types import Features

if TYPE_CHECKING:  # who only merges needs no network in memory
    from fedad.embedders.in_parts import InParts

NOBODY = -1  # in place of an expert's number: the model knows nothing of the product
NOUGHT = 1e-9  # of a mean of signatures, or a projection: a smaller value is rounding's
PER_CENTROID = 3  # images of a site behind each of its centroids, on average: few are of one alone


class Points(NamedTuple):
    """Signatures (B, F) of images, their products and names, the keys (B,) of their sub-classes if
    these are told, and what is usual of each product."""

    signatures: np.ndarray
    categories: tuple[str, ...]
    keys: np.ndarray | None
    usual: Mapping[str, np.ndarray]

    def of(self, product: str) -> np.ndarray:
        """The numbers of a product's images."""
        return np.flatnonzero([name == product for name in self.categories])


def points_of(
    features: Features | InParts,
    router: Router,
    *,
    centre: bool,
    usual: Mapping[str, np.ndarray] | None = None,
    pattern: str | None = None,
) -> Points:
    """The images' signatures.

    Args:
        centre: whether what is usual of their product is taken off them.
        usual: that, by product; None: the mean of these images' own.
        pattern: that tells the sub-class by an image's name; None: nothing is told.
    """
    found, products = signatures(features, router), features.categories
    if usual is None:
        usual = {
            name: found[[one == name for one in products]].mean(0) for name in sorted({*products})
        }
    if centre and router != "off":
        found = centred(found, products, usual)
    keys = None
    if pattern is not None:
        keys = np.array([key_of(name, pattern) for name in features.images], np.int64)
    return Points(found, products, keys, usual)


def assigned(points: Points, model: Experts) -> np.ndarray:
    """(B,) int: the expert that each image goes to; `NOBODY` of a product without one."""
    found = np.full(len(points.categories), NOBODY)
    for name in sorted({*points.categories} & {*model.categories}):
        mine = points.of(name)
        found[mine] = _sent(points, mine, model.of(name), model)
    return found


def routes_of(
    features: Features | InParts, points: Points, size: int, *, rng: np.random.Generator
) -> Routes:
    """The clusters of a site's images: at most `size` of a product, or one a sub-class that is
    told."""
    about = of_features(features)
    rows: list[tuple[np.ndarray, int, int, int]] = []
    for number, name in enumerate(about["categories"]):
        mine = points.of(name)
        some = points.signatures[mine]
        if points.keys is None:
            most = min(size, -(-len(mine) // PER_CENTROID))
            labels, keys = (
                split(some, np.ones(len(mine)), most, rng=rng).labels,
                np.zeros(len(mine)),
            )
        else:
            keys = points.keys[mine]
            labels = np.unique(keys, return_inverse=True)[1]
        for label in range(int(labels.max()) + 1):
            here = labels == label
            mean = some[here].mean(0)
            mean[np.abs(mean) < NOUGHT] = 0  # what centring leaves by rounding is no signature
            rows.append((mean, number, int(here.sum()), int(keys[here][0])))
    centroids, product, routed, key = zip(*rows, strict=True)
    return Routes(
        centroids=np.array(centroids, np.float32),
        product=np.array(product, np.int32),
        routed=np.array(routed, np.int64),
        key=np.array(key, np.int64),
        usual=np.array([points.usual[name] for name in about["categories"]], np.float32),
        **about,
    )


def votes_of(
    features: Features | InParts, points: Points, model: Experts, *, voting: bool, width: int
) -> Votes:
    """What a site's images say of the candidates: by `voting` their silhouettes, and the sums of
    their patches' features, where `width` is the number of these and not 0."""
    about, count = known(of_features(features), model), len(model.experts)
    goes = [list[int]() for _ in points.categories]  # each image's experts, one a candidate
    routed, silhouette = np.zeros(count, np.int64), np.zeros(count)
    for name in about["categories"]:
        mine = points.of(name)
        for at in choices_of(model, name):
            labels = _sent(points, mine, at, model)
            np.add.at(routed, labels, 1)
            if voting:
                means, sizes = model.centroids[at].astype(np.float64), model.routed[at]
                gains = silhouettes(points.signatures[mine], means, sizes)
                np.add.at(silhouette, labels, gains)
            for image, label in zip(mine.tolist(), labels.tolist(), strict=True):
                goes[image].append(label)
    sums, squares = np.zeros((count, width)), np.zeros((count, width))
    for where, grid in zip(goes, grids_of(features) if width else (), strict=False):
        one = sums_of(grid.reshape(-1, width))
        sums[where] += one.sums
        squares[where] += one.squares
    return Votes(
        routed=routed,
        silhouette=silhouette,
        patches=routed * features.patches_per_image,
        sums=sums,
        squares=squares,
        **about,
    )


def choices_of(model: Experts, product: str) -> Iterator[np.ndarray]:
    """The numbers of the experts of each candidate of a product, fewest experts first."""
    mine = model.of(product)
    for size in np.unique(model.choice[mine]):
        yield mine[model.choice[mine] == size]


def projections_of(
    features: Features | InParts,
    points: Points,
    model: Experts,
    *,
    size: int,
    steps: int,
    seed: int,
) -> Projections:
    """The projections of a site's products that have several experts, after so many steps; an
    image's expert is that of its own sub-class, or of the nearest centroid."""
    about = known(of_features(features), model)
    able = [k for k, name in enumerate(about["categories"]) if len(model.of(name)) > 1]
    names = tuple(about["categories"][k] for k in able)
    width = model.centroids.shape[1]
    size, count = min(size, width), len(model.experts)
    targets, routed = np.zeros((count, size), np.float32), np.zeros(count, np.int64)
    matrix = np.empty((len(names), size, width), np.float32)
    for k, name in enumerate(names):
        mine, experts = points.of(name), model.of(name)
        labels = np.searchsorted(experts, _sent(points, mine, experts, model, plain=True))
        start = start_of(model, name, size, seed)
        found = trained(start, points.signatures[mine], labels, steps)
        matrix[k], targets[experts] = (np.where(np.abs(part) < NOUGHT, 0, part) for part in found)
        routed[experts] = np.bincount(labels, minlength=len(experts))
    told = {**about, "images": about["images"][able], "categories": names}
    return Projections(matrix=matrix, targets=targets, routed=routed, **told)


def start_of(model: Experts, product: str, size: int, seed: int) -> Learned:
    """The projection of a product as it was broadcast, or as all sites begin."""
    found = model.projection(product)
    return found or begun(model.centroids[model.of(product)], size, product, seed)


def known(about: Mapping[str, Any], model: Experts) -> dict[str, Any]:
    """What is said of the products that the model knows."""
    able = [k for k, name in enumerate(about["categories"]) if name in model.categories]
    names = tuple(about["categories"][k] for k in able)
    return {**about, "images": about["images"][able], "categories": names}


def usual_at(own: Any, model: Experts) -> dict[str, np.ndarray]:
    """Product -> what is usual of it at a site that keeps `own`, or at all sites where it has none
    of its own."""
    found = {name: model.usual[k].astype(np.float64) for k, name in enumerate(model.categories)}
    rows = getattr(own, "usual", None)
    if rows is None or not len(rows):
        return found
    experts = model.experts if isinstance(own, SiteBank | SiteHeads) else ()  # else by product
    for name, row in zip(own.categories, rows, strict=True):
        product = model.product_of(name) if name in experts else name
        found[product] = row.astype(np.float64)
    return found


def _sent(
    points: Points, mine: np.ndarray, experts: np.ndarray, model: Experts, *, plain: bool = False
) -> np.ndarray:
    """(n,) int: which of a product's `experts` its images go to: that of their own sub-class where
    it is told, else the one whose centroid is nearest, or whose centre is where signatures are
    projected and `plain` ones not asked for."""
    some, product = points.signatures[mine], model.categories[model.product[experts[0]]]
    learned = None if plain else model.projection(product)
    if learned is None:
        found = experts[nearest_of(some, unit(model.centroids[experts]))]
    else:
        found = experts[routed_by(learned, some)]
    if points.keys is not None:
        told = dict(zip(model.key[experts].tolist(), experts.tolist(), strict=True))
        for at, key in enumerate(points.keys[mine].tolist()):
            found[at] = told.get(key, found[at])
    return found
