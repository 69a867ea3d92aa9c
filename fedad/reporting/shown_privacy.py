"""The section on what each site released, and what it promises of each image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fedad.reporting.markup import Section, paragraph, table


def released(record: Mapping[str, Any]) -> Section:
    """The release of each site that learned: epsilon, delta, of what unit, by which relation."""
    told = record["privacy"]
    epsilon = "infinite" if told["epsilon"] is None else f"{told['epsilon']:g}"
    rest = [str(told.get(key, "-")) for key in ("delta", "unit", "relation")]
    rows = [
        [site, told["release"], epsilon, *rest]
        for site, one in record["sites"].items()
        if one.get("images_train")
    ]
    columns = ["", "release", "epsilon", "delta", "unit", "relation"]
    note = "Of one upload of one product. What a site has spent over all runs, and what is left, "
    note += "stands in its own ledger: fedad privacy show"
    kind = "warning" if told["epsilon"] is None else ""
    body = paragraph(told["told"][0].upper() + told["told"][1:] + ".", kind=kind)
    return Section("privacy", "Privacy", body + table(columns, rows, note))
