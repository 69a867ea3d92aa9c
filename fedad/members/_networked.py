"""A member that is one network for each product, trained and averaged by FedAvg alone."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from fedad.averaging.counted import of_features
from fedad.averaging.scoped import groups_of
from fedad.members._weights import Arrays, Shapes, Weights, check_weights, merged
from fedad.members.base import MemberBase
from fedad.methods.base import Round, Turn
from fedad.plumbing.progress import track
from fedad.types import Enrolled, Features

if TYPE_CHECKING:  # who only merges needs no network in memory
    from fedad.embedders.in_parts import InParts


@dataclass(frozen=True)
class Networked(MemberBase):
    """The member; a subclass says which network, and how it is trained and tapped.

    Its knobs have `rounds`, `epochs` of each, images of a `batch`, a `rate` of Adam and how
    weights are averaged (`averaging`).
    """

    NAME: ClassVar[str]  # of its file and of its table of knobs
    HOLDS: ClassVar[type[Weights]] = Weights

    @property
    @abstractmethod
    def knobs(self) -> Any:
        """Those of its table, as their preset has them."""

    @property
    @abstractmethod
    def shapes(self) -> Shapes:
        """The trained tensors of its network."""

    @abstractmethod
    def trained(
        self,
        features: Features | InParts,
        group: str,
        start: Arrays,
        rng: np.random.Generator,
    ) -> Arrays:
        """A group's network after a round at this site, as `start` is: the arrays of a payload,
        by the names of its fields."""

    @abstractmethod
    def start(self, group: str) -> Arrays:
        """The network that all sites start from, as the arrays of a payload."""

    def facts(self) -> dict[str, Any]:
        """What else a payload says."""
        return {}

    @cached_property
    def rounds(self) -> Sequence[Round]:
        """All alike: weights go up, averaged ones come down."""
        return (Round(self.HOLDS, self.HOLDS),) * self.knobs.rounds

    def fit(
        self,
        features: Features | InParts,
        turn: Turn,
        *,
        own: Weights | None = None,
        rng: np.random.Generator,
    ) -> Weights:
        """The broadcast networks of the site's products, trained for a round's epochs."""
        about, scope = of_features(features), self.config.bank.scope
        groups = groups_of(scope, about["categories"])
        found = list[Arrays]()
        with track("training", len(groups)) as progress:
            for number, group in enumerate(groups):
                found.append(self.trained(features, group, self.known(group, turn.model), rng))
                progress(number + 1)
        fields: Any = {name: np.stack([one[name] for one in found]) for name in self.HOLDS.FIELDS}
        return self.HOLDS(**fields, **self.facts(), scope=scope, **about)

    def merge(self, uploads: Sequence[Any], turn: Turn, *, rng: np.random.Generator) -> Weights:
        """Each product's network averaged over the sites that have it."""
        found: Weights = merged(uploads, turn.model, self.config, self.knobs.averaging)
        return found.rounded(self.config.wire.dtype)

    def admit(self, upload: Any, site: Enrolled, turn: Turn) -> tuple[Any, list[str]]:
        """The weights, if they are of the size that was asked for and no farther off the broadcast
        ones than training brings them.

        Raises:
            UploadError: others.
        """
        check_weights(
            upload,
            site,
            scope=self.config.bank.scope,
            shapes=self.shapes,
            known=lambda group: self.known(group, turn.model)["rows"],
            rate=self.knobs.rate,
            steps=lambda images: self.knobs.epochs * math.ceil(images / self.knobs.batch),
        )
        return upload, []

    def known(self, group: str, model: Weights | None) -> Arrays:
        """A group's network as it was broadcast, or as all start it."""
        if model is None or group not in model.groups:
            return self.start(group)
        at = model.groups.index(group)
        return {name: getattr(model, name)[at] for name in self.HOLDS.FIELDS}

    def describe(self, model: Weights) -> dict[str, Any]:
        """How many weights a product has, and how many images stand behind it."""
        return {
            "weights": sum(math.prod(shape) for shape in self.shapes.values()),
            "images_by_category": model.by_product(),
        }
