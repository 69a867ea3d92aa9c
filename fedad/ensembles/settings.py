"""What can be chosen of an ensemble; `methods/ensemble.py` has it as its `Knobs`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from fedad.ensembles.calibrating import Calibration

LEARNED = ("weighted", "selected", "logistic", "forest")  # combinations that take drawn defects
WEIGHED = ("weighted", "selected", "logistic")  # those in which each member has a weight


@dataclass(frozen=True)
class Settings:
    """`ensemble.*`."""

    members: str = "patchcore,discriminator"  # comma list of the files of `fedad/members`
    # How features are made of the members' channels for a head: components of all, or of each.
    block: Literal["global", "individual"] = "global"
    dimensions: Annotated[int, Field(ge=0)] = 64  # of each group of channels; 0: by `share`
    share: Annotated[float, Field(gt=0, le=1)] = 0.99  # of the variance that components explain
    whiten: bool = True  # whether components are divided by their spread
    extra: Literal["none", "residual", "anomaly", "both"] = "none"  # further channels
    head: Literal["none", "discriminator", "nearest"] = "none"  # what judges these features
    # How the members' outputs, and the head's where there is one, are combined; none: the head's.
    combine: Literal[
        "none", "mean", "maximum", "weighted", "selected", "rank", "logistic", "forest"
    ] = "weighted"
    image: Literal["scores", "map"] = "scores"  # by members' scores, or the combined map's highest
    calibration: Calibration = "z"  # of outputs, by held-out good images
    holdout: Annotated[float, Field(gt=0, lt=1)] = 0.2  # share of good images, for that
    # From 2 on every image is held out once: members are learned so many times more, each time less
    # a part of the images, and those that judge learn of all.
    folds: Annotated[int, Field(ge=1, le=20)] = 1
    least_images: Annotated[int, Field(ge=1)] = 2  # held out, below which a site sends no scores
    # Of the best member's odds, below which `weighted` leaves a member out; 1: the best alone.
    least_odds: Annotated[float, Field(ge=0, le=1)] = 0.5
    draws: Annotated[int, Field(ge=1)] = 3  # defects drawn into a held-out image
    rounds: Annotated[int, Field(ge=1)] = 3  # of logistic regression
    trees: Annotated[int, Field(ge=1, le=1000)] = 30  # of a site's forest
