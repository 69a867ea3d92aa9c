"""Good pictures of a new product, or of a variant of a known one -> the model that knows it too.

The pictures' rows are put to those of the current model, under the site's own name, and described
as the model's other rows are. Of other products every row, score and threshold stays, bit for bit.
Nothing that others taught is chosen anew, which only a merge of all sites could do. Where a site
has no model yet, the pictures make the first.

The pictures stay where they are: a model remembers their places, and thresholds are set anew by
them when something is added later.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from fedad.banks.bank import Bank
from fedad.banks.beside import appended, following, plain_own, with_places
from fedad.config import Config, read
from fedad.datasets.base import open_folder
from fedad.descriptors.settings import ALL, settings_of, table_of
from fedad.embedders.embedder import Embedder
from fedad.errors import ConfigError, DataError
from fedad.evaluation import parts_for
from fedad.images.pixels import shown
from fedad.images.reading import dataset_read_so
from fedad.judging.parts import ready
from fedad.judging.promise import Promise
from fedad.methods.patchcore import Knobs
from fedad.models.adding import Added, Contents, keep
from fedad.models.by_hand import build_at
from fedad.models.changing import Grown, growing_bank, opened_now, with_product
from fedad.models.gate import Gate
from fedad.models.site_images import OwnImage, images_of, training
from fedad.models.store import current, models_folder
from fedad.partition import one_site
from fedad.plumbing.alike import in_what, pairs_alike
from fedad.plumbing.files import is_name
from fedad.round import fit
from fedad.running.by_hand import check_by_hand
from fedad.running.named import named
from fedad.types import Sample, Site

HERE = "here"  # a site that has no name yet
Note = Callable[[str], None]


def teach(  # noqa: PLR0917 - as the page and the command line call it
    models: Path,
    folder: Path,
    product: str,
    rate: float,
    gate: Gate,
    note: Note = lambda text: None,
    *,
    config: Config | None = None,
    site: str = HERE,
) -> Added:
    """Learn a product, or a variant of one, from a folder of good pictures.

    Args:
        models: the site's folder of models; it may be empty, or not there yet.
        folder: any folder of pictures; of a data set its training images are learned from, and its
            defective test images are shown to what comes of it.
        product: a name that the current model does not have, or one that it has: a variant then.
        rate: wished share of good parts that are stopped.
        note: is told what is done, in words.
        config: knobs of a first model; those of the current one if there is one.
        site: its name, where no model says it yet.

    Raises:
        DataError: no picture that is new, too few for the rate, or, of a variant, older pictures of
            its product that are gone.
        ConfigError: a method whose model is no bank of one round.
    """
    if not is_name(product):
        raise ConfigError(f"product {product!a:.80}: expected a name that a folder may have")
    if not 0 < rate < 1:
        raise ConfigError(f"rate {rate!r}: expected a share of good parts above 0 and below 1")
    home = models_folder(models)
    pictures = Pictures(folder, product, note)
    if current(home) is None:
        return _first(home, pictures, rate, gate, config=config or read({}), site=site)
    now = opened_now(home)
    bank, contents = growing_bank(now), now.contents
    pictures.check(bank.categories, contents)
    contents = replace(contents, config=_plainly(now.config), site=contents.site or site)
    plant = pictures.of(contents.config, contents.site, contents.images)
    if not any(one.category == product for one in contents.images):
        _check_enough(product, plant, rate)
    embed = now.embedder()
    plant = ready(contents.config, plant, embed).site
    note(f"learning from {len(plant.train)} pictures")
    grown = _grown(contents, bank, plant, embed)
    note("setting the threshold: each picture is left out in turn")
    made = with_product(contents, embed, product, rate, grown)
    verb = "grown by" if product in bank.categories else "taught from"
    made = replace(
        made,
        model=grown.bank,
        own=grown.own,
        file=None,
        source=f"{product} {verb} {len(plant.train)} pictures",
        found=made.found._replace(own_judges=True),
    )
    return keep(home, made, gate)


def set_by_good(
    models: Path, folder: Path, product: str, gate: Gate, *, rate: float | None = None
) -> Added:
    """The current model with a product's threshold set by good pictures that nothing was learned
    from, such as one that is stale.

    Args:
        rate: wished share of good parts that are stopped; as it was if not told.

    Raises:
        DataError: no picture that is new, or too few for the rate.
        ConfigError: a product that the model does not know.
    """
    now = opened_now(models)
    bank, contents = growing_bank(now), now.contents
    if product not in bank.categories:
        raise ConfigError(
            f"product {product!a:.80}: the model knows {', '.join(bank.categories)}: expected one "
            "of them"
        )
    before = contents.found.limits.get(product)
    rate = rate or (before.promise.rate if before else now.config.score.false_rejects)
    plant = Pictures(folder, product, lambda text: None).of(
        now.config, contents.site or HERE, contents.images
    )
    embed = now.embedder()
    good = ready(now.config, plant, embed).site.train
    made = with_product(contents, embed, product, rate, good=good)
    source = f"{product}: a threshold by {len(good)} good pictures"
    return keep(now.kept.folder.parent, replace(made, source=source), gate)


@dataclass(frozen=True)
class Pictures:
    """A folder of good pictures, the product that they are to be known by, and who is told."""

    folder: Path
    product: str
    note: Note

    def check(self, known: Sequence[str], contents: Contents) -> None:
        """Refuse one product under two spellings, and a variant whose older pictures nobody has."""
        product = self.product
        if product not in known:
            for one, other in pairs_alike((*known, product)):
                raise ConfigError(
                    f"product {product!a:.80}: {in_what(one, other)}: give it the name that the "
                    "model has, or one that nobody takes for it"
                )
        mine = [one for one in contents.images if one.category == product]
        if product in contents.found.limits and not mine:
            raise DataError(
                f"{product}: its threshold rests on pictures that this model knows no place of, so "
                "that it cannot be set anew for a variant: expected a model that was built, taught "
                "or trained here"
            )

    def of(self, config: Config, site: str, images: Sequence[OwnImage]) -> Site:
        """The site with these pictures alone, each under a name that none of its images has.

        Raises:
            DataError: none of them is good, or new.
        """
        data = replace(
            config.data, dir=str(self.folder), dataset="auto", categories="", images=0, holdout=0.0
        )
        opened = dataset_read_so(open_folder(self.folder), data)
        found = one_site(site, named(opened, (self.product,), self.product), data, seed=0)
        for line in opened.notes:
            self.note(line)
        if not found.train:
            raise DataError(
                f"{shown(self.folder)}: no good picture to learn from: expected a folder of them"
            )
        taken = {one.name for one in images}
        new = [_renamed(one, self.folder.name, taken) for one in _new(found.train, images)]
        if left := len(found.train) - len(new):
            self.note(f"{left} pictures are not used: they are copies of others")
        if not new:
            raise DataError(
                f"{shown(self.folder)}: all {left} pictures have been learned from already"
            )
        test = [_renamed(one, self.folder.name, taken) for one in found.test]
        held = [_renamed(one, self.folder.name, taken) for one in found.held]
        return Site(site, tuple(new), tuple(test), tuple(held))


def _first(
    models: Path, pictures: Pictures, rate: float, gate: Gate, *, config: Config, site: str
) -> Added:
    """The first model of a site."""
    config = replace(config, score=replace(config.score, false_rejects=rate))
    check_by_hand(config)
    plant = pictures.of(config, site, ())
    _check_enough(pictures.product, plant, rate)
    embed = Embedder(config.embedder)
    plant = ready(config, plant, embed).site
    pictures.note(f"learning from {len(plant.train)} pictures")
    built = build_at(config, plant, embed)
    promise = built.found.limits[pictures.product].promise
    if not promise.kept:
        raise DataError(f"{pictures.product}: {promise.told()}")
    source = f"{pictures.product} taught from {len(plant.train)} pictures"
    return built.keep(models, plant, gate, source)


def _grown(contents: Contents, bank: Bank, plant: Site, embed: Embedder) -> Grown:
    """The bank and the site's own rows with those of new pictures."""
    own = plain_own(contents.own) if contents.found.own_judges else None
    learned = fit(_described_as(contents.config, bank), plant, embed).own
    rows = with_places(learned, bank, embed.shape[:2])
    if rows.rows.shape[1] != bank.rows.shape[1]:
        raise DataError(
            f"the pictures have rows of {rows.rows.shape[1]} features, and the model's have "
            f"{bank.rows.shape[1]}: was its fingerprint changed?"
        )
    more = following(rows, bank, own, len(training(contents.images)))
    return Grown(
        appended(bank, more, counted=True),
        more if own is None else appended(own, more, counted=True),
        (*contents.images, *images_of(plant)),
    )


def _check_enough(product: str, plant: Site, rate: float) -> None:
    """Refuse too few parts for a rate before anything is learned from them."""
    parts = len({one.part for one in (*plant.train, *plant.held)})
    if parts < parts_for(rate):
        few = Promise(math.nan, rate, parts, parts, rate)
        raise DataError(f"{product}: {few.told()}")


def _plainly(config: Config) -> Config:
    """`config` whose bank is no coded one: coded rows go on as they were decoded."""
    return replace(config, round=replace(config.round, method="patchcore"))


def _described_as(config: Config, bank: Bank) -> Config:
    """`config` by which pictures of a product that a bank says nothing of are described as it says;
    a bank whose sites chose product by product says: as the network gives them."""
    settings = settings_of(table_of(bank.fingerprint), ALL)
    before: Knobs = config.knobs("patchcore")
    knobs = Knobs(
        preset="custom",
        position=settings.position,
        standardise=settings.standardise,
        density=settings.density,
        smoothed_maximum=settings.smoothed_maximum,
        turns=1 if settings.position else before.turns,
    )
    return replace(
        config,
        privacy=replace(config.privacy, release="keep"),
        merge=replace(config.merge, weighting="n"),
        wire=replace(config.wire, dtype=bank.dtype),
        plugins={**config.plugins, "patchcore": knobs},
    )


def _renamed(sample: Sample, folder: str, taken: set[str]) -> Sample:
    """The sample under a name that is not taken; it is then."""
    for number in count(1):
        place = folder if number == 1 else f"{folder}-{number}"
        new = replace(sample, label=f"{place}/{sample.file}")
        if new.name not in taken:
            taken.add(new.name)
            return new
    raise AssertionError


def _new(samples: Iterable[Sample], images: Iterable[OwnImage]) -> Iterator[Sample]:
    """Those whose file is no copy of another one, nor of an image of the site: a picture that is
    learned from twice would be near itself when it is left out."""
    known = {digest for one in images if (digest := _digest(one.path))}
    for sample in samples:
        if (digest := _digest(sample.path)) not in known:
            known.add(digest)
            yield sample


def _digest(path: Path) -> str:
    """Of a file's content; empty of one that is gone."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
