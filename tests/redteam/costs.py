"""What answers of a site cost the server: CPU seconds and memory, measured in a process of its own.

    python -m tests.redteam.costs findings
    python -m tests.redteam.costs merge

prints JSON: case -> what became of it, CPU seconds (the least of up to three), the most bytes of
memory above what was there before, and bytes of the message.
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from flwr.app import RecordDict
from scipy.ndimage import gaussian_filter

from fedad import wire
from fedad.config import Config
from fedad.coresets.kcenter import kcenter
from fedad.errors import UploadError
from fedad.evaluation import COARSE, FINE, Counts, Scored, resample
from fedad.evaluation.scored import Cell
from fedad.evaluation.tally import Line
from fedad.judging.admission import admit_findings
from fedad.judging.findings import Findings
from fedad.messages import envelope
from fedad.types import GOOD, Enrolled, Fingerprint, Region
from server_app.kept import Judged
from tests.bounds import resident, start_peak

DEMO = ("pipe_clip", "tank_screw", "wiring")  # 12 test images of each: 6 good, 6 of a defect each
SIDE, IMAGES, REPLICATES = 256, 12, 200
MARK = Fingerprint("b", "w", "layer2", "layer2", 3, SIDE, "t", patches=1024)
NOTHING = np.empty(0, np.int64)


def enrolled(images: int = IMAGES, products: tuple[str, ...] = DEMO) -> Enrolled:
    """A site that says it has so many test images of each product."""
    counts = dict.fromkeys(products, images)
    return Enrolled("lyon", counts, counts, MARK, 152, 50.0)


def honest(offset: float) -> Findings:
    """What a site of the demo finds: scores around `offset`, in standard deviations of a map.

    Distances of PatchCore came to 5; logits of the discriminator cross 0.
    """
    rng, found = np.random.default_rng(0), Findings()
    for product in DEMO:
        images = [_image(product, k, offset, rng) for k in range(IMAGES)]
        coarse = resample([Counts.coarse(one) for one in images], REPLICATES, rng=rng)
        found += Findings(sum((Counts.of(one) for one in images), Counts()), coarse)
    return found


def _image(product: str, number: int, offset: float, rng: np.random.Generator) -> Scored:
    smooth = gaussian_filter(rng.normal(size=(SIDE, SIDE)), 8)
    scores = (offset + smooth / smooth.std()).astype(np.float32)
    if number < IMAGES // 2:
        return Scored(scores, (), product)
    mask = np.zeros((SIDE, SIDE), bool)
    mask[40:80, 40:90] = True
    scores[mask] += 2
    return Scored(scores, (Region(mask, 500),), product, f"defect {number}")


def spread(cells: list[Cell], bins: int, apart: int, images: int = 1) -> Findings:
    """Well-formed findings whose rows of pixels take so many bins, so far apart, in every cell."""
    held = len(FINE.pixels) // 2 + apart * (np.arange(bins) - bins // 2)
    wide, scores = np.unique(held >> 4), len(FINE.images) // 2 + 128 * np.arange(images)
    fine, coarse = {}, {}
    for cell in cells:
        fine[cell] = _rows(cell, scores, held, np.full(bins, 160), unit=FINE.unit)
        pixels = np.array([160 * np.count_nonzero(held >> 4 == one) for one in wide])
        coarse[cell] = _rows(
            cell, scores >> 7, wide, pixels, unit=COARSE.unit, batch=(1 + REPLICATES,)
        )
    return Findings(Counts.made_of(fine, FINE), Counts.made_of(coarse, COARSE))


def _rows(
    cell: Cell,
    scores: np.ndarray,
    bins: np.ndarray,
    pixels: np.ndarray,
    *,
    unit: int,
    batch: tuple[int, ...] = (),
) -> list[Line]:
    whole = np.full(len(bins), unit // len(bins))
    whole[0] += unit - whole.sum()

    def line(places: np.ndarray, values: np.ndarray) -> Line:
        return Line(places, np.broadcast_to(values, (*batch, len(places))).astype(np.int64))

    nothing = line(NOTHING, NOTHING)
    rows = [line(scores, np.ones(len(scores))), line(bins, pixels)]
    return rows + (
        [nothing] * 3 if cell.is_good() else [line(bins, pixels), *[line(bins, whole)] * 2]
    )


def kinds(count: int, products: tuple[str, ...] = DEMO) -> list[Cell]:
    """So many kinds of images of each product, one of them good."""
    return [
        Cell(name, defect)
        for name in products
        for defect in [GOOD, *(f"d{k:03}" for k in range(count - 1))]
    ]


def chattering(content: RecordDict) -> RecordDict:
    """Decisions of a megabyte: patches nearest to 60,000 sites."""
    told = json.loads(content["decisions"]["json"])
    told["nearest"] = {DEMO[0]: {f"s{k}": 1 for k in range(60_000)}}
    content["decisions"]["json"] = json.dumps(told)
    return content


def findings_cases() -> dict[str, tuple[RecordDict, Enrolled]]:
    pack, demo = wire.pack_findings, enrolled()
    distances = pack(honest(5.0))
    one = ("bolt",)
    return {
        "honest distances": (distances, demo),
        "honest logits": (pack(honest(0.0)), demo),
        "a kind for each image": (pack(spread(kinds(IMAGES), 300, 1)), demo),
        "195 kinds": (pack(spread(kinds(195, one), 1, 1)), enrolled(195, one)),
        "64 kinds": (pack(spread(kinds(64, one), 300, 1)), enrolled(64, one)),
        "as many bins as may be": (pack(spread(kinds(7), 740, 16)), demo),
        "too many bins": (pack(spread(kinds(7), 2000, 16)), demo),
        "bins far apart": (pack(spread(kinds(7), 600, 64)), demo),
        "every bin in a row": (pack(spread(kinds(3), 2**16, 1)), demo),
        "a megabyte of names": (chattering(pack(honest(5.0))), demo),
    }


def judged(content: RecordDict, site: Enrolled) -> str:
    """The way of an answer through the server; the word that it is refused with, or nothing."""
    try:
        found = wire.unpack_findings(content)
        admit_findings(Config(), found, site, ["lyon"], [*site.test])
        kept = Judged()
        kept.take("lyon", content, found)
        kept.take("graz", content, found)
        kept.together.report  # noqa: B018 - made when it is read
    except UploadError as error:
        return error.reason
    return ""


def merge_cases() -> dict[str, np.ndarray]:
    """Pools of two thirds honest rows and of what one of three sites may send; and that alone."""
    rng, shape = np.random.default_rng(0), (1000, 152)
    scale = np.linspace(2, 0.05, shape[1], dtype=np.float32)
    normal = np.abs(rng.normal(size=(3000, shape[1]))).astype(np.float32) * scale
    few = normal[rng.integers(0, 10, shape[0])]
    sent = {
        "honest": normal[2000:],
        "all equal": np.repeat(normal[:1], shape[0], axis=0),
        "each of the others' again": normal[:1000],
        "ten rows": few,
        "ten rows but for the last bits": few * (1 + rng.integers(-3, 4, shape) * 2.0**-23),
        "corners of a cube": rng.integers(0, 2, shape) * 1.0,
        "corners of a cube of 14 dimensions": rng.integers(0, 2, shape) * (np.arange(152) < 14),
        "signs": rng.choice([-1.0, 1.0], shape),
    }
    sent = {name: rows.astype(np.float32) for name, rows in sent.items()}
    pools = {name: np.concatenate([normal[:2000], rows]) for name, rows in sent.items()}
    return pools | {f"{name}, alone": rows for name, rows in sent.items()}


def merged(points: np.ndarray) -> str:
    kcenter(points, len(points) // 2, rng=np.random.default_rng(0), kept=(0,))
    return ""


def measured(work: Callable[[], str]) -> dict[str, Any]:
    seconds, peaks, word = [], [], ""
    while len(seconds) < 3 and sum(seconds) < 1.5:
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)  # what was freed before would be used again unseen
        start_peak()
        before, began = resident("VmRSS"), time.process_time()
        word = work()
        seconds.append(time.process_time() - began)
        peaks.append(resident("VmHWM") - before)
    return {"word": word, "seconds": min(seconds), "memory": min(peaks)}


def main(what: str) -> None:
    torch.set_num_threads(1)  # a second one that waits for its turn costs CPU seconds too
    found: dict[str, dict[str, Any]] = {}
    if what == "findings":
        for name, (content, site) in findings_cases().items():
            size = envelope.size_of(content)
            found[name] = {**measured(lambda c=content, s=site: judged(c, s)), "bytes": size}
    else:
        for name, points in merge_cases().items():
            found[name] = measured(lambda p=points: merged(p))
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
