"""Taps of several members -> one map of features: principal components by exact sums.

Each member is first brought to at most `WIDEST` channels, by axes in random directions that all
sites draw alike. A global block brings all members to one grid, joins their channels, and takes the
components of all; an individual one takes those of each member, on its own grid, and joins them
afterwards. Channels are standardised before that, or the member with the largest numbers would be
all of the first components. A site sends how many patches there are, the sums of channels and of
their products, which add: federated components are the centralised ones.

Components keep what varies among good patches, which is not what defects change, so a block may
whiten them (each is divided by its spread), and join what they leave out, or the members' maps of
anomaly, as further channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Literal

import numpy as np

from fedad.averaging.counted import Counted, of_all
from fedad.averaging.moments import Moments, mean_and_covariance, moments_of, random_axes, square
from fedad.averaging.sums import BELOW, PRODUCTS, SUMS
from fedad.ensembles.taps import resized
from fedad.errors import MismatchError, UploadError
from fedad.members.base import Tap
from fedad.messages.schema import COUNTS, DOUBLES, Array
from fedad.seeding import stream

WIDEST = 256  # channels of a member
FLAT = 1e-6  # times the largest spread: a channel that varies less is divided by the largest
THIN = 1e-2  # times the largest component's spread: the least that a component is divided by
LEAST_REST = 1e-3  # of a standardised group: what is left out below it is rounding
Kind = Literal["global", "individual"]


@dataclass(frozen=True, eq=False, kw_only=True)
class BlockSums(Counted):
    """The moments of G groups of channels, for each of C products: J channels in all, and T values
    of the groups' upper triangles, one behind the other. They add over sites."""

    widths: Annotated[np.ndarray, Array("G", ("int64",), least=1, most=2**20)]
    count: Annotated[np.ndarray, Array("C G", ("int64",), least=0, most=COUNTS)]
    sums: Annotated[np.ndarray, Array("C J", DOUBLES, least=-SUMS, most=SUMS)]
    products: Annotated[np.ndarray, Array("C T", DOUBLES, least=-PRODUCTS, most=PRODUCTS)]

    def check(self) -> None:
        """Refuse sums of other channels than the groups have."""
        halves = int((self.widths * (self.widths + 1) // 2).sum())
        if (self.sums.shape[1], self.products.shape[1]) != (int(self.widths.sum()), halves):
            raise UploadError(
                f"sums of {self.sums.shape[1]} channels and {self.products.shape[1]} products of "
                f"groups of {self.widths.tolist()}",
                "shape",
            )

    def of(self, product: int, group: int) -> Moments:
        """The moments of one group of a product's channels."""
        first = int(self.widths[:group].sum())
        halves = self.widths * (self.widths + 1) // 2
        at = int(halves[:group].sum())
        width, half = int(self.widths[group]), int(halves[group])
        return Moments(
            int(self.count[product, group]),
            self.sums[product, first : first + width],
            self.products[product, at : at + half],
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class Blocks(Counted):
    """The components of each of C products: J channels in G groups -> N components.

    A group's components stand in `columns` columns; a product with fewer has zeros in the others.
    `rest` is the usual length of what a group's components leave out.
    """

    widths: Annotated[np.ndarray, Array("G", ("int64",), least=1, most=2**20)]
    columns: Annotated[np.ndarray, Array("G", ("int64",), least=1, most=2**20)]
    mean: Annotated[np.ndarray, Array("C J", DOUBLES, least=-SUMS, most=SUMS)]
    spread: Annotated[np.ndarray, Array("C J", DOUBLES, least=0, most=SUMS)]
    axes: Annotated[np.ndarray, Array("C J N", DOUBLES, least=-1.5, most=1.5)]
    scale: Annotated[np.ndarray, Array("C N", DOUBLES, least=0, most=SUMS)]
    rest: Annotated[np.ndarray, Array("C G", DOUBLES, least=0, most=SUMS)]

    def check(self) -> None:
        """Refuse groups of other channels or components than there are."""
        sizes = int(self.widths.sum()), int(self.columns.sum())
        if sizes != self.axes.shape[1:]:
            raise UploadError(f"axes of {self.axes.shape[1:]}, of groups of {sizes}", "shape")

    @property
    def components(self) -> int:
        """N."""
        return int(self.axes.shape[2])


def groups_of(
    taps: Sequence[Tap], kind: Kind, grid: tuple[int, int], names: Sequence[str], seed: int
) -> list[np.ndarray]:
    """The groups of channels (B, h, w, D_g): of a global block one on `grid`, else one a member."""
    narrow = [narrowed(tap.channels, name, seed) for tap, name in zip(taps, names, strict=True)]
    if kind == "individual":
        return narrow
    return [np.concatenate([resized(one, grid) for one in narrow], axis=3)]


def maps_of(taps: Sequence[Tap], grid: tuple[int, int]) -> list[np.ndarray]:
    """The maps of anomaly as groups (B, h, w, 1) of one channel."""
    return [resized(tap.anomaly[..., None], grid) for tap in taps]


def narrowed(channels: np.ndarray, name: str, seed: int) -> np.ndarray:
    """A member's channels (B, h, w, D), at most `WIDEST` of them."""
    if channels.shape[3] <= WIDEST:
        return channels
    axes = _axes(name, seed, channels.shape[3])
    return np.stack([one @ axes for one in channels])


@lru_cache(maxsize=16)
def _axes(name: str, seed: int, width: int) -> np.ndarray:
    axes = random_axes(width, WIDEST, stream(seed, "ensemble", "channels", name))
    return np.ascontiguousarray(axes, np.float32)


def sums_of(groups: Sequence[np.ndarray]) -> list[Moments]:
    """The moments of each group (B, h, w, D_g)."""
    return [moments_of([one.reshape(-1, one.shape[3])], one.shape[3]) for one in groups]


def added_up(uploads: Sequence[BlockSums]) -> BlockSums:
    """The moments of all sites, in the order of the uploads, over all their products.

    Raises:
        MismatchError: members that are of other widths at two sites.
    """
    first, about = uploads[0], of_all(uploads)
    for one in uploads:
        if not np.array_equal(one.widths, first.widths):
            raise MismatchError(
                f"channels of {first.sites[0]} and {one.sites[0]} do not mix "
                f"({first.widths.tolist()} and {one.widths.tolist()}): have both the same members?"
            )
        if not np.array_equal(_patches(one), _patches(first)):
            raise MismatchError(
                f"channels of {first.sites[0]} and {one.sites[0]} do not mix: of an image they are "
                f"those of {_patches(first).tolist()} and {_patches(one).tolist()} patches a group"
            )
    totals = {}
    for name in ("count", "sums", "products"):
        part: np.ndarray = getattr(first, name)
        total = np.zeros((len(about["categories"]), part.shape[1]), part.dtype)
        for one in uploads:
            total[[about["categories"].index(c) for c in one.categories]] += getattr(one, name)
        totals[name] = total
    return first.replace(**totals, **about)


def _patches(upload: BlockSums) -> np.ndarray:
    """(G,): of how many patches of an image the sums are; the door has seen that all products'
    are of as many."""
    found: np.ndarray = upload.count[0] // upload.images[0]
    return found


def components_of(total: BlockSums, dimensions: int, share: float, whiten: bool) -> Blocks:
    """The components of each product's groups.

    Args:
        dimensions: of a group, at most all; 0: as many as explain `share` of its variance.
    """
    products, groups = range(len(total.categories)), range(len(total.widths))
    found = [[_group(total.of(c, g), dimensions, share) for g in groups] for c in products]
    columns = [max((len(found[c][g].values) for c in products), default=1) for g in groups]
    shape = (len(total.categories), int(total.widths.sum()))
    axes, scale = np.zeros((*shape, sum(columns))), np.ones((shape[0], sum(columns)))
    for c in products:
        row = column = 0
        for g in groups:
            one, size = found[c][g], len(found[c][g].values)
            axes[c, row : row + len(one.mean), column : column + size] = one.axes
            if whiten:
                scale[c, column : column + size] = one.values
            row, column = row + len(one.mean), column + columns[g]
    return Blocks(
        widths=total.widths,
        columns=np.array(columns, np.int64),
        mean=np.array([np.concatenate([one.mean for one in row]) for row in found]),
        spread=np.array([np.concatenate([one.spread for one in row]) for row in found]),
        axes=axes,
        scale=scale,
        rest=np.array([[one.rest for one in row] for row in found]),
        images=total.images,
        categories=total.categories,
        sites=total.sites,
        fingerprint=total.fingerprint,
    )


@dataclass(frozen=True)
class _Components:
    mean: np.ndarray  # (D,)
    spread: np.ndarray  # (D,)
    axes: np.ndarray  # (D, P)
    values: np.ndarray  # (P,): the components' spreads
    rest: float


def _group(moments: Moments, dimensions: int, share: float) -> _Components:
    mean, covariance = mean_and_covariance(moments)
    spread = np.sqrt(np.maximum(np.diag(covariance), 0))
    most = float(spread.max()) or 1.0
    spread = np.where(spread > FLAT * most, spread, most)
    values, vectors = np.linalg.eigh(covariance / np.outer(spread, spread))
    values, axes = np.maximum(values[::-1], 0), vectors[:, ::-1]
    largest = axes[np.abs(axes).argmax(0), np.arange(axes.shape[1])]
    axes = axes * np.where(largest < 0, -1.0, 1.0)
    size = min(dimensions, len(values)) if dimensions else _explaining(values, share)
    lengths = np.sqrt(values)
    least = THIN * float(lengths[0]) or 1.0
    rest = float(np.sqrt(values[size:].sum()))
    return _Components(mean, spread, axes[:, :size], np.maximum(lengths[:size], least), rest)


def _explaining(values: np.ndarray, share: float) -> int:
    explained = np.cumsum(values)
    return min(len(values), int(np.searchsorted(explained, share * explained[-1])) + 1)


def projected(
    groups: Sequence[np.ndarray],
    blocks: Blocks,
    product: int,
    grid: tuple[int, int],
    *,
    residual: bool,
) -> np.ndarray:
    """(h, w, N), and G more channels where the `residual` is asked for: one image's components.

    Args:
        groups: of one image, (h_g, w_g, D_g) each.
    """
    found, left = list[np.ndarray](), list[np.ndarray]()
    row = column = 0
    for g, one in enumerate(groups):
        width, size = one.shape[2], int(blocks.columns[g])
        rows, columns = slice(row, row + width), slice(column, column + size)
        off = (one - blocks.mean[product, rows]) / blocks.spread[product, rows]
        along = off @ blocks.axes[product, rows, columns]
        found.append(_on(along / blocks.scale[product, columns], grid))
        if residual:
            squares = np.maximum(np.square(off).sum(-1) - np.square(along).sum(-1), 0)
            unit = float(blocks.rest[product, g])
            length = np.sqrt(squares) / unit if unit > LEAST_REST else np.zeros_like(squares)
            left.append(_on(length[..., None], grid))
        row, column = row + width, column + size
    return np.concatenate([*found, *left], axis=-1)


def _on(one: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    found: np.ndarray = resized(one[None].astype(np.float32), grid)[0]
    return found


def check_block_sums(upload: BlockSums, widest: Sequence[int], patches: int) -> None:
    """Refuse moments that no points have, or of other groups than were asked for.

    Args:
        widest: of each group, the most channels that it can have.
        patches: of an image; 0: a group has its member's own grid, which nobody here knows.

    Raises:
        UploadError: of the words `shape` and `counts`.
    """
    if len(upload.widths) != len(widest) or (upload.widths > np.array(widest)).any():
        told = f"groups of {upload.widths.tolist()!s:.80} channels, expected {[*widest]!s:.80}"
        raise UploadError(f"{told} at most", "shape")
    each = upload.count // np.maximum(upload.images, 1)[:, None]
    wanted = np.full_like(each, patches) if patches else np.broadcast_to(each[:1], each.shape)
    if (each != np.maximum(wanted, 1)).any() or (
        each * upload.images[:, None] != upload.count
    ).any():
        raise UploadError("moments of other patches than so many images have", "counts")
    for product, group in np.ndindex(*upload.count.shape):
        moments = upload.of(product, group)
        _, covariance = mean_and_covariance(moments)
        power = float(np.trace(square(moments.products))) / moments.number
        least = -BELOW * max(power, float(np.finfo(np.float32).tiny))
        if np.linalg.eigvalsh(covariance)[0] < least:
            raise UploadError("moments that no points have: a variance is below 0", "counts")
