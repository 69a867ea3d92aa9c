"""The section on promised and found false rejects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fedad.reporting.markup import Section, table
from fedad.reporting.promises import cells
from fedad.reporting.shown_figures import ALL


def promised(promises: Mapping[str, Any]) -> Section:
    """Promised and found false rejects by site, with why they differ."""
    rate = promises["false_rejects"]
    rows = [[site, f"{rate:.0%}", *cells(one)] for site, one in promises["sites"].items()]
    rows.append([ALL, f"{rate:.0%}", *cells(promises["all_sites"])])
    note = "Of good test parts, those above the threshold that the site calibrated on good parts "
    note += "which the model was not made from; with 95 % intervals"
    columns = ["", "promised", "calibrated on", "good parts stopped", "escapes", ""]
    return Section("promises", "Promised and found", table(columns, rows, note, words=(5,)))
