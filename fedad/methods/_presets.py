"""The presets of `patchcore`: how patches are described and scored, product by product.

`classic` is PatchCore as published, in one round. `position` joins x and y to the features, and
`custom` does what the knobs say. `auto` chooses by what sites counted on good images that they held
out and synthetic defects of them, by this rule:

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
from fedad.descriptors.position import COLUMNS
from fedad.descriptors.settings import ALL, OFF, Settings, Table, described, joins, table_of
from fedad.errors import ConfigError, MismatchError
from fedad.messages.schema import LARGEST
from fedad.methods._evidence import LEVELS, Evidence, Spread
from fedad.types import Enrolled, Fingerprint

if TYPE_CHECKING:
    from fedad.methods.patchcore import Knobs

CLASSIC, POSITION, AUTO, CUSTOM = "classic", "position", "auto", "custom"
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
PLACED = 0.3  # in another image drawn at random it would be a twentieth
MARGIN = 0.005
PRODUCTS = 5_000  # that a fingerprint says something of, with what was counted of each
NAMES = ("position", "standardise", "density", "smoothed_maximum")


@dataclass(frozen=True)
class Preset:
    """What `patchcore.preset` and the knobs beside it come to."""

    knobs: Knobs
    mixed: bool

    @property
    def wanted(self) -> Settings:
        """Of every product alike, but for the scale; of `auto` it is not known yet."""
        if self.knobs.preset == POSITION:
            return FIXED
        if self.knobs.preset != CUSTOM:
            return OFF
        return Settings(**{name: max(0.0, getattr(self.knobs, name)) for name in NAMES})

    @property
    def asks(self) -> type[Spread] | None:
        """What sites are asked for in a round before that of banks."""
        if not self.knobs.counts:
            return None
        return Evidence if self.knobs.preset == AUTO else Spread

    @property
    def blends(self) -> tuple[float, ...]:
        """The blends of standardisation whose spread sites are asked for."""
        if self.knobs.preset == AUTO:
            return tuple(sorted({one.standardise for one in CANDIDATES.values()}))
        return (self.wanted.standardise,)

    def fingerprint(self, mark: Fingerprint, told: Spread | None) -> Fingerprint:
        """That of described features.

        Args:
            told: what all sites counted.
        """
        return described(mark, *self._tables(told))

    def expected(self, site: Enrolled, told: Spread | None) -> Enrolled:
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

    def _tables(self, told: Spread | None) -> tuple[Table, dict[str, Any]]:
        """How each product is described, and why."""
        if told is None:
            return {ALL: self.wanted}, {}
        self._check(told)
        pooled = {ALL: told.pooled()} if self.mixed else told.of_each()
        table, evidence = {ALL: replace(self.wanted, position=0.0)}, dict[str, Any]()
        for name, one in pooled.items():
            found = self.wanted
            if isinstance(one, Evidence):
                found, evidence[name] = chosen(one)
            patches = int(one.patches.sum())
            if found.position and patches:
                square = one.squares[0, self.blends.index(found.standardise)] / patches
                found = replace(found, scale=float(np.sqrt(square)))
                _check_reach(found, name)
            table[name] = found if found.scale else replace(found, position=0.0)
        return table, evidence

    def _check(self, told: Spread) -> None:
        """Refuse counts of other blends and candidates than these, or of very many products."""
        if (products := len(told.categories)) > PRODUCTS:
            raise MismatchError(
                f"the counts of all sites are of {products:,} products, expected at most "
                f"{PRODUCTS:,}: is the server's model what sites counted?"
            )
        found, expected = [told.squares.shape[1]], [len(self.blends)]
        if isinstance(told, Evidence):
            found += [told.ordered.shape[1], *told.found.shape[1:]]
            expected += [len(CANDIDATES), len(CANDIDATES), len(LEVELS)]
        if found != expected:
            raise MismatchError(
                f"the counts of all sites are of {found} blends, candidates and levels, expected "
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
    knobs = config.knobs("patchcore")
    _check_knobs(knobs)
    found = Preset(knobs, config.bank.scope == "mixed")
    if knobs.preset == CLASSIC or (found.wanted == OFF and knobs.preset != AUTO):
        return found
    told = f"patchcore.preset = {knobs.preset!r}"
    if config.privacy.release != "keep":
        raise ConfigError(
            f"privacy.release = {config.privacy.release!r}: expected 'keep' with {told}: private "
            "releases are made of features as the network gives them: set patchcore.preset = "
            f"{CLASSIC!r}"
        )
    if config.merge.weighting == COVERAGE:
        raise ConfigError(
            f"merge.weighting = {COVERAGE!r}: expected another with {told}: sites measure their "
            f"distance to a bank by features as the network gives them: set patchcore.preset = "
            f"{CLASSIC!r}"
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


def _check_reach(settings: Settings, product: str) -> None:
    if (reach := settings.position * settings.scale) > LARGEST:
        raise ConfigError(
            f"patchcore.position = {settings.position:g}: the features of "
            f"{product or 'all products'} spread by {settings.scale:.3g}, and positions would "
            f"reach {reach:.3g}, expected {LARGEST:g} at most: lower it, or look for a site whose "
            "counts are odd"
        )


def _length(settings: Settings, site: Enrolled) -> float:
    """How long a described patch is, where the network's longest one is as long as a site's probe
    says; standardised ones are about as long as the root of their features."""
    usual, blend = 2 * float(np.sqrt(site.features)), settings.standardise
    length = site.longest ** (1 - blend) * usual**blend
    return float(np.hypot(length, np.sqrt(2) * settings.position * settings.scale))


def told_of(mark: Fingerprint, evidence: Mapping[str, Any]) -> dict[str, Any]:
    """What a record says of how features are described: by product what is not 0, and why."""
    return {
        name or "all products": {
            **{one.name: getattr(settings, one.name) for one in fields(settings)},
            **({"evidence": evidence[name]} if name in evidence else {}),
        }
        for name, settings in table_of(mark).items()
        if settings != OFF or name in evidence
    }
