"""A plant's own folders before a run: what is in them, and what a run will take of the machine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from fedad.config import Config
from fedad.deploy.checks import GB, free_disk
from fedad.errors import FedadError
from fedad.plumbing.backbones import licence_of
from fedad.plumbing.memory import available
from fedad.types import Site

LIBRARIES = 2**30  # bytes of a ClientApp beside its features: the network and its libraries


@dataclass(frozen=True)
class Plant:
    """The site `name`, with its images in `data` and its own folder `output`.

    Each method says what it found, and raises a FedadError or an OSError where that will not do.
    """

    config: Config
    name: str
    data: Path
    output: Path

    def images(self) -> str:
        """How many images can be used, and of what."""
        from fedad.images.usable import sift

        site, faults = sift(self.config, self._site())
        kinds = {sample.category for sample in (*site.train, *site.test)}
        skipped = sum(fault.skipped for fault in faults)
        counts = f"{len(site.train)} good images to learn from, {len(site.test)} to judge"
        return f"{counts}, of {', '.join(sorted(kinds))}; {skipped} cannot be used"

    def counted(self) -> dict[str, int]:
        """Product -> how many good images there are to learn from."""
        return dict(Counter(sample.category for sample in self._site().train))

    def weights(self) -> str:
        """Which network there is."""
        from fedad.embedders.backbone import build

        mark = build(self.config.embedder).fingerprint
        licence = f" ({told})" if (told := licence_of(mark.backbone)) else ""
        return f"{mark.backbone}{licence}, {mark.weights[:16]}: the same at every site"

    def fingerprint(self) -> str:
        """What its network makes of drawn images, as `round.fingerprint` asks for it.

        Raises:
            FedadError: `round.fingerprint` is set, and is another.
        """
        from fedad.embedders.embedder import Embedder
        from fedad.embedders.handshake import keeps, pin_of, probe

        own, pin = probe(Embedder(self.config.embedder)), self.config.round.fingerprint
        if pin and not keeps(pin, own):
            raise FedadError(f"{pin_of(own)}, and round.fingerprint is {pin}")
        return f"{pin_of(own)}: round.fingerprint can ask it of every site"

    def disk(self) -> str:
        """Room for three copies of the bank, and for the features that are kept."""
        from fedad.embedders.in_parts import image_bytes

        site, kept = self._site(), 0
        bank = self.config.coreset.local_ratio * len(site.train) * image_bytes(self._grid())
        if self.config.embedder.cache != "off":
            images = len(site.train) * self._turns() + len(site.test)
            features = image_bytes(self._grid()) * images
            kept = min(features, int(self.config.embedder.cache_gb * GB))
        return free_disk(self.output, int(3 * bank) + kept)

    def memory(self) -> str:
        """Memory for the features of all good images, or for as much as `coreset.memory-gb`."""
        from fedad.embedders.in_parts import FIXED, copies_held, image_bytes

        limit = self.config.coreset.memory_gb * GB
        points = len(self._site().train) * image_bytes(self._grid())
        held = copies_held(self._turns())
        whole = FIXED + (held + self.config.coreset.local_ratio) * points
        needed, there = LIBRARIES + (min(limit, whole) if limit else whole), available()
        room = f"about {needed / GB:.1f} GB needed, {there / GB:.1f} GB available"
        if needed > there:
            raise FedadError(room)
        return room

    def leak(self, images: int) -> Iterator[tuple[str, str]]:
        """Each product, and what this site's upload would give away of it; see `own_leak`."""
        from fedad.embedders.embedder import Embedder
        from fedad.judging.parts import ready
        from fedad.running.own_leak import own_leak

        site = ready(self.config, self._site(), Embedder(self.config.embedder)).site
        yield from own_leak(self.config, site, images)

    def _grid(self) -> tuple[int, int, int]:
        from fedad.embedders.backbone import grid_of

        return grid_of(self.config.embedder)

    def _turns(self) -> int:
        """At how many turns training images are embedded."""
        from fedad.methods.base import method_of

        return int(getattr(method_of(self.config), "turns", 1))

    def _site(self) -> Site:
        from fedad.datasets.base import open_dataset
        from fedad.partition import one_site

        own = replace(self.config.data, dir=str(self.data.absolute()))
        return one_site(self.name, open_dataset(own), own, seed=self.config.round.seed)
