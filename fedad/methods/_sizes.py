"""How many rows each group of a bank keeps: of each product, or of all where products are mixed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from fedad.aggregation.base import DISTRUSTING, believed, shares_of_at_least
from fedad.banks.bank import Bank
from fedad.banks.capacity import kept_rows, uploadable
from fedad.config import Config
from fedad.errors import ConfigError


def by_group(config: Config, uploads: Iterable[Bank]) -> list[list[Bank]]:
    """The uploads whose rows compete for the same places: all, or those of each category. Each
    upload is let go of once it is split up."""
    if config.bank.scope == "mixed":
        return [list(uploads)]
    groups: dict[str, list[Bank]] = {}
    for upload in uploads:
        for name in upload.categories:
            groups.setdefault(name, []).append(upload.of_category(name))
    return [groups[name] for name in sorted(groups)]


def sizes_of(config: Config, groups: Sequence[Bank], least: Sequence[int]) -> list[int]:
    """How many rows each group keeps, `least` of it at least; `bank.size` is shared by image count.

    Args:
        groups: all that was uploaded of each.

    Raises:
        ConfigError: a `bank.size` above what was uploaded, or below `least` of all.
    """
    uploaded, wanted = [len(group) for group in groups], config.bank.size
    if not wanted:
        kept = [kept_rows(config, int(_total(config, group.patches))) for group in groups]
        return [
            min(max(rows, few), most) for rows, few, most in zip(kept, least, uploaded, strict=True)
        ]
    if wanted > sum(uploaded):
        raise ConfigError(
            f"bank.size = {wanted}: the sites uploaded {sum(uploaded)} rows: "
            "lower it, or raise coreset.local-ratio"
        )
    _check_pairs(wanted, sum(least))
    weights = [_total(config, group.images) for group in groups]
    return shares_of_at_least(least, weights, wanted, uploaded)


def foresee_size(
    config: Config, images: Sequence[Mapping[str, int]], patches_per_image: int
) -> None:
    """Refuse a `bank.size` that sites with so many images of each product cannot fill.

    Raises:
        ConfigError: it is too large, or too small for a row of each site and product.
    """
    rows, size = uploadable(config, images, patches_per_image), config.bank.size
    if size:
        _check_pairs(size, sum(count > 0 for counts in images for count in counts.values()))
    if size > rows:
        raise ConfigError(
            f"bank.size = {size}: the sites can upload {rows} rows: "
            "lower it, or raise coreset.local-ratio"
        )


def _total(config: Config, counts: np.ndarray) -> float:
    """The sum of a table (S, C), in which an untrusted site has only what is believed of it."""
    of_site = counts.sum(axis=1).tolist()
    return sum(believed(of_site) if config.merge.aggregation == DISTRUSTING else of_site)


def _check_pairs(size: int, least: int) -> None:
    """Refuse a `bank.size` in which not each product of each site can have a row."""
    if size < least:
        raise ConfigError(
            f"bank.size = {size}: {least} pairs of a site and a product have good images, and each "
            "has a row in the bank: raise it"
        )
