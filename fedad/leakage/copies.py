"""How many rows of a bank are patches of its members, as they are, and of how many members."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fedad.leakage.gaps import Looked, alike


@dataclass(frozen=True)
class Copies:
    """Rows that equal a member's patch up to the wire's rounding, and whose they are.

    A row that equals patches of several members counts as the first one's.
    """

    rows: int
    verbatim: int  # of the rows
    images: int
    told: int  # of the images: those of which there is a row
    mean: float  # rows an image, over all images
    most: int  # rows of one image

    @property
    def share(self) -> float:
        """Of the rows, how many are verbatim."""
        return self.verbatim / self.rows if self.rows else 0.0


def copies(rows: np.ndarray, members: Looked) -> Copies:
    """What is in a bank of `members`.

    Args:
        rows: (M, D) float32; equal ones are copies of the same patch.
    """
    first = alike(rows)
    owner = np.full(len(rows), -1)
    owner[first[members.row[::-1]]] = members.image[::-1]  # the first image comes last, and stays
    whose = owner[first]
    counts = np.bincount(whose[whose >= 0], minlength=len(members.statistics))
    images = len(counts)
    return Copies(
        len(rows),
        int(counts.sum()),
        images,
        int((counts > 0).sum()),
        float(counts.mean()) if images else 0.0,
        int(counts.max(initial=0)),
    )
