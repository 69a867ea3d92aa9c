"""Payloads with a model a product, or under `bank.scope = mixed` one model of all products."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np

from fedad.aggregation.base import weights_of
from fedad.averaging.counted import Counted
from fedad.averaging.tensors import Averaging, averaged_arrays
from fedad.config import MergeKnobs
from fedad.errors import UploadError

ALL = ""  # what the one group under scope `mixed` is called
S = TypeVar("S", bound="Scoped")


@dataclass(frozen=True, eq=False, kw_only=True)
class Scoped(Counted):
    """The base of payloads with something for each of G groups: the C products, or all as one."""

    scope: Literal["category", "mixed"] = "category"

    @property
    def groups(self) -> tuple[str, ...]:
        """(G,): the names of the products, or `ALL` alone."""
        return groups_of(self.scope, self.categories)

    def group(self, category: str) -> int:
        """The number of the group that judges a product.

        Raises:
            ValueError: there is none.
        """
        return 0 if self.scope == "mixed" else self.categories.index(category)

    def images_of(self, group: int) -> int:
        """How many good images stand behind a group."""
        return int(self.images.sum() if self.scope == "mixed" else self.images[group])

    def check_groups(self, *fields: str) -> None:
        """Refuse arrays whose first size is not the number of groups."""
        for name in fields:
            if (size := len(getattr(self, name))) != len(self.groups):
                raise UploadError(
                    f"{self.record()}/{name} has {size} of {len(self.groups)} groups", "shape"
                )


def groups_of(scope: str, categories: Sequence[str]) -> tuple[str, ...]:
    """The groups of products that are learned together."""
    return (ALL,) if scope == "mixed" and categories else tuple(categories)


def having(uploads: Sequence[S], group: str) -> Iterator[tuple[S, int]]:
    """The uploads that have something of a group, each with the group's number in it."""
    for one in uploads:
        if group in one.groups:
            yield one, one.groups.index(group)


def site_weights(some: Sequence[tuple[Scoped, int]], knobs: MergeKnobs) -> list[float]:
    """What each site weighs in a group, by `merge.weighting`."""
    images = [one.images_of(group) for one, group in some]
    return weights_of([one.sites[0] for one, _ in some], images, knobs)


def averaged_by_group(
    uploads: Sequence[S], fields: Sequence[str], knobs: MergeKnobs, how: Averaging = "mean"
) -> dict[str, np.ndarray]:
    """Each field (G, ...) of a model of all: of each group its average over the sites that have it.

    Args:
        uploads: their other float arrays may differ in shape.
    """
    scope = uploads[0].scope
    every = sorted({category for one in uploads for category in one.categories})
    found: list[Mapping[str, np.ndarray]] = []
    for group in groups_of(scope, every):
        some = [*having(uploads, group)]
        arrays = [{name: getattr(one, name)[at] for name in fields} for one, at in some]
        found.append(averaged_arrays(arrays, site_weights(some, knobs), how))
    return {name: np.stack([one[name] for one in found]) for name in fields}
