"""What a member of an ensemble is: a detector that gives a map of features and one of anomaly.

A member is learned over the sites by its own rounds, as a method is: its networks by FedAvg, a bank
by a merge. After the last of them it is frozen and broadcast, and only then tapped: for each image
it gives what it sees at each place (`channels`) and how odd it finds that (`anomaly`). The ensemble
(`methods/ensemble.py`) joins the taps of all members.

A member is the file `fedad/members/NAME.py` that exports one class. It may declare a frozen
dataclass `Knobs`: the run-config table of its name, which must differ from every other plug-in's. A
method of `fedad/methods` becomes a member by `OfMethod`.

The laws (`tests/contracts/test_members.py` holds every member to them by its being there):

- `fit` sees the good training images of a site, less those that the ensemble holds out, and
  nothing else; `merge` gets the uploads in the order of their sites' names.
- What it uploads and its model are `Payload`s with the site's fingerprint, which is the one of the
  features, whatever the member makes of pixels. Its model has `categories`. Arrays have at most
  three dimensions (`messages/array_bytes.py`): a kernel of convolution is laid out flat.
- `fit`, `merge` and `tap` are functions of what they are given: randomness is the `rng` handed in,
  or `stream(seed, NAME, ...)` for what all sites draw alike.
- The tap of an image has the same bits alone and among others, and does not depend on the site:
  networks are in evaluation mode, and images go through them one by one, or padded to one batch.
- The grid and the width of taps are the same for all images. Both may be others than the features'.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from fedad.config import Config
from fedad.messages.payload import Payload
from fedad.methods.learner import Learner, LearnerBase, Round, Turn, check_whole
from fedad.plugins import plugin
from fedad.types import Enrolled, Features

if TYPE_CHECKING:  # who only merges needs no network in memory
    from fedad.embedders.in_parts import InParts


class Tap(NamedTuple):
    """What a frozen member makes of B images, on its own grid (h, w), which need not be that of the
    features; D is its width."""

    channels: np.ndarray  # (B, h, w, D) float32: what it sees, of any scale; finite
    anomaly: np.ndarray  # (B, h, w) float32: how odd that is; higher is more anomalous


class Member(Learner, Protocol):
    """What learns as every `Learner` does, and what is tapped once it is frozen.

    A `turn` counts the member's own rounds from 1, and its model is the member's alone.
    `features.pixels[k]` is image k, (H, W, 3) uint8 of its own size, in `fit` and in `tap`.
    """

    def tap(self, model: Any, features: Features, *, own: Any | None = None) -> Tap:
        """At a site: what the frozen member makes of images of products that it `judges`.

        Args:
            features: of some images, good or not, in memory; the ensemble hands in a few at a time.
            own: None; a member may not depend on what a site kept, or sites would tap otherwise.

        Raises:
            MismatchError: features of another backbone than the model's.
            DataError: an image of a product that the model does not know.
        """
        ...

    def image_scores(self, anomaly: np.ndarray) -> np.ndarray:
        """(B,) float32: the images' scores by their maps (B, h, w) of `tap`."""
        ...


@dataclass(frozen=True)
class MemberBase(LearnerBase):
    """What most members have in common; a member may start from it and replace any of it."""

    def image_scores(self, anomaly: np.ndarray) -> np.ndarray:
        """An image's score is the highest of its map."""
        found: np.ndarray = anomaly.max((1, 2))
        return found

    def describe(self, model: Any) -> dict[str, Any]:
        """How many images of each product it stands for."""
        return {"images_by_category": model.by_product()}


class OfMethod(MemberBase):
    """A member that is a method: its rounds are the method's, and its `anomaly` is the method's
    map. A subclass gives the method, and `tap` with its channels."""

    @property
    def method(self) -> Any:
        """The method with its knobs, a `Method`."""
        raise NotImplementedError

    @property
    def rounds(self) -> Sequence[Round]:
        """Those of the method."""
        found: Sequence[Round] = self.method.rounds
        return found

    def fit(
        self,
        features: Features | InParts,
        turn: Turn,
        *,
        own: Any | None = None,
        rng: np.random.Generator,
    ) -> Payload:
        """As the method's."""
        made: Payload = self.method.fit(features, turn, own=own, rng=rng)
        return made

    def merge(self, uploads: Sequence[Any], turn: Turn, *, rng: np.random.Generator) -> Payload:
        """As the method's."""
        made: Payload = self.method.merge(uploads, turn, rng=rng)
        return made

    def expected(self, site: Enrolled, turn: Turn) -> Enrolled:
        """As the method's."""
        made: Enrolled = self.method.expected(site, turn)
        return made

    def admit(self, upload: Any, site: Enrolled, turn: Turn) -> tuple[Any, list[str]]:
        """As the method's."""
        made: tuple[Any, list[str]] = self.method.admit(upload, site, turn)
        return made

    def judges(self, model: Any, category: str) -> bool:
        """As the method's."""
        return bool(self.method.judges(model, category))

    def describe(self, model: Any) -> dict[str, Any]:
        """As the method's."""
        told: dict[str, Any] = self.method.describe(model)
        return told


def member_of(config: Config, name: str) -> Member:
    """The member of this name, with its knobs.

    Raises:
        ConfigError: no such file, or its class lacks a function.
    """
    kind = plugin("members", name)
    check_whole(kind, "members", name, _PARTS)
    member: Member = kind.of(config, device=config.embedder.device)
    return member


_PARTS = (
    *("of", "rounds", "needs_pixels", "fit", "merge", "expected", "admit"),
    *("tap", "image_scores", "judges", "describe"),
)
