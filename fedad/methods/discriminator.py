"""SimpleNet's head over sites (Liu et al., CVPR 2023): a discriminator of features, by FedAvg.

Each product has a head: a linear adaptor, then a two-layer discriminator that tells patches of good
images from the same patches with Gaussian noise added. In each round a site trains the broadcast
heads of its products for fixed epochs on its own patches, and the server averages them, weighted by
the images of the product (`merge.weighting`). A patch is scored by minus the discriminator's logit.

Unlike the paper: LayerNorm in place of BatchNorm, whose statistics would mix sites; the noise is in
units of each channel's spread, so that it fits any backbone; the adaptor starts as the identity.
Epochs are fixed: the paper's code picks the best one on test images.

Within a budget (`privacy.release = "dp_sgd"`) a step is one of DP-SGD, and an image is a sample.
All that is not trained is public: which patches are seen and how far their negatives are, alike for
all images of a step; the spread of channels (`dp/public.py`); and what a site weighs, which is 1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from fedad.aggregation.base import weights_of
from fedad.averaging.counted import Counted, check_images, of_all, of_features
from fedad.averaging.reach import check_reach
from fedad.averaging.tensors import Averaging, averaged
from fedad.dp.noise import Noise
from fedad.dp.public import public_of
from fedad.dp.receipts import Receipt
from fedad.dp.sgd import Budget
from fedad.errors import UploadError
from fedad.messages.schema import FLOATS, Array, Dtype
from fedad.methods._batches import batches, may_part, most_batches
from fedad.methods._layers import LAYERS, MARGIN, SLOPE, Arrays, begun, public_widths
from fedad.methods.base import MethodBase, Round, Turn, budget_of, check_scorable
from fedad.plumbing.progress import Advance, track
from fedad.seeding import stream
from fedad.types import Enrolled, Features

if TYPE_CHECKING:  # what takes torch is imported when it is used: a server only averages
    import torch

    from fedad.embedders.in_parts import InParts

__all__ = ["Discriminator"]

SPREAD = 1e-6  # the least spread of a channel that noise is measured in
Layers = dict[str, "torch.Tensor"]


@dataclass(frozen=True)
class Knobs:
    """`discriminator.*`: how the heads are trained and averaged."""

    rounds: Annotated[int, Field(ge=1)] = 10
    epochs: Annotated[int, Field(ge=1)] = 2  # of each round
    hidden: Annotated[int, Field(ge=1)] = 256  # neurons of the discriminator
    batch: Annotated[int, Field(ge=2)] = 1024  # patches
    rate: Annotated[float, Field(gt=0)] = 3e-4  # of learning, by Adam
    noise: Annotated[float, Field(gt=0)] = 0.5  # of the negatives, in spreads of each channel
    averaging: Averaging = "mean"  # or median, trimmed: one site of three cannot move them far
    # Within a budget of privacy, where there are few steps:
    private_rate: Annotated[float, Field(gt=0)] = 3e-3  # of learning, by Adam
    patches: Annotated[int, Field(ge=1)] = 256  # of an image in a step, at most all


@dataclass(frozen=True, eq=False, kw_only=True)
class Heads(Counted):
    """A head for each of C products, of D features and H neurons.

    See `_layers.py`.
    """

    adapt: Annotated[np.ndarray, Array("C D E", FLOATS)]  # E is D
    shift: Annotated[np.ndarray, Array("C D", FLOATS)]
    hidden: Annotated[np.ndarray, Array("C H D", FLOATS)]
    offset: Annotated[np.ndarray, Array("C H", FLOATS)]
    gain: Annotated[np.ndarray, Array("C H", FLOATS)]
    bias: Annotated[np.ndarray, Array("C H", FLOATS)]
    out: Annotated[np.ndarray, Array("C H", FLOATS)]
    dtype: Dtype = "float32"

    def check(self) -> None:
        """Refuse an adaptor that is not square."""
        if self.adapt.shape[1] != self.adapt.shape[2]:
            raise UploadError(f"an adaptor of {self.adapt.shape[1:]}, expected a square", "shape")

    def take(self, products: Sequence[int]) -> Heads:
        """The heads of these products, in this order."""
        at = list(products)
        layers = {name: getattr(self, name)[at] for name in (*LAYERS, "images")}
        return self.replace(**layers, categories=tuple(self.categories[k] for k in at))


@dataclass(frozen=True)
class Discriminator(MethodBase):
    """The method; see the module."""

    rejoins = True

    @cached_property
    def knobs(self) -> Knobs:
        """`discriminator.*`."""
        found: Knobs = self.config.knobs("discriminator")
        return found

    @cached_property
    def rounds(self) -> Sequence[Round]:
        """`discriminator.rounds` alike: heads go up, averaged heads come down."""
        return (Round(Heads, Heads),) * self.knobs.rounds

    def fit(
        self,
        features: Features | InParts,
        turn: Turn,
        *,
        own: Heads | None = None,
        rng: np.random.Generator,
    ) -> Heads:
        """The broadcast heads of the site's products, trained for `discriminator.epochs`."""
        about, heads = of_features(features), []
        with track("training", self.knobs.epochs * len(about["categories"])) as progress:
            for number, name in enumerate(about["categories"]):
                done = number * self.knobs.epochs
                head = self._head(name, features.shape[-1], turn.model)
                for epoch, trained in enumerate(self._trained(features, name, head, rng), start=1):
                    head = trained
                    progress(done + epoch)
                heads.append(head)
        return _heads(heads, about)

    def private_fit(
        self,
        features: Features | InParts,
        turn: Turn,
        *,
        own: Heads | None,
        noise: Noise,
        budget: Budget,
    ) -> tuple[Heads, Receipt]:
        """The broadcast heads of the site's products, trained within a budget; see the module."""
        from fedad.methods._head import trained

        about, number = of_features(features), budget.steps(self.knobs.epochs)
        public = public_of(features.fingerprint)
        steps = budget.planned(number, number * len(self.rounds))
        heads: list[Arrays] = []
        with track("training", number * len(about["categories"])) as progress:
            for name in about["categories"]:
                (points,) = features.parts(name)
                heads.append(
                    trained(
                        points.reshape(-1, features.patches_per_image, points.shape[-1]),
                        self._head(name, features.shape[-1], turn.model),
                        partial(self._drawn, turn.number, name),
                        public,
                        knobs=self.knobs,
                        device=self.device,
                        budget=budget,
                        steps=steps,
                        noise=noise,
                        each=partial(_counted, progress, number * len(heads)),
                    )
                )
        images = Counter(features.categories)
        receipt = budget.receipt(self.config.privacy.release, steps, images, noise)
        return _heads(heads, {**about, "images": np.ones(len(heads), np.int64)}), receipt

    def merge(self, uploads: Sequence[Heads], turn: Turn, *, rng: np.random.Generator) -> Heads:
        """Each product's head averaged over the sites that have it; images are summed."""
        about, found = of_all(uploads), []
        for name in about["categories"]:
            some = [
                one.take([one.categories.index(name)]) for one in uploads if name in one.categories
            ]
            images = [int(one.images[0]) for one in some]
            weights = weights_of([one.sites[0] for one in some], images, self.config.merge)
            found.append(averaged(some, weights, self.knobs.averaging))
        layers = {layer: np.concatenate([getattr(one, layer) for one in found]) for layer in LAYERS}
        return found[0].replace(**layers, **about).rounded(self.config.wire.dtype)

    def score(
        self, model: Heads, features: Features, *, own: Heads | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Minus the logit of each patch by its product's head; an image's score is its largest."""
        import torch

        check_scorable(model, features)
        maps = np.empty(features.grid.shape[:3], np.float32)
        with torch.inference_mode():
            for name in sorted({*features.categories}):
                layers = self._tensors(model, model.categories.index(name))
                images = np.flatnonzero([category == name for category in features.categories])
                for image in images:  # alone, so that a score does not depend on its company
                    points = torch.from_numpy(features.grid[image]).to(self.device)
                    maps[image] = -logits(layers, points).cpu().numpy()
        return maps, maps.max((1, 2))

    def admit(self, upload: Heads, site: Enrolled, turn: Turn) -> tuple[Heads, list[str]]:
        """The heads, if they have the size that was asked for; no more images are believed than
        the site enrolled.

        Raises:
            UploadError: heads of other sizes, of more images than were enrolled, or farther off
                the broadcast ones than training brings them.
        """
        wanted = self.knobs.hidden, site.features
        if (found := upload.hidden.shape[1:]) != wanted:
            raise UploadError(f"heads of {found} neurons and features, expected {wanted}", "shape")
        check_images(upload, site)
        if budget_of(self.config) and (upload.images != 1).any():
            raise UploadError(
                f"heads of {upload.images.max():,} images, expected 1 of each product: within a "
                "budget of privacy a site's own number does not leave",
                "counts",
            )
        self._check_reach(upload, site, turn)
        return upload, []

    def describe(self, model: Heads) -> dict[str, Any]:
        """How many weights, and what FedAvg weighed by."""
        return {
            "weights": sum(getattr(model, layer).size for layer in LAYERS),
            "heads": len(model.categories),
            ("sites" if budget_of(self.config) else "images") + "_by_category": model.by_product(),
        }

    def scale(self, model: Heads) -> dict[str, tuple[float, float]]:
        """Twice the margin on both sides of 0, where the discriminator cannot tell."""
        return dict.fromkeys(model.categories, (-2 * MARGIN, 2 * MARGIN))

    def _check_reach(self, upload: Heads, site: Enrolled, turn: Turn) -> None:
        """Refuse heads farther off the broadcast ones than a round's training brings them."""
        budget, knobs = budget_of(self.config), self.knobs
        widths = public_widths(public_of(site.fingerprint)) if budget else None
        for at, name in enumerate(upload.categories):
            check_reach(
                {layer: getattr(upload, layer)[at] for layer in LAYERS},
                self._head(name, site.features, turn.model),
                rate=knobs.private_rate if budget else knobs.rate,
                steps=budget.steps(knobs.epochs) if budget else self._steps(upload, at, site),
                widths=widths,
            )

    def _steps(self, upload: Heads, at: int, site: Enrolled) -> int:
        """The most steps that a round has for a product."""
        images, patches = int(upload.images[at]), site.fingerprint.patches
        apart = may_part(self.config)
        return self.knobs.epochs * most_batches(images, patches, self.knobs.batch, apart=apart)

    def _drawn(self, number: int, category: str, step: int) -> np.random.Generator:
        """What a private step of a round draws for all images alike; anybody may draw it again."""
        path = ("discriminator", "step", category, str(number), str(step))
        return stream(self.config.round.seed, *path)

    def _head(self, category: str, features: int, model: Heads | None) -> Arrays:
        """The layers that a product's training starts from: the broadcast ones, or at the first
        time some that are the same at all sites."""
        if model is not None and category in model.categories:
            at = model.categories.index(category)
            return {layer: getattr(model, layer)[at] for layer in LAYERS}
        rng = stream(self.config.round.seed, "discriminator", category)
        return begun(features, self.knobs.hidden, rng)

    def _trained(
        self,
        features: Features | InParts,
        category: str,
        head: Arrays,
        rng: np.random.Generator,
    ) -> Iterator[Arrays]:
        """The head after each epoch."""
        import torch

        from fedad.plumbing.compute import threads

        noise = torch.Generator(self.device).manual_seed(int(rng.integers(2**62)))
        with threads(self.config.embedder.threads):
            layers = {
                name: torch.tensor(array, device=self.device, requires_grad=True)
                for name, array in head.items()
            }
            adam = torch.optim.Adam(layers.values(), lr=self.knobs.rate)
            for _ in range(self.knobs.epochs):
                for points in self._batches(features, category, rng):
                    adam.zero_grad()
                    self._loss(layers, points, noise).backward()
                    adam.step()
                yield {n: tensor.detach().cpu().numpy().copy() for n, tensor in layers.items()}

    def _batches(
        self, features: Features | InParts, category: str, rng: np.random.Generator
    ) -> Iterator[torch.Tensor]:
        """The patches of a product in a random order, of each part that memory holds."""
        import torch

        for some in batches(features, category, self.knobs.batch, rng):
            yield torch.from_numpy(some).to(self.device)

    def _loss(self, layers: Layers, points: torch.Tensor, noise: torch.Generator) -> torch.Tensor:
        """SimpleNet's truncated L1 loss of points (n, D) and of the same points with noise."""
        import torch

        adapted = points @ layers["adapt"].T + layers["shift"]
        spread = adapted.detach().std(0).clamp_min(SPREAD)
        drawn = torch.randn(adapted.shape, generator=noise, device=adapted.device)
        negatives = adapted + self.knobs.noise * spread * drawn
        good, bad = _told_apart(layers, adapted), _told_apart(layers, negatives)
        return ((MARGIN - good).clamp_min(0) + (MARGIN + bad).clamp_min(0)).mean()

    def _tensors(self, model: Heads, number: int) -> Layers:
        import torch

        return {
            layer: torch.tensor(getattr(model, layer)[number], device=self.device)
            for layer in LAYERS
        }


def _heads(heads: Sequence[Arrays], about: dict[str, Any]) -> Heads:
    layers: dict[str, Any] = {layer: np.stack([head[layer] for head in heads]) for layer in LAYERS}
    return Heads(**layers, **about)


def _counted(progress: Advance, before: int, step: int) -> None:
    progress(before + step)


def logits(layers: Layers, points: torch.Tensor) -> torch.Tensor:
    """(...,): how sure a head is that each of the points (..., D) is normal."""
    return _told_apart(layers, points @ layers["adapt"].T + layers["shift"])


def _told_apart(layers: Layers, adapted: torch.Tensor) -> torch.Tensor:
    from torch.nn.functional import layer_norm, leaky_relu

    inside = adapted @ layers["hidden"].T + layers["offset"]
    normed = layer_norm(inside, inside.shape[-1:], layers["gain"], layers["bias"])
    return leaky_relu(normed, SLOPE) @ layers["out"]
