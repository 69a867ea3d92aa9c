"""The one reader of folder trees: a `Layout` and a root -> the samples, and all else named."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from fedad.datasets._choose import chosen
from fedad.datasets._config import read_saturation
from fedad.datasets._found import Odd, licence_of
from fedad.datasets._label_table import read_labels
from fedad.datasets._labels import labelled_apart
from fedad.datasets._masks import Masks, binary_note
from fedad.datasets._place import Base, base_of, tree_error, unreadable
from fedad.datasets._split_table import read_split
from fedad.datasets._walk import File, walk
from fedad.datasets._words import role_of
from fedad.datasets.layout import NOT_GOOD, Layout, filled
from fedad.errors import DataError
from fedad.images.pixels import SUFFIXES, shown
from fedad.types import GOOD, VALIDATION, Channel, Dataset, Sample, Saturation

__all__ = ["Reader", "read_layout", "read_saturation"]


class Reader:
    """What a data set's file exports: it reads a folder in one of its layouts.

    Calling it raises:
        DataError: the folder is not as the layout says, a category is not there, or
            `defects_config.json` is broken; the message says what was found instead.
    """

    mapping = ""  # a file in the data set's folder that says its layout, where one may

    def __init__(self, *layouts: Layout) -> None:
        self.layouts = layouts

    def layout_of(self, root: Path) -> Layout:
        """The layout whose signs are in a folder, or the first."""
        found = (layout for layout in self.layouts if base_of(layout, root, signed=True))
        return next(found, self.layouts[0])

    def __call__(self, root: Path, *, categories: Sequence[str] = ()) -> Dataset:
        try:
            layout = self.layout_of(root) if root.is_dir() else self.layouts[0]
        except OSError as error:
            raise unreadable(root, error) from error
        return read_layout(layout, root, categories=categories)


def read_layout(layout: Layout, root: Path, *, categories: Sequence[str] = ()) -> Dataset:
    """All samples below `root`, counted from disk.

    Args:
        root: the data set's folder, the folder around it that its archive leaves, or the folder of
            one category.
        categories: the products wanted; none means all there are.

    Raises:
        DataError: no folder, no such category, a category without images, a name that is no
            printable Unicode, a folder that may not be read, or a broken `defects_config.json`.
    """
    try:
        return _read(layout, root, categories)
    except OSError as error:
        raise unreadable(root, error) from error


def _read(layout: Layout, root: Path, categories: Sequence[str]) -> Dataset:
    base = _base(layout, root)
    wanted = chosen(categories, base.folders, base.root)
    split = read_split(base.root / layout.table) if layout.table else {}
    odd, samples = Odd(), list[Sample]()
    for category in wanted:
        part = _Category(layout, category, base.folders[category], base.root, split, odd)
        samples += part.samples()
    if base.whole:
        odd.around(base.root, base.folders, layout)
        for above in _between(root, base.root):
            odd.around(above, {"": base.root}, layout)
    notes = [note for note in (base.note, binary_note(layout, samples)) if note]
    return Dataset(
        name=layout.name,
        root=base.root,
        licence=licence_of(layout, wanted, odd.licences),
        samples=tuple(samples),
        faults=odd.faults(samples),
        unused=tuple(odd.unused),
        notes=tuple(notes),
        folders={category: base.folders[category] for category in wanted},
    )


def _between(root: Path, inner: Path) -> list[Path]:
    """The folders from the one that a user named to the one around the products."""
    return [folder for folder in inner.parents if folder.is_relative_to(root)]


def _base(layout: Layout, root: Path) -> Base:
    if not root.is_dir():
        what = "is a file" if root.exists() else "there is no such folder"
        raise tree_error(f"{root}: {what}: does data.dir name the data set's root?")
    base = base_of(layout, root)
    if base is None:
        raise tree_error(
            f"{root}: no category folder in it: expected {root}/<category>/"
            f"{filled(layout.image, split=layout.train, defect=layout.good[0], stem='*')}.png"
        )
    return base


class _Group(NamedTuple):
    """Images of one split and one defect's folder."""

    split: str
    folder: str


@dataclass
class _Category:
    """One product's folder while it is read."""

    layout: Layout
    category: str
    folder: Path
    root: Path
    split: Mapping[str, str]  # of a table: an image's place below the root -> train or test
    odd: Odd
    files: list[File] = field(default_factory=list)

    def samples(self) -> list[Sample]:
        tree = walk(self.folder)
        self.odd.left(self.category, tree.left)
        self.files = [file for file in tree.files if not self._known(file)]
        images, rest = self._images()
        masks = Masks(self.layout, rest, self._saturation())
        found = [sample for group in sorted(images) for sample in self._of(group, images, masks)]
        if self.layout.labels:  # which part the images of a folder
            found.sort(key=lambda sample: (sample.split, sample.defect, sample.path))
        if not found:
            raise tree_error(
                f"{self.folder}: the category has no image: expected "
                f"{self._expected()}{self.odd.instead(rest)}"
            )
        if masks.unlisted:
            self.odd.no_config(self.category, self.folder / self.layout.config)
        self.odd.rest(self.category, self.layout, masks.left())
        return found

    def _expected(self) -> str:
        good = filled(
            self.layout.image, split=self.layout.train, defect=self.layout.good[0], stem="*"
        )
        return f"{good}.png"

    def _known(self, file: File) -> bool:
        """Whether a file is one that belongs to the data set without being an image."""
        if file.place == self.layout.config:
            return True
        return file.place in ("sites.csv", self.layout.labels) or self.odd.licence(file)

    def _images(self) -> tuple[dict[_Group, list[File]], list[File]]:
        """The files that are images by their place, and the others."""
        images: dict[_Group, list[File]] = defaultdict(list)
        rest = []
        for file in self.files:
            at = self._at(file)
            if at is None or file.path.suffix.lower() not in SUFFIXES:
                rest.append(file)
                continue
            folder, defect, _ = at
            split = self._split(folder, file)
            if split == "":
                self.odd.no_split(self.category, file)
            elif defect not in self.layout.good and role_of(defect) == "good":
                raise self._called_otherwise(defect, file)
            elif split == "train" and defect not in self.layout.good:
                self.odd.learned(self.category, file)
            elif split == VALIDATION and defect not in self.layout.good:
                self.odd.note(self.category, "aside", file.path, NOT_GOOD)
            else:
                images[_Group(split, defect)].append(file)
        return images, rest

    def _at(self, file: File) -> tuple[str, str, str] | None:
        """Where in the layout an image is. Folders of batches or days change nothing."""
        place, batches = self.layout.batches_at(file.place.rpartition(".")[0] or file.place)
        return self.layout.image_at(place) if all(map(_is_batch, batches)) else None

    def _stem(self, file: File) -> str:
        """An image's stem, below the batch that it is of."""
        return "/".join((*self.layout.batches_at(file.place)[1], file.path.stem))

    def _called_otherwise(self, name: str, file: File) -> DataError:
        return tree_error(
            f"{shown(file.path.parent)}: a folder {name!r} would be one of a defect, since "
            f"{self.layout.title} calls good images {self.layout.good[0]!r}: data.dataset = 'auto' "
            "reads what you have"
        )

    def _split(self, folder: str, file: File) -> str:
        if not self.layout.table:
            if folder in self.layout.validation:
                return VALIDATION
            return "train" if folder == self.layout.train else "test"
        return self.split.get(file.path.relative_to(self.root).as_posix(), "")

    def _saturation(self) -> Mapping[int, Saturation] | None:
        """What the configuration lists; None where the layout has none, or it is missing."""
        path = self.folder / self.layout.config
        there = self.layout.config and (path.exists() or path.is_symlink())
        return read_saturation(path) if there else None

    def _told(self) -> Mapping[str, str]:
        """What a table says is wrong with each image; nothing where there is none."""
        path = self.folder / self.layout.labels
        there = self.layout.labels and path.is_file()
        return read_labels(path, self.folder) if there else {}

    def _of(
        self, group: _Group, images: Mapping[_Group, list[File]], masks: Masks
    ) -> Iterable[Sample]:
        files = sorted(images[group], key=lambda file: file.path)
        labels = labelled_apart(files, {file.place: self._stem(file) for file in files})
        alone = Counter(file.path.stem for file in files)
        good, told = group.folder in self.layout.good, self._told()
        for file in files:
            found: tuple[Channel, ...] | None = ()
            if not good:
                stems = dict.fromkeys((self._stem(file), file.path.stem))
                if alone[file.path.stem] > 1 and len(stems) > 1:
                    stems.pop(file.path.stem)  # of which of them would it be?
                found = masks.of(group.folder, file, stems) or None
            yield Sample(
                self.category,
                group.split,
                GOOD if good else told.get(file.place, group.folder),
                file.path,
                found,
                self.layout.kinds.get(group.folder, ""),
                label=labels[file.place],
            )


def _is_batch(name: str) -> bool:
    """Whether a folder is called by a batch or a day."""
    return role_of(name) == "batch"
