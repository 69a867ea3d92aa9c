"""Do thresholds that follow operators' verdicts keep the wished rate while a line drifts?

    python benchmarks/adaptive.py [--parts 10000] [--good 36] [--rate 0.1] [--seeds 5]

Simulated: scores of good parts are normal, of deviation 1, and drift by one of the shapes below; a
threshold is calibrated on a few parts before. Operators judge all good parts, or a tenth of them by
lot, in the order of time, and the threshold is set anew by all verdicts so far after each part, or
every 100 or 500 parts. What counts are the good parts that were stopped at the line, judged or not:
the share over the whole run, as the mean of all seeds and of the seed that is farthest off. `bound`
is the most by which the share of judged parts may be off, whatever the scores do, where each
verdict counts at once.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
from common import heading, row

from fedad.evaluation import threshold
from fedad.evaluation.adaptive import Adaptive, furthest

EVERY = (1, 100, 500)  # parts between two times that the threshold is set anew
SHARES = (1.0, 0.1)  # of good parts that operators judge

Drift = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def _variant(at: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return 2.5 * (rng.random(len(at)) < 0.3) * (at > 0.5)


DRIFTS: dict[str, Drift] = {
    "nothing": lambda at, rng: 0 * at,
    "soiling: scores rise by 6 deviations": lambda at, rng: 6 * at,
    "a new lamp: 3 more from a third on": lambda at, rng: 3.0 * (at > 1 / 3),
    "a lens is cleaned: 3 less from a third on": lambda at, rng: -3.0 * (at > 1 / 3),
    "a variant: 2.5 more for 3 of 10 parts, from a half on": _variant,
    "seasons: a sine of 2, three times": lambda at, rng: 2 * np.sin(6 * np.pi * at),
    "day and night: a sine of 2, forty times": lambda at, rng: 2 * np.sin(80 * np.pi * at),
}


def line(
    scores: np.ndarray, good: np.ndarray, rate: float, judged: np.ndarray
) -> tuple[list[float], int]:
    """The share of good parts (T,) that are stopped, by a threshold that stands still and by those
    that are set anew, and how many parts were judged."""
    state, limits = Adaptive.of(good.tolist(), rate), np.empty(len(scores))
    for number, (score, said) in enumerate(zip(scores.tolist(), judged.tolist(), strict=True)):
        limits[number] = state.threshold
        if said:
            state = state.after(score)
    number = np.arange(len(scores))
    ways = [threshold(good, rate), *(limits[number // every * every] for every in EVERY)]
    return [float(np.mean(scores > limit)) for limit in ways], state.seen


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--parts", type=int, default=10_000)
    parser.add_argument("--good", type=int, default=36)
    parser.add_argument("--rate", type=float, default=0.1)
    parser.add_argument("--seeds", type=int, default=5)
    asked = parser.parse_args()
    heading()
    anew = ["each verdict", *(f"every {every}" for every in EVERY[1:])]
    row("drift", "judged", "bound", "standing still", *anew)
    row(*("---",) * (4 + len(EVERY)))
    for name, drift in DRIFTS.items():
        for share in SHARES:
            runs, seen = [], 0
            for seed in range(asked.seeds):
                rng = np.random.default_rng([seed, 7])
                at = np.arange(asked.parts) / asked.parts
                scores = rng.normal(size=asked.parts) + drift(at, rng)
                good, judged = rng.normal(size=asked.good), rng.random(asked.parts) < share
                found, seen = line(scores, good, asked.rate, judged)
                runs.append(found)
            told = [_told(shares, asked.rate) for shares in np.array(runs).T]
            row(name, f"{share:.0%}", f"{furthest(seen):.3f}", *told)


def _told(shares: np.ndarray, rate: float) -> str:
    """The mean share, and that of the run that is farthest from the wish."""
    return f"{shares.mean():.3f} ({shares[np.abs(shares - rate).argmax()]:.3f})"


if __name__ == "__main__":
    main()
