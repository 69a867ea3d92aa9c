"""The presets of `patchcore`: how patches are described and scored, product by product.

`classic` is PatchCore as published. `position` joins x and y to the features (`banks/measured.py`),
and `custom` does what the knobs say; both take one round. `default` is `position`, and `classic`
where a private release is made, of features as the network gives them. `auto` chooses by what sites
counted, in a round of its own, on good images that they held out and synthetic defects of them:

- The separation of a candidate is the mean of two shares: of the pairs of a held-out good image and
  one with a defect those in which the defect scores higher, and of the defects' patches those that
  score above the limit of so many false alarms, the mean over `LEVELS` of good patches.
- Candidates with positions count only where at least `PLACED` of the held-out good patches find
  their own place: their nearest row is within a quarter of half the image's sides.
- Density is no candidate: it raises the separation and no figure on drawn plants. It was one at
  first, and was taken out after it had been chosen on real plates, where it lost regions.
- The product takes the first of `CANDIDATES`, simplest first, within `MARGIN` of the best.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fedad.config import COVERAGE, Config
from fedad.descriptors.apply import described_features
from fedad.descriptors.position import COLUMNS, PLACED
from fedad.descriptors.settings import (
    ALL,
    OFF,
    Settings,
    Table,
    described,
    joins,
    settings_of,
    table_of,
)
from fedad.errors import ConfigError, MismatchError
from fedad.methods._evidence import LEVELS, Evidence
from fedad.types import Enrolled, Features, Fingerprint

if TYPE_CHECKING:
    from fedad.methods.patchcore import Knobs

DEFAULT, CLASSIC, POSITION, AUTO, CUSTOM = "default", "classic", "position", "auto", "custom"
FIXED = Settings(position=0.5)  # of the preset `position`
SHARE = 0.003  # of an image's patches that a smoothed maximum takes
CANDIDATES: dict[str, Settings] = {
    "classic": OFF,
    "position": FIXED,
    "standardised": Settings(standardise=1.0),
    "position, standardised": Settings(position=0.5, standardise=1.0),
    "smoothed": Settings(smoothed_maximum=SHARE),
    "position, smoothed": Settings(position=0.5, smoothed_maximum=SHARE),
}
MARGIN = 0.005
PRODUCTS = 5_000  # that a fingerprint says something of, with what was counted of each
NAMES = ("position", "standardise", "density", "smoothed_maximum")


@dataclass(frozen=True)
class Preset:
    """What `patchcore.preset` and the knobs beside it come to."""

    knobs: Knobs  # in which the preset is not `default`
    mixed: bool
    notes: tuple[str, ...] = ()  # what there is to say of which preset it is

    @property
    def wanted(self) -> Settings:
        """Of every product alike; of `auto` it is not known yet."""
        if self.knobs.preset == POSITION:
            return FIXED
        if self.knobs.preset != CUSTOM:
            return OFF
        return Settings(**{name: max(0.0, getattr(self.knobs, name)) for name in NAMES})

    @property
    def asks(self) -> type[Evidence] | None:
        """What sites are asked for in a round before that of banks."""
        return Evidence if self.knobs.counts else None

    def fingerprint(self, mark: Fingerprint, told: Evidence | None) -> Fingerprint:
        """That of described features.

        Args:
            told: what all sites counted.
        """
        return described(mark, *self._tables(told))

    def expected(self, site: Enrolled, told: Evidence | None) -> Enrolled:
        """What a site enrolled with, as its described features have it."""
        mark = self.fingerprint(site.fingerprint, told)
        table = table_of(mark)
        if not table:
            return site
        lengths = [_length(settings, site) for settings in table.values()]
        return site._replace(
            fingerprint=mark,
            features=site.features + COLUMNS * joins(table),
            longest=max(lengths),
        )

    def written(self, features: Features) -> Features:
        """The features as rows have them: x and y, where they are joined, from -1 to 1."""
        found = self.wanted
        if found == OFF:
            return features
        if found.position:
            found = replace(found, position=1.0, scale=1.0)
        return described_features(features, {ALL: found})

    def _tables(self, told: Evidence | None) -> tuple[Table, dict[str, Any]]:
        """How each product is described, and why."""
        if told is None:
            return {ALL: self.wanted}, {}
        self._check(told)
        pooled = {ALL: told.pooled()} if self.mixed else told.of_each()
        choices = {name: chosen(one) for name, one in pooled.items()}
        table = {ALL: self.wanted, **{name: one.settings for name, one in choices.items()}}
        return table, {name: one.told for name, one in choices.items()}

    def _check(self, told: Evidence) -> None:
        """Refuse counts of other candidates than these, or of very many products."""
        if (products := len(told.categories)) > PRODUCTS:
            raise MismatchError(
                f"the counts of all sites are of {products:,} products, expected at most "
                f"{PRODUCTS:,}: is the server's model what sites counted?"
            )
        found = [told.ordered.shape[1], *told.found.shape[1:]]
        if found != (expected := [len(CANDIDATES), len(CANDIDATES), len(LEVELS)]):
            raise MismatchError(
                f"the counts of all sites are of {found} candidates and levels, expected "
                f"{expected}: does the server have another version of fedad?"
            )


class Choice(NamedTuple):
    """What a product takes, and why, as plain values."""

    settings: Settings
    told: dict[str, Any]


def chosen(evidence: Evidence) -> Choice:
    """The candidate that one product takes by the rule of this module; where nobody counted enough,
    `classic`."""
    pairs, defective, looked = (
        int(column.sum()) for column in (evidence.pairs, evidence.defective, evidence.looked)
    )
    if not (pairs and defective and looked):
        return Choice(OFF, {"chosen": CLASSIC, "why": "too few good images to hold some out"})
    images = evidence.ordered[0] / (2 * pairs)
    patches = evidence.found[0].mean(axis=1) / defective
    separation = dict(zip(CANDIDATES, ((images + patches) / 2).tolist(), strict=True))
    placed = int(evidence.placed.sum()) / looked
    able = {
        name: value
        for name, value in separation.items()
        if placed >= PLACED or not CANDIDATES[name].position
    }
    best = max(able.values())
    name = next(name for name, value in able.items() if value >= best - MARGIN)
    told = {
        "chosen": name,
        "separation": {key: round(value, 4) for key, value in separation.items()},
        "in their own place": round(placed, 4),
        "good images": int(evidence.held.sum()),
        "defects": int(evidence.defects.sum()),
    }
    return Choice(CANDIDATES[name], told)


def preset_of(config: Config) -> Preset:
    """The preset of a configuration.

    Raises:
        ConfigError: a knob that the preset would not heed, or one that it does not go with.
    """
    knobs, release = config.knobs("patchcore"), config.privacy.release
    _check_knobs(knobs)
    _check_turns(knobs, config.privacy.release)
    notes = list[str]()
    if knobs.preset == DEFAULT:
        knobs = replace(knobs, preset=POSITION if release == "keep" else CLASSIC)
        if release != "keep":
            notes.append(
                f"patchcore.preset = {DEFAULT!r} is {CLASSIC!r} with privacy.release = "
                f"{release!r}: private releases are made of features as the network gives them"
            )
    found = Preset(knobs, config.bank.scope == "mixed", tuple(notes))
    if knobs.preset == CLASSIC or (found.wanted == OFF and knobs.preset != AUTO):
        return found
    told = f"patchcore.preset = {knobs.preset!r}"
    if release != "keep":
        raise ConfigError(
            f"privacy.release = {release!r}: expected 'keep' with {told}: private "
            "releases are made of features as the network gives them: set patchcore.preset = "
            f"{CLASSIC!r}"
        )
    if config.merge.weighting == COVERAGE and found.asks:
        raise ConfigError(
            f"merge.weighting = {COVERAGE!r}: expected another with {told}: sites are asked of "
            "banks, after which there is no round: set another preset"
        )
    if config.score.neighbours > 1 and (found.wanted.smoothed_maximum or knobs.preset == AUTO):
        raise ConfigError(
            f"score.neighbours = {config.score.neighbours}: expected 1 with {told}: the one patch "
            "that it weighs is no smoothed maximum"
        )
    return found


def _check_knobs(knobs: Knobs) -> None:
    turned = {
        one.name.replace("_", "-"): getattr(knobs, one.name)
        for one in fields(knobs)
        if one.name in NAMES and getattr(knobs, one.name) != one.default
    }
    for name, value in turned.items():
        if knobs.preset != CUSTOM:
            raise ConfigError(
                f"patchcore.{name} = {value:g}: expected -1, which is by the preset, with "
                f"patchcore.preset = {knobs.preset!r}: set patchcore.preset = {CUSTOM!r}"
            )
        if value < 0:
            raise ConfigError(f"patchcore.{name} = {value:g}: expected 0 or more, or -1 for 0")


def _check_turns(knobs: Knobs, release: str) -> None:
    """Refuse turned images where rows must lie as parts do, or where each image counts once."""
    if knobs.turns == 1:
        return
    told = f"patchcore.turns = {knobs.turns}: expected 1 with"
    if release != "keep":
        raise ConfigError(
            f"{told} privacy.release = {release!r}: what one image adds to a release is bounded "
            "for an image as it lies"
        )
    if knobs.preset != CUSTOM:
        raise ConfigError(
            f"{told} patchcore.preset = {knobs.preset!r}: set patchcore.preset = {CUSTOM!r}"
        )
    if knobs.position > 0:
        raise ConfigError(
            f"{told} patchcore.position = {knobs.position:g}: parts that lie in any pose have no "
            "place of their own: set patchcore.position = 0"
        )


def _length(settings: Settings, site: Enrolled) -> float:
    """How long a described patch is beside its place, where the network's longest one is as long
    as a site's probe says; standardised ones are about as long as the root of their features."""
    usual, blend = 2 * float(np.sqrt(site.features)), settings.standardise
    return float(site.longest ** (1 - blend) * usual**blend)


def told_of(
    table: Table, evidence: Mapping[str, Any], in_place: Mapping[str, float]
) -> dict[str, Any]:
    """What a record says of how features are described: by product what is not 0, and why.

    Args:
        table: with scales.
        in_place: of products that were looked at, the share of patches in their own place.
    """
    names = dict.fromkeys((*table, *in_place))
    return {
        name or "all products": {
            **{one.name: getattr(settings, one.name) for one in fields(settings)},
            **({"in their own place": round(in_place[name], 4)} if name in in_place else {}),
            **({"evidence": evidence[name]} if name in evidence else {}),
        }
        for name in names
        if (settings := settings_of(table, name)) != OFF or name in evidence or name in in_place
    }
