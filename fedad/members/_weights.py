"""Weights of a member's networks as they travel, and how FedAvg joins them.

A tensor is rows of `WIDTH` values, the last one filled up with zeros: arrays on the wire have at
most three dimensions, and under `wire.dtype = int8` a scale is then of few weights of one tensor.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self, TypeVar

import numpy as np

from fedad.averaging.counted import check_images, of_all
from fedad.averaging.reach import check_reach
from fedad.averaging.scoped import ALL, Scoped, averaged_by_group, groups_of
from fedad.averaging.tensors import Averaging
from fedad.config import Config
from fedad.errors import UploadError
from fedad.messages.schema import FLOATS, Array, Dtype
from fedad.seeding import stream
from fedad.types import Enrolled

WIDTH = 256
SEEN = 1e5  # the largest statistics of norms that are read: float32 holds their squares

Shapes = Mapping[str, tuple[int, ...]]
"""Of a network: the name of each tensor -> its shape."""

Arrays = dict[str, np.ndarray]
"""Of a network: the name of each tensor -> its values, float32."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Weights(Scoped):
    """A network's weights for each of G groups of products, in rows of W values."""

    rows: Annotated[np.ndarray, Array("G R W", FLOATS)]
    dtype: Dtype = "float32"

    FIELDS: ClassVar[tuple[str, ...]] = ("rows",)

    def check(self) -> None:
        """Refuse weights of some groups alone."""
        self.check_groups(*self.FIELDS)

    def without(self, categories: Container[str]) -> Iterator[Self]:
        """The weights of each other product of a model, as an upload of that product would be."""
        for at, name in enumerate(self.categories):
            if self.scope != "mixed" and name not in categories:
                yield self.replace(
                    **{field: getattr(self, field)[[at]] for field in self.FIELDS},
                    images=self.images[[at]],
                    categories=(name,),
                )


@dataclass(frozen=True, eq=False, kw_only=True)
class NormedWeights(Weights):
    """Weights of a network with batch norms: also the mean and the spread of each channel that a
    norm has seen, in rows of W values.

    A bound by the network's own reach, kernel by kernel, lies thousands of times above what honest
    sites send, so it would keep no lie out that moves an average: medians do.
    """

    means: Annotated[np.ndarray, Array("G V W", FLOATS, least=-SEEN, most=SEEN)]
    spreads: Annotated[np.ndarray, Array("G V W", FLOATS, least=0, most=SEEN)]

    FIELDS: ClassVar[tuple[str, ...]] = ("rows", "means", "spreads")


W = TypeVar("W", bound=Weights)


def laid_out(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """(R, W) float32: the tensors one below the other, each from a new row on."""
    blocks = []
    for array in arrays.values():
        block = np.zeros((rows_of(array.shape), WIDTH), np.float32)
        block.reshape(-1)[: array.size] = array.reshape(-1)
        blocks.append(block)
    return np.concatenate(blocks) if blocks else np.zeros((0, WIDTH), np.float32)


def taken_apart(rows: np.ndarray, shapes: Shapes) -> Arrays:
    """The inverse of `laid_out`."""
    found, at = Arrays(), 0
    for name, shape in shapes.items():
        high = rows_of(shape)
        found[name] = rows[at : at + high].reshape(-1)[: math.prod(shape)].reshape(shape)
        at += high
    return found


def rows_of(shape: tuple[int, ...]) -> int:
    """How many rows a tensor takes."""
    return -(-math.prod(shape) // WIDTH)


def started(shapes: Shapes, seed: int, name: str, group: str) -> Arrays:
    """Weights that all sites and the server draw alike, for a network of rectifiers (He et al.,
    ICCV 2015): kernels by what goes into them, norms that change nothing, all else 0.

    Args:
        name, group: of the network, and of the products that it is for.
    """
    return {
        tensor: _started(tensor, shape, stream(seed, name, "start", group, tensor))
        for tensor, shape in shapes.items()
    }


def _started(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    if len(shape) > 1:
        spread = math.sqrt(2 / math.prod(shape[1:]))
        return (spread * rng.standard_normal(shape, np.float32)).astype(np.float32)
    return np.full(shape, float(name.endswith("weight")), np.float32)


def merged(uploads: Sequence[W], model: W | None, config: Config, how: Averaging) -> W:
    """All arrays averaged over the sites by group; a group of the model that no site sent anything
    of stays as it was.

    Statistics of norms become those of all the images behind them, weighed as weights are: a spread
    is then also of how far the means of sites are apart.

    Args:
        model: that of the round before, if there was one.
    """
    first = uploads[0]
    every: list[Any] = [*uploads]
    if model is not None:
        every += model.without({name for one in uploads for name in one.categories})
    about = of_all(every)
    if isinstance(first, NormedWeights):
        groups = groups_of(first.scope, about["categories"])
        means = averaged_by_group(every, ("means",), config.merge, how)["means"]
        every = [
            one.replace(spreads=one.spreads**2 + (one.means - _of(one, means, groups)) ** 2)
            for one in every
        ]
    found: Any = averaged_by_group(every, first.FIELDS, config.merge, how)
    if isinstance(first, NormedWeights):
        found["spreads"] = np.sqrt(found["spreads"])
    return first.replace(**found, **about)


def _of(one: Weights, arrays: np.ndarray, groups: Sequence[str]) -> np.ndarray:
    """Those of arrays (G, ...) that are of the groups of one upload."""
    found: np.ndarray = arrays[[groups.index(group) for group in one.groups]]
    return found


def check_weights(
    upload: Weights,
    site: Enrolled,
    *,
    scope: str,
    shapes: Shapes,
    known: Callable[[str], np.ndarray],
    rate: float,
    steps: Callable[[int], int],
) -> None:
    """Refuse weights that the site cannot have trained.

    Args:
        shapes: of the network.
        known: group -> the rows (R, W) that were sent to the site, or that it started from.
        steps: how many good images -> how many steps of Adam a round has.

    Raises:
        UploadError: another network or scope, more images than were enrolled, values where there
            are no weights, or weights farther off than training brings them.
    """
    wanted = sum(rows_of(shape) for shape in shapes.values()), WIDTH
    if (found := upload.rows.shape[1:]) != wanted:
        raise UploadError(f"weights of {found}, expected {wanted}", "shape")
    if upload.scope != scope:
        raise UploadError(f"weights of scope {upload.scope}, expected {scope}", "header")
    check_images(upload, site)
    for at, group in enumerate(upload.groups):
        arrays = taken_apart(upload.rows[at], shapes)
        if (laid_out(arrays) != upload.rows[at]).any():
            raise UploadError("weights with values beyond the end of a tensor", "range")
        images = sum(site.train.values()) if group == ALL else site.train[group]
        check_reach(arrays, taken_apart(known(group), shapes), rate=rate, steps=steps(images))
