"""Counts <-> arrays and a JSON header, for the wire; what arrives is checked before it is held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from fedad.errors import UploadError
from fedad.evaluation.binning import FORMATS, Binning
from fedad.evaluation.counts import COVERED, IMAGES, PRO, STRETCH, Counts, span
from fedad.evaluation.scored import Cell
from fedad.evaluation.tally import Tally, divided

SCHEMA = 2
ROWS = ("images", "negative", "positive", "covered", "pro")  # of a cell, by number
ARRAYS = ("columns", "lengths", *ROWS)
LARGEST = 3 * 2**24  # numbers of 8 bytes that counts may take in memory
MOST_PLACES = 2**15  # of a row of pixels: 64 octaves of scores; logits came to 27
MOST_RESAMPLED = 3000  # bins of replicates that a cell has on average; logits came to 1,952
MOST = 2**53  # of one row over all cells and bins: of a thousand sites the sum stays exact


class Entries(NamedTuple):
    """What counts hold, row after row: the first rows of all cells, the second ones, and so on."""

    lengths: np.ndarray  # (5, cells) int64, how many bins of each row hold something
    columns: np.ndarray  # (n,) int64, which bins these are, ascending in each row
    values: np.ndarray  # (..., n), what they hold

    def rows(self) -> np.ndarray:
        """(n,): the row of each entry, counted over all cells."""
        return np.repeat(np.arange(self.lengths.size), self.lengths.ravel())


def pack(counts: Counts) -> tuple[dict[str, object], dict[str, np.ndarray]]:
    """`counts` as a header that JSON holds, and seven arrays.

    `lengths` (5, cells) uint32 and `columns` (n,) uint32 are as in `Entries`; `images`, `negative`,
    `positive`, `covered` and `pro` (..., n of the row) are parts of its values, each in the
    smallest unsigned type.
    """
    header = {
        "schema": SCHEMA,
        "binning": counts.binning.name if counts.binning else "",
        "batch": list(counts.batch),
        "cells": [list(cell) for cell in counts.cells],
    }
    lengths, columns, values = _entries(counts)
    parts = np.split(values, lengths.sum(axis=1).cumsum()[:-1], axis=-1)
    return header, {
        "lengths": lengths.astype(np.uint32),
        "columns": columns.astype(np.uint32),
        **{
            name: part.astype(np.min_scalar_type(int(part.max(initial=0))))
            for name, part in zip(ROWS, parts, strict=True)
        },
    }


def _entries(counts: Counts) -> Entries:
    if counts.binning is None:
        nothing = np.empty(0, np.int64)
        return Entries(np.empty((len(ROWS), 0), np.int64), nothing, nothing)
    images, pixels, cells = counts.images.line(), counts.pixels.line(), len(counts.cells)
    cell, score = divided(images.bins, len(counts.binning.images))
    held, column = divided(pixels.bins, span(counts.binning.pixels))
    rows = np.concatenate([cell, (1 + held % PRO) * cells + held // PRO])
    order = rows.argsort(kind="stable")
    return Entries(
        np.bincount(rows, minlength=len(ROWS) * cells).reshape(-1, cells),
        np.concatenate([score, column])[order],
        np.concatenate([images.values, pixels.values], axis=-1)[..., order],
    )


def unpack(
    header: Mapping[str, object],
    arrays: Mapping[str, np.ndarray],
    *,
    resampled: int = MOST_RESAMPLED,
) -> Counts:
    """The counts that `pack` was given.

    Args:
        resampled: how many bins replicates may take for each cell, on average.

    Raises:
        UploadError: with the word `schema` for another one; `header` for unknown bins, cells or
            batches; `fields`, `kind`, `shape` or `column` for arrays that do not fit it; `size` for
            what takes too much memory; `counts` for numbers that no images could give.
    """
    if header.get("schema") != SCHEMA:
        raise UploadError(
            f"counts of schema {header.get('schema')!a:.20} are not read, only {SCHEMA}: does the "
            "site run another version of fedad?",
            "schema",
        )
    cells, batch = _cells(header.get("cells")), _batch(header.get("batch"))
    found = _fitting(arrays, len(cells), batch, resampled)
    if not cells:
        return Counts()
    binning = _binning(header.get("binning"))
    _check_columns(found, binning)
    _check_numbers(found, binning.unit)
    return Counts(tuple(cells), *_tallies(found, binning), binning)


def _cells(value: object) -> list[Cell]:
    if isinstance(value, Sequence) and all(
        isinstance(names, Sequence) and [type(name) for name in names] == [str, str, str]
        for names in value
    ):
        cells = [Cell(*names) for names in value]
        if cells == sorted(set(cells)):
            return cells
    raise UploadError(
        "counts whose cells are not [category, defect, kind] each, in order, once", "header"
    )


def _batch(value: object) -> tuple[int, ...]:
    if isinstance(value, Sequence) and [type(n) for n in value] in ([], [int]):
        found = tuple(value)
        if all(0 < n <= LARGEST for n in found):
            return found
    raise UploadError(
        f"counts of batch {value!a:.80}: expected [] or [number of replicates]", "header"
    )


def _binning(value: object) -> Binning:
    if isinstance(value, str) and value in FORMATS:
        return FORMATS[value]
    raise UploadError(f"counts in bins {value!a:.80}: there are {', '.join(FORMATS)}", "header")


def _fitting(
    arrays: Mapping[str, np.ndarray], cells: int, batch: tuple[int, ...], resampled: int
) -> Entries:
    """The arrays, if they fit each other and the header."""
    if {*arrays} != {*ARRAYS}:
        raise UploadError(
            f"counts as arrays {sorted(arrays)!a:.80}: expected {', '.join(ARRAYS)}", "fields"
        )
    columns, lengths, *values = (arrays[name] for name in ARRAYS)
    _check_kind("columns", columns, columns.dtype == np.uint32, 1)
    _check_kind("lengths", lengths, lengths.dtype == np.uint32, 2)
    for name, part in zip(ROWS, values, strict=True):
        _check_kind(name, part, part.dtype.kind == "u", 1 + len(batch))
    _check_shape("lengths", lengths, (len(ROWS), cells))
    of_rows = [int(count) for count in lengths.sum(axis=1, dtype=float)]
    _check_shape("columns", columns, (sum(of_rows),))
    for name, part, count in zip(ROWS, values, of_rows, strict=True):
        _check_shape(name, part, (*batch, count))
    if not lengths[IMAGES].all():  # before anything is made for each cell and replicate
        raise UploadError("counts with a cell of no image", "counts")
    _check_sizes(lengths, batch, resampled)
    whole = np.concatenate(values, axis=-1)
    return Entries(lengths.astype(np.int64), columns.astype(np.int64), whole)


def _check_kind(name: str, array: np.ndarray, fits: bool, dimensions: int) -> None:
    if not fits or array.ndim != dimensions:
        wanted = "uint32" if name in ARRAYS[:2] else "unsigned"
        raise UploadError(
            f"counts whose {name} are {array.dtype} of {array.ndim} dimensions, expected {wanted} "
            f"of {dimensions}",
            "kind",
        )


def _check_shape(name: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise UploadError(
            f"counts whose {name} are {array.shape}, expected {shape} by cells, replicates and "
            "lengths",
            "shape",
        )


def _check_sizes(lengths: np.ndarray, batch: tuple[int, ...], resampled: int) -> None:
    """No more bins than honest maps have scores in: each takes memory and time at the server."""
    longest, cells = int(lengths[1:].max(initial=0)), lengths.shape[1]
    if longest > MOST_PLACES:
        raise UploadError(
            f"counts whose pixel scores of one kind of image take {longest:,} bins, expected at "
            f"most {MOST_PLACES:,}",
            "size",
        )
    if batch and (bins := int(lengths.sum())) > resampled * cells:
        raise UploadError(
            f"resampled counts that take {bins:,} bins, expected at most {resampled:,} for "
            f"each of {cells} kinds of images",
            "size",
        )


def _check_columns(found: Entries, binning: Binning) -> None:
    """The bins of each row ascend, and are among those that there are."""
    columns, values, rows = found.columns, found.values, found.rows()
    of_images = rows < found.lengths.shape[1]
    sizes = np.where(of_images, len(binning.images), len(binning.pixels))
    if (columns >= sizes).any() or ((np.diff(columns) < 1) & (np.diff(rows) == 0)).any():
        raise UploadError(
            f"counts whose columns do not ascend, or pass the bins of {binning.name}", "column"
        )
    held = values.size
    if values.ndim == 1:
        begins = (np.diff(columns // STRETCH, prepend=-1) != 0) | (np.diff(rows, prepend=-1) != 0)
        stretches = np.bincount(rows[begins & ~of_images])
        if STRETCH * int(stretches.max(initial=0)) > MOST_PLACES:
            raise UploadError(
                f"counts whose pixel scores of one kind of image are spread over more than "
                f"{MOST_PLACES:,} bins",
                "size",
            )
        held = STRETCH * int(np.count_nonzero(begins))
    if held > LARGEST:
        raise UploadError(
            f"counts that take over {LARGEST:,} numbers are not read: lower score.replicates?",
            "size",
        )


def _check_numbers(found: Entries, unit: int) -> None:
    """Every cell has an image, every region was found in full by both measures, no sum is huge."""
    lengths, _, values = found
    if (values.sum(axis=-1, dtype=float) >= len(ROWS) * MOST).any():  # integers could overflow
        raise UploadError("counts that add up to 2^53 and more are not read", "counts")
    sums = np.zeros((*values.shape[:-1], lengths.size), np.int64)
    there = np.flatnonzero(lengths)
    starts = np.append(0, lengths.cumsum())[there]
    sums[..., there] = np.add.reduceat(values, starts, axis=-1, dtype=np.int64)
    sums = sums.reshape(*values.shape[:-1], *lengths.shape)
    if (sums.sum(axis=-1) >= MOST).any():
        raise UploadError("counts that add up to 2^53 and more are not read", "counts")
    images, covered, pro = (sums[..., row, :] for row in (IMAGES, COVERED, PRO))
    if not images.any(axis=tuple(range(images.ndim - 1))).all() or (covered % unit).any():
        raise UploadError(
            "counts with a cell of no image, or a region that is never found in full", "counts"
        )
    if not np.array_equal(covered, pro):
        raise UploadError(
            "counts whose sPRO and PRO come from different numbers of regions", "counts"
        )


def _tallies(found: Entries, binning: Binning) -> tuple[Tally, Tally]:
    """The image rows and the pixel rows."""
    cells, split = found.lengths.shape[1], int(found.lengths[IMAGES].sum())
    row, cell = divided(found.rows(), cells)
    values = found.values.T
    images = cell[:split] * len(binning.images) + found.columns[:split]
    pixels = (cell * PRO + row - 1)[split:] * span(binning.pixels) + found.columns[split:]
    order = pixels.argsort(kind="stable")
    width = STRETCH if values.ndim == 1 else 1
    return (
        Tally.of(images, values[:split].astype(np.int64, order="C"), 1),
        Tally.of(pixels[order], values[split:][order].astype(np.int64, order="C"), width),
    )
