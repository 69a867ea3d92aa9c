"""Striped parts that members learn from: pictures, and features that are made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fedad.config import Config, read
from fedad.members.base import Member
from fedad.methods.base import Turn
from fedad.seeding import stream
from fedad.types import Enrolled, Features
from tests.conftest import MARK

SIDE, CELLS, D = 32, 8, 6
MARK_64 = replace(MARK, patches=CELLS**2)


def part(seed: int, *, defect: bool = False) -> np.ndarray:
    """(SIDE, SIDE, 3) uint8: stripes, and as defect a square whose stripes are the other way
    round, so that none of its colours is new."""
    rng = np.random.default_rng([7, seed])
    tones = np.where(np.arange(SIDE) // 4 % 2, 160, 80)[None, :, None].repeat(SIDE, 0).repeat(3, 2)
    if defect:
        y, x = rng.integers(0, 3, 2) * 8
        tones[y : y + 8, x : x + 8] = 240 - tones[y : y + 8, x : x + 8]
    return np.clip(tones + rng.normal(0, 12, tones.shape), 0, 255).astype(np.uint8)


def wrong(seed: int) -> np.ndarray:
    """(CELLS, CELLS) bool: where `part(seed, defect=True)` has its defect."""
    y, x = np.random.default_rng([7, seed]).integers(0, 3, 2) * 2
    found = np.zeros((CELLS, CELLS), bool)
    found[y : y + 2, x : x + 2] = True
    return found


@dataclass(frozen=True)
class Pictures:
    """Pictures in memory, as `types.Pixels` has them."""

    pictures: tuple[np.ndarray, ...]

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, image: int) -> np.ndarray:
        return self.pictures[image]

    def embed(self, images: Sequence[np.ndarray]) -> np.ndarray:
        return np.stack([grid_of(image) for image in images])


def grid_of(picture: np.ndarray) -> np.ndarray:
    """(CELLS, CELLS, D): the mean and the spread of each colour in a cell."""
    cell = SIDE // CELLS
    cells = picture.reshape(CELLS, cell, CELLS, cell, 3).astype(np.float32)
    return np.concatenate([cells.mean((1, 3)), cells.std((1, 3))], axis=2)


def seen(pictures: Sequence[np.ndarray], category: str = "bolt") -> Features:
    """The features of pictures, and the pictures."""
    names = tuple(f"{category}/{k}" for k in range(len(pictures)))
    grid = np.stack([grid_of(picture) for picture in pictures])
    kinds = (category,) * len(pictures)
    return Features(grid, kinds, names, MARK_64, pixels=Pictures(tuple(pictures)))


def parts(*seeds: int, defect: bool = False, category: str = "bolt") -> Features:
    """The parts of these seeds."""
    return seen([part(seed, defect=defect) for seed in seeds], category)


SITES = {"graz": parts(*range(6)), "lyon": parts(*range(10, 14))}


def config_of(name: str, knobs: dict[str, object], **more: object) -> Config:
    """The configuration of a member with these knobs of its own, on one thread."""
    own = {f"{name}.{knob}": value for knob, value in {**knobs, **more}.items()}
    return read({"embedder.threads": 1, **own})


def uploads_of(member: Member, turn: Turn, sites: dict[str, Features] = SITES) -> list:
    """What each site sends in a round, as the server hears it."""
    kind = member.rounds[turn.number - 1].upload
    found = []
    for name, features in sites.items():
        rng = stream(0, name, str(turn.number))
        sealed = member.fit(features, turn, own=None, rng=rng).sealed(name, "float32")
        found.append(kind.unpack(*sealed.pack()))
    return found


def turns_of(member: Member, sites: dict[str, Features] = SITES) -> list[Turn]:
    """The turn of each round, and the one after the last, whose model is the frozen member."""
    found = [Turn()]
    for _ in member.rounds:
        uploads = uploads_of(member, found[-1], sites)
        model = member.merge(uploads, found[-1], rng=stream(0, "merge"))
        found.append(Turn(found[-1].number + 1, model))
    return found


def enrolled(name: str, **changed: object) -> Enrolled:
    """What a site of `SITES` said of itself."""
    features = SITES[name]
    longest = float(np.linalg.norm(features.patches, axis=1).max())
    found = Enrolled(name, {"bolt": len(features.grid)}, {}, MARK_64, D, longest)
    return found._replace(**changed)


def auroc(good: np.ndarray, bad: np.ndarray) -> float:
    """How many pairs of a good and a bad score are in order."""
    return float((bad[:, None] > good[None]).mean() + 0.5 * (bad[:, None] == good[None]).mean())
