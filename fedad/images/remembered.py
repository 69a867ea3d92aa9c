"""What was found out about good images, remembered by their bytes for the next run."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Self

import PIL

from fedad.config import EmbedderKnobs as Knobs
from fedad.plumbing.files import cache_root, private_file, private_folder
from fedad.plumbing.parse import from_json

RULES = 1  # counts up when the rules for good images change: what is remembered is then forgotten


class ImageFacts(NamedTuple):
    """A good image: sha256 of its bytes, Pillow's name of its format, (H, W), words of
    `faults.USED` for what is odd about it."""

    digest: str
    format: str
    size: tuple[int, int]
    notes: tuple[str, ...]


class KnownImages:
    """KnownImages by digest, in a file of one line each; None keeps them for this process alone.

    Several processes may add to the file at once. A line that was torn is forgotten.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.known: dict[str, ImageFacts] = {}
        self.new: list[ImageFacts] = []
        for line in _lines(path):
            if look := _parsed(line):
                self.known[look.digest] = look

    @classmethod
    def of(cls, knobs: Knobs) -> Self:
        """Beside the cached features of `embedder.cache`."""
        if knobs.cache == "off":
            return cls(None)
        root = Path(knobs.cache).expanduser() if knobs.cache else cache_root()
        return cls(root / f"looks-{PIL.__version__}.jsonl")  # what Pillow reads is its version's

    def get(self, digest: str) -> ImageFacts | None:
        return self.known.get(digest)

    def add(self, look: ImageFacts) -> ImageFacts:
        """Remember a look, and return it."""
        self.known[look.digest] = look
        self.new.append(look)
        return look

    def save(self) -> None:
        """Add what is new to the file."""
        if self.path is not None and self.new:
            with suppress(OSError):  # a disk that is full costs the next run time, and no more
                private_folder(self.path.parent)
                with private_file(self.path).open("a", encoding="utf-8") as file:
                    file.write("".join(f"{json.dumps([RULES, *look])}\n" for look in self.new))
            self.new = []


def _lines(path: Path | None) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines() if path else []
    except (OSError, UnicodeDecodeError):
        return []


def _parsed(line: str) -> ImageFacts | None:
    try:
        rules, digest, kind, (height, width), notes = from_json(line)
        facts = ImageFacts(digest, kind, (height, width), tuple(notes))
    except (ValueError, TypeError):
        return None
    is_text = all(isinstance(text, str) for text in (digest, kind, *facts.notes))
    is_size = all(type(side) is int and side > 0 for side in facts.size)
    return facts if rules == RULES and is_text and is_size else None
