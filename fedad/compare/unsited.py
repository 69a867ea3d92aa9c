"""Points whose sites nobody has told: a natural partition of data without any `sites.csv`.

A matrix that has other points goes on without these, and says so; AutoVI as it is downloaded names
no sites.
"""

from __future__ import annotations

from dataclasses import replace

from fedad.compare.plan import Plan
from fedad.config import DataKnobs
from fedad.datasets.base import open_dataset
from fedad.datasets.sites_table import NAME, table_of


def without_unsited(plan: Plan) -> tuple[Plan, list[str]]:
    """The plan less such points, and a line for each of them; all of it where there is no other."""
    told = {
        point.label: f"{point.label}: left out: {folder} has no {NAME}, which says the sites"
        for point in plan.points
        if (folder := _unsited(plan.config(point, plan.seeds[0]).data))
    }
    rest = tuple(point for point in plan.points if point.label not in told)
    return (replace(plan, points=rest), [*told.values()]) if rest else (plan, [])


def _unsited(knobs: DataKnobs) -> str:
    """The root of a data set that should have natural sites and has no list of any product's."""
    if knobs.partition != "natural":
        return ""
    dataset = open_dataset(knobs)
    folders = {sample.category: dataset.folder(sample) for sample in dataset.samples}
    tables = [table_of(dataset, category, folder) for category, folder in folders.items()]
    return "" if any(table.exists() for table in tables) else str(dataset.root)
