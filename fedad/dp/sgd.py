"""DP-SGD by Opacus (Abadi et al., CCS 2016): training of which a run's budget bounds what it tells.

In each step every image is in with the same public probability (a Poisson sample, which may be
empty). The gradient of each image, with all its patches, is clipped; Gaussian noise is added to
their sum. How many steps there are, the probability and the noise follow from public numbers alone,
never from how many images a site has.

Opacus computes and clips the gradients and accounts for the noise. Both draws, of who is in and of
the noise, are `Noise`'s: a generator of torch has 32 bits of seed on a CPU, which can be tried out.
Sums are float64; that the low bits of noise in floating point tell nothing is not covered.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Protocol

import numpy as np
from pydantic import Field
from scipy.special import ndtri

from fedad.dp.noise import Noise
from fedad.dp.receipts import Receipt, SampledGaussians
from fedad.errors import ConfigError

if TYPE_CHECKING:  # what takes torch is imported when it is used: a server only averages
    import torch
    from opacus.optimizers import DPOptimizer

AT_ONCE = 16  # images whose gradients are in memory together
EXACTNESS = 0.002  # of epsilon: how far the noise is sought, and what accounting may be off by
ROUNDING = 1e-9  # of the clipping norm: more than float64 sums are off by


@dataclass(frozen=True)
class Budget:
    """What a run may spend on each product of each site, over all its rounds, and in which steps.

    All of it is public. `images` is what the operator declares, not what a site counts: where a
    site has fewer or more, accuracy differs, and privacy does not.
    """

    epsilon: Annotated[float, Field(ge=0.01, le=50)] = 10.0  # of a whole run, for one product
    delta: Annotated[float, Field(ge=1e-8, le=1e-3)] = 1e-5  # well below one in the images
    clip: Annotated[float, Field(gt=0)] = 1.0  # the longest gradient of an image
    batch: Annotated[int, Field(ge=1)] = 64  # images expected in a step
    images: Annotated[int, Field(ge=1)] = 300  # good images of a site and product, declared

    @property
    def rate(self) -> float:
        """The probability with which each image is in a step."""
        return self.batch / self.images

    def steps(self, epochs: int) -> int:
        """The steps in which as many images are expected as `epochs` passes over them have."""
        return epochs * math.ceil(self.images / self.batch)

    def check(self) -> None:
        """Refuse steps that are not.

        Raises:
            ConfigError: more images expected in a step than there are.
        """
        if self.batch > self.images:
            raise ConfigError(
                f"dp_sgd.batch = {self.batch}: expected at most dp_sgd.images = {self.images}, "
                "the good images of a site and product that are declared"
            )

    def planned(self, steps: int, total: int) -> Steps:
        """The `steps` of a round, of `total` in all rounds, which together cost the budget."""
        noise = noise_multiplier(self.epsilon, self.delta, self.rate, total)
        return Steps(noise, self.rate, steps)

    def receipt(
        self, release: str, steps: Steps, images: Mapping[str, int], noise: Noise
    ) -> Receipt:
        """What a round did, for whoever accounts for it; how many images there are stays too."""
        return SampledGaussians(
            release=release,
            images=dict(images),
            epsilon=self.epsilon,
            delta=self.delta,
            unit="image",
            noise=steps.noise,
            rate=steps.rate,
            steps=steps.number,
            private=noise.private,
        )


class Steps(NamedTuple):
    """So many steps alike: what a receipt says of them."""

    noise: float  # its standard deviation, over the clipping norm
    rate: float
    number: int


@cache
def noise_multiplier(epsilon: float, delta: float, rate: float, steps: int) -> float:
    """The least noise, over the clipping norm, with which `steps` steps cost at most `epsilon`.

    By the privacy loss distribution (Opacus' PRV accountant, of Gopi et al., NeurIPS 2021), whose
    own error is on the safe side.

    Raises:
        ConfigError: Opacus is not installed.
    """
    _opacus()
    from opacus.accountants.utils import get_noise_multiplier

    # Of Rényi orders, by which it only bounds its grid, and at the rate 1 of the logarithm of 0.
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        found = get_noise_multiplier(
            target_epsilon=epsilon,
            target_delta=delta,
            sample_rate=rate,
            steps=steps,
            accountant="prv",
            epsilon_tolerance=EXACTNESS * epsilon,
            eps_error=EXACTNESS * epsilon,
        )
    return float(found)


class Losses(Protocol):
    """The losses of some images in a step."""

    def __call__(self, module: torch.nn.Module, images: torch.Tensor, step: int) -> torch.Tensor:
        """(B,): the loss of each of `images` (B, ...), by nothing but itself, the module and the
        step's number from 0."""
        ...


def train(
    module: torch.nn.Module,
    images: np.ndarray,
    losses: Losses,
    optimizer: Callable[[Iterable[torch.nn.Parameter]], torch.optim.Optimizer],
    *,
    budget: Budget,
    steps: Steps,
    noise: Noise,
    each: Callable[[int], None] = lambda step: None,
) -> None:
    """Train `module` in place.

    Args:
        module: in float64, without layers that mix images, such as BatchNorm.
        images: (n, ...) features of the images of one product, of which `losses` gets some.
        optimizer: makes what the noised gradients, divided by `budget.batch`, are given to.
        each: told the number of steps that are done.

    Raises:
        ConfigError: Opacus is not installed.
        ValueError: a layer whose gradients are not those of single images.
    """
    _opacus()
    from opacus.grad_sample import GradSampleModule
    from opacus.validators import ModuleValidator

    if mixing := ModuleValidator.validate(module, strict=False):
        raise ValueError(f"not for DP-SGD: {mixing[0]}")
    watched = GradSampleModule(module, batch_first=True, loss_reduction="sum")
    trained = [p for p in watched.parameters() if p.requires_grad]
    noisy = _noisy(optimizer(trained), trained, budget, steps, noise)
    for step in range(steps.number):
        chosen = np.flatnonzero(noise.normal((len(images),)) < ndtri(steps.rate))
        parts = np.array_split(chosen, max(1, -(-len(chosen) // AT_ONCE)))
        for number, part in enumerate(parts, start=1):
            _gradients(watched, images[part], partial(losses, step=step), trained)
            noisy.signal_skip_step(do_skip=number < len(parts))
            noisy.step()
            noisy.zero_grad()
        each(step + 1)
    watched.remove_hooks()


def _gradients(
    module: torch.nn.Module,
    images: np.ndarray,
    losses: Callable[[torch.nn.Module, torch.Tensor], torch.Tensor],
    trained: Sequence[Any],
) -> None:
    """Leave the gradient of each image beside each tensor; of no images there are none."""
    import torch

    if len(images):
        some = torch.from_numpy(images).to(trained[0].device, torch.float64)
        with warnings.catch_warnings():  # that no gradient of the features themselves is wanted
            warnings.filterwarnings("ignore", "Full backward hook is firing")
            losses(module, some).sum().backward()
    for p in trained:
        p.grad_sample = _finite(p) if len(images) else p.new_zeros((0, *p.shape))


def _finite(p: Any) -> torch.Tensor:
    """The gradients of the images; an image that has a value that is not finite there has 0."""
    import torch

    gradients: torch.Tensor = p.grad_sample
    usual = gradients.flatten(1).isfinite().all(1)
    at = usual.reshape(-1, *[1] * (gradients.dim() - 1))
    return torch.where(at, gradients, torch.zeros_like(gradients))


def _noisy(
    inner: torch.optim.Optimizer,
    trained: Sequence[Any],
    budget: Budget,
    steps: Steps,
    noise: Noise,
) -> DPOptimizer:
    """Opacus' optimizer, with noise of ours."""
    import torch
    from opacus.optimizers import DPOptimizer

    class Noisy(DPOptimizer):
        def add_noise(self) -> None:
            for p in trained:
                drawn = torch.from_numpy(noise.normal(tuple(p.shape)))
                p.grad = p.summed_grad + steps.noise * budget.clip * drawn.to(p.device)

    return Noisy(
        inner,
        noise_multiplier=steps.noise,
        max_grad_norm=budget.clip * (1 - ROUNDING),
        expected_batch_size=budget.batch,
    )


def _opacus() -> None:
    """Refuse to go on without Opacus."""
    try:
        import opacus  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            "privacy.release = 'dp_sgd': Opacus is not installed: pip install 'fedad[privacy]'"
        ) from error
