"""What x and y of a patch count in: the spread of its product's features, over all sites.

A row that ends with x and y, from -1 to 1, travels as it is. Where rows and patches are compared
these two columns count

    weight * sqrt(sum of squares / sum of patches)

in feature units: the weight is in the fingerprint, and the sums over sites are those of the bank,
which has a line of them for each site. So a bank without a site is measured as if that site had
never been, and no round of its own is taken for it. Where of the patches that sites looked at fewer
than `PLACED` find their own place, parts lie in any pose, and positions of that product count
nothing.

A bank in measured form has the scale in its fingerprint and no sums; it is what is searched, and
never travels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from weakref import WeakKeyDictionary, ref

import numpy as np

from fedad.banks.bank import SUMS, Bank
from fedad.descriptors.position import COLUMNS, PLACED
from fedad.descriptors.settings import (
    ALL,
    Settings,
    Table,
    described,
    embedded,
    joins,
    settings_of,
    table_of,
)
from fedad.errors import ConfigError, MismatchError
from fedad.messages.schema import LARGEST, default_of, slots

_KNOWN: WeakKeyDictionary[Bank, tuple[ref[Bank], Bank]] = WeakKeyDictionary()


def measured(bank: Bank, by: Bank | None = None) -> Bank:
    """The bank in measured form; itself where it has no sums.

    Args:
        by: the bank whose sums it is measured by, such as the model for a site's own bank; its own
            if not told.

    Raises:
        MismatchError: rows with positions, and no sums.
        ConfigError: features that spread so far that positions cannot be counted in it.
    """
    by = bank if by is None else by
    if not bank.squares.size:
        check_sums(bank, table_of(bank.fingerprint))
        return bank
    known = _KNOWN.get(bank)
    if known is None or known[0]() is not by:
        known = (ref(by), _measured(bank, measures_of(by)))
        _KNOWN[bank] = known
    return known[1]


def measures_of(bank: Bank) -> Table:
    """How each product of a bank is described, with its scale.

    Raises:
        MismatchError: rows with positions, and no sums; or sums, and no positions.
        ConfigError: see `measures`.
    """
    table = table_of(bank.fingerprint)
    check_sums(bank, table)
    if not bank.squares.size:
        return table
    sums = [getattr(bank, name).T for name in ("patches", *SUMS)]
    if bank.scope == "mixed":
        return measures(table, (ALL,), *(one.reshape(1, -1) for one in sums))
    return measures(table, bank.categories, *sums)


def measures(  # noqa: PLR0917 - the columns of one table
    table: Table,
    products: Sequence[str],
    patches: np.ndarray,
    squares: np.ndarray,
    placed: np.ndarray,
    looked: np.ndarray,
) -> Table:
    """The table with a scale for each product, and no weight where patches have no place.

    Args:
        patches, squares, placed, looked: (C, S) of each product, by site.

    Raises:
        ConfigError: positions that would reach farther than any value that travels.
    """
    found = {name: replace(settings, position=0.0) for name, settings in table.items()}
    for k, product in enumerate(products):
        settings, count = settings_of(table, product), int(patches[k].sum())
        square = math.fsum(squares[k].tolist()) / count if count else 0.0
        scale, looks = math.sqrt(square), int(looked[k].sum())
        lost = looks > 0 and int(placed[k].sum()) < PLACED * looks
        if lost or not scale:
            settings = replace(settings, position=0.0)
        elif settings.position:
            settings = replace(settings, scale=scale)
        _check_reach(settings, product)
        found[product] = settings
    return found


def check_sums(bank: Bank, table: Table) -> None:
    """Refuse sums without positions, and positions without sums or a scale.

    Raises:
        MismatchError: either.
    """
    wanted = [one for one in table.values() if one.position and not one.scale]
    if bool(wanted) == (bank.squares.size > 0):
        return
    told = "lacks" if wanted else "has"
    raise MismatchError(
        f"the bank {told} {', '.join(SUMS)}, and its fingerprint says otherwise: was its "
        "fingerprint or were its sums changed?"
    )


def in_place(bank: Bank) -> dict[str, float]:
    """Of each product the share of patches that found their own place, where any were looked at."""
    if not bank.squares.size:
        return {}
    placed, looked = bank.placed.sum(0).tolist(), bank.looked.sum(0).tolist()
    pairs = zip(bank.categories, placed, looked, strict=True)
    return {name: here / all_ for name, here, all_ in pairs if all_}


def as_sent(merged: Bank, uploads: Sequence[Bank], total: Bank) -> Bank:
    """A bank that was merged in measured form, with its rows as `uploads` have them.

    Args:
        uploads: of which no two have rows of one site and category.
        total: all of them joined, whose sums and fingerprint it has.
    """
    rows = np.empty((len(merged), uploads[0].rows.shape[1]), np.float32)
    for upload in uploads:
        for site, category in np.unique(np.stack([upload.site, upload.category]), axis=1).T:
            mine = merged.site == merged.sites.index(upload.sites[site])
            mine &= merged.category == merged.categories.index(upload.categories[category])
            theirs = np.flatnonzero((upload.site == site) & (upload.category == category))
            theirs = theirs[np.argsort(upload.row[theirs], kind="stable")]
            at = np.searchsorted(upload.row[theirs], merged.row[mine])
            rows[mine] = upload.rows[theirs[at]]
    sums = {name: getattr(total, name) for name in SUMS}
    return merged.replace(rows=rows, fingerprint=total.fingerprint, **sums)


def reach_of(settings: Settings) -> np.float32:
    """What x and y of a product count, in feature units."""
    return np.float32(settings.position * settings.scale)


def _measured(bank: Bank, table: Table) -> Bank:
    mark = described(embedded(bank.fingerprint), table, {})
    table, width = table_of(mark), bank.rows.shape[1] - COLUMNS  # with numbers as they are written
    if joins(table):
        rows, names = bank.rows.copy(), (ALL,) if bank.scope == "mixed" else bank.categories
        reach = np.array([reach_of(settings_of(table, name)) for name in names], np.float32)
        rows[:, width:] *= reach[bank.category if len(names) > 1 else 0, None]
    else:
        rows = np.ascontiguousarray(bank.rows[:, :width])
    empty = {name: default_of(slots(Bank)[name].field) for name in SUMS}
    return bank.replace(rows=rows, fingerprint=mark, **empty)


def _check_reach(settings: Settings, product: str) -> None:
    if (reach := settings.position * settings.scale) > LARGEST:
        raise ConfigError(
            f"patchcore.position = {settings.position:g}: the features of "
            f"{product or 'all products'} spread by {settings.scale:.3g}, and positions would "
            f"reach {reach:.3g}, expected {LARGEST:g} at most: lower it, or look for a site whose "
            "sums are odd"
        )
