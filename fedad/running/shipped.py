"""The configurations that fedad comes with, found by name: `fedad run demo`."""

from __future__ import annotations

from pathlib import Path

import fedad
from fedad.errors import ConfigError
from fedad.plugins import did_you_mean

FOLDER = "configs"


def shipped_folder() -> Path:
    """Where they are: beside the packages in a checkout, inside in a wheel."""
    package = Path(fedad.__file__).parent
    beside = package.parent / FOLDER
    return beside if beside.is_dir() else package / FOLDER


def found(path: Path, ending: str) -> Path:
    """The file that a user means: their own, or one of those that fedad comes with.

    `demo`, `demo.toml` and `configs/demo.toml` are one where there is no such file; so are
    `merges` and `configs/compare/merges.yaml`.

    Args:
        ending: `.toml` or `.yaml`, of the kind that is asked for.

    Raises:
        ConfigError: neither is there.
    """
    if path.exists():
        return path
    known = _shipped(ending)
    words = [part for part in path.parts if part not in (FOLDER, "compare")]
    if not path.is_absolute() and len(words) == 1 and words[0].removesuffix(ending) in known:
        return known[words[0].removesuffix(ending)]
    near = did_you_mean(path.name.removesuffix(ending), known)
    raise ConfigError(
        f"{path}: cannot be read (No such file or directory){near}: fedad comes with "
        f"{', '.join(known)}"
    )


def _shipped(ending: str) -> dict[str, Path]:
    """Name -> file."""
    return {path.stem: path for path in sorted(shipped_folder().rglob(f"*{ending}"))}
