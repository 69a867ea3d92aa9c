"""What a decoder that learned on public images draws from the rows of a bank."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fedad.leakage.crops import CROP, Pairs
from fedad.leakage.decoders import Decode, Drawn, Scores, drawable, linear, mlp, scores_of
from fedad.leakage.ssim import ssim

DECODERS: dict[str, Callable[[np.ndarray, Drawn], Decode]] = {"linear": linear, "mlp": mlp}


@dataclass(frozen=True, eq=False)
class Inverted:
    """How well one decoder draws, beside the mean crop, which no attacker has.

    `scores` are PSNR in dB; `ssim` and `base_ssim` are means over the rows, of what is drawn and of
    the mean crop. `drawn` (n, 3072) are the crops as decoded, from 0 to 1.
    """

    decoder: str
    rows: int
    scores: Scores
    ssim: float
    base_ssim: float
    drawn: np.ndarray


def inverted(private: Pairs, public: Pairs) -> list[Inverted]:
    """The attack by each decoder on rows and what they show.

    Args:
        private: the rows that are attacked, with the crops that the attacker does not have.
        public: in the same space, and of the same network.
    """
    known, middle = drawable(public.crops), private.crops.mean(0)
    base = ssim(
        np.broadcast_to(_picture(middle[None]), _picture(private.crops).shape),
        _picture(private.crops),
    )
    found = []
    for name, train in DECODERS.items():
        drawn = train(public.rows, known)(private.rows).clip(0, 1)
        alike = ssim(_picture(drawn), _picture(private.crops))
        told = scores_of(drawn, private.crops)
        found.append(
            Inverted(name, len(drawn), told, float(alike.mean()), float(base.mean()), drawn)
        )
    return found


def best_of(found: list[Inverted]) -> Inverted:
    """The decoder of the largest gain in PSNR, chosen after looking."""
    return max(found, key=lambda one: one.scores.gain)


def _picture(crops: np.ndarray) -> np.ndarray:
    return crops.reshape(-1, CROP, CROP, 3)
