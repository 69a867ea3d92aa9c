"""Features on disk, found by what they were made of: an image's bytes and a fingerprint."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from fedad.plumbing.files import write_atomic
from fedad.plumbing.tensor_files import check_tensors
from fedad.types import Fingerprint


@dataclass(frozen=True)
class Cache:
    """One safetensors file an image, below a folder for each fingerprint.

    A file that cannot be read is a miss. When the cache outgrows `limit` bytes, the features that
    were used longest ago go first.
    """

    root: Path
    limit: int

    def folder(self, fingerprint: Fingerprint) -> Path:
        mark = repr(sorted(vars(fingerprint).items())).encode()
        return self.root / hashlib.sha256(mark).hexdigest()[:16]

    def path(self, fingerprint: Fingerprint, image: Path) -> Path:
        """Where the features of this image file are kept."""
        return self.place(fingerprint, image.read_bytes())

    def place(self, fingerprint: Fingerprint, content: bytes) -> Path:
        """Where the features of an image file with this content are kept."""
        digest = hashlib.sha256(content).hexdigest()
        return self.folder(fingerprint) / digest[:2] / f"{digest[2:]}.safetensors"

    def get(self, path: Path) -> np.ndarray | None:
        """The features (h, w, D) kept at `path`, if they are there and whole."""
        try:
            check_tensors(path)
            grid = load_file(path)["grid"]
            os.utime(path)
        except (OSError, SafetensorError, KeyError, ValueError):
            return None
        return grid

    def put(self, path: Path, grid: np.ndarray) -> None:
        write_atomic(path, save({"grid": grid}), flush=False)

    def trim(self) -> None:
        """Delete the features used longest ago until the cache is within its limit."""
        files = [(path.stat(), path) for path in self.root.rglob("*.safetensors")]
        size = sum(stat.st_size for stat, _ in files)
        for stat, path in sorted(files, key=lambda file: file[0].st_mtime):
            if size <= self.limit:
                return
            path.unlink(missing_ok=True)
            size -= stat.st_size
