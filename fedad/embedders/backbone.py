"""A frozen timm network cut off behind the last layer that is used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any

import numpy as np
import torch
from PIL import Image

from fedad.config import EmbedderKnobs, words
from fedad.embedders.box import box_of, each_size, name_of
from fedad.embedders.joined import joined, packed, unpacked
from fedad.embedders.patches import patch_features
from fedad.embedders.tiles import Tiles, one_tile, tile_of
from fedad.embedders.weights import fingerprint, load_weights
from fedad.errors import ConfigError, DataError
from fedad.plugins import did_you_mean
from fedad.plumbing.backbones import BACKBONES
from fedad.plumbing.compute import device_of, threads
from fedad.types import Fingerprint

PART = 128**2  # pixels of a large image or of a tile that count as an image of `embedder.batch`
RANDOM_SEED = 0  # of weights = "random": all sites draw the same network


@dataclass(frozen=True, eq=False)
class Backbone:
    """Pixels -> patch features, and the fingerprint of how."""

    model: torch.nn.Module
    levels: tuple[int, ...]  # of the layers joined
    grid: int  # which of them gives the grid
    mean: torch.Tensor  # (3, 1, 1), of pixels from 0 to 1
    std: torch.Tensor
    knobs: EmbedderKnobs
    device: torch.device
    fingerprint: Fingerprint

    @cached_property
    def batch(self) -> int:
        """How many images, or tiles, the network is given at once: fewer where they are larger,
        but for squares that are seen whole, where it is `embedder.batch`."""
        if len(self.each) > 1:
            return max(one.batch for one in self.each)
        if isinstance(self.knobs.size, int) and not self.knobs.tile:
            return self.knobs.batch
        height, width = tile_of(self.knobs)
        return max(1, min(self.knobs.batch, self.knobs.batch * PART // (height * width)))

    @cached_property
    def each(self) -> tuple[Backbone, ...]:
        """The same network for images of one size, of each that is joined."""
        return tuple(replace(self, knobs=knobs) for knobs in each_size(self.knobs))

    @cached_property
    def tiles(self) -> Tiles | None:
        """How a canvas is cut; None where the network sees all of it at once."""
        return tiles_of(self.knobs) if self.knobs.tile else None

    def prepare(self, image: Image.Image) -> np.ndarray:
        """An RGB image as (H, W, 3) uint8 of the canvas: resized as a whole, nothing is cropped.
        Where sizes are joined, (N,) uint8: its canvases, packed."""
        if len(self.each) > 1:
            return packed([one.prepare(image) for one in self.each])
        middle = [round(255 * float(value)) for value in self.mean.flatten()]
        return box_of(self.knobs).prepare(image, (middle[0], middle[1], middle[2]))

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Canvases (B, H, W, 3), or packed (B, N), uint8 -> patch features (B, h, w, D) float32."""
        if len(self.each) > 1:
            sizes = unpacked(pixels, [box_of(one.knobs).canvas for one in self.each])
            return joined([one(some) for one, some in zip(self.each, sizes, strict=True)])
        if self.tiles is None:
            return self._in_batches(pixels)
        return np.stack([np.concatenate([*self.strips(canvas)]) for canvas in pixels])

    def strips(self, canvas: np.ndarray) -> Iterator[np.ndarray]:
        """The features of one canvas (H, W, 3) in tiles, from top to bottom (h_k, w, D)."""
        if self.tiles is not None:
            yield from self.tiles.strips(canvas, self._in_batches)

    def strip(self, pixels: np.ndarray, number: int) -> np.ndarray:
        """The features (h_k, w, D) of a row of tiles, by its number, from its pixels (H, W, 3)."""
        if self.tiles is None:
            raise ValueError("a canvas that is seen whole has no tiles")
        return self.tiles.strip(pixels, self.tiles.rows[number], self._in_batches)

    def of_one_tile(self) -> Backbone:
        """The same network for images of the size of a tile."""
        return replace(self, knobs=one_tile(self.knobs))

    def _in_batches(self, pixels: np.ndarray) -> np.ndarray:
        batches = (pixels[at : at + self.batch] for at in range(0, len(pixels), self.batch))
        grids = [self._seen(some) for some in batches]
        return grids[0] if len(grids) == 1 else np.concatenate(grids)

    def _seen(self, pixels: np.ndarray) -> np.ndarray:
        """A short batch is padded, so that the arithmetic does not depend on how many came."""
        short = self.batch - len(pixels)
        padded = np.concatenate([pixels, np.zeros((short, *pixels.shape[1:]), np.uint8)])
        with threads(self.knobs.threads), torch.inference_mode(), self._arithmetic():
            x = torch.from_numpy(padded).to(self.device).permute(0, 3, 1, 2).float().div_(255)
            x = x.sub_(self.mean).div_(self.std).contiguous(memory_format=torch.channels_last)
            maps = feature_maps(self.model, x, self.levels)
            patches = patch_features(
                [level.float() for level in maps], grid=self.grid, pool=self.knobs.pool
            )
        return patches[: len(pixels)].cpu().numpy()

    def _arithmetic(self) -> torch.autocast:
        """The network in `embedder.precision`; pooling and everything after stay in float32."""
        lower = self.knobs.precision != "float32"
        dtype = getattr(torch, self.knobs.precision) if lower else torch.bfloat16
        return torch.autocast(self.device.type, dtype=dtype, enabled=lower)


def build(knobs: EmbedderKnobs) -> Backbone:
    """The backbone that the knobs ask for, with its weights.

    Raises:
        ConfigError: no such backbone, layer, grid or device.
        DataError: weights that are missing or do not fit.
    """
    from timm.data import resolve_model_data_config

    layers = words(knobs.layers)
    grid = _grid(knobs, layers)
    height, width, _ = grid_of(knobs)
    model = _create(knobs).eval().requires_grad_(False)
    names = list(model.state_dict())
    levels = _levels(model, layers)
    model.prune_intermediate_layers(  # type: ignore[operator]
        levels, prune_norm=not has_tokens(model), prune_head=True
    )
    load_weights(model, knobs.weights, backbone=knobs.backbone, names=names)
    how = resolve_model_data_config(model)
    device = torch.device(device_of(knobs.device))
    mark = Fingerprint(
        backbone=knobs.backbone,
        weights=fingerprint(model),
        layers=",".join(layers),
        grid=knobs.grid,
        pool=knobs.pool,
        size=name_of(knobs),
        transform=f"rgb, bilinear, mean {how['mean']}, std {how['std']}"
        f"{', normalised tokens' * has_tokens(model)}",
        precision=knobs.precision,
        patches=height * width,
        threads=knobs.threads,
        batch=knobs.batch,
    )
    return Backbone(
        model=model.to(device).to(memory_format=torch.channels_last),
        levels=tuple(levels),
        grid=grid,
        mean=torch.tensor(how["mean"], device=device).view(3, 1, 1),
        std=torch.tensor(how["std"], device=device).view(3, 1, 1),
        knobs=knobs,
        device=device,
        fingerprint=mark,
    )


@cache
def grid_of(knobs: EmbedderKnobs) -> tuple[int, int, int]:
    """(h, w, D) of an image's features, found without weights or arithmetic.

    Raises:
        ConfigError: as `build`.
    """
    if knobs.also:
        first, *more = (grid_of(one) for one in each_size(knobs))
        return *first[:2], first[2] * (1 + len(more))
    if knobs.tile:
        return *tiles_of(knobs).grid, grid_of(one_tile(knobs))[2]
    layers = words(knobs.layers)
    with torch.device("meta"):
        model = _create(replace(knobs, weights="random")).eval()
        _check_multiple(model, knobs)
        image = torch.empty(1, 3, *tile_of(knobs))
        maps = feature_maps(model, image, _levels(model, layers))
        patches = patch_features(maps, grid=_grid(knobs, layers), pool=knobs.pool)
    _, h, w, d = patches.shape
    return h, w, d


@cache
def tiles_of(knobs: EmbedderKnobs) -> Tiles:
    """How a canvas is cut into tiles, where `embedder.tile` asks for them.

    Raises:
        ConfigError: as `build`, or patches that are no whole number of pixels of a tile.
    """
    side, (h, w, _) = tile_of(knobs), grid_of(one_tile(knobs))
    if side[0] % h or side[1] % w:
        raise ConfigError(
            f"embedder.tile = {knobs.tile}: a tile of {side[1]} x {side[0]} has {w} x {h} patches "
            f"in {knobs.backbone}, expected patches of whole pixels: use another backbone"
        )
    return Tiles(box_of(knobs).canvas, side, knobs.overlap, (side[0] // h, side[1] // w))


def parameters_of(knobs: EmbedderKnobs) -> int:
    """How many weights the whole network has: what sending it, rather than a bank, would cost."""
    with torch.device("meta"):
        model = _create(replace(knobs, weights="random"))
    return sum(weights.numel() for weights in model.parameters())


def has_tokens(model: torch.nn.Module) -> bool:
    """Whether the network is a transformer, whose patches are tokens beside a few others."""
    return hasattr(model, "num_prefix_tokens")


def feature_maps(
    model: torch.nn.Module, images: torch.Tensor, levels: Sequence[int]
) -> list[torch.Tensor]:
    """The maps (B, C_i, h_i, w_i) of images (B, 3, H, W) at some levels, from shallow to deep.

    Of a transformer they are its patches' tokens, by its last normalisation; class and register
    tokens are left out.
    """
    maps: list[torch.Tensor] = model.forward_intermediates(  # type: ignore[operator]
        images, indices=list(levels), intermediates_only=True, norm=has_tokens(model)
    )
    return maps


def _check_multiple(model: torch.nn.Module, knobs: EmbedderKnobs) -> None:
    """Refuse images that are no whole number of a transformer's patches."""
    if not has_tokens(model):
        return
    patch = int(model.patch_embed.patch_size[0])  # type: ignore[index, union-attr]
    if all(side % patch == 0 for side in tile_of(knobs)):
        return
    height, width = tile_of(knobs)
    below = max(patch, min(height, width) // patch * patch)
    raise ConfigError(
        f"embedder.size or .tile: {width} x {height} pixels are no whole number of patches of "
        f"{knobs.backbone}, {patch} pixels wide: expected multiples of {patch}, such as {below} or "
        f"{below + patch}"
    )


def _create(knobs: EmbedderKnobs) -> torch.nn.Module:
    import timm

    name = knobs.backbone
    known = timm.list_models() + timm.list_pretrained()
    if name not in known:
        raise ConfigError(
            f"embedder.backbone = {name!r}{did_you_mean(name, [*known, *BACKBONES])}: timm "
            f"{timm.__version__} has no such model; expected a name with its tag, such as "
            f"wide_resnet50_2.tv_in1k, or one of {', '.join(BACKBONES)}"
        )
    # Transformers are built for images of one size, unless they are told that others will come.
    more: dict[str, Any] = {"dynamic_img_size": True} if name.startswith("vit_") else {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(RANDOM_SEED)
        try:
            return timm.create_model(name, pretrained=knobs.weights == "hub", **more)
        except Exception as error:
            if knobs.weights != "hub":
                raise
            raise DataError(
                f"embedder.weights = 'hub': {name} could not be loaded from timm's hub or cache "
                f"({type(error).__name__}): is there a network, or a local file to name instead?"
            ) from error


def _grid(knobs: EmbedderKnobs, layers: Sequence[str]) -> int:
    if knobs.grid not in layers:
        raise ConfigError(
            f"embedder.grid = {knobs.grid!r}: expected one of embedder.layers = {knobs.layers!r}"
        )
    return list(layers).index(knobs.grid)


def _levels(model: torch.nn.Module, layers: Sequence[str]) -> list[int]:
    """`layer2` -> 2: timm's feature levels, of which 2 has stride 8 and 3 has stride 16."""
    known = [f"layer{number}" for number in range(len(model.feature_info))]  # type: ignore[arg-type]
    for layer in layers:
        if layer not in known:
            raise ConfigError(
                f"embedder.layers: no layer {layer!r}{did_you_mean(layer, known)}: "
                f"there are {', '.join(known)}"
            )
    return [known.index(layer) for layer in layers]
