"""The server of `experts`: centroids of all sites -> experts, and what sites counted of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from fedad.aggregation.base import weights_of
from fedad.averaging.counted import of_all
from fedad.averaging.tensors import averaged_arrays
from fedad.config import MergeKnobs
from fedad.methods._adaptation import place_of
from fedad.methods._calibration import Calibrate, line_of
from fedad.methods._experts import Experts, Projections, Routes, Tally, Votes
from fedad.methods._router import split, unit

if TYPE_CHECKING:
    from fedad.methods.experts import Knobs

E = TypeVar("E", bound=Experts)
TINY = 1e-9  # the least length of a mean of signatures, as it counts
LONGEST = 32  # characters of a product in an expert's name


def candidates(
    uploads: Sequence[Routes], knobs: Knobs, *, given: bool, rng: np.random.Generator
) -> Experts:
    """The experts that there may be: of each product one, two and so on up to `experts.most`; or
    one for each sub-class that is given."""
    about, found = of_all(uploads), list[dict[str, Any]]()
    for number, name in enumerate(about["categories"]):
        means, weights, keys, sites = _of_product(uploads, name)
        points, heavy = unit(means), weights * np.maximum(np.linalg.norm(means, axis=1), TINY)
        if given:
            labels = [np.unique(keys, return_inverse=True)[1]]
        else:
            most = 1 if knobs.router == "off" else min(knobs.most, len(points))
            labels = [split(points, heavy, k, rng=rng).labels for k in range(1, most + 1)]
        seen = set[int]()
        for one in labels:
            choice = int(one.max()) + 1
            if choice in seen:  # fewer points differ
                continue
            seen.add(choice)
            for label in range(choice):
                mine = one == label
                found.append(
                    {
                        "product": number,
                        "choice": choice,
                        "key": int(keys[mine][0]),
                        "routed": int(weights[mine].sum()),
                        "largest": int(np.bincount(sites[mine], weights[mine]).max()),
                        "centroid": np.average(means[mine], axis=0, weights=weights[mine]),
                    }
                )
    count = len(found)
    whole: Any = {
        name: np.array([one[name] for one in found], np.int64)
        for name in ("choice", "key", "routed", "largest")
    }
    return Experts(
        experts=tuple(
            f"{k}-{about['categories'][one['product']][:LONGEST]}" for k, one in enumerate(found)
        ),
        product=np.array([one["product"] for one in found], np.int32),
        centroids=np.array([one["centroid"] for one in found], np.float32),
        usual=_usual(uploads, about["categories"]),
        silhouette=np.zeros(count),
        centre=np.empty((count, 0)),
        spread=np.empty((count, 0)),
        low=np.zeros(count),
        width=np.ones(count),
        router=knobs.router,
        centred="yes" if knobs.centred else "no",
        adapt=knobs.adapt,
        blend=knobs.blend,
        **whole,
        **about,
    )


def settled(uploads: Sequence[Votes], model: Experts, knobs: Knobs) -> Experts:
    """Of each product the candidate whose images are told apart best, or one expert where none
    reaches `experts.separation`; and where the patches of each expert's images lie.

    A product that no site has sent anything of, since its sites are away, is left out.
    """
    routed, patches, silhouette, sums, squares = (
        np.sum([getattr(one, name) for one in uploads], axis=0)
        for name in ("routed", "patches", "silhouette", "sums", "squares")
    )
    silhouette = silhouette / np.maximum(1, routed)
    places = [place_of(*one) for one in zip(patches.tolist(), sums, squares, strict=True)]
    whole = model.replace(
        routed=routed,
        silhouette=np.clip(silhouette, -1, 1),
        largest=np.max([one.routed for one in uploads], axis=0),
        centre=np.stack([one.centre for one in places]),
        spread=np.stack([one.spread for one in places]),
    )
    chosen = list[int]()
    for name in model.categories:
        mine = model.of(name)
        best, choice = knobs.separation, int(model.choice[mine].min())
        for size in sorted({*model.choice[mine].tolist()}):
            at = mine[model.choice[mine] == size]
            told = float(np.average(silhouette[at], weights=np.maximum(routed[at], 1)))
            if size > 1 and routed[at].min() >= knobs.least_images and told > best:
                best, choice = told, size
        chosen += [k for k in mine[model.choice[mine] == choice].tolist() if routed[k]]
    about = of_all(uploads)
    found = whole.take(chosen)
    images = [about["images"][about["categories"].index(name)] for name in found.categories]
    sites = tuple(sorted({*model.sites, *about["sites"]}))
    return found.replace(images=np.array(images, np.int64), sites=sites)


def projecting(uploads: Sequence[Projections], model: Experts, merge: MergeKnobs) -> Experts:
    """The experts with the mean of the sites' projections of each product, by its images, and of
    the centres of each expert, by the images that went to it; as before where no site has any."""
    names = sorted({name for one in uploads for name in one.categories})
    if not names:
        return model
    size = uploads[0].matrix.shape[1]
    targets = model.targets if len(model.targets) else np.zeros((len(model.experts), size))
    targets, matrices = targets.astype(np.float32), dict[str, np.ndarray]()
    for name in names:
        some = [(one, one.categories.index(name)) for one in uploads if name in one.categories]
        images = [int(one.images[at]) for one, at in some]
        arrays = [{"m": one.matrix[at]} for one, at in some]
        weights = weights_of([one.sites[0] for one, _ in some], images, merge)
        matrices[name] = averaged_arrays(arrays, weights)["m"]
        for expert in model.of(name).tolist():
            having = [one for one, _ in some if one.routed[expert]]
            if having:
                images = [int(one.routed[expert]) for one in having]
                rows = [{"t": one.targets[expert]} for one in having]
                weights = weights_of([one.sites[0] for one in having], images, merge)
                targets[expert] = averaged_arrays(rows, weights)["t"]
    known = {model.categories[k]: model.matrix[j] for j, k in enumerate(model.projected.tolist())}
    every = sorted((known | matrices).items(), key=lambda one: model.categories.index(one[0]))
    return model.replace(
        matrix=np.stack([matrix for _, matrix in every]),
        projected=np.array([model.categories.index(name) for name, _ in every], np.int32),
        targets=targets,
        sites=tuple(sorted({*model.sites, *(site for one in uploads for site in one.sites)})),
    )


def scaled(uploads: Sequence[Tally], model: E, how: Calibrate) -> E:
    """The experts with their scores on one scale; one that no held-out image went to has that of
    its product, or of all."""
    counts: np.ndarray = np.sum([one.counts for one in uploads], axis=0)
    lines = []
    for expert, product in enumerate(model.product.tolist()):
        kin = counts[model.product == product].sum(0)
        every = (counts[expert], kin, counts.sum(0))
        lines.append(line_of(next((one for one in every if one.any()), every[-1]), how))
    low, width = zip(*lines, strict=True)
    return model.replace(low=np.array(low), width=np.array(width))


def _usual(uploads: Sequence[Routes], products: Sequence[str]) -> np.ndarray:
    """(C, F) float32: the mean signature of each product's images at all sites."""
    found = []
    for name in products:
        some = [(one, one.categories.index(name)) for one in uploads if name in one.categories]
        images = [one.images[at] for one, at in some]
        found.append(np.average([one.usual[at] for one, at in some], axis=0, weights=images))
    return np.array(found, np.float32)


def _of_product(
    uploads: Sequence[Routes], name: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of one product the sites' means (N, F), how many images each stands for, its key, and the
    number of its site."""
    points, weights, keys, sites = [], [], [], []
    for number, one in enumerate(uploads):
        if name not in one.categories:
            continue
        mine = one.product == one.categories.index(name)
        points.append(one.centroids[mine].astype(np.float64))
        weights.append(one.routed[mine])
        keys.append(one.key[mine])
        sites.append(np.full(int(mine.sum()), number))
    found = (np.concatenate(part) for part in (points, weights, keys, sites))
    return tuple(found)  # type: ignore[return-value]
