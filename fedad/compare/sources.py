"""The code that results depend on, as a digest: changed code must not be given old numbers.

Comments, docstrings and layout do not count, so that a word put better redoes nothing.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from fedad.running.flower import PACKAGES

LATER = ("cli.py", "commands", "compare", "deploy", "reporting")  # what no result comes from ...
KEPT = ("per_image.py", "record.py", "running.py")  # ... but for these, which write it
SPOKEN = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)  # have docstrings


@cache
def of_runs() -> str:
    """The digest of all code that a run's results come from."""
    return digest(_sources(Path(__file__).parents[2]))


def digest(paths: Iterable[Path]) -> str:
    """A sha256 over what the files say to Python, in their order."""
    found = hashlib.sha256()
    for path in paths:
        found.update(ast.dump(_without_docstrings(ast.parse(path.read_bytes()))).encode())
    return found.hexdigest()[:16]


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, SPOKEN) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return tree


def _sources(root: Path) -> Iterator[Path]:
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            if path.name in KEPT or not set(LATER) & set(path.relative_to(root).parts):
                yield path
