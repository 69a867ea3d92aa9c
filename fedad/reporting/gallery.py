"""What a site keeps of its verdicts, in its own folder: every score, and the pictures worth seeing.

Nothing here travels. In a simulation, where all sites are on one machine, the runner gathers the
pictures into the run folder.
"""

from __future__ import annotations

import csv
import heapq
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from fedad.files import write_atomic
from fedad.judging import Verdict
from fedad.reporting.heatmap import draw

KEPT = 10  # pictures of each sort
HITS, MISSES = "hit", "miss"


class Pick(NamedTuple):
    """A verdict worth a picture; the surer the hit or the worse the miss, the higher it ranks."""

    rank: float
    number: int  # breaks ties by the order of the samples
    sort: str
    verdict: Verdict


class Gallery:
    """Sees every verdict once and keeps the ten surest hits and the ten worst misses.

    Scores of different products compare by their category's scale.
    """

    def __init__(self, site: str, scales: dict[str, float]) -> None:
        self.site, self.scales = site, scales
        self.rows: list[tuple[str, str, str, str, float]] = []
        self.picks: dict[str, list[Pick]] = {HITS: [], MISSES: []}

    def watch(self, verdicts: Iterable[Verdict]) -> Iterator[Verdict]:
        """Pass every verdict on, having looked at it."""
        for verdict in verdicts:
            self._see(verdict)
            yield verdict

    def write(self, folder: Path) -> None:
        """`scores.csv`, the pictures, and `index.json`, which ranks them."""
        write_atomic(folder / "scores.csv", self._csv())
        index = []
        for sort, picks in self.picks.items():
            for place, pick in enumerate(sorted(picks, reverse=True), start=1):
                sample, score = pick.verdict.sample, pick.verdict.scored.image_score
                name = f"{sort}-{place:02d}-{sample.category}-{sample.defect}-{sample.path.stem}"
                caption = (
                    f"{sort}  {self.site}  {sample.name}  score {score:.2f}, "
                    f"colours from 0 to {self._scale(pick.verdict):.2f}"
                )
                picture = draw(pick.verdict, self._scale(pick.verdict), caption)
                write_atomic(folder / "pictures" / f"{name}.png", _png(picture))
                index.append({"file": f"{name}.png", "sort": sort, "rank": pick.rank})
        write_atomic(folder / "pictures" / "index.json", json.dumps(index, indent=1))

    def _see(self, verdict: Verdict) -> None:
        sample, score = verdict.sample, verdict.scored.image_score
        self.rows.append((sample.name, sample.category, sample.defect, sample.kind, score))
        if sample.is_good:
            return
        relative = score / self._scale(verdict)
        for sort, rank in ((HITS, relative), (MISSES, -relative)):
            pick = Pick(rank, -len(self.rows), sort, verdict)
            heapq.heappush(self.picks[sort], pick)
            if len(self.picks[sort]) > KEPT:
                heapq.heappop(self.picks[sort])

    def _scale(self, verdict: Verdict) -> float:
        return self.scales[verdict.sample.category]

    def _csv(self) -> str:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(("image", "category", "defect", "kind", "score"))
        writer.writerows((*row[:-1], f"{row[-1]:.6g}") for row in self.rows)
        return text.getvalue()


def gather(sites: Path, into: Path) -> None:
    """Copy the ten surest hits and the ten worst misses of all sites into one folder."""
    found: list[tuple[float, str, str, Path]] = []
    for index in sorted(sites.glob("*/pictures/index.json")):
        for entry in json.loads(index.read_text()):
            path = index.parent / entry["file"]
            found.append((-entry["rank"], entry["sort"], index.parents[1].name, path))
    for sort in (HITS, MISSES):
        best = sorted(row for row in found if row[1] == sort)[:KEPT]
        for place, (_, _, site, path) in enumerate(best, start=1):
            what = path.name.split("-", 2)[2]
            write_atomic(into / f"{sort}-{place:02d}-{site}-{what}", path.read_bytes())


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
