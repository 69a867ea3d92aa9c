"""Figures: each file exports one function `(ranked, limits) -> figures`, found by its file name.

`ranked` holds the four curves of some test images (`fedad/evaluation/ranked.py`), `limits` are the
false-positive rates, above 0 and at most 1, up to which areas are wanted. Figures come by key, each
a `Bounded(value, bound)`: a share from 0 to 1, NaN where there is nothing to rank, and how far the
bins of the scores may move it. Arrays may carry replicates in front: a figure is then (R,). Nothing
is refused here: `evaluation/breakdown.py` checks the limits, `Scored` the scores.
"""
