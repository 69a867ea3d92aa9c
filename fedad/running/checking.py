"""What a run would meet in a folder, found by the code of a run, before one is started.

Problems are what ends a run or spoils its figures without a word; warnings are what it goes on with
and would say, or what a reader of its figures should know.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fedad.config import Config, words
from fedad.datasets.base import check_trainable, open_folder
from fedad.datasets.sites_table import NAME, table_of
from fedad.errors import FedadError
from fedad.images.pixels import shown
from fedad.images.reading import dataset_read_so
from fedad.images.remembered import ImageFacts
from fedad.images.roi import with_roi
from fedad.images.usable import Sifted, check_usable, surveyed
from fedad.judging.groups import SMALLEST
from fedad.messages.faults import Fault
from fedad.methods.base import Foreseeing, method_of
from fedad.partition import partition, site_of
from fedad.running.products import Facts, Product, product_of
from fedad.types import VALIDATION, Dataset, Sample, Site

SPOILS = ("dim", "clipped", "leaked")  # words of files that are used, and should not be as they are


@dataclass
class Checked:
    """What was found: `problems` are to be mended first, in this order."""

    dataset: Dataset
    products: list[Product] = field(default_factory=list)
    sites: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        """One line: ready, or what to do first."""
        images = len(self.dataset.samples)
        if not self.problems:
            return f"ready: {images} images of {', '.join(self.dataset.categories)}"
        more = len(self.problems) - 1
        rest = f" (and {more} more, above)" if more else ""
        return f"not ready, first: {self.problems[0]}{rest}"


def check(config: Config, folder: Path, *, is_run: bool) -> Checked:
    """All that a run by these knobs would find in a folder.

    Args:
        is_run: whether knobs of a run were given, which the sites then have to fit.

    Raises:
        DataError: the folder is not what the data set's docstring shows, so that nothing in it can
            be looked at.
    """
    opened = open_folder(folder, config.data.dataset, words(config.data.categories))
    dataset = dataset_read_so(opened, config.data)
    found = Checked(dataset, notes=[*dataset.notes, f"licence: {dataset.licence}"])
    found.problems += _said(lambda: check_trainable(dataset))
    sites = _sites(found, config, is_run=is_run)
    if is_run and not found.problems:
        found.problems += _said(lambda: _foresee(config, sites))
    facts: dict[Sample, ImageFacts] = {}
    faults: list[Fault] = []
    for site in sites:
        looked = surveyed(config, site)
        facts |= looked.facts
        faults += looked.faults
        if site.name:
            found.sites[site.name] = _counts((*site.train, *site.held), site.test)
        _refusals(found, config, site, Sifted(*looked[:2]))
    found.problems += [fault.text for fault in faults if fault.skipped]
    found.problems += [fault.text for fault in faults if fault.reason in SPOILS]
    found.problems += _identical(facts, {f.text for f in faults if f.reason == "leaked"})
    found.warnings += [fault.text for fault in dataset.faults]
    found.warnings += _by_word(fault for fault in faults if not fault.skipped)
    for category in dataset.categories:
        product, warnings = product_of(category, dataset, facts)
        found.products.append(product)
        found.warnings += warnings
    return found


def as_json(found: Checked) -> dict[str, object]:
    """What was found, as plain values."""
    return {
        "dataset": found.dataset.name,
        "root": str(found.dataset.root),
        "licence": found.dataset.licence,
        "ready": not found.problems,
        "verdict": found.verdict,
        "problems": found.problems,
        "warnings": found.warnings,
        "notes": found.notes,
        "products": [vars(product) for product in found.products],
        "sites": found.sites,
        "unused": [{"path": str(path), "why": why} for path, why in found.dataset.unused],
    }


def _sites(found: Checked, config: Config, *, is_run: bool) -> tuple[Site, ...]:
    """The sites of a run; all as one plant's where nobody says whose they are."""
    dataset = found.dataset
    tables = {
        table_of(dataset, name, dataset.folders.get(name, dataset.root / name))
        for name in dataset.categories
    }
    if not is_run and config.data.partition == "natural" and not any(t.exists() for t in tables):
        found.notes.append(
            f"no {NAME}: as one plant's own folder it needs none; `fedad run` needs "
            "data.partition = iid, category or dirichlet"
        )
        return _together(found, config)
    try:
        return partition(dataset, config.data, seed=config.round.seed)
    except FedadError as error:
        found.problems.append(str(error))
        return _together(found, config)


def _together(found: Checked, config: Config) -> tuple[Site, ...]:
    """All images as those of one plant."""
    samples = found.dataset.samples
    try:
        samples = with_roi(samples, found.dataset, config.data.roi)
    except FedadError as error:
        found.problems += [] if str(error) in found.problems else [str(error)]
    return (site_of("", samples),)


def _foresee(config: Config, sites: Iterable[Site]) -> None:
    """Whether the method can do with so many images; raises as `Foreseeing.foresee` does."""
    from fedad.embedders.backbone import grid_of

    method = method_of(config)
    if isinstance(method, Foreseeing):
        height, width, _ = grid_of(config.embedder)
        method.foresee(
            [dict(Counter(sample.category for sample in site.train)) for site in sites],
            height * width,
        )


def _refusals(found: Checked, config: Config, site: Site, sifted: Sifted) -> None:
    """Why a run would refuse a site, and what it would give no figure of."""
    whose = f"{site.name}: " if site.name else ""
    found.problems += [
        f"{whose}{text}" for text in _said(lambda: check_usable(config, site, sifted))
    ]
    for category, counts in _counts(site.train, site.test).items():
        good, judged = counts["train"], counts["test"]
        if not good:
            found.warnings.append(f"{whose}{category}: no good image to learn from at this site")
        if 0 < judged < SMALLEST:
            found.warnings.append(
                f"{whose}{category}: {judged} test images, fewer than {SMALLEST}: a deployed site "
                "sends no figure of them"
            )


def _said(check_: Callable[[], object]) -> list[str]:
    try:
        check_()
    except FedadError as error:
        return [str(error)]
    return []


def _counts(train: Iterable[Sample], test: Iterable[Sample]) -> dict[str, dict[str, int]]:
    """By category; of training images those of a validation split are counted apart."""
    counts = Counter((sample.category, sample.split) for sample in (*train, *test))
    return {
        category: {split: counts[category, split] for split in ("train", VALIDATION, "test")}
        for category in sorted({category for category, _ in counts})
    }


def _identical(facts: Facts, said: set[str]) -> Iterator[str]:
    """Test images with the bytes of a training image of any site, but those that were said."""
    learned = {look.digest: sample for sample, look in facts.items() if sample.split == "train"}
    for sample, look in facts.items():
        twin = learned.get(look.digest)
        start = f"{shown(sample.path)}: "
        if sample.split == "test" and twin and not any(text.startswith(start) for text in said):
            yield f"{start}the same bytes as the training image {shown(twin.path)}"


def _by_word(faults: Iterable[Fault]) -> list[str]:
    """A line for each word of each split: how many, and the first of them."""
    texts: dict[tuple[str, str], list[str]] = defaultdict(list)
    for fault in faults:
        if fault.reason not in SPOILS:
            texts[fault.split, fault.reason].append(fault.text)
    lines = []
    for (split, word), found in sorted(texts.items()):
        more = f" (and {len(found) - 1} more {split} images)" if len(found) > 1 else ""
        lines.append(f"{word}: {found[0]}{more}")
    return lines
