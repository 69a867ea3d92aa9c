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

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import Field

from fedad.averaging.counted import check_images, of_all, of_features
from fedad.averaging.memories import FARTHEST, Join, joined, moved, reduced, standing_for
from fedad.averaging.moments import Moments, moments_of, principal_axes, square
from fedad.averaging.reach import check_reach
from fedad.averaging.scoped import averaged_by_group, groups_of, having, site_weights
from fedad.averaging.sums import Sums, added, check_sums
from fedad.averaging.tensors import Averaging
from fedad.banks.bank import by_value
from fedad.banks.scale import gap_of
from fedad.errors import DataError, UploadError
from fedad.messages.coded import rounded
from fedad.methods._batches import batches, some_patches
from fedad.methods._generator import LAYERS, Layers, generated, started, turned
from fedad.methods._memory import Memory, check_rows, check_sizes
from fedad.methods.base import MethodBase, Round, Turn, check_scorable
from fedad.plumbing.progress import track
from fedad.seeding import stream
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


class Part(NamedTuple):
    """What a site has learned of a group: rows, the patches that each stands for, a generator, and
    patches of its own."""

    rows: np.ndarray
    patches: np.ndarray
    layers: Layers
    kept: np.ndarray


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
            return self._sums(features)
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
                parts.append(self._part(features, group, model, rng))
                progress(number)
        return self._memory(parts, model, about)

    def merge(self, uploads: Sequence[Any], turn: Turn, *, rng: np.random.Generator) -> Memory:
        """The generators that all start from; then the rows of all sites joined, and generators
        averaged. A product that no site sent anything of stays as it was."""
        if turn.number == 1:
            return self._start(added(uploads))
        model: Memory = turn.model
        if not sum(len(one.rows) for one in uploads):
            return model
        uploads = [*uploads, *model.without({n for one in uploads for n in one.categories})]
        about = of_all(uploads)
        groups = groups_of(model.scope, about["categories"])
        joined = [self._joined([*having(uploads, group)], rng) for group in groups]
        if self.knobs.generator == "averaged":
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
            sent=self.knobs.generator == "averaged",
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

    @property
    def _trains(self) -> bool:
        return self.knobs.metric and self.knobs.generator == "averaged"

    def _steps(self, images: int, site: Enrolled) -> int:
        """The most steps of a round: each image a part of its own (see `batches`), or, where tiles
        of one may be apart, each patch."""
        apart = bool(self.config.coreset.memory_gb and self.config.embedder.tile)
        of_image = math.ceil(site.fingerprint.patches / (1 if apart else self.knobs.batch))
        return self.knobs.epochs * images * of_image if self._trains else 0

    def _rests(self, model: Memory) -> bool:
        """Whether the last round moved so little that sites send nothing more."""
        return model.moved <= self.knobs.still

    def _sums(self, features: Features | InParts) -> Sums:
        """The moments of each product's patches, or of their lengths alone."""
        about, size = of_features(features), features.shape[-1]
        whole = self.knobs.generator == "moments"
        wide = size if whole else 1
        table = [
            [moments_of(features.parts(n) if whole else _lengths(features.parts(n)), wide)]
            for n in about["categories"]
        ]
        return Sums.made_of(table, cells=1, dimensions=wide, features=size, about=about)

    def _start(self, total: Sums) -> Memory:
        """Memories without a row, whose generators are as long as the sums say, and turned as the
        seed says or as the moments."""
        layers, scope = list[Layers](), self.config.bank.scope
        size = min(self.knobs.dimensions, total.features)
        for group in groups_of(scope, total.categories):
            some = [k for k, n in enumerate(total.categories) if group in ("", n)]
            pooled = total.of(some[0], 0)
            for k in some[1:]:
                pooled = pooled.plus(total.of(k, 0))
            length = float(np.sqrt(np.trace(square(pooled.products)) / pooled.number))
            layers.append(
                started(self._axes(pooled, group, size, total.features), length * self.knobs.lift)
            )
        stacked: Any = {name: np.stack([one[name] for one in layers]) for name in LAYERS}
        return Memory(
            rows=np.empty((0, size), np.float32),
            whose=np.empty(0, np.int32),
            patches=np.empty(0, np.int64),
            images=total.images,
            categories=total.categories,
            sites=total.sites,
            fingerprint=total.fingerprint,
            scope=scope,
            **stacked,
        ).rounded(self.config.wire.dtype)

    def _axes(self, pooled: Moments, group: str, size: int, features: int) -> np.ndarray:
        """(D, P): what a group's generator turns features to."""
        if self.knobs.generator == "moments":
            return principal_axes(pooled, size)[1]
        return turned(features, size, stream(self.config.round.seed, "feddymem", group))

    def _part(
        self, features: Features | InParts, group: str, model: Memory, rng: np.random.Generator
    ) -> Part:
        """What a site learns of a group in a round."""
        from fedad.coresets.kcenter import kcenter

        knobs, at = self.knobs, model.groups.index(group)
        category = group or None
        points = some_patches(features, category, knobs.collected * knobs.rows, rng)
        size = min(knobs.rows, len(points))
        layers, rows = model.layers(at), model.rows_of(at)
        if not len(rows):
            embedded = generated(layers, points)
            rows = embedded[kcenter(embedded, size, rng=rng, device=self.device)]
        if self._trains or knobs.dynamic:
            layers, rows = self._trained(features, category, layers, rows, rng)
        embedded = generated(layers, points)
        if knobs.reduce:
            rows, patches = reduced(embedded, rows, passes=knobs.passes, tau=knobs.tau)
        else:
            rows = embedded[kcenter(embedded, size, rng=rng, device=self.device)]
            rows, patches = standing_for(embedded, rows, np.ones(len(points), np.int64))
        kept = points[:0]
        if knobs.own:
            kept = points[kcenter(points, size, rng=rng, device=self.device)]
        order = by_value(rounded(rows, self.config.wire.dtype))
        return Part(rows[order], patches[order], layers, kept)

    def _trained(
        self,
        features: Features | InParts,
        category: str | None,
        layers: Layers,
        rows: np.ndarray,
        rng: np.random.Generator,
    ) -> tuple[Layers, np.ndarray]:
        """The generator and the memory after the epochs of a round."""
        from fedad.methods._dynamic import updated
        from fedad.plumbing.compute import threads

        epochs = (
            batches(features, category, self.knobs.batch, rng) for _ in range(self.knobs.epochs)
        )
        with threads(self.config.embedder.threads):
            return updated(
                epochs,
                layers,
                rows,
                knobs=self.knobs,
                metric=self._trains,
                device=self.device,
            )

    def _memory(self, parts: Sequence[Part], model: Memory, about: dict[str, Any]) -> Memory:
        """The upload: memories of all groups, and generators where they are averaged."""
        sent = parts if self.knobs.generator == "averaged" else ()
        numbers = np.arange(len(parts), dtype=np.int32)
        layers: Any = {
            name: np.stack([one.layers[name] for one in sent]) if sent else getattr(model, name)[:0]
            for name in LAYERS
        }
        nothing = np.empty((0, model.linear.shape[2]), np.float32)
        return Memory(
            rows=np.concatenate([model.rows[:0], *(one.rows for one in parts)]),
            whose=np.repeat(numbers, [len(one.rows) for one in parts]),
            patches=np.concatenate([model.patches[:0], *(one.patches for one in parts)]),
            scope=self.config.bank.scope,
            kept=np.concatenate([nothing, *(one.kept for one in parts)]),
            kept_of=np.repeat(numbers, [len(one.kept) for one in parts]),
            **layers,
            **about,
        )

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


def _lengths(parts: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """(n, 1): how long each of the points (n, D) is."""
    return (np.linalg.norm(part.astype(np.float64), axis=1, keepdims=True) for part in parts)


def _unseen(done: int) -> None:
    """Progress that nobody is told of."""
