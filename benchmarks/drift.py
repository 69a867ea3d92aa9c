"""How soon `fedad drift` sees what drifts, and how often it cries wolf.

    python benchmarks/drift.py [--lines 300] [--parts 20] [--pool 24] [--seed 0] [--seen FILE]

First by numbers alone: what charts of made-up days do, beside what is stated. Then drawn data: one
of the demo plants with its three products, a model of 24 good parts of each, and pictures of 24
more that it judges: as they are, 5 % darker, of a variant that is new to it, and, in 12 steps each,
under a lamp that ages by 5 % and through a lens that soils. A line is days of 20 pictures of each
product drawn from these with replacement, one in 50 defective; 40 quiet days, then 60 of what
drifts. Lamp and film go through their steps in those 60.

What is stated of a change at once is of one by 3 standard deviations of days, or by less where it
moves less. Of one that grows, it is that of the steepest ramp that it stays above, from whichever
day on: "sd a day" and "from" say which. Both are played through by what the page says of itself.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import numpy as np
from common import heading, row
from PIL import Image
from scipy.ndimage import gaussian_filter

from fedad.config import read
from fedad.drawing.plan import PRODUCTS, Shot, draw_image
from fedad.drawing.plants import plants
from fedad.drift.charts import Limits, beyond, cusum, ewma, first
from fedad.drift.days import Days, trimmed_means
from fedad.drift.reasons import events_of
from fedad.drift.run_length import (
    PLAYED,
    cusum_run_length,
    delay,
    ewma_run_length,
    limits_for,
    ramp_delay,
)
from fedad.drift.self_started import FIRST, self_started
from fedad.drift.state import charted
from fedad.drift.streams import STREAMS, odd_by_p
from fedad.inspection.inspector import Inspector
from fedad.inspection.opened import open_inspector
from fedad.inspection.results import row_of
from fedad.models.by_hand import build_and_keep
from fedad.models.gate import Gate
from fedad.types import GOOD

SIZE, TRAIN = 256, 24
QUIET, CHANGED = 40, 60  # days of a line before something drifts, and after
DEFECTIVE = 0.02
STEPS = tuple(k / 12 for k in range(1, 13))  # of lamp and film, of which there are pictures
BLUR, VEIL = 1.2, 0.15  # pixels, and share of the light that the whole film scatters
GROWING = ("lamp", "soil")
LONG = 1000
START = date(2026, 1, 1)


def darker(pixels: np.ndarray, share: float = 1.0) -> np.ndarray:
    """By 5 %, or by a share of that."""
    return np.clip(np.rint((1 - 0.05 * share) * pixels), 0, 255).astype(np.uint8)


def soiled(pixels: np.ndarray, share: float) -> np.ndarray:
    """Through a film on the lens: softer, and with light from everywhere."""
    seen = gaussian_filter(pixels.astype(float), (BLUR * share, BLUR * share, 0))
    veiled = (1 - VEIL * share) * seen + VEIL * share * seen.mean()
    return np.clip(np.rint(veiled), 0, 255).astype(np.uint8)


def drawn(defect: str, variant: int, take: int, product: int, seed: int) -> np.ndarray:
    shot = Shot(PRODUCTS[product], plants(3)[0], variant, "many", defect, take, take)
    return draw_image(shot, seed=seed, size=SIZE)[0]


def model(folder: Path, seed: int) -> Inspector:
    """What the plant learns from its own good parts."""
    for number, product in enumerate(PRODUCTS):
        into = folder / "learn" / product.name / "good"
        into.mkdir(parents=True)
        for take in range(TRAIN):
            pixels = drawn(GOOD, 0, 10_000 + take, number, seed)
            Image.fromarray(pixels).save(into / f"{take:04d}.png", compress_level=1)
    config = read(
        {
            "data.dataset": "auto",
            "data.dir": str(folder / "learn"),
            "embedder.size": SIZE,
            "embedder.threads": 1,
            "embedder.cache": "off",
        }
    )
    build_and_keep(config, "here", None, folder / "models", Gate(false_rejects=1.0))
    return open_inspector(folder / "models")


def looked(inspector: Inspector, product: int, pictures: list[np.ndarray]) -> np.ndarray:
    """(n, 4): the streams of judged pictures."""
    name = PRODUCTS[product].name
    rows = [row_of(inspector.inspect(pixels, name)) for pixels in pictures]
    return np.array([[stream.of(one) for stream in STREAMS] for one in rows])


def pools(inspector: Inspector, pool: int, seed: int) -> dict[str, np.ndarray]:
    """What is seen of pictures of each kind: (3 products, n, 4 streams)."""
    found: dict[str, list[np.ndarray]] = {}
    for number, product in enumerate(PRODUCTS):
        good = [drawn(GOOD, 0, take, number, seed) for take in range(pool)]
        kinds = sorted(product.defects)
        bad = [drawn(kinds[k % len(kinds)], 0, k, number, seed) for k in range(pool // 3)]
        new = [drawn(GOOD, 1, take, number, seed) for take in range(pool)]
        some = {"good": good, "bad": bad, "dark": [darker(one) for one in good], "new": new}
        for k, share in enumerate(STEPS, start=1):
            some[f"soil {k}"] = [soiled(one, share) for one in good]
            some[f"lamp {k}"] = [darker(one, share) for one in good]
        for name, pictures in some.items():
            found.setdefault(name, []).append(looked(inspector, number, pictures))
    return {name: np.stack(each) for name, each in found.items()}


def days_of(
    pool: np.ndarray, bad: np.ndarray, shape: tuple[int, ...], rng: np.random.Generator
) -> np.ndarray:
    """(3, 4, ...days): trimmed means of days of (..., parts) pictures of each product."""
    found = []
    for mine, defects in zip(pool, bad, strict=True):
        seen = mine[rng.integers(len(mine), size=shape)]
        wrong = rng.random(shape) < DEFECTIVE
        seen[wrong] = defects[rng.integers(len(defects), size=int(wrong.sum()))]
        found.append(np.stack([trimmed_means(seen[..., k]) for k in range(len(STREAMS))]))
    return np.stack(found)


def changed(
    kind: str, pool: dict[str, np.ndarray], parts: int, rng: np.random.Generator
) -> np.ndarray:
    """(3, 4, days): a line that drifts from day `QUIET` on."""
    quiet = days_of(pool["good"], pool["bad"], (QUIET, parts), rng)
    later = days_of(pool["good"], pool["bad"], (CHANGED, parts), rng)
    if kind == "dark":
        later = days_of(pool["dark"], pool["bad"], (CHANGED, parts), rng)
    elif kind == "variant":  # a third of one product's parts, from then on
        mixed = np.concatenate([pool["good"][:1], pool["good"][:1], pool["new"][:1]], axis=1)
        later[:1] = days_of(mixed, pool["bad"][:1], (CHANGED, parts), rng)
    elif kind in GROWING:
        steps = np.array([0.0, *STEPS])
        for day in range(CHANGED):
            at = int(np.abs(steps - (day + 1) / CHANGED).argmin())
            name = f"{kind} {at}" if at else "good"
            later[..., day] = days_of(pool[name], pool["bad"], (parts,), rng)
    return np.concatenate([quiet, later], axis=-1)


def series(means: np.ndarray) -> list:
    limits = limits_for(float(LONG), means.shape[0] * means.shape[1])
    days = tuple(START + timedelta(k) for k in range(means.shape[-1]))
    counts = np.full(len(days), 20)
    return [
        charted(Days(days, one, counts), limits, product=product.name, stream=stream)
        for product, streams in zip(PRODUCTS, means, strict=True)
        for stream, one in zip(STREAMS, streams, strict=True)
    ]


def by_numbers(rng: np.random.Generator) -> None:
    print("Days between alarms of a line on which nothing drifts (made-up days)\n")
    row("what", "stated", "found", "lines with an alarm in their first 20 days: stated", "found")
    row(*["---"] * 5)
    limits = limits_for(100.0, 1)
    plain = rng.standard_normal((4000, 1500))
    told("one EWMA", ewma_run_length(limits.ewma), np.abs(ewma(plain)) > limits.ewma)
    sums = np.maximum(cusum(plain), cusum(-plain)) > limits.cusum
    told("one CUSUM, two-sided", cusum_run_length(limits.cusum), sums)
    started = beyond(self_started(plain), limits)[:, FIRST:]
    told("both, reference estimated day by day", 100, started)
    ten = plain[:, :10]
    naive = (plain[:, 10:] - ten.mean(1, keepdims=True)) / ten.std(1, ddof=1, keepdims=True)
    told("both, the first ten days taken for the truth", 100, beyond(naive, limits))
    for good in (9, 30, 100):
        lines = p_lines(good, limits, rng)
        told(f"both, p-values among {good} good parts, 2 % defects", 100, lines)


def told(what: str, stated: float, alarms: np.ndarray) -> None:
    soon = alarms[:, :20].any(axis=-1).mean()
    row(what, f"{stated:.0f}", length(alarms), f"{1 - np.exp(-20 / stated):.2f}", f"{soon:.2f}")


def p_lines(good: int, limits, rng: np.random.Generator) -> np.ndarray:
    steps = np.array(
        [odd_by_p({"p_value": k / (good + 1), "good_parts": good}) for k in range(1, good + 2)]
    )
    found = []
    for _ in range(500):
        known = np.sort(rng.standard_normal(good))
        scores = rng.standard_normal((600, 20))
        scores[rng.random(scores.shape) < DEFECTIVE] += 6
        found.append(trimmed_means(steps[good - np.searchsorted(known, scores)]))
    return beyond(self_started(np.array(found)), limits)[:, FIRST:]


def length(alarms: np.ndarray) -> str:
    """Days over alarms, of lines that end with their first."""
    ended = alarms.any(axis=-1).sum()
    days = (first(alarms) + alarms.any(axis=-1)).sum()
    return f"{days / ended:.0f} ± {2 * days / ended / np.sqrt(ended):.0f}" if ended else "none"


def ramps() -> None:
    print(f"\nDays until a ramp is seen, 24 charts, {QUIET} days before it (by computation)\n")
    row("sd of days more each day", "mean", "within (95 %)")
    row(*["---"] * 3)
    limits = limits_for(float(LONG), 12)
    for slope in (0.02, 0.05, 0.1, 0.2, 0.5, 1.0):
        stated = ramp_delay(limits, slope, QUIET)
        row(f"{slope:g}", f"{stated.mean:.1f}", f"{stated.most:.0f}")


def quiet(pool: dict[str, np.ndarray], lines: int, parts: int, rng: np.random.Generator) -> None:
    limits = limits_for(float(LONG), 12)
    ends = []
    for _ in range(lines):
        q = self_started(days_of(pool["good"], pool["bad"], (LONG, parts), rng))
        ends.append(beyond(q, limits).any(axis=(0, 1)))
    alarms = np.array(ends)
    share = alarms.any(axis=-1).mean()
    print(
        f"\n{lines} lines of {LONG:,} quiet days, 24 charts each: {length(alarms)} days between "
        f"alarms; {100 * (1 - share):.0f} % of lines had none"
    )


def drifting(pool: dict[str, np.ndarray], lines: int, parts: int, rng: np.random.Generator) -> None:
    print("\nDays from the beginning of a change to the alarm (drawn data)\n")
    row(
        "what",
        "shift, sd of days",
        "sd a day",
        "from",
        "stated: within (95 %)",
        "median",
        "95 %",
        "lines later than stated",
        "before it",
        "never",
        "cause",
    )
    row(*["---"] * 11)
    limits = limits_for(float(LONG), 12)
    for kind, words in (
        ("dark", "camera 5 % darker"),
        ("variant", "a third of one product's parts of a new variant"),
        ("lamp", "a lamp that ages by 5 % over 60 days"),
        ("soil", "a film on the lens, over 60 days"),
    ):
        waits, causes, early = [], Counter[str](), 0
        courses = np.empty((lines, 12, CHANGED))
        for line in range(lines):
            means = changed(kind, pool, parts, rng)
            level, spread = (
                getattr(means[..., :QUIET], name)(axis=-1, keepdims=True, **more)
                for name, more in (("mean", {}), ("std", {"ddof": 1}))
            )
            courses[line] = ((means[..., QUIET:] - level) / spread).reshape(12, CHANGED)
            events = list(events_of(series(means)))
            late = [one for one in events if (one.day - START).days >= QUIET]
            early += len(events) > len(late)
            waits.append((late[0].day - START).days - QUIET + 1 if late else np.inf)
            causes[late[0].cause if late else "-"] += 1
        found = np.array(waits)
        if kind in GROWING:
            course = np.median(courses, axis=0)
            shift = float(np.abs(course[:, -5:].mean(axis=-1)).max())
            slope, from_day, most = steepest(course, limits)
            ramp, stated = [f"{slope:.2g}", from_day], most
        else:
            shift = float(np.median(np.abs(courses.mean(axis=-1)).max(axis=-1)))
            ramp, stated = ["", ""], delay(limits, min(3.0, shift), QUIET).most
        told = ", ".join(f"{name} {count}" for name, count in causes.most_common())
        at = [f"{np.quantile(found, share, method='higher'):.0f}" for share in (0.5, 0.95)]
        later = int((found > stated).sum())
        never = int(np.isinf(found).sum())
        row(words, f"{shift:.1f}", *ramp, f"{stated:.0f}", *at, later, early, never, told)


def steepest(course: np.ndarray, limits: Limits) -> tuple[float, int, float]:
    """Of the ramps that some stream of a course (streams, days) stays above the one that is seen
    first: its slope, its first day, and the days from the change on by which it is seen."""
    found = (0.0, 0, float(PLAYED + 1))
    for one in course:
        grows = one * np.sign(one[-1])
        for start in range(0, CHANGED, 5):
            slope = float((grows[start:] / np.arange(1, CHANGED - start + 1)).min())
            slope = np.floor(100 * slope) / 100
            if slope > 0:
                most = start + ramp_delay(limits, slope, QUIET + start).most
                found = min(found, (slope, start, most), key=lambda ramp: ramp[2])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=300)
    parser.add_argument("--parts", type=int, default=20)
    parser.add_argument("--pool", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seen", type=Path, help="an .npz that keeps what was seen of pictures")
    options = parser.parse_args()
    heading()
    rng = np.random.default_rng(options.seed)
    if options.seen and options.seen.exists():
        found = dict(np.load(options.seen))
    else:
        with tempfile.TemporaryDirectory() as place:
            found = pools(model(Path(place), options.seed), options.pool, options.seed)
        if options.seen:
            np.savez(options.seen, **found)
    by_numbers(rng)
    ramps()
    quiet(found, options.lines, options.parts, rng)
    drifting(found, options.lines, options.parts, rng)


if __name__ == "__main__":
    main()
