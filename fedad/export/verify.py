"""A file's scores beside the model's own, of the same pictures: whether it may be used."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fedad.errors import DataError
from fedad.export.onnx_file import Engine, about
from fedad.images.pixels import read_file, rgb
from fedad.images.reading import reading_of
from fedad.inspection.inspector import Inspector
from fedad.judging.verdicts import oddest
from fedad.methods.base import Tracing
from fedad.running.maps import to_judge
from fedad.types import Features

RELATIVE = 1e-4  # of a score, the most that a file's may be off,
LEAST = 0.01  # where the score is no smaller than this share of the threshold
AUROC = 1e-4  # the most by which the AUROC of good and defective pictures may differ
MOST = 60  # of the site's own pictures that are scored


class Picture(NamedTuple):
    """A picture to score, and whether it is defective; None where nobody says."""

    path: Path
    is_defective: bool | None


@dataclass(frozen=True)
class Agreement:
    """How far a file's scores are off the model's, of how many pictures.

    `worst` is the largest difference, relative to the score; `map` that of a patch's, relative to
    the largest of its picture. AUROCs are NaN where pictures are not of both kinds.
    """

    pictures: int
    worst: float
    picture: str
    map: float
    sites: int  # pictures whose nearest site is another
    native: float
    exported: float

    @property
    def holds(self) -> bool:
        """Whether the file scores as the model does."""
        apart = abs(self.native - self.exported)
        return self.worst <= RELATIVE and (math.isnan(apart) or apart <= AUROC)

    def told(self) -> str:
        """In words."""
        words = (
            f"{self.pictures} pictures: scores differ by {self.worst:.2g} at most (of "
            f"{RELATIVE:g} allowed), maps by {self.map:.2g}, the nearest site in {self.sites}"
        )
        if not math.isnan(self.native):
            words += f"; AUROC {self.exported:.6f}, the model's {self.native:.6f}"
        return words if self.holds else f"{words}; worst: {self.picture}"


def compared(content: bytes, inspector: Inspector, pictures: Sequence[Picture]) -> Agreement:
    """Hold a file against the model that it is said to be of.

    Raises:
        DataError: it is no such file, or of another model or product; or no picture to score.
    """
    told = about(content)
    if told["model"] != inspector.opened.name:
        raise DataError(f"it is of model {told['model']}, expected {inspector.opened.name}")
    product = str(told["product"])
    if product not in inspector.products:
        raise DataError(f"it is of {product!r}: the model judges {', '.join(inspector.products)}")
    if not pictures:
        raise DataError(f"{product}: no picture to compare by: name a folder with --images")
    engine = Engine(content, inspector.opened.config.embedder.threads)
    floor = LEAST * _threshold(told)
    rows = []
    for one in pictures:
        canvas = _canvas(inspector, one.path)
        mine, score, site = _native(inspector, canvas, product)
        patches, other, number = engine(canvas)
        off = abs(other - score) / max(abs(score), floor, 1e-12)
        apart = float(np.abs(patches - mine).max()) / max(float(np.abs(mine).max()), 1e-12)
        off, apart = (one if math.isfinite(one) else math.inf for one in (off, apart))
        rows.append((off, apart, score, other, site != told["sites"][number]))
    offs, aparts, native, exported, differs = map(np.array, zip(*rows, strict=True))
    at = int(offs.argmax())
    return Agreement(
        len(rows),
        float(offs[at]),
        pictures[at].path.name,
        float(aparts.max()),
        int(differs.sum()),
        _auroc(native, pictures),
        _auroc(exported, pictures),
    )


def own_pictures(inspector: Inspector, product: str, folder: Path | None) -> list[Picture]:
    """Pictures of a product: those in a folder, or else the site's own good ones that are there."""
    if folder is not None:
        found = to_judge(inspector.opened.config, folder, inspector.products).samples
        found = tuple(one for one in found if one.category == product)
        labelled = any(one.is_good for one in found)
        return [Picture(one.path, (not one.is_good) if labelled else None) for one in found]
    mine = [
        Picture(one.path, one.defect != "good")
        for one in inspector.opened.images
        if one.category == product and one.path.is_file()
    ]
    some = np.unique(np.linspace(0, len(mine) - 1, min(MOST, len(mine))).astype(int))
    return [mine[number] for number in some] if mine else []


def _canvas(inspector: Inspector, path: Path) -> np.ndarray:
    reading = reading_of(inspector.opened.config.data)
    return inspector.embed.backbone.prepare(rgb(read_file(path, reading), path, reading))


def _native(
    inspector: Inspector, canvas: np.ndarray, product: str
) -> tuple[np.ndarray, float, str]:
    """Map, score and nearest site, as `fedad inspect` finds them."""
    opened, method, embed = inspector.opened, inspector.method, inspector.embed
    features = Features(embed.backbone(canvas[None]), (product,), ("picture",), embed.fingerprint)
    if not isinstance(method, Tracing):
        raise DataError("the model does not say whose rows are nearest")
    found = method.trace(opened.model, features, own=opened.own, site="")
    names = [name or opened.site for name in found.sites]
    return found.maps[0], float(found.scores[0]), oddest(names, found.nearest[0], found.maps[0])


def _threshold(told: dict[str, object]) -> float:
    found = float(str(told["threshold"]))
    return found if math.isfinite(found) else 0.0


def _auroc(scores: np.ndarray, pictures: Sequence[Picture]) -> float:
    from sklearn.metrics import roc_auc_score

    known = [number for number, one in enumerate(pictures) if one.is_defective is not None]
    labels = [bool(pictures[number].is_defective) for number in known]
    if len({*labels}) < 2:
        return math.nan
    return float(roc_auc_score(labels, scores[known]))
