"""What of a model goes into a graph: its rows, how they count, and how patches are described.

Only what a graph computes as the model does is exported: `patchcore` by the exact nearest row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fedad.config import Config
from fedad.descriptors.position import places
from fedad.descriptors.settings import Settings, joins, settings_of, table_of
from fedad.errors import ConfigError, DataError
from fedad.inspection.inspector import Inspector
from fedad.methods._judged import Part
from fedad.methods.patchcore import PatchCore
from fedad.plumbing.files import json_number
from fedad.scoring.standardised import Prepared

SCORINGS = ("nearest", "with_own", "own_first", "standardised")


class Group(NamedTuple):
    """Rows (M, D) whose distances count `factor` times, and the number of each one's site (M,)."""

    rows: np.ndarray
    site: np.ndarray
    factor: float


@dataclass(frozen=True, eq=False)
class Plan:
    """All that a graph is made of, beside the network.

    `where` (P, 2) is joined to each patch's features, in their unit; None where nothing is.
    """

    product: str
    groups: tuple[Group, ...]
    sites: tuple[str, ...]
    settings: Settings
    where: np.ndarray | None
    about: Mapping[str, Any]  # what the file says of itself, as plain values

    @property
    def rows(self) -> int:
        """How many rows are searched."""
        return sum(len(one.rows) for one in self.groups)


def plan_of(inspector: Inspector, product: str) -> Plan:
    """What the graph of one product is made of.

    Raises:
        ConfigError: the model scores in a way that no graph does here.
        DataError: it does not know the product.
    """
    config = inspector.opened.config
    product = inspector.product_of(product)
    if not product:
        raise ConfigError(
            f"the model judges {', '.join(inspector.products)}: a file is of one product: name it "
            "with --product"
        )
    method = inspector.method
    if config.round.method != "patchcore" or not isinstance(method, PatchCore):
        raise ConfigError(
            f"round.method = {config.round.method!r}: expected 'patchcore', the one that is "
            "exported as a graph"
        )
    _check(config)
    kept = method.kept
    if kept is None:
        raise DataError(f"model {inspector.opened.name}: it was not made ready to judge")
    table = table_of(kept.bank.fingerprint)
    settings = settings_of(table, product)
    if settings.density:
        raise ConfigError(
            f"patchcore.density = {settings.density:g}: expected 0 for an export: no graph divides "
            "by how far apart rows lie"
        )
    h, w, _ = inspector.embed.shape
    reach = np.float32(settings.position * settings.scale)
    where = places(h, w) * reach if joins(table) else None
    part = _part(inspector, kept.parts, product)
    sites = _sites(part, inspector.opened.site)
    groups = tuple(_groups(part, sites, inspector.opened.site, config))
    return Plan(product, groups, sites, settings, where, _about(inspector, product, sites, groups))


def _part(inspector: Inspector, parts: Mapping[str, Part], product: str) -> Part:
    """What the model judges a product by: it finds that out with the first picture of it."""
    name = "" if inspector.opened.model.scope == "mixed" else product  # type: ignore[attr-defined]
    if name not in parts:
        inspector.inspect(np.full((64, 64, 3), 127, np.uint8), product)
    return parts[name]


def _groups(part: Part, sites: tuple[str, ...], site: str, config: Config) -> Iterator[Group]:
    """The rows by how much their distances count, as the model's scoring has it."""
    bank, own, score = part.bank, part.own, part.score
    scoring = config.score.scoring
    everyone = Group(bank.rows, bank.site, 1.0)
    if own is None or not len(own) or scoring == "nearest":
        yield everyone
        return
    mine = Group(own.rows, np.full(len(own), sites.index(site), np.int32), 1.0)
    if scoring == "with_own":
        yield everyone
        yield mine
        return
    yield mine
    if isinstance(score, Prepared):
        factors, others = score.factors[1:], score.others
    else:
        from fedad.scoring._by_site import others_of

        others = others_of(bank, own)
        factors = [config.knobs("own_first").factor] * len(others)
    for rows, factor in zip(others, factors, strict=True):
        yield Group(bank.rows[rows], bank.site[rows], float(np.float32(factor)))


def _sites(part: Part, site: str) -> tuple[str, ...]:
    names = part.bank.sites
    return names if part.own is None or site in names else (*names, site)


def _check(config: Config) -> None:
    """Refuse knobs whose scores a graph would not give."""
    score, embedder = config.score, config.embedder
    wrong = {
        "score.scoring": score.scoring not in SCORINGS and score.scoring,
        "score.neighbours": score.neighbours > 1 and score.neighbours,
        "embedder.fit": embedder.fit != "stretch" and embedder.fit,
        "embedder.tile": embedder.tile,
        "embedder.also": embedder.also,
        "embedder.precision": embedder.precision != "float32" and embedder.precision,
        "data.roi": config.data.roi,
    }
    expected = {
        "score.scoring": f"one of {', '.join(SCORINGS)}",
        "score.neighbours": "1",
        "embedder.fit": "'stretch'",
        "embedder.tile": "0",
        "embedder.also": "none",
        "embedder.precision": "'float32'",
        "data.roi": "none",
    }
    for knob, value in wrong.items():
        if value:
            raise ConfigError(
                f"{knob} = {value!r}: expected {expected[knob]} for an export: the graph would "
                "score otherwise than the model does"
            )


def _about(
    inspector: Inspector, product: str, sites: tuple[str, ...], groups: tuple[Group, ...]
) -> dict[str, Any]:
    """What stands in the file: whose model, how pictures are brought to it, what they are held
    against."""
    from fedad import __version__

    opened, limits = inspector.opened, inspector.limits[product]
    promise, looks = limits.promise, limits.looks
    height, width = inspector.box.canvas
    return {
        "fedad": __version__,
        "model": opened.name,
        "product": product,
        "sites": list(sites),
        "rows": sum(len(one.rows) for one in groups),
        "canvas": [height, width],
        "resize": "the whole picture to the canvas, Pillow BILINEAR, RGB",
        "scoring": opened.config.score.scoring,
        "threshold": json_number(promise.threshold),
        "threshold_by_site": {name: json_number(one) for name, one in promise.by_site.items()},
        "rate": promise.rate,
        "good_parts": promise.parts,
        "looks": vars(looks) if looks else None,
        "fingerprint": {name: f"{one}" for name, one in vars(opened.model.fingerprint).items()},
    }
