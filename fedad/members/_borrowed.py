"""A member whose network is anomalib's: it needs the extra `fedad[anomalib]`, and an encoder of its
own, which is frozen and does not travel."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

import numpy as np

from fedad.config import Config
from fedad.errors import ConfigError, MismatchError, UploadError
from fedad.members._images import batches_of, numbers_of, pixels_of
from fedad.members._networked import Networked
from fedad.members._presets import settled
from fedad.members._weights import (
    WIDTH,
    Arrays,
    NormedWeights,
    Shapes,
    Weights,
    laid_out,
    rows_of,
    started,
    taken_apart,
)
from fedad.members.base import Tap
from fedad.messages.payload import check_alike
from fedad.messages.schema import Number
from fedad.methods.base import Turn, check_scorable
from fedad.types import Enrolled, Features

if TYPE_CHECKING:  # what takes torch is imported when it is used
    import torch
    from torch import nn

    from fedad.embedders.in_parts import InParts

MARKS = 2**48  # encoders that are told apart
EXTRA = "anomalib"
WEIGHTS = "weights"  # the knob that says whose weights an encoder has
NOWHERE = ("hub", "package", "")  # where no encoder's weights come from


@dataclass(frozen=True, eq=False, kw_only=True)
class EncodedWeights(NormedWeights):
    """Weights of a network that sees through an encoder, and which one that is."""

    encoder: Annotated[int, Number(0, MARKS, alike=True)]


@dataclass(frozen=True)
class Borrowed(Networked):
    """The member; a subclass says which of anomalib's networks, and how it is trained."""

    HOLDS: ClassVar[type[Weights]] = EncodedWeights
    PAPER: ClassVar[Mapping[str, Any]]
    MULTIPLE: ClassVar[int]  # of which a picture's side is one
    CLIP: ClassVar[float] = math.inf  # the longest that a gradient may be
    needs_pixels = True

    @classmethod
    def of(cls, config: Config, *, device: str = "cpu") -> Self:
        """The member with its knobs.

        Raises:
            ConfigError: anomalib is not installed, or a knob that it cannot heed.
        """
        if find_spec(EXTRA) is None:
            raise ConfigError(
                f"member {cls.NAME!r}: its network is anomalib's, which is not installed: pip "
                "install 'fedad[anomalib]'"
            )
        found = cls(config, device)
        found.check()
        return found

    @cached_property
    def knobs(self) -> Any:
        """Those of its table, as their preset has them."""
        return settled(self.config.knobs(self.NAME), self.NAME, self.PAPER)

    def check(self) -> None:
        """Refuse a size that cannot be halved so often, and weights that would be downloaded.

        Raises:
            ConfigError: naming the knob.
        """
        if self.knobs.size % self.MULTIPLE:
            raise ConfigError(
                f"{self.NAME}.size = {self.knobs.size}: expected a multiple of {self.MULTIPLE}, "
                f"such as {max(1, self.knobs.size // self.MULTIPLE) * self.MULTIPLE}"
            )
        if self.knobs.weights in NOWHERE:
            raise ConfigError(
                f"{self.NAME}.weights = {self.knobs.weights!r}: expected random, or a .safetensors "
                "or .pth file that every site has: nothing is downloaded"
            )

    @abstractmethod
    def built(self) -> nn.Module:
        """The network, its encoder frozen, and no weights drawn or read."""

    @abstractmethod
    def seeing(self) -> tuple[nn.Module, int]:
        """The network with its encoder's weights, and what tells the encoder from others; the same
        network for all groups."""

    @abstractmethod
    def shown(self, network: Any, picture: torch.Tensor) -> Sequence[torch.Tensor]:
        """What it is trained on of a picture (1, 3, side, side): some tensors (1, ...)."""

    @abstractmethod
    def loss(self, network: Any, batch: Sequence[torch.Tensor]) -> torch.Tensor:
        """Of what is `shown` of some pictures, joined."""

    @abstractmethod
    def tapped(self, network: Any, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What the network makes of one image (H, W, 3) uint8: channels (h, w, D), and the map
        (side, side) as anomalib gives it."""

    @cached_property
    def shapes(self) -> Shapes:
        """The tensors that are trained."""
        return self._layout[0]

    @cached_property
    def _layout(self) -> tuple[Shapes, Shapes]:
        """The tensors that are trained, and the channels of the norms."""
        from fedad.members._anomalib import widths_of
        from fedad.members._torched import shapes_of

        network = self.built()
        return shapes_of(network), widths_of(network)

    def start(self, group: str) -> Arrays:
        """The network as all sites draw it; its norms have seen means of 0 and spreads of 1."""
        shapes, widths = self._layout
        drawn = started(shapes, self.config.round.seed, self.NAME, group)
        zeros = {name: np.zeros(width, np.float32) for name, width in widths.items()}
        ones = {name: np.ones(width, np.float32) for name, width in widths.items()}
        return {"rows": laid_out(drawn), "means": laid_out(zeros), "spreads": laid_out(ones)}

    def facts(self) -> dict[str, Any]:
        """Which encoder it sees through."""
        return {"encoder": self.seeing()[1]}

    def filled(self, arrays: Arrays) -> Any:
        """The network with these weights and statistics, on the device."""
        from fedad.members._anomalib import with_statistics
        from fedad.members._torched import filled

        shapes, widths = self._layout
        network, _ = self.seeing()
        means, spreads = (taken_apart(arrays[name], widths) for name in ("means", "spreads"))
        with_statistics(network, means, spreads)
        return filled(network, taken_apart(arrays["rows"], shapes), self.device)

    def emptied(self, network: nn.Module) -> Arrays:
        """The weights and statistics of the network, as the arrays of a payload."""
        from fedad.members._anomalib import statistics_of
        from fedad.members._torched import arrays_of

        means, spreads = statistics_of(network)
        return {
            "rows": laid_out(arrays_of(network)),
            "means": laid_out(means),
            "spreads": laid_out(spreads),
        }

    def trained(
        self, features: Features | InParts, group: str, start: Arrays, rng: np.random.Generator
    ) -> Arrays:
        """What is trained of the network, after the epochs of a round of the site's pictures."""
        from fedad.members._torched import trained
        from fedad.plumbing.compute import threads

        with threads(self.config.embedder.threads):
            network = self.filled(start).train()
            trained(
                network,
                self._batches(network, features, group or None, rng),
                lambda batch: self.loss(network, batch),
                rate=self.knobs.rate,
                knob=f"{self.NAME}.rate",
                clip=self.CLIP,
            )
        return self.emptied(network)

    def _batches(
        self,
        network: Any,
        features: Features | InParts,
        category: str | None,
        rng: np.random.Generator,
    ) -> Iterator[Sequence[torch.Tensor]]:
        """What is shown of the pictures of a product, or of all, in the batches of all epochs; of
        each picture once."""
        import torch

        from fedad.members._anomalib import prepared

        pixels, numbers, size = pixels_of(features), numbers_of(features, category), self.knobs.size
        with torch.no_grad():
            shown = [self.shown(network, prepared(pixels[k], size, self.device)) for k in numbers]
        joined = [torch.cat(some) for some in zip(*shown, strict=True)]
        for _ in range(self.knobs.epochs):
            for some in batches_of(len(numbers), self.knobs.batch, rng):
                yield [one[some] for one in joined]

    def merge(self, uploads: Sequence[Any], turn: Turn, *, rng: np.random.Generator) -> Weights:
        """Each product's network averaged over the sites that have it, and the statistics of its
        norms over the images behind them.

        Raises:
            MismatchError: sites whose encoders differ.
        """
        check_alike(uploads)
        return super().merge(uploads, turn, rng=rng)

    def admit(self, upload: Any, site: Enrolled, turn: Turn) -> tuple[Any, list[str]]:
        """As of all networks; its norms are as many, and its encoder is the model's.

        Raises:
            UploadError: others.
        """
        wanted = sum(map(rows_of, self._layout[1].values())), WIDTH
        if (found := upload.means.shape[1:]) != wanted or upload.spreads.shape[1:] != wanted:
            raise UploadError(f"statistics of {found}, expected {wanted}", "shape")
        if turn.model is not None and upload.encoder != turn.model.encoder:
            raise UploadError(
                f"weights for another encoder than the other sites': has the site the same file "
                f"as {self.NAME}.weights?",
                "fingerprint",
            )
        return super().admit(upload, site, turn)

    def tap(self, model: Any, features: Features, *, own: Any | None = None) -> Tap:
        """What its network shows of each image, and anomalib's map, averaged in each cell of the
        grid.

        Raises:
            MismatchError: features of another backbone, or another encoder than the model's.
            DataError: an image of a category that no site had a good image of.
        """
        from fedad.plumbing.compute import threads

        check_scorable(model, features)
        if model.encoder != self.facts()["encoder"]:
            raise MismatchError(
                f"{self.NAME}.weights = {self.knobs.weights!r}: another encoder than the one that "
                "the model was trained with: expected the file that all sites have"
            )
        pixels, groups = pixels_of(features), [model.group(name) for name in features.categories]
        channels: dict[int, np.ndarray] = {}
        anomaly: dict[int, np.ndarray] = {}
        with threads(self.config.embedder.threads):
            for group in sorted({*groups}):
                network = self.filled(self.known(model.groups[group], model)).eval()
                for k in np.flatnonzero(np.array(groups) == group).tolist():  # alone
                    channels[k], whole = self.tapped(network, pixels[k])
                    anomaly[k] = averaged(whole, channels[k].shape[0])
        order = range(len(groups))
        return Tap(np.stack([channels[k] for k in order]), np.stack([anomaly[k] for k in order]))


def averaged(whole: np.ndarray, side: int) -> np.ndarray:
    """(side, side): the mean of a square map in each cell of a coarser grid."""
    cell = len(whole) // side
    found: np.ndarray = whole.reshape(side, cell, side, cell).mean((1, 3), dtype=np.float64)
    return found.astype(np.float32)
