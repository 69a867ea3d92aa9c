"""Samples -> features: from the cache where it has them, else decoded ahead of the network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from fedad.config import EmbedderKnobs as Knobs
from fedad.embedders.backbone import Backbone, build, grid_of, tiles_of
from fedad.embedders.box import box_of
from fedad.embedders.cache import Cache, say_unusable
from fedad.embedders.valid import valid_patches
from fedad.errors import DataError
from fedad.images.pixels import read_file, rgb
from fedad.plumbing.compute import made_by
from fedad.plumbing.files import cache_root, expanded
from fedad.plumbing.progress import track
from fedad.types import Features, Fingerprint, Sample, parts_shown

Embed = Callable[[Sequence[Sample]], Features]


class Embedder:
    """Frozen, cached patch features. The same image gives the same bytes in any batch."""

    def __init__(self, knobs: Knobs) -> None:
        self.knobs = knobs
        self.backbone: Backbone = build(knobs)
        self.shape = grid_of(knobs)
        self.cache = _cache(knobs)
        self.keeps = self.cache is not None  # until the cache cannot be written

    @property
    def fingerprint(self) -> Fingerprint:
        return self.backbone.fingerprint

    def __call__(self, samples: Sequence[Sample]) -> Features:
        """The features of `samples`, in their order.

        Raises:
            DataError: a sample's file is missing or no image, or its features are not finite.
        """
        if self.backbone.tiles is not None:
            return self._joined(samples)
        joined = np.empty((0, 0, 0, 0), np.float32)
        with track("embedding", len(samples)) as progress:
            for done, (number, grid) in enumerate(self._grids(samples), start=1):
                if not len(joined):
                    joined = np.empty((len(samples), *grid.shape), np.float32)
                joined[number] = grid
                progress(done)
        return self._features(samples, joined)

    def strips(self, sample: Sample) -> Iterator[np.ndarray]:
        """The features of one image in tiles from top to bottom, (h_k, w, D) a row of tiles, from
        the cache where it has them.

        Raises:
            DataError: as for all of it.
        """
        tiles, backbone = tiles_of(self.knobs), self.backbone
        content: bytes = read_file(sample.path, sample.reading)
        place = None
        if self.cache is not None:
            place = self.cache.place(self.fingerprint, content, sample.reading.mark)
        canvas, top = np.empty(0, np.uint8), 0  # once it is decoded, what is left of it
        for number, row in enumerate(tiles.rows):
            here = place and place.with_name(f"{place.stem}-{number}{place.suffix}")
            shape = (row.end - row.first, *self.shape[1:])
            strip = self.cache.get(here, shape) if self.cache and here else None
            if strip is None:
                if not canvas.size:
                    canvas = backbone.prepare(rgb(content, sample.path, sample.reading))
                    content = b""
                if row.start > top:  # what is above is not needed any more, and may be large
                    canvas, top = canvas[row.start - top :].copy(), row.start
                strip = backbone.strip(canvas[: tiles.side[0]], number)
                self._keep(sample, here, strip)
            yield strip

    def _joined(self, samples: Sequence[Sample]) -> Features:
        """The features of images in tiles, one image at a time."""
        joined = np.empty((len(samples), *self.shape), np.float32)
        with track("embedding", len(samples)) as progress:
            for number, sample in enumerate(samples):
                row = 0
                for strip in self.strips(sample):
                    joined[number, row : row + len(strip)] = strip
                    row += len(strip)
                progress(number + 1)
        return self._features(samples, joined)

    def _features(self, samples: Sequence[Sample], grid: np.ndarray) -> Features:
        return Features(
            grid=grid,
            categories=tuple(sample.category for sample in samples),
            images=tuple(sample.name for sample in samples),
            fingerprint=self.fingerprint,
            valid=valid_patches(samples, box_of(self.knobs), grid.shape[1:3]),
            shown=parts_shown(samples),
        )

    def _grids(self, samples: Sequence[Sample]) -> Iterator[tuple[int, np.ndarray]]:
        """The number and the features of every sample, those of the cache first."""
        missing = []
        for number, sample in enumerate(samples):
            grid = self._cached(sample)
            if grid is None:
                missing.append(number)
            else:
                yield number, grid
        for numbers, places, pixels in self._decoded(samples, missing):
            for number, place, grid in zip(numbers, places, self.backbone(pixels), strict=True):
                self._keep(samples[number], place, grid)
                yield number, grid

    def _cached(self, sample: Sample) -> np.ndarray | None:
        if self.cache is None:
            return None
        try:
            place = self.cache.path(self.fingerprint, sample.path, sample.reading.mark)
            return self.cache.get(place, self.shape)
        except OSError as error:
            raise DataError(f"{sample.path}: cannot be read ({error.strerror})") from error

    def _keep(self, sample: Sample, place: Path | None, grid: np.ndarray) -> None:
        if not np.isfinite(grid).all():
            raise DataError(
                f"{sample.path}: its features are not finite: are the weights of "
                f"{self.knobs.backbone} broken?"
            )
        if self.cache is not None and self.keeps and place is not None:
            self.keeps = self.cache.put(place, grid)

    def _decoded(
        self, samples: Sequence[Sample], numbers: Sequence[int]
    ) -> Iterator[tuple[Sequence[int], Sequence[Path | None], np.ndarray]]:
        """Batches of pixels; the next batch is decoded while the network works on this one.

        Beside them stands where their features belong, found from the very bytes that were
        decoded: a file that changes meanwhile spoils no other's place.
        """

        def decoded(number: int) -> tuple[Path | None, np.ndarray]:
            path, reading = samples[number].path, samples[number].reading
            content, cache = read_file(path, reading), self.cache
            place = cache.place(self.fingerprint, content, reading.mark) if cache else None
            return place, self.backbone.prepare(rgb(content, path, reading))

        size = self.backbone.batch
        batches = [numbers[at : at + size] for at in range(0, len(numbers), size)]
        with ThreadPoolExecutor(max_workers=max(1, self.knobs.threads)) as pool:
            ahead = [pool.map(decoded, batch) for batch in batches[:1]]
            for at, batch in enumerate(batches):
                places, pixels = zip(*ahead.pop(0), strict=True)
                ahead += [pool.map(decoded, later) for later in batches[at + 1 : at + 2]]
                yield batch, places, np.stack(pixels)


def _cache(knobs: Knobs) -> Cache | None:
    if knobs.cache == "off":
        return None
    try:
        root = expanded(knobs.cache) if knobs.cache else cache_root()
    except OSError as error:
        say_unusable(f"{error.filename}", f"{error.strerror}")
        return None
    made_with = " ".join(f"{name} {what}" for name, what in made_by(knobs.device).items())
    cache = Cache(root / "features", int(knobs.cache_gb * 2**30), made_with)
    cache.trim()
    return cache
