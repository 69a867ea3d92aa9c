"""`evaluate` on a tree in LOCO's layout: sPRO by kind, against a slow definition of its own."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fedad.evaluation import LIMITS, evaluate
from fedad.plugins import plugin
from tests.datasets.drawn import SIZE, draw

# A mask's value -> threshold, and whether it is a share of the region's pixels.
SATURATION = {255: (0.4, True), 254: (7, False), 253: (10_000, False), 252: (1.0, True)}


def loco(root: Path, maps: Path, seed: int, levels: int) -> None:
    """Two products with one to three masks an image, of several values, and maps with many ties."""
    (layout,) = plugin("datasets", "mvtec_loco").layouts
    draw(layout, root, seed=seed, channels=3)
    rng = np.random.default_rng(seed)
    entries = [
        {
            "defect_name": str(value),
            "pixel_value": value,
            "saturation_threshold": threshold,
            "relative_saturation": relative,
        }
        for value, (threshold, relative) in SATURATION.items()
    ]
    for product in sorted(root.iterdir()):
        (product / "defects_config.json").write_text(json.dumps(entries))
        for path in sorted(product.glob("ground_truth/*/*/*.png")):
            if path.stem == "002" and rng.random() < 0.5:
                path.unlink()
                continue
            mask = np.asarray(Image.open(path)) > 0
            value = rng.choice([*SATURATION])
            Image.fromarray((mask * np.uint8(value)).astype(np.uint8)).save(path)
        for path in sorted(product.glob("test/*/*.png")):
            scores = rng.integers(0, levels, SIZE)
            for channel in product.glob(f"ground_truth/{path.parent.name}/{path.stem}/*.png"):
                scores[np.asarray(Image.open(channel)) > 0] += levels // 3
            to = maps / product.name / "test" / path.parent.name / f"{path.stem}.npy"
            to.parent.mkdir(parents=True, exist_ok=True)
            np.save(to, scores.astype(np.float64) / 7)


def slow_area(product: Path, maps: Path, kind: str, limit: float) -> float:
    """LOCO's definition, threshold by threshold: good images and those of one kind."""
    images = []
    for folder in ("good", f"{kind}_anomalies"):
        for path in sorted((product / "test" / folder).glob("*.png")):
            truth = sorted((product / "ground_truth" / folder / path.stem).glob("*.png"))
            channels = [np.asarray(Image.open(one)) for one in truth]
            images.append(
                (np.load(maps / product.name / "test" / folder / f"{path.stem}.npy"), channels)
            )
    thresholds = sorted({score for scores, _ in images for score in scores.ravel()}, reverse=True)
    curve = [(0.0, 0.0)]
    for t in [*thresholds, -np.inf]:
        false, normal, shares = 0, 0, []
        for scores, channels in images:
            found, somewhere = scores > t, np.zeros(SIZE, bool)
            for channel in channels:
                (value,) = {*channel.ravel()} - {0}
                somewhere |= channel > 0
                area = (channel > 0).sum()
                threshold, relative = SATURATION[int(value)]
                saturated = max(1, min(int(threshold * area) if relative else threshold, area))
                shares.append(min((found & (channel > 0)).sum() / saturated, 1.0))
            false += (found & ~somewhere).sum()
            normal += (~somewhere).sum()
        curve.append((false / normal, float(np.mean(shares))))
    total = 0.0
    for (x0, y0), (x1, y1) in pairwise(curve):
        if x0 >= limit:
            break
        end = min(x1, limit)
        at_end = y1 if x1 <= limit else y0 + (y1 - y0) * (limit - x0) / (x1 - x0)
        total += 0.5 * (y0 + at_end) * (end - x0)
    return total / limit


@pytest.mark.parametrize(("seed", "levels"), [(0, 40), (1, 5), (2, 400)])
def test_spro_by_kind_is_that_of_the_slow_definition(seed, levels, tmp_path):
    data, maps = tmp_path / "data", tmp_path / "maps"
    loco(data, maps, seed, levels)
    report = evaluate(data, maps, replicates=0).report
    assert report["data_set"] == "mvtec_loco"
    means = []
    for product in sorted(data.iterdir()):
        kinds = report["categories"][product.name]["by_kind"]
        for limit in LIMITS:
            slow = [slow_area(product, maps, kind, limit) for kind in ("logical", "structural")]
            found = {kind: kinds[kind]["figures"][f"auc_spro_{limit}"]["value"] for kind in kinds}
            assert found["logical"] == pytest.approx(slow[0], abs=1e-9)
            assert found["structural"] == pytest.approx(slow[1], abs=1e-9)
            assert found["mean"] == pytest.approx(np.mean(slow), abs=1e-9)
            means += [np.mean(slow)] if limit == LIMITS[1] else []
    headline = report["mean_by_kind"]["mean"][f"auc_spro_{LIMITS[1]}"]["value"]
    assert headline == pytest.approx(np.mean(means), abs=1e-9)
