"""The categories that a user names -> those that there are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from fedad.datasets._place import tree_error
from fedad.plugins import did_you_mean


def chosen(words: Sequence[str], known: Iterable[str], root: Path) -> list[str]:
    """The names that the words of a comma list stand for, in their order; all where it is empty.

    A name may have commas itself: of words in a row that are such a name, it is meant.

    >>> chosen(["clip", "left", "nut"], ["clip, left", "nut"], Path("."))
    ['clip, left', 'nut']

    Raises:
        DataError: no such category.
    """
    names = {_bare(name): name for name in sorted(known)}
    if not words:
        return sorted(names.values())
    parts = [part for word in words for part in _bare(word).split(",")]
    found, at = list[str](), 0
    while at < len(parts):
        ends = range(len(parts), at, -1)
        end = next((end for end in ends if ",".join(parts[at:end]) in names), None)
        if end is None:
            raise tree_error(
                f"{root}: no category {parts[at]!r}{did_you_mean(parts[at], names.values())}: "
                f"there are {', '.join(sorted(names.values()))}"
            )
        found.append(names[",".join(parts[at:end])])
        at = end
    return list(dict.fromkeys(found))


def _bare(name: str) -> str:
    return ",".join(part.strip() for part in name.split(","))
