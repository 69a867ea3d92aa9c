"""Asymmetric student and teacher (Rudolph et al., WACV 2023) on the features of the run, by FedAvg.

A teacher, a normalising flow (`_flow.py`), learns what good feature maps are like; a student that
is no flow (`_student.py`) learns to say what the teacher says. On what neither has seen they
differ, the more so since they are built differently: `channels` is the difference of what they say,
`anomaly` its mean square.

A first round of sums tells the mean and the spread of each feature over all sites, by which
features are brought to one size; then `ast.teacher-rounds` train the teacher, and
`ast.student-rounds` the student, the teacher frozen. A product has networks of its own, or all one
under `bank.scope = mixed`.

Unlike the paper: features are those of the run's backbone; the student's norms are over groups of
channels, not over a batch; an image's score is the highest of its map, not the mean; epochs and
sizes of the preset `small` are what a CPU trains in minutes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from fedad.averaging.counted import of_features
from fedad.averaging.moments import moments_of
from fedad.averaging.scoped import averaged_by_group, groups_of
from fedad.averaging.sums import Sums, added, check_sums
from fedad.averaging.tensors import Averaging
from fedad.config import words
from fedad.errors import ConfigError, UploadError
from fedad.members._images import grid_batches
from fedad.members._presets import Preset, settled
from fedad.members._taught import STUDENT, TEACHER, Taught, start
from fedad.members._weights import (
    WIDTH,
    Shapes,
    Weights,
    check_weights,
    laid_out,
    rows_of,
    taken_apart,
)
from fedad.members.base import MemberBase, Tap
from fedad.methods.base import Round, Turn, check_scorable
from fedad.plumbing.progress import track
from fedad.types import Enrolled, Features

if TYPE_CHECKING:  # what takes torch is imported when it is used
    from fedad.embedders.in_parts import InParts

__all__ = ["Ast"]


@dataclass(frozen=True)
class Knobs:
    """`ast.*`: how large the networks are, and how they are trained and averaged."""

    preset: Preset = "small"  # or paper, which sets all but the seed, the device and averaging
    teacher_rounds: Annotated[int, Field(ge=1)] = 3  # after the first one, of sums
    student_rounds: Annotated[int, Field(ge=1)] = 3
    epochs: Annotated[int, Field(ge=1)] = 3  # of each round
    hidden: Annotated[int, Field(ge=1)] = 48  # channels inside both networks
    kernels: str = "3,3"  # of the teacher's coupling blocks, one each
    residual: Annotated[int, Field(ge=0)] = 1  # blocks of the student
    batch: Annotated[int, Field(ge=1)] = 4  # images of a step
    rate: Annotated[float, Field(gt=0)] = 1e-3  # of learning, by Adam
    averaging: Averaging = "mean"  # or median, trimmed: one site of three cannot move them far


PAPER = {
    "teacher_rounds": 24,
    "student_rounds": 24,
    "epochs": 10,
    "hidden": 1024,
    "kernels": "3,3,3,5",
    "residual": 4,
    "batch": 8,
    "rate": 2e-4,
}


@dataclass(frozen=True)
class Ast(MemberBase):
    """The member; see the module."""

    @cached_property
    def knobs(self) -> Knobs:
        """`ast.*`, as their preset has them.

        Raises:
            ConfigError: a knob that the preset would not heed, or kernels that are none.
        """
        found: Knobs = settled(self.config.knobs("ast"), "ast", PAPER)
        kernels = words(found.kernels)
        if not kernels or not all(word.isdecimal() and int(word) % 2 for word in kernels):
            raise ConfigError(
                f"ast.kernels = {found.kernels!r}: expected odd numbers, one for each coupling "
                "block, such as 3,3,3,5"
            )
        return found

    @cached_property
    def rounds(self) -> Sequence[Round]:
        """One of sums, then `ast.teacher-rounds` and `ast.student-rounds` of weights."""
        later = self.knobs.teacher_rounds + self.knobs.student_rounds
        return (Round(Sums, Taught), *(Round(Weights, Taught),) * later)

    def fit(
        self,
        features: Features | InParts,
        turn: Turn,
        *,
        own: Sums | Weights | None = None,
        rng: np.random.Generator,
    ) -> Sums | Weights:
        """The sums of the site's features; then the teachers of its products, or the students,
        trained for `ast.epochs`."""
        about = of_features(features)
        if turn.number == 1:
            size = features.shape[2]
            table = [[moments_of(features.parts(name), size)] for name in about["categories"]]
            return Sums.made_of(table, cells=1, dimensions=size, features=size, about=about)
        model: Taught = turn.model
        scope, known = self.config.bank.scope, model.categories
        able = [
            k for k, name in enumerate(about["categories"]) if name in known or scope == "mixed"
        ]
        about["images"] = about["images"][able]
        about["categories"] = tuple(about["categories"][k] for k in able)
        groups = groups_of(scope, about["categories"])
        shapes = self._shapes(features.shape[2])[self._learner(turn)]
        rows = np.zeros((len(groups), sum(map(rows_of, shapes.values())), WIDTH), np.float32)
        with track("training", len(groups)) as progress:
            for number, group in enumerate(groups):
                rows[number] = self._trained(features, group, turn, rng)
                progress(number + 1)
        return Weights(rows=rows, scope=scope, **about)

    def merge(self, uploads: Sequence[Any], turn: Turn, *, rng: np.random.Generator) -> Taught:
        """What all start from; then the learning network averaged, product by product. A product
        that no site sent anything of stays as it was."""
        if turn.number == 1:
            total = added(uploads)
            found = start(
                total,
                self._shapes(total.features),
                scope=self.config.bank.scope,
                seed=self.config.round.seed,
            )
            return found.rounded(self.config.wire.dtype)
        model: Taught = turn.model
        learner = self._learner(turn)
        averages = averaged_by_group(uploads, ("rows",), self.config.merge, self.knobs.averaging)
        every = sorted({name for one in uploads for name in one.categories})
        rows = getattr(model, learner).copy()
        for group, found in zip(groups_of(model.scope, every), averages["rows"], strict=True):
            rows[model.groups.index(group)] = found
        sites = tuple(sorted({*model.sites, *(name for one in uploads for name in one.sites)}))
        return model.replace(**{learner: rows}, sites=sites).rounded(self.config.wire.dtype)

    def admit(self, upload: Any, site: Enrolled, turn: Turn) -> tuple[Any, list[str]]:
        """The sums, if patches of this network have them; the weights, if they are of the size that
        was asked for and no farther off the broadcast ones than training brings them.

        Raises:
            UploadError: others.
        """
        if turn.number == 1:
            check_sums(upload, site, cells=1, dimensions=site.features, least=1)
            return upload, []
        model: Taught = turn.model
        if unknown := sorted({*upload.groups} - {*model.groups}):
            told = f"weights of {unknown[0]!a:.80}, expected products that the first round has"
            raise UploadError(told, "names")
        learner = self._learner(turn)
        check_weights(
            upload,
            site,
            scope=self.config.bank.scope,
            shapes=self._shapes(site.features)[learner],
            known=lambda group: getattr(model, learner)[model.groups.index(group)],
            rate=self.knobs.rate,
            steps=self._steps,
        )
        return upload, []

    def tap(self, model: Taught, features: Features, *, own: Any | None = None) -> Tap:
        """What the teacher says of each patch less what the student says, and its mean square.

        Raises:
            MismatchError: features of another backbone.
            DataError: an image of a category that no site had a good image of.
        """
        from fedad.members._ast import difference, frozen
        from fedad.plumbing.compute import threads

        check_scorable(model, features)
        channels = np.empty(features.grid.shape, np.float32)
        shapes = self._shapes(features.grid.shape[3])
        with threads(self.config.embedder.threads):
            for group in sorted({model.group(name) for name in features.categories}):
                teacher, student = frozen(
                    self.knobs,
                    taken_apart(model.teacher[group], shapes[TEACHER]),
                    taken_apart(model.student[group], shapes[STUDENT]),
                    features=features.grid.shape[3],
                    seed=self.config.round.seed,
                    device=self.device,
                )
                for k, name in enumerate(features.categories):  # alone: see the laws of members
                    if model.group(name) == group:
                        channels[k] = difference(
                            student, teacher, features.grid[k], model.ruler(group), self.device
                        )
        return Tap(channels, np.square(channels).mean(3))

    def describe(self, model: Taught) -> dict[str, Any]:
        """How many weights a product has, and how many images stand behind it."""
        networks = self._shapes(model.mean.shape[1]).values()
        return {
            "weights": sum(math.prod(shape) for shapes in networks for shape in shapes.values()),
            "images_by_category": model.by_product(),
        }

    def _learner(self, turn: Turn) -> str:
        """Which network learns in a round after the first."""
        return TEACHER if turn.number <= 1 + self.knobs.teacher_rounds else STUDENT

    def _steps(self, images: int) -> int:
        """The most steps that a round has: where features come in parts, each image may be one."""
        at_once = 1 if self.config.coreset.memory_gb else self.knobs.batch
        return self.knobs.epochs * math.ceil(images / at_once)

    def _shapes(self, features: int) -> dict[str, Shapes]:
        """The tensors of both networks."""
        import torch

        from fedad.members._ast import flow_of, student_of
        from fedad.members._torched import shapes_of

        with torch.device("meta"):
            flow = flow_of(self.knobs, features, self.config.round.seed)
            return {TEACHER: shapes_of(flow), STUDENT: shapes_of(student_of(self.knobs, features))}

    def _trained(
        self, features: Features | InParts, group: str, turn: Turn, rng: np.random.Generator
    ) -> np.ndarray:
        """(R, W): the learning network of a group after a round at this site."""
        from fedad.members._ast import flow_of, student_of, studied, taught
        from fedad.members._torched import arrays_of, filled
        from fedad.plumbing.compute import threads

        model: Taught = turn.model
        at, size = model.groups.index(group), features.shape[2]
        shapes, ruler = self._shapes(size), model.ruler(at)
        how: Any = {"rate": self.knobs.rate, "device": self.device}
        teacher = filled(
            flow_of(self.knobs, size, self.config.round.seed),
            taken_apart(model.teacher[at], shapes[TEACHER]),
            self.device,
        )
        with threads(self.config.embedder.threads):
            batches = self._batches(features, group or None, rng)
            if self._learner(turn) == TEACHER:
                taught(teacher, batches, ruler, **how)
                return laid_out(arrays_of(teacher))
            student = filled(
                student_of(self.knobs, size),
                taken_apart(model.student[at], shapes[STUDENT]),
                self.device,
            )
            studied(student, teacher, batches, ruler, **how)
            return laid_out(arrays_of(student))

    def _batches(
        self, features: Features | InParts, category: str | None, rng: np.random.Generator
    ) -> Iterator[np.ndarray]:
        """The feature maps of a product, or of all, of `ast.epochs`."""
        for _ in range(self.knobs.epochs):
            yield from grid_batches(features, category, self.knobs.batch, rng)
