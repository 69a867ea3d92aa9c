"""Which mask files are of which image of a tree, and what their pixels mean."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import product

from fedad.datasets._walk import File
from fedad.datasets.layout import Layout, MaskRule, filled
from fedad.images.pixels import SUFFIXES
from fedad.types import Channel, Sample, Saturation


class Masks:
    """The mask files of a category, by their place, and which of them were taken."""

    def __init__(
        self,
        layout: Layout,
        files: Iterable[File],
        saturation: Mapping[int, Saturation] | None,
    ) -> None:
        self.layout, self.saturation, self.unlisted = layout, saturation, False
        self.at: dict[str, list[File]] = defaultdict(list)
        self.others, self.taken = list[File](), set[str]()
        for file in files:
            if file.path.suffix.lower() in SUFFIXES:
                self.at[file.place.rpartition(".")[0]].append(file)
                self.at[f"{file.place.rpartition('/')[0]}/*"].append(file)
            self.others.append(file)

    def of(self, defect: str, image: File, stems: Iterable[str]) -> tuple[Channel, ...]:
        """The masks of an image, by the first of its stems and the first rule that has any."""
        for stem, rule in product(stems, self.layout.rules):
            place = filled(rule.place, defect=defect, stem=stem, split=self.layout.test)
            files = self.at.get(place, [])
            if not files:
                continue
            if not rule.place.endswith("/*"):
                files = self._same_ending(files, image)
            self.taken.update(file.place for file in files)
            return tuple(self._channel(rule, file) for file in files)
        return ()

    @staticmethod
    def _same_ending(files: list[File], image: File) -> list[File]:
        """One mask an image: where there are several, that of the image's own ending, or the
        first."""
        own = [file for file in files if file.path.suffix == image.path.suffix]
        return (own or files)[:1]

    def _channel(self, rule: MaskRule, file: File) -> Channel:
        listed = rule.values == "listed" and self.saturation is not None
        self.unlisted |= rule.values == "listed" and not listed
        unlisted = "any" if rule.values == "listed" else rule.values
        return Channel(file.path, self.saturation or {}, "listed" if listed else unlisted)

    def left(self) -> list[File]:
        return [file for file in self.others if file.place not in self.taken]


def binary_note(layout: Layout, samples: Sequence[Sample]) -> str:
    """What a reader of AUC-sPRO should know where masks do not part defects."""
    channels = [channel for sample in samples for channel in sample.masks or ()]
    if not layout.config and any(channel.values == "any" for channel in channels):
        return (
            "one binary mask an image: its whole defect is one region that has to be found in "
            "full, so that AUC-sPRO is another figure than with a mask for each defect"
        )
    if any(channel.values == "classes" for channel in channels):
        return "the values of a mask are classes: each is a region that has to be found in full"
    return ""
