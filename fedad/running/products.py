"""One product of a folder: how many images, what their files are like, and shots of one part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from fedad.images.facts import thumbnail_of
from fedad.images.mixtures import bits, orientation, profile
from fedad.images.near_duplicates import groups_by_thumbnail
from fedad.images.pixels import shown
from fedad.images.remembered import ImageFacts
from fedad.types import VALIDATION, Dataset, Sample

NAMED = 3  # examples in a sentence
Facts = Mapping[Sample, ImageFacts]


@dataclass(frozen=True)
class Product:
    """What a category has: counts, and how many files are of each size, depth and so on."""

    category: str
    train_good: int
    validation: int  # good images for thresholds alone
    test_good: int
    test_defective: int
    defects: Mapping[str, int]
    sizes: Mapping[str, int]
    bits: Mapping[str, int]
    orientations: Mapping[str, int]
    profiles: Mapping[str, int]
    near_duplicates: int  # images of which there is another shot
    shared: int  # test images of which there is a shot among the training images


def product_of(category: str, dataset: Dataset, facts: Facts) -> tuple[Product, list[str]]:
    """A category's counts, and warnings of what can be said of its images together.

    Args:
        facts: of all images that can be used.
    """
    samples = [one for one in dataset.samples if one.category == category]
    looks = {one: look for one, look in facts.items() if one.category == category}
    counts = Counter((one.split, one.is_good) for one in samples)
    repeated, shared = _near_duplicates(looks)
    made = Product(
        category,
        counts["train", True],
        counts[VALIDATION, True],
        counts["test", True],
        counts["test", False],
        dict(sorted(Counter(one.defect for one in samples if not one.is_good).items())),
        _kinds(f"{look.size[1]} x {look.size[0]}" for look in looks.values()),
        _kinds(map(bits, looks.values())),
        _kinds(map(orientation, looks.values())),
        _kinds(map(profile, looks.values())),
        len(repeated),
        len(shared),
    )
    warnings = list(_of_figures(category, samples))
    if repeated:
        warnings.append(
            f"{category}: {len(repeated)} images are near-duplicates of another, such as "
            f"{_examples(repeated)}: are parts photographed twice? data.group says which are one"
        )
    if shared:
        warnings.append(
            f"{category}: {len(shared)} test images are near-duplicates of a training image, such "
            f"as {_examples(shared)}: figures on them are too good"
        )
    return made, warnings


def _of_figures(category: str, samples: Iterable[Sample]) -> Iterator[str]:
    """Why some figures of a category will be "-"."""
    judged = [sample for sample in samples if sample.split == "test"]
    bad = [sample for sample in judged if not sample.is_good]
    if not judged:
        yield f'{category}: no test images: a run learns from it, and its figures are "-"'
    elif not bad or len(bad) == len(judged):
        kind = "defective" if not bad else "good"
        yield f'{category}: no {kind} test images: figures that need both are "-"'
    if bad and all(sample.masks is None for sample in bad):
        yield f'{category}: no masks: pixel figures are "-"'


def _near_duplicates(looks: Facts) -> tuple[list[Sample], list[Sample]]:
    """The images of which there is another shot, less identical files, and the test images of which
    there is one among the training images."""
    samples = list({look.digest: sample for sample, look in looks.items()}.values())
    if len(samples) < 2:
        return [], []
    numbers = groups_by_thumbnail(np.stack([thumbnail_of(looks[one]) for one in samples])).tolist()
    sizes = Counter(numbers)
    learned = {n for n, one in zip(numbers, samples, strict=True) if one.split == "train"}
    together = list(zip(numbers, samples, strict=True))
    repeated = [one for number, one in together if sizes[number] > 1]
    shared = [one for number, one in together if number in learned and one.split == "test"]
    return repeated, shared


def _examples(samples: list[Sample]) -> str:
    return ", ".join(shown(sample.path) for sample in samples[:NAMED])


def _kinds(names: Iterable[str]) -> dict[str, int]:
    return dict(Counter(names).most_common())
