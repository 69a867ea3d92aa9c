"""FedDyMem over sites: memories of normal patches that sites train, average and share.

A reconstruction of what is public of it (Chen et al., arXiv 2502.21012), not a reproduction. Each
product has a memory of rows on the unit sphere, and a generator that brings patches there. In a
round a site starts from the broadcast memory, and

1. trains its generator by a metric loss (`metric`), and lets its memory follow (`dynamic`);
2. groups its patches around the memory and sends weighted averages of the groups (`reduce`), of
   which none is one patch alone unless it lies alone, and how many patches each stands for.

The server joins the rows of all sites by weighted k-means (`join`). A patch is scored by its
distance to the nearest row. Distances mean something only where all sites use one generator: it is
drawn by the seed, or found by exact sums of moments, and frozen; or averaged by FedAvg each round.

A first round of a few numbers, or of moments, settles how long features are and where generators
start. Averages of patches tell less than patches; they are no differential privacy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field

from fedad.averaging.counted import check_images, of_all, of_features
from fedad.averaging.memories import FARTHEST, Join, joined, moved
from fedad.averaging.reach import check_reach
from fedad.averaging.scoped import averaged_by_group, groups_of, having, site_weights
from fedad.averaging.sums import Sums, added, check_sums
from fedad.averaging.tensors import Averaging
from fedad.banks.scale import gap_of
from fedad.errors import DataError, UploadError
from fedad.methods._batches import may_part, most_batches
from fedad.methods._first_memory import first_memory, sums_of
from fedad.methods._generator import LAYERS, Layers, generated
from fedad.methods._local_memory import Part, part_of, upload_of
from fedad.methods._memory import Memory, check_rows, check_sizes
from fedad.methods.base import MethodBase, Round, Turn, check_scorable
from fedad.plumbing.progress import track
from fedad.types import Enrolled, Features

if TYPE_CHECKING:  # what takes torch is imported when it is used: a server may only average
    from fedad.embedders.in_parts import InParts

__all__ = ["FedDyMem"]


@dataclass(frozen=True)
class Knobs:
    """`feddymem.*`: the generator, the memory, and which of the four parts are on."""

    rounds: Annotated[int, Field(ge=1)] = 5  # of memories, after the first one of sums
    still: Annotated[float, Field(ge=0, lt=FARTHEST)] = 0.0  # rest once no row moves farther
    rows: Annotated[int, Field(ge=1)] = 1024  # of a product's memory
    dimensions: Annotated[int, Field(ge=2)] = 256  # that features are brought to, at most all
    generator: Literal["seed", "moments", "averaged"] = "averaged"
    averaging: Averaging = "mean"  # of generators; or median, trimmed
    lift: Annotated[float, Field(ge=0)] = 2.0  # length of the shift, in lengths of features
    # The four parts:
    metric: bool = True  # train the generator, where it is averaged
    dynamic: bool = True  # let the memory follow while sites train
    reduce: bool = True  # send averages of patches; off: single patches that cover all
    join: Join = "kmeans"  # at the server
    # Training:
    epochs: Annotated[int, Field(ge=1)] = 1  # of each round
    batch: Annotated[int, Field(ge=1)] = 1024  # patches
    rate: Annotated[float, Field(gt=0)] = 1e-4  # of learning, by Adam
    radius: Annotated[float, Field(ge=0)] = 0.1  # within which a patch is not attracted
    margin: Annotated[float, Field(ge=0)] = 0.005  # by which a next row may be nearer, squared
    momentum: Annotated[float, Field(gt=0, le=1)] = 0.1  # eta of the memory
    # The averages that are sent:
    collected: Annotated[int, Field(ge=1)] = 4  # patches for each row, at most all there are
    passes: Annotated[int, Field(ge=0)] = 3  # of k-means from the memory
    tau: Annotated[float, Field(gt=0)] = 1.0  # how even averages are, in mean squared distances
    own: bool = False  # score by the site's own rows too, which stay

    @property
    def sends(self) -> bool:
        """Whether sites send generators."""
        return self.generator == "averaged"

    @property
    def trains(self) -> bool:
        """Whether sites train them."""
        return self.metric and self.sends


@dataclass(frozen=True)
class FedDyMem(MethodBase):
    """The method; see the module."""

    rejoins = True

    @cached_property
    def knobs(self) -> Knobs:
        """`feddymem.*`."""
        found: Knobs = self.config.knobs("feddymem")
        return found

    @cached_property
    def rounds(self) -> Sequence[Round]:
        """One of sums, and `feddymem.rounds` of memories."""
        return (Round(Sums, Memory), *(Round(Memory, Memory),) * self.knobs.rounds)

    def fit(
        self,
        features: Features | InParts,
        turn: Turn,
        *,
        own: Memory | None = None,
        rng: np.random.Generator,
    ) -> Sums | Memory:
        """The sums that generators start from; then the site's memories, and their generators
        where they are averaged."""
        if turn.number == 1:
            return sums_of(features, self.knobs.generator)
        about, model = of_features(features), turn.model
        scope = self.config.bank.scope
        mixed = scope == "mixed"
        able = [k for k, n in enumerate(about["categories"]) if mixed or n in model.categories]
        about["images"] = about["images"][able]
        about["categories"] = tuple(about["categories"][k] for k in able)
        groups = () if self._rests(model) else groups_of(scope, about["categories"])
        parts = list[Part]()
        with track("training", len(groups)) as progress:
            for number, group in enumerate(groups, start=1):
                parts.append(
                    part_of(features, group, model, self.config, rng=rng, device=self.device)
                )
                progress(number)
        return upload_of(parts, model, about, scope=scope, sent=self.knobs.sends)

    def merge(self, uploads: Sequence[Any], turn: Turn, *, rng: np.random.Generator) -> Memory:
        """The generators that all start from; then the rows of all sites joined, and generators
        averaged. A product that no site sent anything of stays as it was."""
        if turn.number == 1:
            return first_memory(added(uploads), self.config)
        model: Memory = turn.model
        if not sum(len(one.rows) for one in uploads):
            return model
        uploads = [*uploads, *model.without({n for one in uploads for n in one.categories})]
        about = of_all(uploads)
        groups = groups_of(model.scope, about["categories"])
        joined = [self._joined([*having(uploads, group)], rng) for group in groups]
        if self.knobs.sends:
            layers = averaged_by_group(uploads, LAYERS, self.config.merge, self.knobs.averaging)
        else:
            at = [model.groups.index(group) for group in groups]
            layers = {name: getattr(model, name)[at] for name in LAYERS}
        before = [model.rows_of(model.groups.index(group)) for group in groups]
        return model.replace(
            rows=np.concatenate([rows for rows, _ in joined]),
            whose=np.repeat(np.arange(len(groups), dtype=np.int32), [len(r) for r, _ in joined]),
            patches=np.concatenate([patches for _, patches in joined]),
            moved=max(moved(old, new) for old, (new, _) in zip(before, joined, strict=True)),
            **layers,
            **about,
        ).rounded(self.config.wire.dtype)

    def score(
        self, model: Memory, features: Features, *, own: Memory | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The distance of each patch to the nearest row of its product's memory, on the sphere; an
        image's is its largest."""
        from fedad.search.nearest_rows import SEARCHES

        check_scorable(model, features)
        search = SEARCHES[self.config.score.search]
        maps = np.empty(features.grid.shape[:3], np.float32)
        for name in sorted({*features.categories}):
            layers, rows = self._judging(model, name, own)
            for image in np.flatnonzero([c == name for c in features.categories]):
                # Alone, so that a score does not depend on its company.
                points = generated(layers, features.grid[image].reshape(-1, features.shape[-1]))
                nearest = rows[search(rows, points, self.device, _unseen)]
                maps[image] = np.linalg.norm(points - nearest, axis=1).reshape(maps.shape[1:])
        return maps, maps.max((1, 2))

    def admit(self, upload: Any, site: Enrolled, turn: Turn) -> tuple[Any, list[str]]:
        """The sums, or the memory, if patches of this site can have given them.

        Raises:
            UploadError: rows that are too many, too few, off the sphere, or stand for more patches
                than there are; generators of another size, farther off the broadcast ones than
                training brings them, or none where they are averaged; a product that the first
                round had no sums of.
        """
        if turn.number == 1:
            if not upload.categories:
                raise UploadError("sums of no product, expected one at least", "names")
            size = site.features if self.knobs.generator == "moments" else 1
            check_sums(upload, site, cells=1, dimensions=size, least=1)
            return upload, []
        check_images(upload, site)
        if upload.scope != self.config.bank.scope:
            told = f"a memory of scope {upload.scope}, expected {self.config.bank.scope}"
            raise UploadError(told, "header")
        if unknown := sorted({*upload.groups} - {*turn.model.groups}):
            told = f"a memory of {unknown[0]!a:.80}, expected products that the first round has"
            raise UploadError(told, "names")
        check_sizes(
            upload,
            site,
            dimensions=min(self.knobs.dimensions, site.features),
            rows=0 if self._rests(turn.model) else self.knobs.rows,
            sent=self.knobs.sends,
        )
        check_rows(upload, site)
        for at, group in enumerate(upload.groups if len(upload.linear) else ()):
            check_reach(
                upload.layers(at),
                turn.model.layers(turn.model.groups.index(group)),
                rate=self.knobs.rate,
                steps=self._steps(upload.images_of(at), site),
            )
        return upload, []

    def judges(self, model: Memory, category: str) -> bool:
        """Whether there is a row for the category."""
        known = model.scope == "mixed" or category in model.categories
        return known and bool(len(model.rows_of(model.group(category))))

    def describe(self, model: Memory) -> dict[str, Any]:
        """How many rows of how many dimensions, how far the last round moved them, and what they
        stand for."""
        rows = np.bincount(model.whose, minlength=len(model.groups)).tolist()
        return {
            "rows": len(model.rows),
            "dimensions": model.rows.shape[1],
            "moved": model.moved,
            "rows_by_category": dict(zip(model.groups, rows, strict=True)),
            "images_by_category": model.by_product(),
        }

    def scale(self, model: Memory) -> dict[str, tuple[float, float]]:
        """0, and twice the usual gap between rows."""
        rows = {name: model.rows_of(model.group(name)) for name in model.categories}
        return {
            name: (0.0, 2 * gap_of(some) or 1.0 if len(some) else 1.0)
            for name, some in rows.items()
        }

    def _steps(self, images: int, site: Enrolled) -> int:
        """The most steps of a round."""
        patches, apart = site.fingerprint.patches, may_part(self.config)
        most = most_batches(images, patches, self.knobs.batch, apart=apart)
        return self.knobs.epochs * most if self.knobs.trains else 0

    def _rests(self, model: Memory) -> bool:
        """Whether the last round moved so little that sites send nothing more."""
        return model.moved <= self.knobs.still

    def _joined(
        self, some: Sequence[tuple[Memory, int]], rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """One memory of a group for those of the sites that have it; a site weighs by its images,
        each of its rows by the patches that it stands for."""
        rows = np.concatenate([one.rows_of(at) for one, at in some])
        patches = [one.patches[one.whose == at] for one, at in some]
        weights = site_weights(some, self.config.merge)
        shares = [w * own / own.sum() for w, own in zip(weights, patches, strict=True)]
        counts, shared = np.concatenate(patches), np.concatenate(shares)
        knobs = self.knobs
        return joined(rows, counts, shared, knobs.rows, knobs.join, rng=rng, device=self.device)

    def _judging(
        self, model: Memory, category: str, own: Memory | None
    ) -> tuple[Layers, np.ndarray]:
        """The generator that images of a category go through, and the rows they are held to."""
        at = model.group(category)
        layers, rows = model.layers(at), model.rows_of(at)
        if not len(rows):
            raise DataError(f"category {category!r}: no site has sent a row of it")
        if not self.knobs.own or own is None or category not in own.categories:
            return layers, rows
        kept = own.kept[own.kept_of == own.group(category)]
        return layers, np.concatenate([rows, generated(layers, kept)])


def _unseen(done: int) -> None:
    """Progress that nobody is told of."""
