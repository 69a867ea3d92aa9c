"""How `ast` trains its teacher and its student, and what they make of an image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from fedad.config import words
from fedad.members._flow import Flow, positions, unlikelihood
from fedad.members._student import Student
from fedad.members._torched import filled, trained

if TYPE_CHECKING:
    from fedad.members.ast import Knobs

WAVES = 32  # channels that tell where a patch lies
CLAMP = 3.0  # most that the log of a scale may be
RATE = "ast.rate"


class Ruler(NamedTuple):
    """By what features are brought to one size: the mean and the spread (D,) of each."""

    mean: np.ndarray
    spread: np.ndarray

    def measured(self, grids: np.ndarray, device: str) -> torch.Tensor:
        """(n, D, h, w): the features (n, h, w, D) less their mean, over their spread."""
        measured = ((grids - self.mean) / self.spread).astype(np.float32)
        return torch.from_numpy(measured).permute(0, 3, 1, 2).contiguous().to(device)


def flow_of(knobs: Knobs, features: int, seed: int) -> Flow:
    """The teacher, its weights not yet drawn."""
    kernels = [int(word) for word in words(knobs.kernels)]
    return Flow(features, WAVES, knobs.hidden, kernels, clamp=CLAMP, seed=seed)


def student_of(knobs: Knobs, features: int) -> Student:
    """The student, its weights not yet drawn."""
    return Student(features, WAVES, knobs.hidden, knobs.residual)


def taught(
    flow: Flow, batches: Iterable[np.ndarray], ruler: Ruler, *, rate: float, device: str
) -> list[float]:
    """Train the teacher on feature maps (n, h, w, D), and return the loss of each step."""

    def loss(grids: np.ndarray) -> torch.Tensor:
        maps = ruler.measured(grids, device)
        return unlikelihood(*flow(maps, _places(maps)))

    return trained(flow, batches, loss, rate=rate, knob=RATE)


def studied(
    student: Student,
    flow: Flow,
    batches: Iterable[np.ndarray],
    ruler: Ruler,
    *,
    rate: float,
    device: str,
) -> list[float]:
    """Train the student on what the frozen teacher says, and return the loss of each step."""

    def loss(grids: np.ndarray) -> torch.Tensor:
        maps = ruler.measured(grids, device)
        places = _places(maps)
        with torch.no_grad():
            told, _ = flow(maps, places)
        found: torch.Tensor = (student(maps, places) - told).square().mean()
        return found

    return trained(student, batches, loss, rate=rate, knob=RATE)


def difference(
    student: Student, flow: Flow, grid: np.ndarray, ruler: Ruler, device: str
) -> np.ndarray:
    """(h, w, D): what the teacher says of one image's features (h, w, D), less what the student
    says."""
    with torch.inference_mode():
        maps = ruler.measured(grid[None], device)
        places = _places(maps)
        told, _ = flow(maps, places)
        off = told - student(maps, places)
    found: np.ndarray = off[0].permute(1, 2, 0).contiguous().cpu().numpy()
    return found


def frozen(
    knobs: Knobs,
    teacher: Mapping[str, np.ndarray],
    student: Mapping[str, np.ndarray],
    *,
    features: int,
    seed: int,
    device: str,
) -> tuple[Flow, Student]:
    """Both networks with these weights."""
    flow = filled(flow_of(knobs, features, seed), teacher, device)
    return flow.eval(), filled(student_of(knobs, features), student, device).eval()


def _places(maps: torch.Tensor) -> torch.Tensor:
    """The positions (n, P, h, w) of maps (n, D, h, w)."""
    found = positions(WAVES, *maps.shape[2:]).to(maps)
    return found.expand(len(maps), -1, -1, -1)
