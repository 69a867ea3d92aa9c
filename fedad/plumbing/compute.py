"""Where tensors are computed, and by how many threads."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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


KEPT = 2**28  # bytes that wait for the next image, at most
_TRIM, _MAP = -1, -3  # what `mallopt` calls its two thresholds


@cache
def keep_memory() -> None:
    """Let the memory that one image took wait for the next one, where the C library is GNU's.

    It otherwise goes back to the system after each layer, and 10,000 pages are asked for anew with
    each image of 384 pixels: a quarter of the network's time. No bit of a result changes. See
    mallopt(3): M_TRIM_THRESHOLD and M_MMAP_THRESHOLD.
    """
    with suppress(AttributeError, OSError):  # another C library
        for what in (_MAP, _TRIM):
            ctypes.CDLL(None).mallopt(what, KEPT)
