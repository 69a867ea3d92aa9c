"""Texture-AD: several products of each of three materials (Lei et al., 2024), by a mapping.

    <material>/<product>/train/good/000.png
    <material>/<product>/test/{good,<defect>}/000.png
    <material>/<product>/ground_truth/<defect>/000.png    one mask an image, of the same number
    texture_ad.yaml                                       optional: where all that really is

How the folders inside its archives are laid out could not be seen. What stands above is assumed,
and `texture_ad.yaml` in the data set's folder says otherwise, with any of these lines:

    product: "{material}/{product}"                   folders of a product; they give its name
    image: "{split}/{defect}/{stem}"                  below it, without the ending; all three
    train: train
    test: test
    good: [good]                                      what folders of good images are called
    defects: []                                       what folders of defects are; none: any other
    masks: "ground_truth/{defect}/{stem}"             or .../{stem}_mask, or .../{stem}/*
    validation: [validation]                          good images that thresholds come from
    aside: [unlabelled]                               folders that are known and not used

Its protocol tests on products that nothing was learned from; at test time the product is not known.
Download it from https://huggingface.co/datasets/texture-ad/Texture-AD-Benchmark; fedad downloads
nothing.

Licence: Apache-2.0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fedad.datasets._tree import Reader
from fedad.datasets.layout import FIELD, STEM, Layout, MaskRule
from fedad.errors import DataError
from fedad.plugins import did_you_mean
from fedad.plumbing.parse import from_yaml, read_text
from fedad.types import Dataset

__all__ = ["texture_ad"]

MAPPING = "texture_ad.yaml"
ASSUMED = f"its tree is assumed, as nobody here has seen it: {MAPPING} says otherwise"
PLACES = {"image": ("split", "defect", "stem"), "masks": ("defect", "stem")}
WORDS = ("train", "test")
LISTS = ("good", "defects", "validation", "aside")
ASIDE = "a split that the mapping leaves aside"


class Mapped(Reader):
    """A reader whose layout a file beside the data says."""

    mapping = MAPPING

    def layout_of(self, root: Path) -> Layout:
        """The layout that the mapping in `root` says, or the assumed one.

        Raises:
            DataError: no such mapping as the docstring shows; the message names the line's key.
        """
        path = root / self.mapping
        return _mapped(self.layouts[0], path) if path.is_file() else self.layouts[0]

    def __call__(self, root: Path, *, categories: Sequence[str] = ()) -> Dataset:
        found = super().__call__(root, categories=categories)
        if (root / self.mapping).is_file():
            return found
        return replace(found, notes=(*found.notes, ASSUMED))


texture_ad = Mapped(
    Layout(
        "texture_ad",
        "Texture-AD",
        licence="Apache-2.0",
        levels=2,
        masks=STEM,
    )
)


def _mapped(layout: Layout, path: Path) -> Layout:
    try:
        said = from_yaml(read_text(path, "YAML"))
        if not isinstance(said, Mapping):
            raise ValueError("no lines such as `train: training`")
        return replace(layout, **_fields(said))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})", reason="tree") from error
    except ValueError as error:
        raise DataError(f"{path}: no mapping of Texture-AD's folders ({error})", "tree") from error


def _fields(said: Mapping[Any, Any]) -> dict[str, Any]:
    """The fields of a layout that a mapping sets."""
    fields: dict[str, Any] = {}
    for key, value in said.items():
        if key == "product":
            fields["levels"] = _levels(value)
        elif key in PLACES:
            place = _place(key, value)
            fields[key] = MaskRule(place) if key == "masks" else place
        elif key in WORDS:
            fields[key] = _word(key, value)
        elif key in LISTS:
            words = tuple(_word(key, one) for one in _list(key, value))
            fields[key] = dict.fromkeys(words, ASIDE) if key == "aside" else words
        else:
            known = ("product", *PLACES, *WORDS, *LISTS)
            raise ValueError(
                f"{key!r}: there is no such line{did_you_mean(str(key), known)}; "
                f"there are {', '.join(known)}"
            )
    if fields.get("good") == ():
        raise ValueError("good: expected at least one name of a folder")
    return fields


def _levels(value: Any) -> int:
    """How many folders deep the products are."""
    parts = _word("product", value).strip("/").split("/")
    if not all(FIELD.fullmatch(part) for part in parts):
        raise ValueError(
            f"product: expected fields such as {{material}}/{{product}}, got {value!r}"
        )
    return len(parts)


def _place(key: str, value: Any) -> str:
    place = _word(key, value).strip("/")
    fields, needed = FIELD.findall(place), PLACES[key]
    if sorted({*fields} - {"split"}) != sorted({*needed} - {"split"}) or (
        key == "image" and sorted(fields) != sorted(needed)
    ):
        wanted = ", ".join(f"{{{name}}}" for name in needed)
        raise ValueError(f"{key}: expected {wanted} once each, got {value!r}")
    return place


def _word(key: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{key}: expected a word, got {value!r}: put it in quotes?")
    return value.strip()


def _list(key: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{key}: expected a list such as [good], got {value!r}")
    return value
