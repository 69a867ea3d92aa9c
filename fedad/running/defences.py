"""What attacks do to the honest sites of a federation, with and without each defence."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from fedad.banks.bank import Bank
from fedad.embedders.handshake import longest
from fedad.errors import UploadError
from fedad.evaluation import Counts, summarise
from fedad.judging.admission import admit_upload
from fedad.judging.verdicts import judge
from fedad.methods.base import FIRST, Turn
from fedad.plumbing.progress import track
from fedad.round import learn
from fedad.running.attacked import Attacked
from fedad.types import Enrolled

NOBODY, ABSENT = "no attack", "site absent"


class Defence(NamedTuple):
    """What stands between a site and the others. Without admission a message needs only form."""

    admission: bool
    aggregation: str = "federated_coreset"
    scoring: str = ""  # as the configuration says


DEFENCES = {
    "undefended": Defence(admission=False),
    "default": Defence(admission=True),
    "quota": Defence(True, "quota"),
    "quota + q_of_n": Defence(True, "quota", "q_of_n"),
}
FIGURES = {"image_auroc": "image AUROC", "pixel_auroc": "pixel AUROC"}


class Trial(NamedTuple):
    """What one attack did to the honest sites under one defence."""

    attack: str
    defence: str
    figures: Mapping[str, float]
    refused: bool  # the upload did not get past the door, so that the site counts as absent


def trials(
    federation: Attacked,
    attacks: Sequence[str],
    defences: Sequence[str] = tuple(DEFENCES),
) -> Iterator[Trial]:
    """The figures of the honest sites: without an attack, without the malicious sites, and under
    each of `attacks`, for each of `defences`.

    Who is refused is absent.
    """
    sent = {name: federation.lies(name) for name in attacks}
    with track("attacks", len(defences) * (2 + len(attacks))) as progress:
        done, known = 0, _Known(federation)
        for label in defences:
            defence = DEFENCES[label]
            for name in (ABSENT, NOBODY, *attacks):
                lies = _accepted(federation, sent[name], defence) if name in attacks else {}
                liars = None if name == NOBODY else lies
                yield Trial(
                    name, label, known.figures(liars, defence), name in attacks and not lies
                )
                progress(done := done + 1)


class _Known:
    """Figures by what was sent: what two defences let in alike is merged and judged once."""

    def __init__(self, federation: Attacked) -> None:
        self.federation = federation
        self.measured: list[tuple[list[Bank] | None, Defence, dict[str, float]]] = []

    def figures(self, lies: Mapping[str, Bank] | None, defence: Defence) -> dict[str, float]:
        sent = None if lies is None else [*lies.values()]
        for banks, other, figures in self.measured:
            if _same(banks, sent) and other[1:] == defence[1:]:
                return figures
        self.measured.append((sent, defence, _figures(self.federation, lies, defence)))
        return self.measured[-1][-1]


def _same(one: Sequence[Bank] | None, other: Sequence[Bank] | None) -> bool:
    """Whether these are the very same banks."""
    if one is None or other is None:
        return one is other
    return len(one) == len(other) and all(map(operator.is_, one, other))


def _accepted(federation: Attacked, sent: Mapping[str, Bank], defence: Defence) -> dict[str, Bank]:
    """What the server lets in of it. Who lies about its images says the same when it enrols."""
    if not defence.admission:
        return dict(sent)
    accepted = {}
    for site, lie in sent.items():
        mark, features = federation.probe
        images = dict(zip(lie.categories, lie.images[0].tolist(), strict=True))
        enrolled = Enrolled(site, images, {}, mark, features.shape[-1], longest(features))
        try:
            accepted[site], _ = admit_upload(federation.config, lie, enrolled, FIRST)
        except UploadError:
            continue
    return accepted


def _figures(
    federation: Attacked, lies: Mapping[str, Bank] | None, defence: Defence
) -> dict[str, float]:
    """Means over categories of the honest sites' figures, all their test images together.

    Args:
        lies: what comes in from the malicious sites; None if they are honest.
    """
    config = replace(
        federation.config,
        merge=replace(federation.config.merge, aggregation=defence.aggregation),
        score=replace(
            federation.config.score, scoring=defence.scoring or federation.config.score.scoring
        ),
    )

    def receive(turn: Turn, uploads: Mapping[str, Any]) -> Mapping[str, Any]:
        honest = {name: one for name, one in uploads.items() if name not in federation.defects}
        return uploads if lies is None else {**honest, **lies}

    learned = learn(
        config, federation.sites, federation.embed, fit_by=federation.fit, receive=receive
    )
    counts = Counts()
    for site in federation.honest:
        own = learned.own(site.name)
        for verdict in judge(config, site.test, federation.embed, learned.model, own=own):
            counts = counts + Counts.of(verdict.scored)
    means = summarise(counts)["mean"]
    return {key: float(means[key]["value"]) for key in FIGURES}
