"""DRAEM (Zavrtanik et al., ICCV 2021) on pictures, by FedAvg: it learns to undo and find defects
that were drawn.

One network gives a picture back without its defect, a second one sees both and says where the
defect is (`_unet.py`); they learn from good pictures and the same with blots of other pictures of
the part (`defects/perlin.py`). `anomaly` is the probability of a defect, averaged around each
place; `channels` are the activations that it is made of. Pictures stay at the site.

Unlike the paper: blots are of the part's own textures, not of another data set's; norms are over
groups of channels, not over a batch, so that they average; pictures are not turned. The preset
`small` sees small pictures with narrow networks, which a CPU trains in minutes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from fedad.averaging.tensors import Averaging
from fedad.errors import ConfigError
from fedad.members._images import numbers_of, picture, pixels_of
from fedad.members._networked import Networked
from fedad.members._presets import Preset, settled
from fedad.members._weights import Arrays, Shapes, Weights, laid_out, started, taken_apart
from fedad.members.base import Tap
from fedad.methods.base import check_scorable
from fedad.types import Features

if TYPE_CHECKING:  # what takes torch is imported when it is used
    from fedad.embedders.in_parts import InParts
    from fedad.members._unet import Draem as Network

__all__ = ["Draem"]

MULTIPLE = 16  # of which a picture's side is one: it is halved four times


@dataclass(frozen=True)
class Knobs:
    """`draem.*`: how large pictures and networks are, and how these are trained and averaged."""

    preset: Preset = "small"  # or paper, which sets all but averaging
    rounds: Annotated[int, Field(ge=1)] = 4
    epochs: Annotated[int, Field(ge=1)] = 5  # of each round
    size: Annotated[int, Field(ge=MULTIPLE)] = 128  # pixels of a picture's side
    reconstruction: Annotated[int, Field(ge=1)] = 8  # channels of the first level of each network
    discrimination: Annotated[int, Field(ge=1)] = 8
    batch: Annotated[int, Field(ge=1)] = 4  # pictures of a step
    rate: Annotated[float, Field(gt=0)] = 2e-3  # of learning, by Adam
    averaging: Averaging = "mean"  # or median, trimmed: one site of three cannot move them far


PAPER = {
    "rounds": 70,
    "epochs": 10,
    "size": 256,
    "reconstruction": 128,
    "discrimination": 64,
    "batch": 8,
    "rate": 1e-4,
}


@dataclass(frozen=True)
class Draem(Networked):
    """The member; see the module."""

    NAME: ClassVar[str] = "draem"
    needs_pixels = True

    @cached_property
    def knobs(self) -> Knobs:
        """`draem.*`, as their preset has them.

        Raises:
            ConfigError: a knob that the preset would not heed, or a size that cannot be halved.
        """
        found: Knobs = settled(self.config.knobs(self.NAME), self.NAME, PAPER)
        if found.size % MULTIPLE:
            raise ConfigError(
                f"draem.size = {found.size}: expected a multiple of {MULTIPLE}, such as "
                f"{found.size // MULTIPLE * MULTIPLE}: pictures are halved four times"
            )
        return found

    @cached_property
    def shapes(self) -> Shapes:
        """The tensors of both networks."""
        import torch

        from fedad.members._torched import shapes_of

        with torch.device("meta"):
            return shapes_of(self._built())

    def start(self, group: str) -> Arrays:
        """Both networks as all sites draw them."""
        drawn = started(self.shapes, self.config.round.seed, self.NAME, group)
        return {"rows": laid_out(drawn)}

    def trained(
        self, features: Features | InParts, group: str, start: Arrays, rng: np.random.Generator
    ) -> Arrays:
        """Both networks after `draem.epochs` of the site's pictures."""
        from fedad.members._draem import corrupted, loss_of
        from fedad.members._torched import arrays_of, trained
        from fedad.plumbing.compute import threads

        knobs, pixels = self.knobs, pixels_of(features)
        pictures = np.stack(
            [picture(pixels[k], knobs.size) for k in numbers_of(features, group or None)]
        )
        with threads(self.config.embedder.threads):
            network = self._network(start)
            trained(
                network,
                corrupted(pictures, knobs.batch, knobs.epochs, rng),
                lambda batch: loss_of(network, batch, self.device),
                rate=knobs.rate,
                knob="draem.rate",
            )
        return {"rows": laid_out(arrays_of(network))}

    def tap(self, model: Weights, features: Features, *, own: Any | None = None) -> Tap:
        """The activations behind each image's mask, and the mask; of a quarter of `draem.size`.

        Raises:
            MismatchError: features of another backbone.
            DataError: an image of a category that no site had a good image of.
        """
        from fedad.members._draem import SHOWN, tapped
        from fedad.plumbing.compute import threads

        check_scorable(model, features)
        pixels, side = pixels_of(features), self.knobs.size // SHOWN
        anomaly = np.empty((len(features.grid), side, side), np.float32)
        channels = list[np.ndarray]()
        with threads(self.config.embedder.threads):
            networks: Mapping[str, Network] = {
                name: self._network(self.known(model.groups[model.group(name)], model))
                for name in {*features.categories}
            }
            for k, name in enumerate(features.categories):  # alone: see the laws of members
                seen = picture(pixels[k], self.knobs.size)
                some, anomaly[k] = tapped(networks[name].eval(), seen, self.device)
                channels.append(some)
        return Tap(np.stack(channels), anomaly)

    def _built(self) -> Network:
        from fedad.members._unet import Draem as Network

        return Network(self.knobs.reconstruction, self.knobs.discrimination)

    def _network(self, arrays: Arrays) -> Network:
        from fedad.members._torched import filled

        return filled(self._built(), taken_apart(arrays["rows"], self.shapes), self.device)
