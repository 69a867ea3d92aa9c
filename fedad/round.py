"""The map: a whole federated run on one screen, without a network.

The Flower apps compute the very same arrays, byte for byte (`tests/test_round.py` says so).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from fedad.banks.bank import Bank
from fedad.banks.coverage import Distances, merge_covering
from fedad.config import COVERAGE, Config
from fedad.dp.noise import OsNoise
from fedad.errors import DataError
from fedad.judging.distances import distances
from fedad.judging.findings import Findings, find
from fedad.judging.groups import counted_as, grouped
from fedad.judging.parts import ready
from fedad.judging.thresholds import Threshold, calibrate
from fedad.judging.verdicts import Verdict, judge
from fedad.messages.payload import Payload, check_alike
from fedad.methods.base import FIRST, PrivateFit, Turn, budget_of, method_of
from fedad.privacy.base import Receipt, is_private
from fedad.seeding import stream
from fedad.types import Features, Site

if TYPE_CHECKING:  # who only merges needs no network in memory
    from fedad.embedders.embedder import Embed
    from fedad.embedders.in_parts import InParts

log = logging.getLogger(__name__)


class Local(NamedTuple):
    """What a site has after it fitted: its own, which stays, what it uploads, and a receipt."""

    own: Any
    upload: Any
    receipt: Receipt


class Learned(NamedTuple):
    """What all rounds leave: the model, and what each site has, by name."""

    model: Any
    local: dict[str, Local]

    def own(self, site: str) -> Any:
        """What a site keeps; None of one that did not learn."""
        return self.local[site].own if site in self.local else None


class Outcome(NamedTuple):
    """What a run leaves: the model that is broadcast, and what each site found with it."""

    model: Any
    findings: dict[str, Findings]


Fit = Callable[..., Local]  # as `fit`
Receive = Callable[[Turn, Mapping[str, Any]], Mapping[str, Any]]  # what a server takes of uploads


def run_round(config: Config, sites: Iterable[Site], embed: Embed) -> Outcome:
    """Images -> patch features -> uploads -> a model -> maps -> counts by site.

    Under a private release the counts are those of the model alone: with a site's own exact bank
    they would tell of its images.
    """
    taking_part = (ready(config, site, embed).site for site in sites)
    in_order = sorted(taking_part, key=lambda site: site.name)
    learned, findings = learn(config, in_order, embed), {}
    for site in in_order:
        own = None if is_private(config) else learned.own(site.name)
        thresholds = calibrate(config, site, embed, learned.model, own)
        findings[site.name] = examine(config, site, embed, learned.model, thresholds, own=own)
    return Outcome(learned.model, findings)


def learn(
    config: Config,
    sites: Sequence[Site],
    embed: Embed,
    *,
    fit_by: Fit | None = None,
    receive: Receive = lambda turn, uploads: uploads,
) -> Learned:
    """All rounds of the method over `sites`, in this process: the only loop that does so.

    Args:
        fit_by: in place of `fit`, such as one that remembers what it returned.
        receive: what the server takes of the uploads of a round; all of them if not told.
    """
    turn, local, learning = Turn(), dict[str, Local](), [site for site in sites if site.train]

    def ask(bank: Bank) -> Distances:
        return {s.name: distances(config, s, embed, bank, local[s.name].own) for s in learning}

    for _ in method_of(config).rounds:
        before = {name: one.own for name, one in local.items()}
        local = {
            s.name: (fit_by or fit)(config, s, embed, turn, before.get(s.name)) for s in learning
        }
        uploads = receive(turn, {name: one.upload for name, one in local.items()})
        model, _ = agree(config, [*uploads.values()], ask, turn)
        turn = Turn(turn.number + 1, model)
    return Learned(turn.model, local)


def fit(
    config: Config, site: Site, embed: Embed, turn: Turn = FIRST, own: Payload | None = None
) -> Local:
    """What a site makes of its good images in a round; floats are rounded once, as they are sent.

    Args:
        own: what the site kept of the round before.

    Raises:
        DataError: an image that cannot be embedded, or a product of whose images nothing is looked
            at. Under a private release they take part with no patch: a refusal would tell of them.
    """
    from fedad.embedders.in_parts import within_memory

    try:
        turns = getattr(method_of(config), "turns", 1)
        features = within_memory(config, embed, site.train, turns)
        return _fitted(config, site, features, turn, own, embed=embed)
    except DataError as error:
        if not is_private(config):
            raise
        log.warning("%s: this image, or product, adds nothing to what is released", error)
    from fedad.dp.unusable import lenient_features

    features = lenient_features(config, embed, site.train)
    return _fitted(config, site, features, turn, own, embed=embed)


def _fitted(
    config: Config,
    site: Site,
    features: Features | InParts,
    turn: Turn,
    own: Payload | None,
    *,
    embed: Embed,
) -> Local:
    """What a site makes of these features of its good images."""
    from fedad.dp.unusable import with_stand_ins
    from fedad.embedders.pixels import with_pixels

    method = method_of(config)
    if method.needs_pixels:
        features = with_pixels(features, embed, site.train)
    budget = budget_of(config)
    if budget and isinstance(method, PrivateFit):
        made, receipt = method.private_fit(features, turn, own=own, noise=OsNoise(), budget=budget)
        sealed = made.sealed(site.name, config.wire.dtype)
        return Local(made.with_own(sealed), sealed, receipt)
    rng = stream(config.round.seed, site.name, "fit", *_later(turn))
    looked_at = features
    if is_private(config) and isinstance(features, Features):
        looked_at = with_stand_ins(features)
    made = method.fit(looked_at, turn, own=own, rng=rng)
    sealed = made.sealed(site.name, config.wire.dtype)
    release = config.configured("privacy.release")
    released, receipt = release(sealed, features, noise=OsNoise())
    upload = sealed
    if released is not sealed:
        upload = released.sealed(site.name, getattr(released, "dtype", config.wire.dtype))
    return Local(made.with_own(sealed), upload, receipt)


def agree(
    config: Config,
    uploads: Sequence[Any],
    ask: Callable[[Bank], Distances],
    turn: Turn = FIRST,
    most: float = math.inf,
) -> tuple[Any, list[float]]:
    """The model of a round, and how far the worst site was after each merge, if sites are asked.

    `merge.weighting = coverage` takes asking the sites, at most so often, and merging anew.
    """
    if config.merge.weighting != COVERAGE:
        return merge(config, uploads, turn), []
    return merge_covering(config, lambda weighted: merge(weighted, uploads, turn), ask, most)


def merge(config: Config, uploads: Sequence[Any], turn: Turn = FIRST) -> Any:
    """The model of a round from its uploads, in any order.

    Raises:
        MismatchError: uploads that do not mix.
    """
    check_alike(uploads)
    in_order = sorted(uploads, key=lambda upload: upload.sites)
    rng = stream(config.round.seed, "merge", *_later(turn))
    return method_of(config).merge(in_order, turn, rng=rng)


def examine(
    config: Config,
    site: Site,
    embed: Embed,
    model: Any,
    thresholds: Mapping[str, Threshold],
    *,
    own: Any | None = None,
    watch: Callable[[Iterable[Verdict]], Iterable[Verdict]] = iter,
    smallest: int = 1,
) -> Findings:
    """What a site says of its test images; what `watch` sees of each stays there.

    Args:
        smallest: images that a group must have for anything to be said of it.
    """
    verdicts = watch(judge(config, site.test, embed, model, own=own, site=site.name))
    groups = counted_as(site.test, smallest)
    return find(config, site.name, grouped(verdicts, groups), thresholds)


def _later(turn: Turn) -> tuple[str, ...]:
    """The first round's streams are those of a method with one round."""
    return (str(turn.number),) if turn.number > 1 else ()
