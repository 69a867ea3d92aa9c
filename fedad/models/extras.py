"""Added normals: a picture that an operator calls good, as rows beside the model.

What a false alarm showed is normal from then on. Its rows are those that the model knows least, as
many as a training image gives; they judge beside the model and are its next training images in all
but the count. A picture that was chosen because it was stopped says nothing of how good parts
score, so that no threshold rests on it.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

from fedad.banks.bank import Bank
from fedad.banks.beside import beside, plain_own, rows_of
from fedad.banks.capacity import kept_rows
from fedad.errors import ConfigError, DataError
from fedad.images.pixels import shown
from fedad.images.reading import reading_of
from fedad.images.roi import with_roi
from fedad.judging.verdicts import features_for
from fedad.methods.base import method_of
from fedad.models.added_normals import Extras, Normal, numbered
from fedad.models.adding import Added, keep
from fedad.models.changing import Now, growing_bank, opened_now, with_extras
from fedad.models.gate import Gate
from fedad.models.kept import Kept
from fedad.models.site_images import training
from fedad.plugins import did_you_mean
from fedad.plumbing.moments import utc_text
from fedad.seeding import stream
from fedad.types import Dataset, Sample

HERE = "here"  # whose rows they are at a site without a name


def normals(kept: Kept) -> list[dict[str, Any]]:
    """The added normals of a model, in the order that they were added."""
    return [
        {key: value for key, value in vars(one).items() if key != "path"}
        for one in kept.extras().pictures
    ]


def add_normal(models: Path, picture: Path, product: str, gate: Gate, *, name: str = "") -> Added:
    """Put a picture that an operator called good beside the current model.

    Args:
        product: of which the part is; may be left out where the model judges one alone.
        name: what the picture is called; its file's own if not told.

    Raises:
        DataError: no picture, one that is there already, or more rows than `gate.extras`.
        ConfigError: a product that the model does not know, or a method without rows.
    """
    now = opened_now(models)
    bank = growing_bank(now)
    product = _product(now, product)
    extras, digest = now.kept.extras(), _digest(picture)
    if [*numbered(extras.pictures, digest)]:
        raise DataError(f"{shown(picture)}: it is one of the added normals already")
    rows = _rows(now, bank, extras, picture, product)
    if (count := len(extras) + len(rows)) > gate.extras:
        raise DataError(
            f"{shown(picture)}: {len(extras.pictures)} added normals have {len(extras):,} rows, "
            f"and this one would make it {count:,}: expected largest-extras = {gate.extras:,} of "
            "the site's policy at most: remove one, or teach them as a variant"
        )
    added = utc_text()
    path = str(picture.absolute())
    one = Normal(name or picture.name, digest, product, added, len(rows), path)
    contents = with_extras(now, extras.plus(one, rows), product, "a normal was added")
    return keep(now.kept.folder.parent, replace(contents, source=f"{one.name} added"), gate)


def remove_normal(models: Path, sha256: str, gate: Gate) -> Added:
    """Take an added normal away again.

    Args:
        sha256: of the picture's file, or what it begins with.

    Raises:
        DataError: none of them begins so, or several do.
    """
    now = opened_now(models)
    extras = now.kept.extras()
    found = [*numbered(extras.pictures, sha256)] if sha256 else []
    if len(found) != 1:
        there = ", ".join(one.sha256[:12] for one in extras.pictures) or "none"
        raise DataError(
            f"{len(found)} added normals have a sha256 that begins with {sha256!r}: there are "
            f"{there}"
        )
    one = extras.pictures[found[0]]
    contents = with_extras(now, extras.less(found[0]), one.product, "a normal was removed")
    return keep(now.kept.folder.parent, replace(contents, source=f"{one.name} removed"), gate)


def _product(now: Now, product: str) -> str:
    known = tuple(now.model.categories)
    if not product and len(known) == 1:
        return str(known[0])
    if product not in known:
        said = f"product {product!r}{did_you_mean(product, known)}" if product else "no product"
        raise ConfigError(
            f"{said}: the model knows {', '.join(known)}: name one of them, or teach a new one"
        )
    return product


def _digest(picture: Path) -> str:
    if not picture.is_file():
        raise DataError(f"{shown(picture)}: there is no such file, expected a picture")
    return hashlib.sha256(picture.read_bytes()).hexdigest()


def _rows(now: Now, bank: Bank, extras: Extras, picture: Path, product: str) -> Bank:
    """What a picture adds to all that is known."""
    config, (site, images) = now.config, now.kept.images()
    label = f"added/{picture.stem}"
    sample = Sample(product, "train", "good", picture, label=label, reading=reading_of(config.data))
    folders = {product: picture.parent}
    dataset = Dataset("", picture.parent, "", (sample,), folders=folders)
    (sample,) = with_roi((sample,), dataset, config.data.roi, site)
    features = features_for(method_of(config), now.embedder(), [sample])
    own = plain_own(now.kept.own(config)) if now.kept.own_judges() else None
    known, mine = beside(bank, own, extras.bank, len(training(images)))
    whose = mine.sites[0] if mine is not None else site or HERE
    valid = features.patches_per_image if features.valid is None else int(features.valid.sum())
    return rows_of(
        features,
        whose,
        known,
        mine,
        most=kept_rows(config, valid),
        select=config.configured("coreset.selection"),
        rng=stream(config.round.seed, whose, "extras"),
    )
