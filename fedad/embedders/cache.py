"""Features on disk, found by what they were made of: an image's bytes, a fingerprint, a machine.

Several processes may share a cache: what is written and what is deleted takes turns, so that the
cache is at most one file larger than its limit at any time.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache as once
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from fedad.plumbing.files import private_file, private_folder, write_atomic
from fedad.plumbing.tensor_files import check_tensors
from fedad.types import Fingerprint

ROOM = 0.05  # of the limit, that is made free beyond what is needed: to look takes all files
TIFF = (b"II*\0", b"MM\0*")  # what its files begin with
OLD = 3600.0  # seconds after which a part file is what a killed process left

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cache:
    """One safetensors file an image, below a folder for each fingerprint and machine.

    A file that cannot be read, or is not what was written, is a miss; a file that is there and is
    none is warned of. A folder that cannot be written is read, and said so once; it costs time, and
    no more. When the cache outgrows `limit` bytes, the features that were used longest
    ago go first.

    Args:
        made_with: the device, and the versions of the libraries that features depend on.
    """

    root: Path
    limit: int
    made_with: str = ""

    def folder(self, fingerprint: Fingerprint) -> Path:
        mark = repr((sorted(vars(fingerprint).items()), self.made_with)).encode()
        return self.root / hashlib.sha256(mark).hexdigest()[:16]

    def path(self, fingerprint: Fingerprint, image: Path, mark: str = "") -> Path:
        """Where the features of this image file are kept."""
        return self.place(fingerprint, image.read_bytes(), mark)

    def place(self, fingerprint: Fingerprint, content: bytes, mark: str = "") -> Path:
        """Where the features of an image file with this content are kept.

        Args:
            mark: of how it is read, `Reading.mark`.
        """
        if content[:4] in TIFF:
            mark = f"{mark} as stored"  # earlier versions let Pillow turn TIFF by its tag
        digest = hashlib.sha256(content + mark.encode()).hexdigest()
        return self.folder(fingerprint) / digest[:2] / f"{digest[2:]}.safetensors"

    def get(self, path: Path, shape: tuple[int, ...] | None = None) -> np.ndarray | None:
        """The features (h, w, D) float32 kept at `path`, if they are there and as they were put.

        Args:
            shape: what they must have; None for any.
        """
        try:
            grid = _read(path)
            if shape is not None and grid.shape != shape:
                raise ValueError(f"features of shape {grid.shape}, expected {shape}")
            with suppress(OSError):  # of another user, or on a disk that is only read
                os.utime(path)
        except (FileNotFoundError, NotADirectoryError):  # also if another process deletes it now
            return None
        except PermissionError as error:
            say_unusable(self.root, f"{error.strerror}")
            return None
        except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
            log.warning("%s: not as it was cached (%s): the image is embedded anew", path, error)
            return None
        return grid

    def put(self, path: Path, grid: np.ndarray) -> bool:
        """Keep features, and delete others first if there would be too many; whether they are kept,
        which they are not where the disk is full or the folder cannot be written."""
        content = save({"grid": grid}, {"sha256": _digest(grid)})
        try:
            with self._alone():
                size = self._noted()
                if size is None or size + len(content) > self.limit:
                    size = self._trimmed(len(content))
                write_atomic(path, content, flush=False)
                self._note(size + len(content))
        except OSError as error:
            say_unusable(self.root, f"{error.strerror or error}")
            return False
        return True

    def trim(self) -> None:
        """Delete the features used longest ago until the cache is within its limit."""
        try:
            if self.root.is_dir():
                with self._alone():
                    self._note(self._trimmed(0))
        except OSError as error:
            say_unusable(self.root, f"{error.strerror or error}")

    def _trimmed(self, more: int) -> int:
        """How many bytes there are, after so many have place and some room if they had none."""
        files = sorted(_files(self.root), key=lambda file: file[0])
        size = sum(bytes_ for _, bytes_, _ in files)
        if size + more <= self.limit:
            return size
        wanted = self.limit - more - (int(ROOM * self.limit) if more else 0)
        for _, bytes_, path in files:
            if size <= wanted:
                break
            with suppress(FileNotFoundError):
                path.unlink()
            size -= bytes_
        return size

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes from writing and deleting; where a disk has no locks, do not."""
        with private_file(private_folder(self.root) / ".lock").open("rb+") as lock:
            with suppress(OSError):
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _noted(self) -> int | None:
        """How many bytes there were when somebody last wrote or deleted; None if nobody knows."""
        try:
            return int((self.root / ".size").read_text())
        except (OSError, ValueError):
            return None

    def _note(self, size: int) -> None:
        write_atomic(self.root / ".size", str(size), flush=False)


@once
def say_unusable(root: Path | str, why: str) -> None:
    """Warn of a cache that cannot be written; a process does so once."""
    log.warning(
        "embedder.cache: %s cannot be written (%s): features are not kept, and the next command "
        "takes as long as this one",
        root,
        why,
    )


def _files(root: Path) -> Iterator[tuple[float, int, Path]]:
    """When each file was last used, its bytes, and where it is; files that vanish are not there."""
    old = time.time() - OLD
    for folder, _, names in os.walk(root):
        for name in names:
            if name.endswith((".safetensors", ".part")):
                path = Path(folder) / name
                with suppress(FileNotFoundError):
                    stat = path.stat()
                    if name.endswith(".part") and stat.st_mtime < old:
                        path.unlink()
                    else:
                        yield stat.st_mtime_ns, stat.st_size, path


def _read(path: Path) -> np.ndarray:
    """The features in a file, held against the checksum in its header.

    Raises:
        OSError, SafetensorError, KeyError, ValueError: it is none, or not as it was written.
    """
    check_tensors(path)
    with safe_open(path, framework="numpy") as file:
        whole, grid = (file.metadata() or {})["sha256"], file.get_tensor("grid")
    if grid.dtype != np.float32 or grid.ndim != 3:
        raise ValueError(f"features are (h, w, D) float32, got {grid.shape} {grid.dtype}")
    if _digest(grid) != whole:
        raise ValueError("its checksum does not fit")
    if not np.isfinite(grid).all():
        raise ValueError("features that are not finite")
    return grid


def _digest(grid: np.ndarray) -> str:
    digest = hashlib.sha256(f"{grid.shape} {grid.dtype}".encode())
    digest.update(np.ascontiguousarray(grid).data)
    return digest.hexdigest()
