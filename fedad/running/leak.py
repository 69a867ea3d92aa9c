"""A bank and some images -> what who holds both can tell: `fedad leak`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from fedad.banks.bank import Bank
from fedad.descriptors.settings import settings_of, table_of
from fedad.embedders.embedder import Embedder
from fedad.judging.verdicts import chunk_of
from fedad.leakage.copies import Copies, copies
from fedad.leakage.gaps import STATISTICS, Looked, Target, joined, look, target_of
from fedad.leakage.membership import Membership, membership
from fedad.plumbing.progress import track
from fedad.running.leak_banks import Opened
from fedad.running.leak_images import Suspects
from fedad.types import Features, Sample

if TYPE_CHECKING:
    from fedad.leakage.crops import Pairs
    from fedad.leakage.inversion import Inverted

ROWS = 1500  # that decoders are tried on


@dataclass(frozen=True, eq=False)
class Drawn:
    """What decoders made of rows of a bank, and what the attacker learned from."""

    by: tuple[Inverted, ...]
    private: Pairs
    copied: bool  # the rows are patches of members; else each is compared with the nearest patch
    public: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Attacked:
    """One product of one bank."""

    product: str
    membership: Membership
    copies: Copies
    drawn: Drawn | None = None


def attacked(
    opened: Opened, embed: Embedder, some: Suspects, *, decoder: bool = False
) -> Iterator[Attacked]:
    """Attack a bank product by product, where there are images of it."""
    members = some.of_sites(opened.bank.sites)
    for product in opened.bank.categories:
        inside, outside = (
            [one for one in images if one.category == product] for images in (members, some.others)
        )
        if inside and outside:
            yield _attack(opened.bank, product, embed, inside, outside, decoder=decoder)


def measured(
    bank: Bank, product: str, embed: Embedder, members: Sequence[Sample], others: Sequence[Sample]
) -> tuple[Attacked, Looked]:
    """Whether members are recognised, and which rows are theirs; see `Attacked`."""
    target = target_of(bank, product)
    inside = _looked(target, embed, members, f"{product}: members")
    outside = _looked(target, embed, others, f"{product}: others")
    told = membership(STATISTICS, inside.statistics, outside.statistics)
    return Attacked(product, told, copies(target.rows, inside)), inside


def patches_of(features: Features, image: int) -> tuple[np.ndarray, np.ndarray]:
    """The patches (n, D) of an image that count, and their numbers (n,) in it."""
    patches = features.grid[image].reshape(-1, features.shape[-1])
    if features.valid is None:
        return patches, np.arange(len(patches))
    numbers = np.flatnonzero(features.valid[image])
    return patches[numbers], numbers


def _attack(
    bank: Bank,
    product: str,
    embed: Embedder,
    members: Sequence[Sample],
    others: Sequence[Sample],
    *,
    decoder: bool,
) -> Attacked:
    told, inside = measured(bank, product, embed, members, others)
    if not decoder:
        return told
    return replace(told, drawn=_drawn(target_of(bank, product), product, embed, members, inside))


def _looked(target: Target, embed: Embedder, samples: Sequence[Sample], stage: str) -> Looked:
    parts = []
    with track(stage, len(samples)) as progress:
        for features, done in _chunks(target, embed, samples):
            images = [patches_of(features, k)[0] for k in range(len(features.images))]
            parts.append(look(target, images, embed.backbone.device.type))
            progress(done)
    return joined(parts)


def _chunks(
    target: Target, embed: Embedder, samples: Sequence[Sample]
) -> Iterator[tuple[Features, int]]:
    """Features of some images at a time, as a bank's rows are described, and how many were given
    by then."""
    at_once = chunk_of(embed)
    for at in range(0, len(samples), at_once):
        some = samples[at : at + at_once]
        yield target.described(embed(some)), at + len(some)


def _drawn(
    target: Target, product: str, embed: Embedder, members: Sequence[Sample], inside: Looked
) -> Drawn:
    """The attack by decoders on rows that are members' patches, or on any where none is."""
    from fedad.leakage.crops import Described, Pairs, around
    from fedad.leakage.inversion import inverted
    from fedad.leakage.owners import owners
    from fedad.leakage.public import public_pairs

    rng = np.random.default_rng(0)
    of_members = np.unique(inside.row)
    candidates = of_members if len(of_members) else np.arange(len(target.rows))
    rows = target.rows[np.sort(rng.permutation(candidates)[:ROWS])]

    def images() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for features, _ in _chunks(target, embed, members):
            for k in range(len(features.images)):
                patches, numbers = patches_of(features, k)
                yield target.seen(patches), numbers

    whose = owners(rows, images(), len(members), embed.backbone.device.type)
    crops = np.empty((len(rows), 0), np.float32)
    for number in np.unique(whose.image):
        here = whose.image == number
        seen = around(embed, members[number], embed.shape[:2], whose.patch[here])
        if not crops.size:
            crops = np.empty((len(rows), seen.shape[1]), np.float32)
        crops[here] = seen
    private = Pairs(rows, crops)
    settings = settings_of(table_of(target.bank.fingerprint), product)
    public, names = public_pairs(Described(embed, settings), product)
    public = public._replace(rows=target.seen(public.rows))
    return Drawn(tuple(inverted(private, public)), private, bool(len(of_members)), names)
