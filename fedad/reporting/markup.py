"""HTML pieces; every word from data is escaped on its way in."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fedad.plumbing.shown import for_html, for_script

NONE = "\N{EN DASH}"  # in place of a number


class Html(str):
    """Text that is HTML already."""


@dataclass(frozen=True)
class Section:
    """A part of the page, with an entry in its list of contents."""

    id: str
    title: str
    body: str


def html(value: object) -> str:
    """Any value as HTML."""
    return str(value) if isinstance(value, Html) else for_html(value)


def table(
    columns: Sequence[object],
    rows: Iterable[Sequence[object]],
    caption: str = "",
    *,
    words: Sequence[int] = (),
) -> Html:
    """A table whose first column is names and whose others are numbers, right-aligned, but for
    those of `words`."""
    kind = dict.fromkeys(words, ' class="words"')
    head = "".join(
        f'<th scope="col"{kind.get(k, "")}>{html(column)}</th>' for k, column in enumerate(columns)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f'<th scope="row">{html(cell)}</th>'
            if k == 0
            else f"<td{kind.get(k, '')}>{html(cell)}</td>"
            for k, cell in enumerate(row)
        )
        + "</tr>"
        for row in rows
    )
    above = f"<caption>{html(caption)}</caption>" if caption else ""
    return Html(
        f'<div class="scroll"><table>{above}<thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def paragraph(*words: object, kind: str = "") -> Html:
    name = f' class="{kind}"' if kind else ""
    return Html(f"<p{name}>{' '.join(html(word) for word in words)}</p>")


def details(summary: str, body: str) -> Html:
    """Something that opens when it is asked for, and is open in print."""
    return Html(f"<details><summary>{for_html(summary)}</summary>{body}</details>")


def data(mark: str, value: Mapping[str, Any]) -> Html:
    """Numbers for the page's script; no name in them can end or begin an element."""
    return Html(
        f'<script type="application/json" id="{for_html(mark)}">{for_script(value)}</script>'
    )


def copyable(command: str) -> Html:
    """A command with a button that copies it."""
    return Html(
        f'<div class="command"><code>{for_html(command)}</code>'
        '<button type="button" class="copy">copy</button></div>'
    )


def ranged(one: Mapping[str, Any] | None, form: str = ".3f") -> str:
    """`0.873 (0.851 to 0.894)`, or why there is no interval; a dash without a value."""
    if one is None or one["value"] is None or math.isnan(one["value"]):
        return NONE
    value, low, high = one["value"], one.get("low"), one.get("high")
    if low is None or high is None or math.isnan(low):
        why = one.get("no_interval")
        return f"{value:{form}} ({why})" if why else format(value, form)
    return f"{value:{form}} ({low:{form}} to {high:{form}})"


def megabytes(count: float) -> str:
    """Bytes as MB, with three digits that count."""
    size = count / 1e6
    return f"{size:,.0f} MB" if size >= 100 else f"{size:.3g} MB"
