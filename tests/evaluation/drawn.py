"""Judged images to test with, and the obvious slow definitions that judge the fast ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st

from fedad.evaluation import LIMITS, Counts, Scored, pack
from fedad.types import Region, Saturation

SHARED = Path(__file__).resolve().parents[3] / "shared"
GOLDEN = ("float64_small", "uint16_small", "uint8_many", "uint8_small")


def golden(name: str) -> tuple[list[Scored], list[float], list[float]]:
    """The images of a golden case, its limits, and what the official evaluator gave for them."""
    folder = SHARED / "golden" / "spro"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    case = json.loads((folder / f"{name}.json").read_text())
    size = case["height"], case["width"]
    images = []
    with np.load(folder / f"{name}.npz") as arrays:
        for i, channels in enumerate(case["images"]):
            regions = []
            for k, channel in enumerate(channels):
                bits = np.unpackbits(arrays[f"mask_{i}_{k}"])[: size[0] * size[1]]
                regions.append(region(bits.reshape(size).astype(bool), **channel))
            defect = "defect" if regions else "good"
            images.append(Scored(arrays[f"map_{i}"], tuple(regions), "golden", defect))
    return images, case["limits"], case["official_auc_spro"]


def region(mask: np.ndarray, saturation_threshold: float, relative_saturation: bool) -> Region:
    saturation = Saturation(saturation_threshold, relative_saturation)
    return Region(mask, saturation.area(int(np.count_nonzero(mask))))


def draw(
    seed: int,
    *,
    count: int = 12,
    dtype: str = "float32",
    size: tuple[int, int] = (60, 80),
    category: str = "bolt",
    shift: float = 1.0,
) -> list[Scored]:
    """Half good images, half with one to three regions that score higher by about `shift`.

    Float scores spread over a decade around 1, as patch distances do.
    """
    rng = np.random.default_rng(seed)
    images = []
    for k in range(count):
        scores, regions = rng.normal(size=size), []
        for _ in range(rng.integers(1, 4) if k % 2 else 0):
            mask = np.zeros(size, bool)
            y, x = (rng.integers(0, side - 9) for side in size)
            mask[y : y + rng.integers(4, 20), x : x + rng.integers(4, 20)] = True
            scores[mask] += shift * rng.uniform(0.5, 1.5)
            regions.append(region(mask, rng.uniform(0.2, 1), True))
        defect = ("", "missing", "", "scratch")[k % 4] or "good"
        kind = {"missing": "logical", "scratch": "structural"}.get(defect, "")
        images.append(Scored(as_type(scores, dtype), tuple(regions), category, defect, kind))
    return images


def as_type(scores: np.ndarray, dtype: str) -> np.ndarray:
    if dtype.startswith("float"):
        return np.exp(scores / 2).astype(dtype)
    top = np.iinfo(dtype).max
    return np.clip((scores + 5) / 12 * top, 0, top).astype(dtype)


FEW = st.integers(1, 9)


@st.composite
def categories(
    draw: st.DrawFn, dtype: str = "uint8", most: int = 6, scores_of: st.SearchStrategy = FEW
) -> list[Scored]:
    """A few tiny images of one size each, with many ties, up to four overlapping regions."""
    images = []
    for _ in range(draw(st.integers(1, most))):
        height, width = draw(st.integers(1, 5)), draw(st.integers(1, 5))
        pixels = st.lists(scores_of, min_size=height * width, max_size=height * width)
        scores = np.array(draw(pixels), dtype).reshape(height, width)
        regions = []
        for _ in range(draw(st.integers(0, 4))):
            bits = st.lists(st.booleans(), min_size=height * width, max_size=height * width)
            mask = np.array(draw(bits), bool).reshape(height, width)
            mask[draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))] = True
            regions.append(Region(mask, draw(st.integers(1, int(np.count_nonzero(mask))))))
        defect = draw(st.sampled_from(["missing", "scratch"])) if regions else "good"
        images.append(Scored(scores, tuple(regions), "bolt", defect))
    return images


def slow_areas(images: Sequence[Scored], limits: Sequence[float] = LIMITS) -> list[float]:
    """AUC-sPRO as defined: a threshold a distinct score, trapezoids, the last cut at the limit."""
    outside, regions = [], []
    for image in images:
        inside = np.zeros(image.map.shape, bool)
        for one in image.regions:
            inside |= one.mask
            regions.append((np.sort(image.map[one.mask]), one.saturation))
        outside.append(~inside)
    negative = np.concatenate(
        [image.map[rest] for image, rest in zip(images, outside, strict=True)]
    )
    if not len(negative) or not regions:
        return [np.nan] * len(limits)
    thresholds = np.unique(np.concatenate([image.map.ravel() for image in images]))[::-1]
    x = np.append(0, reaching(np.sort(negative), thresholds) / len(negative))
    found = [np.minimum(reaching(scores, thresholds) / enough, 1) for scores, enough in regions]
    y = np.append(0, np.mean(found, axis=0))
    return [_cut(x, y, limit) for limit in limits]


def reaching(scores: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    return len(scores) - np.searchsorted(scores, thresholds, side="left")


def _cut(x: np.ndarray, y: np.ndarray, limit: float) -> float:
    area = 0.0
    for k in range(1, len(x)):
        if x[k] <= limit:
            area += (x[k] - x[k - 1]) * (y[k] + y[k - 1]) / 2
        else:
            at_limit = y[k - 1] + (y[k] - y[k - 1]) * (limit - x[k - 1]) / (x[k] - x[k - 1])
            area += (limit - x[k - 1]) * (at_limit + y[k - 1]) / 2
            break
    return area / limit


def values(figures: dict) -> dict[str, float]:
    """Figures by key, without their bounds."""
    return {key: float(figure.value) for key, figure in figures.items()}


def same(one: Counts, other: Counts) -> bool:
    """Whether two counts are alike, bit for bit."""
    (head, arrays), (other_head, others) = pack(one), pack(other)
    return head == other_head and all(
        np.array_equal(arrays[name], others[name]) and arrays[name].dtype == others[name].dtype
        for name in arrays
    )
