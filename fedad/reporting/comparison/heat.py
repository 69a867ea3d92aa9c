"""All systems in one table: every figure and cost by colour, the best of each column in bold."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from fedad.plumbing.shown import for_html
from fedad.reporting.comparison.figures import whole
from fedad.reporting.comparison.words import Comparison, named, number
from fedad.reporting.markup import Html, Section, ranged
from fedad.reporting.shown_run import Found
from fedad.reporting.style import SHADES

CAPTION = (
    "The stronger its colour, the better a cell is in its column. In bold, with its 95 % interval, "
    "the best of those that rank all sites' images together; isolated sites are ranked each in "
    "their own, and are not among them. MB of all sites together, all rounds; seconds of a whole "
    "cell, means over seeds"
)
COSTS = {"mb_up": "MB up", "mb_down": "MB down", "seconds": "seconds", "rounds": "rounds"}
FORMS = {"mb_up": ",.2f", "mb_down": ",.2f", "seconds": ",.0f", "rounds": ".0f"}


class Column(NamedTuple):
    """A column: its name, a value or None a row, the text of each, and whether more is better."""

    name: str
    values: list[float | None]
    texts: list[str]
    best: list[str]  # the text of a row if it is the best one
    more: bool


def heat(comparison: Comparison) -> Found:
    """A row a treatment, a column a figure or a cost."""
    some = comparison["treatments"]
    ranked = [bool(one["figures"][comparison["headline"]].get("together")) for one in some]
    columns = [
        *(_figure(some, name) for name in comparison["plan"]["figures"]),
        *(_cost(some, name) for name in COSTS),
    ]
    head = "".join(f'<th scope="col">{for_html(c.name)}</th>' for c in columns)
    cells = [_cells(column, ranked) for column in columns]
    body = "".join(
        f'<tr><th scope="row">{for_html(one["label"])}</th>{"".join(c[k] for c in cells)}</tr>'
        for k, one in enumerate(some)
    )
    shown = Html(
        f'<div class="scroll"><table class="heat"><caption>{for_html(CAPTION)}</caption><thead><tr>'
        f'<th scope="col"></th>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )
    return Section("systems", "All at a glance", shown), []


def shade(value: float, values: Sequence[float], *, more: bool) -> int:
    """0 for the worst of the values to `SHADES` - 1 for the best, evenly between."""
    low, high = min(values), max(values)
    if high == low:
        return SHADES - 1
    share = (value - low) / (high - low)
    return round((share if more else 1 - share) * (SHADES - 1))


def best(values: Sequence[float | None], ranked: Sequence[bool], *, more: bool) -> int | None:
    """The number of the best value among the rows that are ranked; None of none."""
    there = [k for k, value in enumerate(values) if value is not None and ranked[k]]
    sign = 1 if more else -1
    return max(there, key=lambda k: sign * float(values[k] or 0)) if there else None


def _figure(some: Sequence[Mapping[str, Any]], name: str) -> Column:
    told = [whole(one, name) for one in some]
    values = [_there(one["value"]) for one in told]
    return Column(
        named(name),
        values,
        [number(value) for value in values],
        [ranged(one) for one in told],
        more=True,
    )


def _cost(some: Sequence[Mapping[str, Any]], name: str) -> Column:
    values = [_there(one["costs"].get(name)) for one in some]
    texts = [number(value, FORMS[name]) for value in values]
    return Column(COSTS[name], values, texts, texts, more=False)


def _there(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else float(value)


def _cells(column: Column, ranked: Sequence[bool]) -> list[str]:
    known = [value for value in column.values if value is not None]
    first = best(column.values, ranked, more=column.more)
    found = []
    for k, value in enumerate(column.values):
        if value is None:
            found.append(f"<td>{for_html(column.texts[k])}</td>")
            continue
        level = shade(value, known, more=column.more)
        equal = first is not None and ranked[k] and column.texts[k] == column.texts[first]
        text = f"<b>{for_html(column.best[k])}</b>" if equal else for_html(column.texts[k])
        found.append(f'<td class="heat-{level}">{text}</td>')
    return found
