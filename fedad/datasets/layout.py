"""How a data set's folders are laid out, as a value: one reader reads them all.

A place is a path with fields, such as `{split}/{defect}/{stem}`, relative to a product's folder and
without the file's ending. The same places read a tree and, in the tests, draw one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple

from fedad.images.pixels import SUFFIXES
from fedad.types import VALIDATION

FIELD = re.compile(r"\{(\w+)\}")
CONFIG = "defects_config.json"
NOT_GOOD = "of a validation split, whose good images alone are used"


class MaskRule(NamedTuple):
    """Where the masks of a defective image are, and what their pixels mean.

    `place` ends in `/*` where an image has a folder of masks, one file a channel. `values` is
    "listed" where `defects_config.json` lists a mask's one value, "any" where all that is not
    background is the defect, and "classes" where each value is a defect of its own.
    """

    place: str
    values: Literal["listed", "any", "classes"] = "any"


FOLDER_OF_MASKS = "ground_truth/{defect}/{stem}/*"
STEM_AND_MASK = MaskRule("ground_truth/{defect}/{stem}_mask")
STEM = MaskRule("ground_truth/{defect}/{stem}")
# What people bring who have converted half of a set: read in every tree, its own rule first.
RULES = (MaskRule(FOLDER_OF_MASKS), STEM_AND_MASK, STEM)


@dataclass(frozen=True)
class Layout:
    """A data set's tree.

    Args:
        name: of the data set, as a knob has it.
        title: what people call it.
        licence: its terms, for the products it was published with.
        products: the categories it was published with; other people's pictures have other terms.
        image: the place of an image; without `{split}`, a table says it.
        good: what folders of good images are called, the first of them where one is drawn.
        defects: what folders of defects are called; none means anything else.
        train, test: what the folders of these splits are called.
        validation: what that of a validation split may be called, the first where one is drawn.
        aside: what is known and not used, such as a split without labels -> why.
        masks: its own mask rule.
        kinds: a defect's folder -> "logical" or "structural".
        config: the file that says what a mask's values mean, or nothing.
        table: the file, below the data set's root, that says which image is of which split.
        labels: the file, below a product's folder, that says what is wrong with an image.
        signs: patterns below a product's folder, one of which tells this layout -> how much it
            says: of two layouts, that of the higher number is meant.
        suffixes: the endings of its images, the first where one is drawn.
        mask_suffix: the ending of a drawn mask.
        levels: how many folders deep a product's is; their names make its name.
        inside: the folders that its archive leaves around the products.
        stem: how a file is numbered.
    """

    name: str
    title: str
    licence: str = ""
    products: tuple[str, ...] = ()
    image: str = "{split}/{defect}/{stem}"
    good: tuple[str, ...] = ("good",)
    defects: tuple[str, ...] = ()
    train: str = "train"
    test: str = "test"
    validation: tuple[str, ...] = (VALIDATION, "val", "valid")
    aside: Mapping[str, str] = field(default_factory=dict)
    masks: MaskRule = RULES[0]
    kinds: Mapping[str, str] = field(default_factory=dict)
    config: str = ""
    table: str = ""
    labels: str = ""
    signs: Mapping[str, int] = field(default_factory=dict)
    suffixes: tuple[str, ...] = SUFFIXES
    mask_suffix: str = ".png"
    levels: int = 1
    inside: str = ""
    stem: str = "{:03d}"

    @cached_property
    def rules(self) -> tuple[MaskRule, ...]:
        """The places where masks are looked for, the data set's own first."""
        others = tuple(rule for rule in RULES if rule.place != self.masks.place)
        return (self.masks, *others)

    @cached_property
    def tops(self) -> tuple[str, ...]:
        """The folders by one of which a product's folder is known."""
        first = self.image.split("/")[0]
        return (self.train, self.test) if first == "{split}" else (first,)

    @cached_property
    def _image(self) -> re.Pattern[str]:
        splits = (self.train, self.test, *self.validation)
        return pattern(self.image, split="|".join(map(re.escape, splits)))

    def image_at(self, place: str) -> tuple[str, str, str] | None:
        """(split's folder or "", defect's folder, stem) of an image at a place, or None.

        >>> Layout("x", "X").image_at("test/cut/007")
        ('test', 'cut', '007')
        """
        found = self._image.fullmatch(place)
        if found is None:
            return None
        fields = found.groupdict()
        defect = fields.get("defect") or self.good[0]
        if self.defects and defect not in (*self.good, *self.defects):
            return None
        return fields.get("split") or "", defect, fields["stem"]

    def batches_at(self, place: str) -> tuple[str, tuple[str, ...]]:
        """The place of an image without the folders right above it that a layout has none for, and
        these.

        >>> Layout("x", "X").batches_at("test/cut/2024-01-05/007")
        ('test/cut/007', ('2024-01-05',))
        """
        *folders, name = place.split("/")
        deep = self.image.count("/")
        return "/".join((*folders[:deep], name)), tuple(folders[deep:])


def pattern(place: str, **known: str) -> re.Pattern[str]:
    """A place as a regular expression with a group a field; `known` gives a field's own."""
    parts, at = [], 0
    for found in FIELD.finditer(place):
        name = found[1]
        parts += [re.escape(place[at : found.start()]), f"(?P<{name}>{known.get(name, '[^/]+')})"]
        at = found.end()
    return re.compile("".join([*parts, re.escape(place[at:])]))


def filled(place: str, **fields: str) -> str:
    """A place with its fields filled in.

    >>> filled("{split}/{defect}/{stem}", split="test", defect="cut", stem="007")
    'test/cut/007'
    """
    return FIELD.sub(lambda found: fields[found[1]], place)
