"""A comparison -> the sections of its page, and its tables for papers."""

from __future__ import annotations

from fedad.reporting.comparison.choice import choice
from fedad.reporting.comparison.differences import COLUMNS, difference_rows, differences
from fedad.reporting.comparison.figures import figure_rows, figures
from fedad.reporting.comparison.heat import heat
from fedad.reporting.comparison.matrix import matrix
from fedad.reporting.comparison.members import AGAINST, against_rows, carrier_rows, members
from fedad.reporting.comparison.members import COLUMNS as CARRIED
from fedad.reporting.comparison.sites import sites
from fedad.reporting.comparison.words import Comparison, named
from fedad.reporting.comparison.worth import worth
from fedad.reporting.papers import both
from fedad.reporting.shown_run import Found


def sections(comparison: Comparison) -> list[Found]:
    """What was run, all at a glance, figures, members beside ensembles where there are some, what
    differs, to whom, what a site is worth, what to take.

    The page also has one run in detail, whose sections are those of any run's page.
    """
    first, then = (matrix, heat, figures), (differences, sites, worth, choice)
    return [
        *(part(comparison) for part in first),
        *members(comparison),
        *(part(comparison) for part in then),
    ]


def tables(comparison: Comparison) -> dict[str, str]:
    """File name -> text, for papers."""
    names = [named(figure) for figure in comparison["plan"]["figures"]]
    lines = difference_rows(comparison["contrasts"])
    if comparison["unranked"]:
        lines.append([comparison["unranked"], *[""] * (len(COLUMNS) - 1)])
    found = both("figures", ["", *names], figure_rows(comparison))
    if families := comparison.get("members"):
        against = [row for one in families for row in against_rows(one)]
        carried = [row for one in families for row in carrier_rows(one)]
        found |= both("members", AGAINST, against) | both("carriers", CARRIED, carried)
    return found | both("differences", COLUMNS, lines)
