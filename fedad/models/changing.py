"""A kept model with something changed: one product judged anew, all else of its folder as it is.

A model is never changed in its place. What comes of a change is another model, which the gate lets
in or keeps waiting like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fedad.banks.bank import Bank
from fedad.banks.beside import beside, plain_bank, plain_own
from fedad.config import Config
from fedad.embedders.embedder import Embedder
from fedad.errors import ConfigError, DataError
from fedad.judging.parts import ready
from fedad.messages.payload import Payload
from fedad.models.added_normals import Extras
from fedad.models.adding import Contents, Found, found_at
from fedad.models.kept import Kept, kept_named
from fedad.models.site_images import OwnImage, site_of, training
from fedad.running.model_file import embedder_of
from fedad.types import Sample, Site

ROWS_ALONE = (
    "expected a method of one round whose model is a bank of rows, patchcore or coded_patchcore: "
    "of others a model is trained over all sites, and rows of a picture are no part of it"
)


class Now(NamedTuple):
    """A site's current model, open."""

    kept: Kept
    config: Config
    model: Payload

    @property
    def contents(self) -> Contents:
        """All that its folder holds."""
        kept, config, told = self.kept, self.config, self.kept.passport()
        site, images = kept.images()
        return Contents(
            config=config,
            model=self.model,
            own=kept.own(config),
            found=Found(kept.limits(config), kept.checked(), kept.own_judges()),
            site=site,
            images=images,
            source=str(told["source"]),
            file=kept.model_file,
            extras=kept.extras(),
            stale=kept.stale(),
            receipt=told.get("receipt"),
            licence=str(told.get("licences", {}).get("images", "")),
        )

    def embedder(self) -> Embedder:
        """What embeds pictures as the model's were."""
        return embedder_of(self.config, self.model, self.kept.model_file)


def opened_now(models: Path) -> Now:
    """The current model of a site's folder.

    Raises:
        DataError: none was accepted.
    """
    kept = kept_named(models)
    config = kept.config()
    data = replace(config.data, dir="", dataset="auto", categories="")
    return Now(kept, *kept.open(replace(config, data=data)))


def growing_bank(now: Now) -> Bank:
    """The bank of a model that rows can be put to.

    Raises:
        ConfigError: of its method, or of how its rows were made, they cannot.
    """
    bank = plain_bank(now.model)
    told = f"model {now.kept.name} is of round.method = {now.config.round.method!r}"
    if bank is None:
        raise ConfigError(f"{told}: {ROWS_ALONE}")
    if bank.fingerprint.projection:
        raise ConfigError(
            f"{told} with a private release, whose rows went through a public projection: expected "
            "rows as the network gives them, which pictures of this site can be compared with"
        )
    if bank.scope == "mixed":
        raise ConfigError(
            f"{told} with bank.scope = 'mixed': expected 'category': rows of one product would "
            "change what is said of all others"
        )
    return bank


def with_product(
    contents: Contents,
    embed: Embedder,
    product: str,
    rate: float,
    grown: Grown | None = None,
    *,
    good: Sequence[Sample] = (),
) -> Contents:
    """The same once one product's threshold was set anew by the site's own images; all that is said
    of other products stays.

    Args:
        rate: wished share of good parts that are stopped.
        grown: bank, own rows and images if they are others than before.
        good: pictures that nothing was learned from, by which it is set in place of those that
            were.

    Raises:
        DataError: images that were learned from are gone, or too few promise no such rate.
    """
    bank, own, images = grown or _grown(contents)
    contents = replace(contents, images=images)
    judging, mine = beside(bank, own, contents.extras.bank, len(training(images)))
    config = replace(contents.config, score=replace(contents.config.score, false_rejects=rate))
    if good:
        tests = [one for one in images if one.category == product and one.use == "test"]
        site = replace(site_of(contents.site, tests, config.data), held=tuple(good))
        part = mine
    else:
        site, part = of_product(contents.site, images, mine, product, config)
    found = found_at(config, ready(config, site, embed).site, embed, judging, part)
    promised = found.limits.get(product)
    if promised is None:
        raise DataError(
            f"{product}: none of the site's own good pictures is there that could set its threshold"
        )
    if not promised.promise.kept:
        raise DataError(f"{product}: {promised.promise.told()}")
    before, stale = contents.found, dict(contents.stale)
    stale.pop(product, None)
    others = [one for one in before.checked if one.product != product]
    limits = {**before.limits, product: promised}
    return replace(
        contents,
        found=Found(dict(sorted(limits.items())), [*others, *found.checked], before.own_judges),
        stale=stale,
    )


class Grown(NamedTuple):
    """A bank, the site's own rows, and the images that it has."""

    bank: Bank
    own: Bank | None
    images: Sequence[OwnImage]


def _grown(contents: Contents) -> Grown:
    """What judges without added normals."""
    own = contents.own if contents.found.own_judges else None
    bank = plain_bank(contents.model)
    if bank is None:
        raise ConfigError(f"round.method = {contents.config.round.method!r}: {ROWS_ALONE}")
    return Grown(bank, plain_own(own), contents.images)


def of_product(
    name: str, images: Sequence[OwnImage], own: Bank | None, product: str, config: Config
) -> tuple[Site, Bank | None]:
    """The site with images of one product alone, and its own rows of it, by the numbers that these
    images then have.

    Args:
        own: with added normals numbered behind the training images.

    Raises:
        DataError: a training image of it is gone.
    """
    learned = training(images)
    numbers = [k for k, one in enumerate(learned) if one.category == product]
    site = site_of(name, [one for one in images if one.category == product], config.data)
    if own is None or product not in own.categories or len(own.source) != len(own):
        return site, None
    part = own.take(np.flatnonzero(own.category == own.categories.index(product)))
    most = int(part.image.max(initial=-1))
    to = np.arange(most + 1) - len(learned) + len(numbers)  # of what comes behind them
    to[[k for k in numbers if k <= most]] = [place for place, k in enumerate(numbers) if k <= most]
    per_image = part.fingerprint.patches
    return site, part.replace(source=to[part.image] * per_image + part.source % per_image)


def with_extras(now: Now, extras: Extras, product: str, why: str) -> Contents:
    """The model with other added normals. The threshold of their product is set anew where the
    site's good images of it are there; else it is stale.

    Args:
        why: it is stale, in words.
    """
    contents = replace(now.contents, extras=extras)
    limits = contents.found.limits.get(product)
    if limits is None:
        return contents
    try:
        return with_product(contents, now.embedder(), product, limits.promise.rate)
    except DataError as error:
        return replace(contents, stale={**contents.stale, product: f"{why}: {error}"})
