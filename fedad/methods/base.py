"""What a federated method is: any model, in any number of rounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from fedad.banks.bank import Bank
from fedad.config import COVERAGE, Config
from fedad.descriptors.settings import embedded
from fedad.dp.noise import Noise
from fedad.dp.receipts import Receipt
from fedad.dp.sgd import Budget
from fedad.embedders.box import leaving_out
from fedad.errors import ConfigError, DataError, MismatchError
from fedad.messages.payload import Payload
from fedad.methods.learner import FIRST, Learner, LearnerBase, Round, Turn, check_whole
from fedad.plugins import plugin, states
from fedad.types import Features

if TYPE_CHECKING:  # who only merges needs no network in memory
    from fedad.embedders.in_parts import InParts

__all__ = [
    "FIRST",
    "NOBODY",
    "Dividing",
    "Foreseeing",
    "Forgetting",
    "LeavingOut",
    "LeftOut",
    "Locating",
    "Method",
    "MethodBase",
    "Preparing",
    "PrivateFit",
    "Round",
    "Settling",
    "Traced",
    "Tracing",
    "Turn",
    "budget_of",
    "check_scorable",
    "forgotten",
    "method_of",
    "scores_where_judged",
]

NOBODY = -1  # in place of a site's number: the patch is not valid


class Traced(NamedTuple):
    """What `score` gives, and by whose rows.

    `alone` are the images' scores by the judging site's own rows, NaN where it has none.
    """

    maps: np.ndarray  # (B, h, w) float32
    scores: np.ndarray  # (B,) float32
    sites: tuple[str, ...]
    nearest: np.ndarray  # (B, h, w) int32: number in `sites` of whose row is nearest, or NOBODY
    alone: np.ndarray  # (B,) float64


LeftOut = Callable[[Features, Sequence[int]], float | None]
"""A training image, and the numbers of those of its part -> its score by a model without these;
None if nothing is left."""


class Method(Learner, Protocol):
    """Pure functions in the order they run, and what builds them from a configuration.

    It learns as every `Learner` does. With one site, `score` after the last `merge` is the
    centralised method. A method never sees a test image before `score`.

    A method's file may declare a frozen dataclass `Knobs`: the run-config table of its name.
    """

    rejoins: bool  # whether a site that missed a round may come back in the next

    def score(
        self, model: Any, features: Features, *, own: Any | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """At a site: maps (B, h, w) and image scores (B,), float32; higher is more anomalous.

        Args:
            own: what this site's last `fit` returned, which never travels.

        Raises:
            MismatchError: features of another backbone than the model's.
            DataError: an image of a category that the model does not know.
        """
        ...

    def scale(self, model: Any) -> dict[str, tuple[float, float]]:
        """Category -> the scores at the two ends of a map's colours, from the model alone."""
        ...


@dataclass(frozen=True)
class MethodBase(LearnerBase):
    """What most methods have in common; a method may start from it and replace any of it."""

    rejoins = False
    turns = 1  # at which `fit` wants training images: see `Features.turned`
    leaves_out = False  # whether patches that are not valid are left out, with 0 in maps

    def describe(self, model: Any) -> dict[str, Any]:
        """How many images of each product the model stands for."""
        return {"images": int(model.images.sum()), "images_by_category": model.by_product()}


@runtime_checkable
class Tracing(Protocol):
    """A method whose model is made of rows can say whose row explains a patch."""

    def trace(self, model: Any, features: Features, *, own: Any | None, site: str) -> Traced:
        """What `score` gives, and by whose rows, seen from `site`."""
        ...


@runtime_checkable
class Forgetting(Protocol):
    """A method whose model is made of rows can leave some out again, exactly."""

    def without_images(
        self, model: Any, own: Any, site: str, images: Sequence[int]
    ) -> tuple[Any, Any]:
        """`model` and `own` less what came from the training images of these numbers at `site`."""
        ...

    def without_site(self, model: Any, site: str) -> Any:
        """`model` less what came from a site."""
        ...


@runtime_checkable
class LeavingOut(Protocol):
    """A method that forgets can judge a site's training images in turn, and copy no model."""

    def leaving_out(self, model: Any, own: Any, site: str) -> LeftOut:
        """What `score` says of a training image by the `without_images` of its part."""
        ...


@runtime_checkable
class Preparing(Protocol):
    """A method that can keep, from one image to the next, what hangs on the model alone."""

    def prepared(self, model: Any, own: Any | None) -> Method:
        """The method for one model at one site: what it says is the same to the last bit."""
        ...


@runtime_checkable
class Locating(Protocol):
    """A method whose sites know where in their own images each of their rows is from."""

    def alike(
        self, model: Any, own: Any, features: Features, patch: tuple[int, int]
    ) -> tuple[int, int] | None:
        """The most alike place among a site's own rows: the number of the training image and of
        the patch in it; None where the site has none of the product.

        Args:
            features: of one image, of which `patch` is (y, x) in its grid.
        """
        ...


@runtime_checkable
class Dividing(Protocol):
    """A method whose model is made of rows can judge by those of one site alone."""

    def part(
        self, model: Any, own: Any, site: str, *, rng: np.random.Generator | None = None
    ) -> tuple[Any, Any]:
        """`model` and `own` with the rows of one site only; with `rng`, with those of a random half
        of its training images."""
        ...


@runtime_checkable
class Settling(Protocol):
    """A method some of whose knobs hang on whether a release is made."""

    @property
    def settled(self) -> Config:
        """The configuration with these knobs written out, for the same run without its release."""
        ...


@runtime_checkable
class Foreseeing(Protocol):
    """A method that knows before a run how many rows so many images will give."""

    def foresee(self, images: Sequence[Mapping[str, int]], patches_per_image: int) -> None:
        """Refuse what cannot end well.

        Args:
            images: of each site, how many good images it has of each category.

        Raises:
            ConfigError: naming the knob.
        """
        ...


@runtime_checkable
class PrivateFit(Protocol):
    """A method that can train within a budget of privacy; see `privacy/dp_sgd.py`."""

    def private_fit(
        self,
        features: Features | InParts,
        turn: Turn,
        *,
        own: Any | None,
        noise: Noise,
        budget: Budget,
    ) -> tuple[Payload, Receipt]:
        """What `fit` returns, of which all that travels may leave as it is, and a receipt.

        All its rounds together cost the budget, whichever images a site has, and how many. What
        stays may tell all.

        Args:
            noise: all that must not be known is drawn from it.
        """
        ...


def scores_where_judged(method: Any, model: Any, features: Features, own: Any | None) -> np.ndarray:
    """(B,) float64: the images' scores by a model that may know of fewer products than there are;
    NaN where it cannot judge."""
    found = np.full(len(features.grid), np.nan)
    able = [k for k, name in enumerate(features.categories) if method.judges(model, name)]
    if able:
        found[able] = method.score(model, features.take(able), own=own)[1]
    return found


def forgotten(method: Any, model: Any, own: Any, site: str) -> LeftOut:
    """Score training images by a model without them, as any method that forgets can."""

    def score(features: Features, images: Sequence[int]) -> float | None:
        rest, mine = method.without_images(model, own, site, images)
        if not method.judges(rest, features.categories[0]):
            return None
        return float(method.score(rest, features, own=mine)[1][0])

    return score


def check_scorable(model: Payload, features: Features) -> None:
    """Refuse to score what the model knows nothing of.

    Raises:
        MismatchError: features of another backbone than the model's.
        DataError: an image of a category that no site had a good image of.
    """
    mark = embedded(replace(model.fingerprint, projection=""))
    if differing := mark.differences(features.fingerprint):
        raise MismatchError(
            f"the {model.record()} and these images were embedded differently "
            f"({'; '.join(differing)})"
        )
    for name in sorted({*features.categories} - {*model.categories}):
        if getattr(model, "scope", "") != "mixed":
            raise DataError(
                f"category {name!r}: no site has a good image of it, and the {model.record()} "
                f"knows only {', '.join(model.categories)}"
            )


def method_of(config: Config) -> Method:
    """The method that `round.method` names, with its knobs.

    Raises:
        ConfigError: its file lacks a function, or a knob asks of it what it cannot do.
    """
    name = config.round.method
    kind = plugin("methods", name)
    check_whole(kind, "methods", name, _PARTS)
    method: Method = kind.of(config, device=config.embedder.device)
    if not getattr(method, "leaves_out", False) and (knob := leaving_out(config)):
        raise ConfigError(
            f"{knob}: not with round.method = {name!r}, which learns from all patches of an image: "
            "patchcore leaves padding and what is outside a region of interest out"
        )
    if budget := budget_of(config):
        _check_budget(config, method, budget)
    projected = states("privacy", config.privacy.release, "PROJECTED = True")
    if projected and not _ends_in_a_bank(method):
        raise ConfigError(
            f"privacy.release = {config.privacy.release!r}: expected another release with "
            f"round.method = {name!r}, whose model is no bank"
        )
    if config.merge.weighting == COVERAGE and not _ends_in_a_bank(method):
        raise ConfigError(
            f"merge.weighting = {COVERAGE!r}: expected another weighting with round.method = "
            f"{name!r}, whose model is no bank that sites could measure their distance to"
        )
    return method


def budget_of(config: Config) -> Budget | None:
    """What the method may spend where the release is made while it trains; its file says so:
    `WHILE_TRAINING = True`."""
    name = config.privacy.release
    if not states("privacy", name, "WHILE_TRAINING = True"):
        return None
    budget: Budget = config.knobs(name)
    return budget


def _check_budget(config: Config, method: Method, budget: Budget) -> None:
    told = f"privacy.release = {config.privacy.release!r}"
    if not isinstance(method, PrivateFit):
        raise ConfigError(
            f"{told}: expected another release with round.method = {config.round.method!r}, which "
            "does not train within a budget: discriminator does"
        )
    if config.coreset.memory_gb:
        raise ConfigError(
            f"coreset.memory-gb = {config.coreset.memory_gb:g}: expected 0 with {told}, whose "
            "steps draw single images from all that a site has"
        )
    budget.check()


def _ends_in_a_bank(method: Method) -> bool:
    return len(method.rounds) == 1 and issubclass(method.rounds[-1].model, Bank)


_PARTS = (
    *("of", "rounds", "rejoins", "needs_pixels", "fit", "merge", "score"),
    *("judges", "expected", "admit", "describe", "scale"),
)
