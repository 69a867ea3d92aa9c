"""Counts <-> arrays and a JSON header, for the wire; what arrives is checked before it is held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from fedad.errors import UploadError
from fedad.evaluation.binning import FORMATS, Binning
from fedad.evaluation.counts import COVERED, IMAGES, PRO, Counts
from fedad.evaluation.scored import Cell

SCHEMA = 1
LARGEST = 3 * 2**24  # numbers that counts may unfold to, of 8 bytes: 195 cells of 200 replicates
MOST = 2**53  # of one kind over all cells and bins: of a thousand sites the sum stays exact


def pack(counts: Counts) -> tuple[dict[str, object], dict[str, np.ndarray]]:
    """`counts` as a header that JSON holds, and two arrays.

    `columns` (n,) numbers the entries of the (cells, 5, bins) tables, cells in order, that are
    not 0 in every replicate; `values` (..., n) holds them in the smallest unsigned type.
    """
    header = {
        "schema": SCHEMA,
        "binning": counts.binning.name if counts.binning else "",
        "batch": list(counts.batch),
        "cells": [list(cell) for cell in sorted(counts.cells)],
    }
    tables = [counts.cells[cell].reshape(*counts.batch, -1) for cell in sorted(counts.cells)]
    flat = np.concatenate(tables, axis=-1) if tables else np.zeros(0, np.int64)
    columns = np.flatnonzero(flat.any(axis=tuple(range(flat.ndim - 1))))
    values = flat[..., columns]
    smallest = np.min_scalar_type(int(values.max(initial=0)))
    return header, {"columns": columns.astype(np.uint32), "values": values.astype(smallest)}


def unpack(header: Mapping[str, object], arrays: Mapping[str, np.ndarray]) -> Counts:
    """The counts that `pack` was given.

    Raises:
        UploadError: another schema, unknown bins, arrays that do not fit the header, or tables
            that no images could give.
    """
    if header.get("schema") != SCHEMA:
        raise UploadError(
            f"counts of schema {header.get('schema')!r} are not read, only {SCHEMA}: does the site "
            "run another version of fedad?"
        )
    cells, batch = _cells(header.get("cells")), _batch(header.get("batch"))
    if not cells:
        return Counts()
    binning = _binning(header.get("binning"))
    width = 5 * len(binning)
    flat = _unfold(arrays, batch, len(cells) * width)
    tables = flat.reshape(*batch, len(cells), 5, len(binning))
    _check_tables(tables, binning.unit)
    return Counts({cell: tables[..., k, :, :] for k, cell in enumerate(cells)}, binning)


def _cells(value: object) -> list[Cell]:
    if isinstance(value, Sequence) and all(
        isinstance(names, Sequence) and [type(name) for name in names] == [str, str, str]
        for names in value
    ):
        cells = [Cell(*names) for names in value]
        if cells == sorted(set(cells)):
            return cells
    raise UploadError("counts whose cells are not [category, defect, kind] each, in order, once")


def _batch(value: object) -> tuple[int, ...]:
    if isinstance(value, Sequence) and [type(n) for n in value] in ([], [int]):
        found = tuple(value)
        if all(0 < n <= LARGEST for n in found):
            return found
    raise UploadError(f"counts of batch {value!r}: expected [] or [number of replicates]")


def _binning(value: object) -> Binning:
    if isinstance(value, str) and value in FORMATS:
        return FORMATS[value]
    raise UploadError(f"counts in bins {value!r}: there are {', '.join(FORMATS)}")


def _unfold(arrays: Mapping[str, np.ndarray], batch: tuple[int, ...], entries: int) -> np.ndarray:
    """(..., entries) int64, from arrays that are checked first."""
    if set(arrays) != {"columns", "values"}:
        raise UploadError(f"counts as arrays {sorted(arrays)}: expected columns and values")
    columns, values = arrays["columns"], arrays["values"]
    if columns.dtype != np.uint32 or columns.ndim != 1 or values.shape != (*batch, len(columns)):
        raise UploadError(
            f"counts with columns {columns.shape} {columns.dtype} and values {values.shape}: "
            f"expected (n,) uint32 and {(*batch, 'n')}"
        )
    if values.dtype.kind != "u" or int(values.max(initial=0)) >= 2**53:
        raise UploadError(f"counts are unsigned and below 2^53, got {values.dtype}")
    if np.prod(batch, initial=entries, dtype=float) > LARGEST:
        raise UploadError(
            f"counts that unfold to over {LARGEST:,} numbers are not read: lower score.replicates?"
        )
    if (np.diff(columns.astype(np.int64)) < 1).any() or int(columns.max(initial=0)) >= entries:
        raise UploadError(f"counts whose columns do not ascend, or pass the {entries} there are")
    flat = np.zeros((*batch, entries), np.int64)
    flat[..., columns.astype(np.intp)] = values
    return flat


def _check_tables(tables: np.ndarray, unit: int) -> None:
    """Every cell has an image, every region was found in full by both measures, no sum is huge."""
    if (tables.sum(axis=(-3, -1), dtype=float) >= MOST).any():  # before integers could overflow
        raise UploadError("counts that add up to 2^53 and more are not read")
    images, covered, pro = (tables[..., row, :].sum(axis=-1) for row in (IMAGES, COVERED, PRO))
    if not images.any(axis=tuple(range(images.ndim - 1))).all() or (covered % unit).any():
        raise UploadError("counts with a cell of no image, or a region that is never found in full")
    if not np.array_equal(covered, pro):
        raise UploadError("counts whose sPRO and PRO come from different numbers of regions")
