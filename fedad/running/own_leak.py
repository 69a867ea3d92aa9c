"""Before an upload: what it would give away, told to the site alone.

A site's own good images are halved: one half makes an upload as a run of this configuration would,
and who holds it tries to tell the halves apart. Nothing is sent, sealed or accounted for: a release
with noise is drawn here only to be attacked here, and costs no budget as long as what is printed
stays at the site. Its noise is seeded, so that it is never the noise of a release that leaves.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from fedad.banks.bank import Bank
from fedad.config import Config
from fedad.dp.noise import SeededNoise
from fedad.embedders.embedder import Embedder
from fedad.errors import ConfigError
from fedad.methods.base import method_of
from fedad.round import fit
from fedad.running.leak import measured
from fedad.running.leak_told import verdict
from fedad.seeding import stream
from fedad.types import Sample, Site
from fedad.yardsticks import exact

IMAGES = 100  # members, and others, of all products together: so many take below a minute
STAYS = "this stays here: told to others, it would tell them of the images"


class Halves(NamedTuple):
    """The images of a product that an upload is made of, and as many others."""

    members: tuple[Sample, ...]
    others: tuple[Sample, ...]


def own_leak(config: Config, site: Site, images: int = IMAGES) -> Iterator[tuple[str, str]]:
    """What a site's upload would give away: a product and a sentence, for each.

    Args:
        site: its images that can be used.
        images: members, and others, of all products together; more take longer.

    Raises:
        ConfigError: the configuration's release does not fit its method.
        DataError: an image that cannot be read.
    """
    if not issubclass(method_of(config).rounds[0].upload, Bank):
        why = f"not measurable: {config.round.method} sends no rows of patches, which this looks at"
        yield "all products", why
        return
    products = sorted({sample.category for sample in site.train})
    halves = {
        product: _halves(config, site, product, max(1, images // len(products)))
        for product in products
    }
    whole = {product: some for product, some in halves.items() if some.others}
    embed = Embedder(config.embedder)
    members = tuple(one for some in whole.values() for one in some.members)
    bank = upload_of(config, Site(site.name, members, ()), embed) if members else None
    for product in products:
        if bank is None or product not in whole:
            yield product, "not measurable: it takes good images of at least two parts"
            continue
        told, _ = measured(bank, product, embed, *whole[product])
        taken = len(whole[product].members) + len(whole[product].others)
        there = sum(one.category == product for one in site.train)
        yield product, f"{verdict(told).removeprefix(f'{product}: ')} ({_of(taken, there)}{STAYS})"


def _of(taken: int, there: int) -> str:
    if taken == there:
        return ""
    return f"{taken} of {there} good images, more by --leak-images; "


def _halves(config: Config, site: Site, product: str, most: int) -> Halves:
    """Members and others, part by part, so that shots of one part are on the same side."""
    samples = [sample for sample in site.train if sample.category == product]
    parts = sorted({sample.part for sample in samples})
    order = stream(config.round.seed, site.name, "leak", product).permutation(len(parts))
    inside = {parts[k] for k in order[: (len(parts) + 1) // 2].tolist()}
    sides = [[one for one in samples if (one.part in inside) == side] for side in (True, False)]
    return Halves(*(tuple(side[:most]) for side in sides))


def upload_of(config: Config, site: Site, embed: Embedder) -> Bank:
    """What `fit` would let out, with seeded noise."""
    from fedad.embedders.in_parts import within_memory

    sealed: Bank = fit(exact(config), site, embed).upload
    if config.privacy.release == "keep":
        return sealed
    noise = SeededNoise(stream(config.round.seed, site.name, "leak", "noise"))
    features = within_memory(config, embed, site.train)
    released, _ = config.configured("privacy.release")(sealed, features, noise=noise)
    if not isinstance(released, Bank):
        raise ConfigError(
            f"privacy.release = {config.privacy.release!r}: it lets out a {released.record()!r}, "
            "expected a bank"
        )
    return released if released is sealed else released.sealed(site.name, released.dtype)
