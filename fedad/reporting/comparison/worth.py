"""What a site is worth: what leaving it out costs the others, and what merging anew wins back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fedad.reporting.comparison.words import Comparison, named
from fedad.reporting.markup import NONE, Section, paragraph, ranged, table
from fedad.reporting.shown_run import Found


def worth(comparison: Comparison) -> Found:
    """A line for each site that was left out and each of the others, by the headline figure."""
    headline = comparison["headline"]
    rows = [
        [f"{label}: without {left}{_short(loss)}", "all sites" if judge == "together" else judge]
        + [ranged(loss[what][headline], "+.4f") for what in ("loss", "gap")]
        + [", ".join(loss["lost"]) or NONE]
        for label, by_site in comparison["value"].items()
        for left, judges in by_site.items()
        for judge, loss in judges.items()
    ]
    if not rows:
        return Section("worth", "What a site is worth", paragraph("No site was left out.")), []
    columns = ["", "judged by", "loss", "won back by merging anew", "known to nobody else"]
    body = paragraph(
        "The site's rows are taken out of the bank and all test images are scored again: exact, "
        f"with no site's help. The loss is in {named(headline)}, with 95 % intervals over redrawn "
        "test images (and seeds, where sites are left out in several); none where nothing changes "
        "on any, or a product has fewer than five good or defective ones."
    )
    return Section("worth", "What a site is worth", body + table(columns, rows)), []


def _short(loss: Mapping[str, Any]) -> str:
    """Merged anew, the others may not fill the bank."""
    return f" (anew {loss['short']:,} rows short)" if loss["short"] else ""
