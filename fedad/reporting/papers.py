"""Tables for papers: the same numbers in Markdown and in LaTeX (booktabs)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fedad.plumbing.shown import for_markdown, for_tex
from fedad.reporting.shown_figures import ALL, COLUMNS, rows_of


def paper_tables(told: Mapping[str, Any], everyone: str = ALL) -> dict[str, str]:
    """File name -> text, of a run's figures; `everyone` is what its test images are of."""
    rows = rows_of(told, everyone)
    return both("figures", ["mean over categories", *COLUMNS.values()], rows)


def both(name: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> dict[str, str]:
    """One table in two languages."""
    return {f"{name}.md": markdown(columns, rows), f"{name}.tex": latex(columns, rows)}


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A GitHub table, numbers to the right."""
    rule = ["---", *("---:" for _ in columns[1:])]
    head, *body = ([for_markdown(cell) for cell in line] for line in (columns, *rows))
    lines = [head, rule, *body]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def latex(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A `tabular`, numbers to the right."""
    head, *body = (" & ".join(map(for_tex, line)) + r" \\" for line in (columns, *rows))
    return "\n".join(
        [
            r"% \usepackage{booktabs}",
            rf"\begin{{tabular}}{{l{'r' * (len(columns) - 1)}}}",
            r"\toprule",
            head,
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )
