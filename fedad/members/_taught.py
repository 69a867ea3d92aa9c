"""What `ast` broadcasts: two networks for each product, and by what features are brought to one
size; and how all start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from fedad.averaging.moments import Moments, mean_and_covariance
from fedad.averaging.scoped import ALL, Scoped, groups_of
from fedad.averaging.sums import SUMS, Sums
from fedad.errors import UploadError
from fedad.members._weights import Shapes, laid_out, started
from fedad.messages.schema import DOUBLES, FLOATS, Array, Dtype

if TYPE_CHECKING:  # what takes torch is imported when it is used
    from fedad.members._ast import Ruler

TEACHER, STUDENT = "teacher", "student"
NARROW = 1e-3  # of the widest spread of a feature: what a narrower one counts as


@dataclass(frozen=True, eq=False, kw_only=True)
class Taught(Scoped):
    """A teacher and a student for each of G groups, and the mean and the spread of D features."""

    mean: Annotated[np.ndarray, Array("G D", DOUBLES, least=-SUMS, most=SUMS)]
    spread: Annotated[np.ndarray, Array("G D", DOUBLES, least=0, most=SUMS)]
    teacher: Annotated[np.ndarray, Array("G R W", FLOATS)]
    student: Annotated[np.ndarray, Array("G Q W", FLOATS)]
    dtype: Dtype = "float32"

    def check(self) -> None:
        """Refuse networks of some groups alone, and a spread of 0."""
        self.check_groups("mean", "spread", TEACHER, STUDENT)
        if not self.spread.all():
            raise UploadError("a spread of 0, expected more", "range")

    def ruler(self, group: int) -> Ruler:
        """By what a group's features are brought to one size."""
        from fedad.members._ast import Ruler

        return Ruler(self.mean[group], self.spread[group])


def start(
    total: Sums, shapes: Mapping[str, Shapes], *, scope: Literal["category", "mixed"], seed: int
) -> Taught:
    """The networks that all sites start from, and the mean and the spread of features over all.

    Args:
        total: the sums of all sites.
        shapes: of the tensors of both networks.
    """
    groups = groups_of(scope, total.categories)
    moments = [mean_and_covariance(_pooled(total, group)) for group in groups]
    networks: dict[str, Any] = {
        name: np.stack([laid_out(started(of, seed, f"ast {name}", group)) for group in groups])
        for name, of in shapes.items()
    }
    return Taught(
        mean=np.stack([mean for mean, _ in moments]),
        spread=np.stack([_spread(covariance) for _, covariance in moments]),
        **networks,
        scope=scope,
        images=total.images,
        categories=total.categories,
        sites=total.sites,
        fingerprint=total.fingerprint,
    )


def _pooled(total: Sums, group: str) -> Moments:
    """The moments of a group's patches."""
    products = [k for k, name in enumerate(total.categories) if group in (ALL, name)]
    found = total.of(products[0], 0)
    for product in products[1:]:
        found = found.plus(total.of(product, 0))
    return found


def _spread(covariance: np.ndarray) -> np.ndarray:
    """(D,): of each feature, none much narrower than the widest; 1 where none varies."""
    spread = np.sqrt(np.maximum(np.diag(covariance), 0))
    widest = float(spread.max(initial=0))
    found: np.ndarray = np.maximum(spread, NARROW * widest) if widest else np.ones_like(spread)
    return found
