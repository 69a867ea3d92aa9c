"""Which images are of one part: what `data.group` says beside the images themselves.

Second shots of a part are no further evidence. A threshold counts parts, an image is judged without
the rows of its whole part, and a part is held out as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from fedad.datasets.sites_table import rows_of
from fedad.errors import ConfigError
from fedad.plugins import did_you_mean
from fedad.types import Dataset, Sample

COLUMN, PATTERN, NEAR_DUPLICATES = "column:", "pattern:", "near-duplicates"


def with_groups(dataset: Dataset, rule: str) -> Dataset:
    """The data set with the group of each image, by `data.group`; near-duplicates are found later,
    by their features.

    Raises:
        ConfigError: no such rule, or one that finds nothing.
        DataError: `sites.csv` has no such column.
    """
    if not rule or rule == NEAR_DUPLICATES:
        return dataset
    if rule.startswith(PATTERN):
        find = _by_pattern(rule.removeprefix(PATTERN))
    elif rule.startswith(COLUMN):
        find = _by_column(dataset, rule.removeprefix(COLUMN))
    else:
        raise ConfigError(
            f"data.group = {rule!r}: expected {COLUMN}NAME (of sites.csv), {PATTERN}REGEX (on file "
            f"names), {NEAR_DUPLICATES}, or nothing"
        )
    samples = tuple(replace(sample, group=find(sample)) for sample in dataset.samples)
    if samples and not any(sample.group for sample in samples):
        raise ConfigError(
            f"data.group = {rule!r}: no image has a group by it, such as "
            f"{samples[0].path}: is it meant for other files?"
        )
    return replace(dataset, samples=samples)


def _by_pattern(text: str) -> Callable[[Sample], str]:
    """What a pattern finds in a file's name: its groups, or else all that it matches."""
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise ConfigError(f"data.group: {text!r} is no regular expression ({error})") from error

    def find(sample: Sample) -> str:
        if (found := pattern.search(sample.path.name)) is None:
            return ""
        return " ".join(part or "" for part in found.groups()) or found.group()

    return find


def _by_column(dataset: Dataset, name: str) -> Callable[[Sample], str]:
    """What a column of the category's `sites.csv` says of an image."""
    rows = rows_of(dataset)
    columns = sorted({column for row in rows.values() for column in row.cells})
    if name not in columns:
        raise ConfigError(
            f"data.group = '{COLUMN}{name}'{did_you_mean(name, columns)}: the sites.csv below "
            f"{dataset.root} has the columns {', '.join(columns)}"
        )
    return lambda sample: rows[sample.path].cells[name] if sample.path in rows else ""
