"""How many rows the sites of a run can upload."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from fedad.config import Config
from fedad.errors import ConfigError


def uploadable(config: Config, images: Iterable[Mapping[str, int]], patches_per_image: int) -> int:
    """The rows that all sites together can upload.

    Args:
        images: of each site, how many good images it has of each category.
    """
    ratio, rows = config.coreset.local_ratio, 0
    for counts in images:
        groups = counts.values() if config.bank.scope == "category" else [sum(counts.values())]
        rows += sum(math.floor(ratio * count * patches_per_image + 1e-9) for count in groups)
    return rows


def check_bank_size(
    config: Config, images: Iterable[Mapping[str, int]], patches_per_image: int
) -> None:
    """Refuse a `bank.size` above what the sites can upload, before they start to work.

    Raises:
        ConfigError: the bank would have more rows than all uploads together.
    """
    rows = uploadable(config, images, patches_per_image)
    if config.bank.size > rows:
        raise ConfigError(
            f"bank.size = {config.bank.size}: the sites can upload {rows} rows: "
            "lower it, or raise coreset.local-ratio"
        )
