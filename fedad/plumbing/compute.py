"""Where tensors are computed, and by how many threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import metadata

from fedad.errors import ConfigError


def device_of(name: str) -> str:
    """`auto` -> `cuda` where torch sees a device, else `cpu`.

    Raises:
        ConfigError: `cuda` is wanted and there is none.
    """
    if name == "cpu":
        return name
    import torch

    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise ConfigError("embedder.device = 'cuda': torch sees no CUDA device: set cpu or auto")
    return "cuda" if available else "cpu"


LIBRARIES = ("numpy", "pillow", "timm", "torch")  # whose version may change bits of a feature


@cache
def made_by(device: str) -> dict[str, str]:
    """What features and figures depend on beside knobs and images, by name: the device, with the
    instructions that it has, and the versions of the libraries.

    Args:
        device: `embedder.device`.

    Raises:
        ConfigError: as `device_of`.
    """
    import torch

    kind = device_of(device)
    if kind == "cuda":
        told = f"cuda {torch.cuda.get_device_name()}"
    else:
        told = f"cpu {torch.backends.cpu.get_cpu_capability()}"
    return {"device": told, **{name: metadata.version(name) for name in LIBRARIES}}


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Use so many threads inside: their number may change the last bits of a feature."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
