"""Find a plug-in by its file name: `coresets/kcenter.py` is the coreset "kcenter".

A plug-in file exports one name, which is `__all__`. To add a plug-in, add the file.
"""

import difflib
import importlib
import pkgutil
from collections.abc import Iterable
from typing import Any

from fedad.errors import ConfigError


def names(kind: str) -> list[str]:
    """The plug-ins of a kind: the files in `fedad/<kind>/`, less `base` and `_private` ones."""
    package = importlib.import_module(f"fedad.{kind}")
    found = (module.name for module in pkgutil.iter_modules(package.__path__))
    return sorted(name for name in found if name != "base" and name[0] != "_")


def plugin(kind: str, name: str) -> Any:
    """What the file `fedad/<kind>/<name>.py` exports.

    Raises:
        ConfigError: no such file; the message names the nearest one and all there are.
    """
    known = names(kind)
    if name not in known:
        raise ConfigError(
            f"no {name!r} in fedad/{kind}{nearest(name, known)}: there are {', '.join(known)}"
        )
    module = importlib.import_module(f"fedad.{kind}.{name}")
    (only,) = module.__all__
    return getattr(module, only)


def nearest(wrong: str, known: Iterable[str]) -> str:
    """` (did you mean 'x'?)`, or nothing where no known name is near."""
    close = difflib.get_close_matches(wrong, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
