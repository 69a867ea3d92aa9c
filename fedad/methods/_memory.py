"""What FedDyMem's sites and server send each other, and what a server takes of it."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Self

import numpy as np

from fedad.averaging.memories import FARTHEST
from fedad.averaging.scoped import Scoped
from fedad.errors import UploadError
from fedad.messages.schema import COUNTS, FLOATS, Array, Dtype, Number
from fedad.methods._generator import LAYERS, Layers
from fedad.types import Enrolled

OFF = 0.01  # how far from 1 rounding brings the length of a row, and more
MOST_GROUPS = 2**31 - 1


@dataclass(frozen=True, eq=False, kw_only=True)
class Memory(Scoped):
    """M rows of P dimensions and what they stand for; and a generator of D features for each of G
    groups, or for none where all know it."""

    rows: Annotated[np.ndarray, Array("M P", FLOATS)]
    whose: Annotated[np.ndarray, Array("M", ("int32",), least=0, most=MOST_GROUPS)]  # group
    patches: Annotated[np.ndarray, Array("M", ("int64",), least=1, most=COUNTS)]
    linear: Annotated[np.ndarray, Array("G P D", FLOATS)]
    shift: Annotated[np.ndarray, Array("G P", FLOATS)]
    gain: Annotated[np.ndarray, Array("G P", FLOATS)]
    bias: Annotated[np.ndarray, Array("G P", FLOATS)]
    moved: Annotated[float, Number(0, FARTHEST)] = FARTHEST  # farthest that a row did in the round
    dtype: Dtype = "float32"
    # A site's own patches (N, D), and their groups:
    kept: Annotated[np.ndarray, Array("N D", ("float32",), stays=True)] = field(
        default_factory=lambda: np.empty((0, 0), np.float32)
    )
    kept_of: Annotated[np.ndarray, Array("N", ("int32",), 0, MOST_GROUPS, stays=True)] = field(
        default_factory=lambda: np.empty(0, np.int32)
    )

    def check(self) -> None:
        """Refuse rows of no group, or generators of some groups alone."""
        if self.whose.size and self.whose.max() >= len(self.groups):
            raise UploadError(
                f"memory/whose numbers {int(self.whose.max()) + 1} of {len(self.groups)} groups",
                "column",
            )
        if len(self.linear):
            self.check_groups(*LAYERS)

    def layers(self, group: int) -> Layers:
        """The generator of a group.

        Raises:
            UploadError: there are none.
        """
        if group >= len(self.linear):
            raise UploadError(
                f"a memory of {len(self.linear)} generators, expected {len(self.groups)}", "shape"
            )
        return {name: getattr(self, name)[group] for name in LAYERS}

    def rows_of(self, group: int) -> np.ndarray:
        """(m, P): the memory of a group."""
        rows: np.ndarray = self.rows[self.whose == group]
        return rows

    def without(self, categories: Container[str]) -> Iterator[Self]:
        """A memory of each other product of a model, as an upload of that product would be."""
        for at, name in enumerate(self.categories):
            if self.scope == "mixed" or name in categories:
                continue
            mine = self.whose == at
            yield self.replace(
                rows=self.rows[mine],
                whose=np.zeros(int(mine.sum()), np.int32),
                patches=self.patches[mine],
                images=self.images[[at]],
                categories=(name,),
                **{layer: getattr(self, layer)[[at]] for layer in LAYERS},
            )


def check_sizes(upload: Memory, site: Enrolled, *, dimensions: int, rows: int, sent: bool) -> None:
    """Refuse memories and generators of other sizes than were asked for.

    Args:
        rows: the most of a group, which has one at least; 0 where sites rest.
        sent: whether generators are sent.

    Raises:
        UploadError: of the word `shape`.
    """
    if (found := (upload.rows.shape[1], *upload.linear.shape[1:])) != (
        wanted := (dimensions, dimensions, site.features)
    ):
        raise UploadError(
            f"rows and generators of {found} dimensions and features, expected {wanted}", "shape"
        )
    groups = len(upload.groups) if rows else 0
    if len(upload.linear) != (generators := groups if sent else 0):
        raise UploadError(f"{len(upload.linear)} generators, expected {generators}", "shape")
    counts = np.bincount(upload.whose, minlength=len(upload.groups))
    if (counts > rows).any() or (rows and not counts.all()):
        raise UploadError(
            f"memories of {counts.min()} to {counts.max()} rows, expected {min(1, rows)} to {rows}",
            "shape",
        )


def check_rows(upload: Memory, site: Enrolled) -> None:
    """Refuse rows that are off the sphere, or stand for more patches than the site's images have.

    Raises:
        UploadError: of the word `norm` or `counts`.
    """
    lengths = np.linalg.norm(upload.rows, axis=1)
    if (np.abs(lengths - 1) > OFF).any():
        raise UploadError(
            f"rows of the lengths {lengths.min():.3g} to {lengths.max():.3g}, expected 1", "norm"
        )
    for group in range(len(upload.groups)):
        most = upload.images_of(group) * site.fingerprint.patches
        patches = upload.patches[upload.whose == group]
        # Each alone too: the sum of many that are huge would overflow.
        if max(stands := int(patches.sum()), int(patches.max(initial=0))) > most:
            raise UploadError(f"rows for {stands:,} patches, of {most:,}", "counts")
