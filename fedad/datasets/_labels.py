"""What images are called within their split and defect, so that no two are called alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from fedad.datasets._walk import File


def labelled_apart(files: Sequence[File], short: Mapping[str, str]) -> dict[str, str]:
    """A file's place -> the label of its sample, of files of one split and defect.

    `short` is what each would be called by itself. Of two that would be called alike each keeps its
    ending, or, where that is not enough, its whole place. A label that says no more than the stem
    is left empty.
    """
    counts = Counter(short.values())
    ended = {
        f.place: f"{short[f.place]}{f.path.suffix}"
        if counts[short[f.place]] > 1
        else short[f.place]
        for f in files
    }
    counts = Counter(ended.values())
    labels = {f.place: f.place if counts[ended[f.place]] > 1 else ended[f.place] for f in files}
    return {f.place: "" if labels[f.place] == f.path.stem else labels[f.place] for f in files}
