"""What a site keeps of its verdicts, in its own folder: every score, and the pictures worth seeing.

Nothing here travels. In a simulation, where all sites are on one machine, the runner gathers the
pictures into the run folder.
"""

from __future__ import annotations

import heapq
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from fedad.errors import DataError
from fedad.judging.thresholds import Threshold
from fedad.judging.verdicts import Trace, Verdict
from fedad.plumbing.files import write_atomic
from fedad.plumbing.parse import read_json
from fedad.plumbing.shown import csv_text
from fedad.reporting.heatmap import Scale, draw, relative
from fedad.reporting.per_image import Collector

KEPT = 10  # pictures of each sort
HITS, MISSES, ALARMS = "hit", "miss", "alarm"
SORTS = (HITS, MISSES, ALARMS)
SEEN = 3 * KEPT  # good parts that may turn out to be false alarms, once thresholds are known
NO_THRESHOLDS: Mapping[str, Threshold] = MappingProxyType({})
TOLD = {"file", "sort", "rank", "site", "image", "score", "scale"}  # of every picture


class Pick(NamedTuple):
    """A verdict worth a picture; the surer the hit, or the worse the miss or the false alarm, the
    higher it ranks."""

    rank: float
    number: int  # breaks ties by the order of the samples
    sort: str
    verdict: Verdict


class Row(NamedTuple):
    """An image's score, and whose row is nearest to its oddest patch."""

    image: str
    category: str
    defect: str
    kind: str
    score: float
    oddest: str


class Gallery:
    """Sees every verdict once and keeps the ten surest hits, the ten worst misses and the ten worst
    false alarms.

    Scores of different products compare by their category's scale.
    """

    def __init__(self, site: str, scales: dict[str, Scale]) -> None:
        self.site, self.scales = site, scales
        self.rows: list[Row] = []
        self.picks: dict[str, list[Pick]] = {sort: [] for sort in SORTS}
        self.every = Collector()

    def watch(self, verdicts: Iterable[Verdict]) -> Iterator[Verdict]:
        """Pass every verdict on, having looked at it."""
        for verdict in verdicts:
            self._see(verdict)
            yield verdict

    def write(self, folder: Path, thresholds: Mapping[str, Threshold] = NO_THRESHOLDS) -> None:
        """`scores.csv`, `images.safetensors`, the pictures, and `index.json`, which ranks them.

        Args:
            thresholds: of each product that has one: without, nothing is a false alarm.
        """
        write_atomic(folder / "scores.csv", self._csv(thresholds))
        self.every.write(folder)
        index = []
        for sort, picks in self.picks.items():
            told = [(pick, self._about(pick, thresholds)) for pick in sorted(picks, reverse=True)]
            if sort == ALARMS:
                told = [(pick, about) for pick, about in told if about["stopped"]]
            for place, (pick, about) in enumerate(told[:KEPT], start=1):
                sample = pick.verdict.sample
                name = f"{sort}-{place:02d}-{sample.category}-{sample.defect}-{sample.path.stem}"
                picture = draw(pick.verdict, self._scale(pick.verdict))
                write_atomic(folder / "pictures" / f"{name}.png", _png(picture), flush=False)
                index.append({"file": f"{name}.png", **about})
        write_atomic(folder / "pictures" / "index.json", json.dumps(index, indent=1))

    def _about(self, pick: Pick, thresholds: Mapping[str, Threshold]) -> dict[str, Any]:
        """What there is to say of a picture."""
        sample, scored, trace = pick.verdict.sample, pick.verdict.scored, pick.verdict.trace
        known = thresholds.get(sample.category)
        limit = known.limit(trace.oddest if trace else "") if known else math.nan
        return {
            "sort": pick.sort,
            "rank": pick.rank,
            "site": self.site,
            "image": sample.name,
            "category": sample.category,
            "defect": sample.defect,
            "score": scored.image_score,
            "threshold": limit if math.isfinite(limit) else None,
            "stopped": None if math.isnan(limit) else scored.image_score > limit,
            "scale": list(self._scale(pick.verdict)),
            "nearest": _nearest(trace) if trace else None,
        }

    def _see(self, verdict: Verdict) -> None:
        sample, score = verdict.sample, verdict.scored.image_score
        oddest = verdict.trace.oddest if verdict.trace else ""
        self.rows.append(
            Row(sample.name, sample.category, sample.defect, sample.kind, score, oddest)
        )
        self.every.see(verdict)
        height = relative(score, self._scale(verdict))
        sorts = ((ALARMS, height),) if sample.is_good else ((HITS, height), (MISSES, -height))
        for sort, rank in sorts:
            pick = Pick(rank, -len(self.rows), sort, verdict)
            heapq.heappush(self.picks[sort], pick)
            if len(self.picks[sort]) > (SEEN if sort == ALARMS else KEPT):
                heapq.heappop(self.picks[sort])

    def _scale(self, verdict: Verdict) -> Scale:
        return self.scales[verdict.sample.category]

    def _csv(self, thresholds: Mapping[str, Threshold]) -> str:
        rows = (
            (*row[:4], f"{row.score:.9g}", _limit(thresholds, row.category, row.oddest))
            for row in self.rows
        )
        return csv_text(("image", "category", "defect", "kind", "score", "threshold"), rows)


def _limit(thresholds: Mapping[str, Threshold], category: str, oddest: str) -> str:
    """The score above which an image is stopped; nothing where its product has no threshold."""
    known = thresholds.get(category)
    limit = known.limit(oddest) if known else math.nan
    return "" if math.isnan(limit) else f"{limit:.9g}"


def _nearest(trace: Trace) -> dict[str, Any]:
    """Whose normal row is nearest to the patch that is farthest from all, and how far it is."""
    y, x = np.unravel_index(trace.distance.argmax(), trace.distance.shape)
    site = trace.sites[trace.nearest[y, x]]
    return {"site": site, "distance": float(trace.distance[y, x]), "patch": [int(y), int(x)]}


def gather(sites: Path, into: Path) -> None:
    """Copy the ten surest hits, worst misses and worst false alarms of all sites into one folder,
    ranked."""
    found = read_index(sites, "*/pictures")
    index = []
    for sort in SORTS:
        best = sorted((e for e in found if e["sort"] == sort), key=_by_rank)[:KEPT]
        for place, entry in enumerate(best, start=1):
            path = Path(entry["path"])
            name = f"{sort}-{place:02d}-{entry['site']}-{path.name.split('-', 2)[2]}"
            write_atomic(into / name, path.read_bytes(), flush=False)
            index.append({**entry, "file": name})
    if index:
        plain = [{key: e[key] for key in e if key != "path"} for e in index]
        write_atomic(into / "index.json", json.dumps(plain, indent=1))


def read_index(folder: Path, where: str = "pictures") -> list[dict[str, Any]]:
    """What is said of the pictures in the folders below `folder` that `where` matches, with the
    `path` of each."""
    return [
        {**entry, "path": str(index.parent / entry["file"])}
        for index in sorted(folder.glob(f"{where}/index.json"))
        for entry in _entries(index)
    ]


def _entries(index: Path) -> list[dict[str, Any]]:
    try:
        entries = [dict(entry) for entry in read_json(index)]
        if strange := [e for e in entries if not {*e} >= TOLD or Path(e["file"]).name != e["file"]]:
            raise ValueError(f"an entry that is none: {strange[0]!s:.80}")
        return entries
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{index}: not what is said of pictures ({error})") from error


def _by_rank(entry: dict[str, Any]) -> tuple[float, str, str]:
    return -entry["rank"], entry["site"], entry["file"]


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)  # a third larger, five times as fast
    return buffer.getvalue()
