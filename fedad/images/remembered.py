"""What was found out about good images, remembered by their bytes for the next run."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Self

import PIL

from fedad.config import EmbedderKnobs as Knobs
from fedad.plumbing.files import cache_root, expanded, private_file, private_folder
from fedad.plumbing.parse import from_json
from fedad.types import Reading

RULES = 2  # counts up when the rules for good images change: what is remembered is then forgotten


class ImageFacts(NamedTuple):
    """A good image: sha256 of its bytes, Pillow's name of its format, (H, W) as it is read, words
    of `faults.USED` for what is odd about it, bits of a value, the orientation that its tag says (1
    to 8), its colour profile's name, its largest value, and its thumbnail in base64."""

    digest: str
    format: str
    size: tuple[int, int]
    notes: tuple[str, ...]
    bits: int = 8
    tag: int = 1
    profile: str = ""
    largest: float = 255.0
    thumbnail: str = ""


class KnownImages:
    """KnownImages by digest, in a file of one line each; None keeps them for this process alone.

    Several processes may add to the file at once. A line that was torn is forgotten.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.known: dict[str, ImageFacts] = {}  # by digest and mark of the reading
        self.new: list[tuple[str, ImageFacts]] = []
        for line in _lines(path):
            if found := _parsed(line):
                mark, look = found
                self.known[look.digest + mark] = look

    @classmethod
    def of(cls, knobs: Knobs) -> Self:
        """Beside the cached features of `embedder.cache`."""
        if knobs.cache == "off":
            return cls(None)
        try:
            root = expanded(knobs.cache) if knobs.cache else cache_root()
        except OSError:  # the embedder says so
            return cls(None)
        return cls(root / f"looks-{PIL.__version__}.jsonl")  # what Pillow reads is its version's

    def get(self, digest: str, reading: Reading) -> ImageFacts | None:
        """What is known of an image that is read so."""
        look = self.known.get(digest + reading.mark)
        return look if look and look.size[0] * look.size[1] <= reading.most_pixels else None

    def add(self, look: ImageFacts, reading: Reading) -> ImageFacts:
        """Remember a look, and return it."""
        self.known[look.digest + reading.mark] = look
        self.new.append((reading.mark, look))
        return look

    def save(self) -> None:
        """Add what is new to the file."""
        if self.path is not None and self.new:
            with suppress(OSError):  # a disk that is full costs the next run time, and no more
                private_folder(self.path.parent)
                with private_file(self.path).open("a", encoding="utf-8") as file:
                    file.write("".join(f"{json.dumps([RULES, *new])}\n" for new in self.new))
            self.new = []


def _lines(path: Path | None) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines() if path else []
    except (OSError, UnicodeDecodeError):
        return []


def _parsed(line: str) -> tuple[str, ImageFacts] | None:
    """A look, and the mark of how its image was read."""
    try:
        rules, mark, (digest, kind, (height, width), notes, *more) = from_json(line)
        bits, tag, profile, largest, thumbnail = more
        sizes = (height, width)
        facts = ImageFacts(
            digest, kind, sizes, tuple(notes), bits, tag, profile, largest, thumbnail
        )
    except (ValueError, TypeError):
        return None
    texts = (mark, digest, kind, profile, thumbnail, *facts.notes)
    is_text = all(isinstance(text, str) for text in texts)
    is_whole = all(type(number) is int and number > 0 for number in (*sizes, bits, tag))
    is_number = type(largest) in (int, float)
    if rules != RULES or not is_text or not is_whole or not is_number:
        return None
    return mark, facts
