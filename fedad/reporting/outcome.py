"""The first section of a run: who gained, who lost, and whether thresholds keep their promise."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fedad.judging.gains import CANNOT_TELL, GAINED, LOST
from fedad.reporting.ledger import rounds_of
from fedad.reporting.markup import NONE, Html, Section, html, megabytes, paragraph, ranged
from fedad.reporting.plots import Plot
from fedad.reporting.promises import ADVICE, is_broken
from fedad.reporting.record import MEAN_OF_SITES, OF_SITES
from fedad.reporting.table import HEADLINE
from fedad.reporting.ways import FEDERATED, Row, by_way

Found = tuple[Section, list[Plot]]
DEFINITION = (
    "Mean of sites: each site's mean over its products, by its own test images, every site counted "
    "once. It is the headline figure everywhere."
)
NOT_KNOWN = (
    "Who gained is not known: fedad run --yardsticks also judges each site by its own model alone, "
    "and by one of all images."
)
ANSWERS = (
    "Gained and lost: of the difference to being isolated on the same test images, p below 5 % "
    "over all sites and both figures (Holm), for the models of this run: other seeds are not in "
    "it. Cannot tell is an answer too: few images tell little, and fewer than five good or "
    "defective ones of a product, or a figure that no redrawing moves, tell nothing of a site. The "
    "mean of sites is then as sure as the gains of five sites or more agree."
)


def outcome(record: Mapping[str, Any]) -> Found:
    """Tiles, a sentence, and a plot a headline figure and one of false rejects, a row a site."""
    figures, gains = record["figures"], record.get("gains") or {}
    plots = [
        by_way(f"sites-{key}", name, [*_rows(figures, key, gains.get(key, {}).get("sites", {}))])
        for key, name in HEADLINE.items()
    ]
    promises = record.get("promises")
    if promises and promises["sites"]:
        plots.append(_rejects(promises))
    shown = "".join(plot.figure() for plot in plots)
    body = [
        _tiles([*_headlines(figures), *_kept(promises), *_cost(record)]),
        *(paragraph(text) for text in _said(gains, promises)),
        _advised(promises),
        f'<div class="plots thirds">{shown}</div>',
        paragraph(DEFINITION, ANSWERS if gains else NOT_KNOWN, kind="note"),
    ]
    return Section("outcome", "Who gained, and what is promised", "".join(body)), plots


def _advised(promises: Mapping[str, Any] | None) -> str:
    """What to do where a promise is broken, below what came of it; nothing where none is."""
    if not promises or not is_broken(promises):
        return ""
    return paragraph(f"{ADVICE[0].upper()}{ADVICE[1:]}.", kind="warning")


def _rows(
    figures: Mapping[str, Any], key: str, gains: Mapping[str, Mapping[str, Any]]
) -> Iterator[Row]:
    """A site a row, with what it gained."""
    for site in sorted({site for found in figures.values() for site in found["sites"]}):
        of_site = {way: found["sites"].get(site, {}) for way, found in figures.items()}
        values = {
            way: told["mean"].get(key, {"value": None})
            for way, told in of_site.items()
            if told.get("mean")
        }
        gain = gains.get(site, {})
        yield Row(site, values, _gained(gain), gain.get("answer", ""))


def _gained(gain: Mapping[str, Any]) -> str:
    if gain.get("value") is None or math.isnan(gain["value"]):
        return ""
    return f"{gain['value']:+.2f} {gain['answer']}"


def _rejects(promises: Mapping[str, Any]) -> Plot:
    """Good parts stopped, a row a site, beside the promised rate."""
    rows = [
        Row(
            site,
            {"found": _share(one["false_rejects"])},
            f"{one['false_rejects']['cases']} of {one['false_rejects']['of']}",
            LOST if one["verdict"].startswith("more") else "",
        )
        for site, one in promises["sites"].items()
    ]
    rate = promises["false_rejects"]
    told = f"promised: {rate:.0%}"
    return by_way(
        "sites-false_rejects", "Good parts stopped", rows, about=rate, about_name=told, percent=True
    )


def _share(rate: Mapping[str, Any]) -> Mapping[str, Any]:
    return rate if rate["of"] else {"value": None}


def _said(
    gains: Mapping[str, Mapping[str, Any]], promises: Mapping[str, Any] | None
) -> Iterator[str]:
    """The outcome in sentences."""
    for key, told in gains.items():
        name, of = HEADLINE.get(key, key), told["sites"]
        parts = [
            f"{_sites(names, len(of))} {answer}"
            for answer in (GAINED, LOST)
            if (names := _named(of, answer))
        ]
        if rest := _named(of, CANNOT_TELL):
            parts.append(f"{_sites(rest, len(of))} cannot tell")
        mean = told["mean_of_sites"]
        yield (
            f"{name[0].upper()}{name[1:]} beside being isolated: {ranged(mean, '+.3f')}, "
            f"{mean['answer']}, {OF_SITES}. By site: {'; '.join(parts)}."
        )
    if promises and promises["sites"]:
        found, rate = promises["all_sites"]["false_rejects"], promises["false_rejects"]
        if found["of"]:
            yield (
                f"Of good parts {rate:.0%} were promised to be stopped, and {found['cases']} of "
                f"{found['of']} were ({found['value']:.0%}): {promises['all_sites']['verdict']}."
            )


def _named(of: Mapping[str, Mapping[str, Any]], answer: str) -> list[str]:
    return [site for site, one in of.items() if one["answer"] == answer]


def _sites(names: Sequence[str], of: int) -> str:
    """How many, and which where they can be read at a glance."""
    count = f"all {of}" if len(names) == of else f"{len(names)} of {of}"
    return f"{count} ({', '.join(names)})" if len(names) < min(of, 5) else count


Tile = tuple[str, str, str]  # name, value, what stands below


def _headlines(figures: Mapping[str, Any]) -> Iterator[Tile]:
    """The mean of sites of each headline figure, with the other ways below."""
    first = FEDERATED if FEDERATED in figures else next(iter(figures))
    for key, name in HEADLINE.items():
        values = {
            way: found.get(MEAN_OF_SITES, {}).get(key, {}).get("value")
            for way, found in figures.items()
        }
        others = (f"{way} {_figure(value)}" for way, value in values.items() if way != first)
        yield f"{name}, {OF_SITES}", _figure(values[first]), ", ".join(others)


def _kept(promises: Mapping[str, Any] | None) -> Iterator[Tile]:
    if not promises or not promises["sites"]:
        return
    every = promises["all_sites"]
    for name, key, below in (
        ("good parts stopped", "false_rejects", f"promised: {promises['false_rejects']:.0%}"),
        ("defective parts passed", "escapes", "all sites together"),
    ):
        one = every[key]
        value = f"{one['value']:.0%}" if one["of"] else NONE
        yield name, value, f"{one['cases']} of {one['of']}; {below}"


def _cost(record: Mapping[str, Any]) -> Iterator[Tile]:
    up, down = (record["bytes"].get(way, 0) for way in ("up", "down"))
    seconds = sum(record["seconds"].values())
    yield "moved in all", megabytes(up + down), f"{megabytes(up)} up, {megabytes(down)} down"
    privacy = record.get("privacy") or {}
    if privacy.get("epsilon") is not None:
        yield "differential privacy", f"ε = {privacy['epsilon']:g}", f"{privacy['release']}, a site"
    yield "time", f"{seconds:.0f} s", f"{rounds_of(record.get('rounds', 1))} of learning"


def _figure(value: float | None) -> str:
    return NONE if value is None or math.isnan(value) else f"{value:.3f}"


def _tiles(tiles: Sequence[Tile]) -> Html:
    shown = (
        f'<div class="tile"><span>{html(name)}</span><b>{html(value)}</b>'
        f"<small>{html(below)}</small></div>"
        for name, value, below in tiles
    )
    return Html(f'<div class="tiles">{"".join(shown)}</div>')
