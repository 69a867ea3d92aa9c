"""What the server of `experts` takes of what sites send: what their images can have given."""

from __future__ import annotations

import numpy as np

from fedad.averaging.counted import Counted, check_images
from fedad.averaging.reach import check_reach
from fedad.averaging.sums import LONGER, SHORTER
from fedad.banks.bank import Bank
from fedad.errors import UploadError
from fedad.methods._calibration import BINS
from fedad.methods._experts import Experts, Projections, Routes, Tally, Votes
from fedad.methods._projection import RATE
from fedad.methods._routing import start_of
from fedad.methods.discriminator import Heads
from fedad.types import Enrolled

OFF = 0.01  # how much longer than 1 rounding makes a mean of signatures, and more
SLACK = 1e-6  # of what sums may be off, relative to them
STRETCH = 4.0  # spreads from its centre: how far adapted patches may lie


def expert_by_expert(site: Enrolled, model: Experts, *, learned: bool) -> Enrolled:
    """What a site enrolled with, as its experts have it: each of as many images as there are of its
    product, and, where they learn from adapted patches, as long as adaptation may make these."""
    able = [(n, p) for n in model.experts if site.train.get(p := model.product_of(n))]
    if not learned:
        return site._replace(train={n: site.train[p] for n, p in able})
    centre, spread = (np.linalg.norm(one, axis=1) for one in (model.centre, model.spread))
    longest = max([site.longest, *(centre + STRETCH * spread).tolist()])
    return site._replace(train={n: site.train[p] for n, p in able}, longest=longest)


def check_routes(upload: Routes, site: Enrolled, *, width: int, most: int, given: bool) -> None:
    """Refuse centroids that the site's images cannot have.

    Args:
        width: F that was asked for; most: centroids of a product, at most; 0 is any number.

    Raises:
        UploadError: means of signatures of another width or longer than 1, too many of a product or
            none, with keys where none were asked for or twice the same, or of other images than
            the site's.
    """
    check_images(upload, site)
    if not len(upload.centroids) or not upload.categories:
        raise UploadError("no centroid, expected 1 of each product at least", "shape")
    if upload.centroids.shape[1] != width:
        told = f"centroids of {upload.centroids.shape[1]} numbers, expected {width}"
        raise UploadError(told, "shape")
    for rows in (upload.centroids, upload.usual):
        if (longest := float(np.linalg.norm(rows, axis=1).max())) > 1 + OFF:
            told = f"a mean of signatures of the length {longest:.3g}, expected 1 at most"
            raise UploadError(told, "norm")
    counts = np.bincount(upload.product, minlength=len(upload.categories))
    if not counts.all() or (most and (counts > most).any()):
        told = f"{counts.min()} to {counts.max()} centroids a product, expected 1 to {most}"
        raise UploadError(told, "shape")
    pairs = {(p, k) for p, k in zip(upload.product.tolist(), upload.key.tolist(), strict=True)}
    if (not given and upload.key.any()) or (given and len(pairs) < len(upload.key)):
        raise UploadError("centroids with keys that were not asked for, or two of a key", "column")
    _check_shares(upload.routed, upload.product, upload)


def check_votes(upload: Votes, site: Enrolled, model: Experts, *, voting: bool, width: int) -> None:
    """Refuse sums that the site's images cannot have.

    Raises:
        UploadError: of other experts or features than the model has, of other images than the
            site's, silhouettes beyond 1 an image, patches of another number or length, or squares
            that no patches with such sums have.
    """
    check_images(upload, site)
    if (found := (len(upload.routed), upload.sums.shape[1])) != (len(model.experts), width):
        told = f"sums of {found} experts and features, expected {(len(model.experts), width)}"
        raise UploadError(told, "shape")
    of_product = [model.categories[k] for k in model.product.tolist()]
    for name in sorted({*of_product}):
        here = np.array([one == name for one in of_product])
        images = upload.by_product().get(name, 0)
        for choice in sorted({*model.choice[here].tolist()}):
            found_images = upload.routed[here & (model.choice == choice)]
            if found_images.max() > images or found_images.sum() != images:
                told = f"{found_images.sum():,} images of {name}, of {images:,}, go to experts"
                raise UploadError(told, "counts")
    if (np.abs(upload.silhouette) > upload.routed * (1 + SLACK) * voting).any():
        raise UploadError("silhouettes that are larger than 1 an image", "counts")
    if (upload.patches != upload.routed * site.fingerprint.patches).any():
        told = f"{upload.patches.sum():,} patches of {upload.routed.sum():,} images"
        raise UploadError(told, "counts")
    if width:
        _check_moments(upload, site)


def check_projections(
    upload: Projections, site: Enrolled, model: Experts, *, size: int, steps: int, seed: int
) -> None:
    """Refuse projections that no training of the site's images gives.

    Args:
        size: P that was asked for, at most; steps: of Adam in a round.

    Raises:
        UploadError: of another size, of a product with one expert, farther off what was broadcast
            than so many steps bring it, centres longer than 1, or of other images than the site's.
    """
    check_images(upload, site)
    width = model.centroids.shape[1]
    wanted = (min(size, width), width), (len(model.experts), min(size, width))
    if (found := (upload.matrix.shape[1:], upload.targets.shape)) != wanted:
        raise UploadError(f"projections and centres of {found}, expected {wanted}", "shape")
    if alone := [name for name in upload.categories if len(model.of(name)) < 2]:
        raise UploadError(f"a projection of {alone[0]!a:.80}, which has one expert", "column")
    if (longest := float(np.linalg.norm(upload.targets, axis=1).max(initial=0))) > 1 + OFF:
        raise UploadError(f"a centre of the length {longest:.3g}, expected 1 at most", "norm")
    for k, name in enumerate(upload.categories):
        start = start_of(model, name, size, seed).matrix
        check_reach({name: upload.matrix[k]}, {name: start}, rate=RATE, steps=steps)
    there = dict(zip(upload.categories, upload.images.tolist(), strict=True))
    for number, name in enumerate(model.categories):
        some, images = upload.routed[model.product == number], there.get(name, 0)
        if int(some.max()) > images or int(some.sum()) != images:
            raise UploadError(f"{some.sum():,} images of {name}, of {images:,}", "counts")


def check_tally(upload: Tally, site: Enrolled, model: Experts) -> None:
    """Refuse counts that the site's images cannot have.

    Raises:
        UploadError: of other experts or bins, of more scores of a product than its images have
            patches, or of parts of images.
    """
    check_images(upload, site)
    if upload.counts.shape != (wanted := (len(model.experts), BINS)):
        raise UploadError(f"counts of {upload.counts.shape}, expected {wanted}", "shape")
    patches = site.fingerprint.patches
    for number, name in enumerate(model.categories):
        images, rows = upload.by_product().get(name, 0), upload.counts[model.product == number]
        every = [sum(row) for row in rows.tolist()]  # exact: sums of int64 may overflow
        if sum(every) > patches * images or any(one % patches for one in every):
            told = f"{sum(every):,} scores of {images:,} images of {name}, of {patches:,} patches"
            raise UploadError(told, "counts")


def check_products(upload: Bank | Heads, site: Enrolled, model: Experts) -> None:
    """Refuse experts of a product that are together of more images than the site has of it: an
    image goes to one expert.

    Raises:
        UploadError: of the word `counts`.
    """
    images = dict(zip(upload.categories, upload.images.reshape(-1).tolist(), strict=True))
    for number, product in enumerate(model.categories):
        mine = [model.experts[k] for k in np.flatnonzero(model.product == number)]
        most = max([site.train.get(name, 0) for name in mine], default=0)
        if (found := sum(images.get(name, 0) for name in mine)) > most:
            raise UploadError(f"experts of {product} of {found:,} images, of {most:,}", "counts")


def _check_shares(routed: np.ndarray, product: np.ndarray, upload: Counted) -> None:
    """Each product's images go somewhere, each once."""
    for number, images in enumerate(upload.images.tolist()):
        some = routed[product == number]
        if int(some.max()) > images or int(some.sum()) != images:  # each alone: sums may overflow
            told = f"{some.sum():,} images of {upload.categories[number]}, of {images:,}"
            raise UploadError(told, "counts")


def _check_moments(upload: Votes, site: Enrolled) -> None:
    there = upload.patches > 0
    if upload.sums[~there].any() or upload.squares[~there].any():
        raise UploadError("sums of no patch that are not 0", "counts")
    if not there.any():
        return
    number = upload.patches[there][:, None]
    centre, power = upload.sums[there] / number, upload.squares[there] / number
    if (np.square(centre) > power * (1 + SLACK) + SLACK * power.mean(1, keepdims=True)).any():
        raise UploadError("sums that no patches have: a variance is below 0", "counts")
    lengths = np.sqrt(power.sum(1))
    if lengths.max() > LONGER * site.longest or lengths.min() < SHORTER * site.longest:
        told = (
            f"patches of the mean lengths {lengths.min():.3g} to {lengths.max():.3g}, expected "
            f"{SHORTER:g} to {LONGER:g} times the {site.longest:.3g} of the drawn images"
        )
        raise UploadError(told, "norm")
