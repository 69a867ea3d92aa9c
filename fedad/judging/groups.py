"""Which test images are counted together, so that no number is about a few of them.

A defect with fewer than k test images of a product is joined with the others that are so few, into
`other defects`, with the next smallest defect where they are still too few. In process too, so that
figures are the same wherever they are made. What then has fewer than k images a plant does not
count at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from fedad.evaluation.scored import Cell
from fedad.judging.verdicts import Verdict
from fedad.types import Sample

SMALLEST = 5  # images behind a number, where no policy says otherwise
OTHERS = "other defects"


def groups_of(samples: Iterable[Sample], smallest: int = SMALLEST) -> dict[Cell, Cell]:
    """Each cell of these test images -> the cell that they are counted in."""
    sizes = Counter(cell_of(sample) for sample in samples)
    groups = {cell: cell for cell in sizes}
    for category in sorted({cell.category for cell in sizes}):
        cells = [cell for cell in sizes if cell.category == category and cell.is_bad()]
        cells.sort(key=lambda cell: (sizes[cell], cell))
        few = [cell for cell in cells if sizes[cell] < smallest]
        for cell in cells[len(few) :]:
            if not few or sum(sizes[one] for one in few) >= smallest:
                break
            few.append(cell)
        if len(few) > 1:
            kinds = {cell.kind for cell in few}
            joined = Cell(category, OTHERS, kinds.pop() if len(kinds) == 1 else "")
            groups.update(dict.fromkeys(few, joined))
    return groups


def counted_as(samples: Sequence[Sample], smallest: int = 1) -> dict[Cell, Cell]:
    """Each cell of these test images of which something may be said -> the cell it is counted in.

    Args:
        smallest: images that a group must have.
    """
    groups = groups_of(samples, max(SMALLEST, smallest))
    sizes = Counter(groups[cell_of(sample)] for sample in samples)
    return {cell: group for cell, group in groups.items() if sizes[group] >= smallest}


def countable(samples: Sequence[Sample], smallest: int) -> tuple[Sample, ...]:
    """The test images of which something may be said."""
    groups = counted_as(samples, smallest)
    return tuple(sample for sample in samples if cell_of(sample) in groups)


def grouped(verdicts: Iterable[Verdict], groups: Mapping[Cell, Cell]) -> Iterable[Verdict]:
    """The verdicts as they are counted; those of cells that are not in `groups` are left out."""
    for verdict in verdicts:
        cell = groups.get(cell_of(verdict.sample))
        if cell is None:
            continue
        scored = verdict.scored
        if cell != scored.cell:
            scored = replace(scored, defect=cell.defect, kind=cell.kind)
        yield verdict._replace(scored=scored)


def cell_of(sample: Sample) -> Cell:
    """The cell that a test image is in by itself."""
    return Cell(sample.category, sample.defect, sample.kind)
