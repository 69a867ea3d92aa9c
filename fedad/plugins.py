"""Find a plug-in by its file name: `coresets/kcenter.py` is the coreset "kcenter".

A plug-in file exports one name, which is `__all__`. To add a plug-in, add the file.
"""

import difflib
import importlib
import os
import pkgutil
import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

from fedad.errors import ConfigError

# Files beside plug-ins that are none.
SHARED = (
    *("base", "learner"),
    *("cross_product", "join", "layout", "parts", "sites_table", "without_images"),
)


def names(kind: str) -> list[str]:
    """The plug-ins of a kind: the files in `fedad/<kind>/`, less `_private` ones and `SHARED`."""
    folders = tuple(importlib.import_module(f"fedad.{kind}").__path__)
    return list(_names(folders, tuple(os.stat(folder).st_mtime_ns for folder in folders)))


@lru_cache(maxsize=64)
def _names(folders: tuple[str, ...], _changed: tuple[int, ...]) -> tuple[str, ...]:
    """As `names`; folders are listed again where a file came or went since."""
    found = (module.name for module in pkgutil.iter_modules(folders))
    return tuple(sorted(name for name in found if name not in SHARED and name[0] != "_"))


def plugin(kind: str, name: str) -> Any:
    """What the file `fedad/<kind>/<name>.py` exports.

    Raises:
        ConfigError: no such file; the message names the nearest one and all there are. Or a file
            that does not export one name.
    """
    known = names(kind)
    if name not in known:
        raise ConfigError(
            f"no {name!r} in fedad/{kind}{did_you_mean(name, known)}: there are {', '.join(known)}"
        )
    module = _module(kind, name)
    exported: list[str] = getattr(module, "__all__", [])
    if len(exported) != 1:
        raise ConfigError(
            f"fedad/{kind}/{name}.py exports {', '.join(exported) or 'nothing'}: expected one name "
            "in its __all__, the plug-in's"
        )
    return getattr(module, exported[0])


def declared(kind: str, name: str, what: str) -> Any:
    """The class that the file of a plug-in declares beside what it exports, such as `Knobs`; or
    None. A file that declares none is read and not imported, since that may bring in torch."""
    if not re.search(rf"^class {what}\b", source_of(kind, name), re.MULTILINE):
        return None
    return getattr(_module(kind, name), what)


def states(kind: str, name: str, line: str) -> bool:
    """Whether the file of a plug-in has this line, such as `RANKED = True`; it isn't imported."""
    return line in _lines(source_of(kind, name))


def source_of(kind: str, name: str) -> str:
    """The source of a plug-in's file."""
    file = Path(importlib.import_module(f"fedad.{kind}").__path__[0]) / f"{name}.py"
    found = file.stat()
    return _source(file, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=256)
def _source(file: Path, _changed: int, _size: int) -> str:
    return file.read_text("utf-8")


@lru_cache(maxsize=256)
def _lines(source: str) -> frozenset[str]:
    return frozenset(source.splitlines())


def _module(kind: str, name: str) -> ModuleType:
    return importlib.import_module(f"fedad.{kind}.{name}")


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """` (did you mean 'x'?)`, or nothing where no known name is near."""
    close = difflib.get_close_matches(wrong, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
