"""Whether lines drift: a page of its own, a section of a run's or a site's page, lines of a
terminal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fedad.drift.rows import INSPECTED, LINES, MODELS, SITES, read_rows
from fedad.drift.run_length import PLAYED, Delay
from fedad.drift.self_started import FIRST
from fedad.drift.series import Series
from fedad.drift.soon import Soon
from fedad.drift.state import State, state_of
from fedad.plumbing.shown import for_html
from fedad.reporting.drift_chart import chart
from fedad.reporting.markup import Html, Section, details, paragraph, table
from fedad.reporting.page import page
from fedad.reporting.plots import Plot, side_by_side


def lines(state: State) -> Iterator[str]:
    """What a terminal says: each site's alarms, or that there are none, and how much was looked
    at."""
    for site in state.sites:
        where = f"{site}: " if site else ""
        events = [one for one in state.events if one.site == site]
        for one in events:
            yield f"{where}ALARM on {one.day}, moved since about {one.since}: {one.words}"
        if not events:
            days, charts = state.days(site), state.charts(site)
            yield f"{where}nothing drifts: {days} days, {charts} charts"
        if early := _early(state, site):
            yield f"{where}{_too_few(early)}"
        yield f"{where}{_promise(state, site)}"
    if not state.series:
        yield "no judged picture with a time"
    for why, count in state.left_out.items():
        yield f"{count} lines were left out: {why}"


def as_page(state: State) -> str:
    """The whole page."""
    sections = [Section("what", "What moves", _events(state))]
    for number, site in enumerate(state.sites):
        body = _site(state, site, _plots(state, site))
        sections.append(Section(f"site-{number}", site or "Charts", body))
    sections.append(Section("how", "How to read it", _how(state)))
    alarms = len(state.events)
    said = f"{alarms} alarm{'s' * (alarms != 1)}" if alarms else "nothing drifts"
    return page("Does the line look as it did?", said, sections)


def drift_of_site(folder: Path) -> list[tuple[Section, list[Plot]]]:
    """Of a site's own folder: what its server judged, charted; nothing where it judged nothing."""
    return _section(state_of(_judged(folder)))


def drift_of_run(folder: Path) -> list[tuple[Section, list[Plot]]]:
    """Of a run's folder: the same for all sites of which servers' lines are below it."""
    rows = (
        {**row, "site": site.name}
        for site in sorted((folder / SITES).glob("*"))
        for row in _judged(site)
    )
    return _section(state_of(rows))


def _judged(folder: Path) -> Iterator[dict[str, Any]]:
    """The rows of a site's server, if there are any."""
    place = folder / MODELS / INSPECTED
    return read_rows(place) if any(place.glob(f"*{LINES}")) else iter(())


def _section(state: State) -> list[tuple[Section, list[Plot]]]:
    if not state.series:
        return []
    body, plots = "", list[Plot]()
    for site in state.sites:
        drawn = _plots(state, site)
        head = f"<h3>{for_html(site)}</h3>" if site else ""
        body += head + _site(state, site, drawn)
        plots += drawn
    told = paragraph("What the server of this line judged, by days.", kind="note")
    told = Html(told + _events(state) + body + details("How to read it", _how(state)))
    return [(Section("drift", "Drift", told), plots)]


def _plots(state: State, site: str) -> list[Plot]:
    return [chart(state, site, product) for product in state.products(site)]


def _site(state: State, site: str, plots: list[Plot]) -> Html:
    early = _early(state, site)
    few = paragraph(f"{_too_few(early)}.", kind="note") if early else Html()
    return Html(few + side_by_side(plots) + _table(state, site) + _seen(state, site))


def _too_few(early: list[str]) -> str:
    return f"too few days yet of {', '.join(early)}: charts begin after {FIRST}"


def _events(state: State) -> Html:
    if not state.events:
        return paragraph("Nothing drifts.")
    told = (
        f"{f'{one.site}, ' if one.site else ''}{one.day}: {one.words}. It has moved since about "
        f"{one.since}."
        for one in state.events
    )
    return Html("".join(paragraph(words, kind="warning") for words in told))


def _table(state: State, site: str) -> Html:
    rows = [_row(one) for product in state.products(site) for one in state.of(site, product)]
    head = ("product", "stream", "days", "pictures", "last day, sd", "alarm", "since", "change")
    caption = "Last day: in standard deviations of days, against those before."
    return table(head, rows, caption, words=(1, 5, 6))


def _row(one: Series) -> tuple[object, ...]:
    alarm, days = one.alarm, one.days
    last = f"{one.q[-1]:+.1f}" if one.is_ready else f"after {FIRST} days"
    told: tuple[object, ...] = ("", "", "")
    if alarm:
        since = f"{days.days[alarm.start]}"
        told = (f"{alarm.chart} {days.days[alarm.at]}", since, one.amount(alarm.change))
    return (one.product, one.stream.name, len(days.days), int(days.parts.sum()), last, *told)


def _seen(state: State, site: str) -> Html:
    """How soon something is seen, by the limits and days of a site."""
    limits = state.limits[site]
    rows = [
        (words, f"{one.mean:.1f}" if one.most <= PLAYED else "", _within(one))
        for words, one in _sizes(state.soon(site))
    ]
    head = ("a day's mean moves by", "days until an alarm", "in 95 of 100 cases within")
    told = (
        f"{_promise(state, site)} Beyond {limits.ewma:.3f} and {limits.cusum:.2f} sd is an alarm."
    )
    return details("How soon is it seen?", paragraph(told) + table(head, rows))


def _sizes(soon: Soon) -> Iterator[tuple[str, Delay]]:
    for shift, one in soon.steps.items():
        yield f"{shift:g} sd", one
    for slope, one in soon.ramps.items():
        yield f"{slope:g} sd more each day", one


def _within(one: Delay) -> str:
    return f"{one.most:.0f}" if one.most <= PLAYED else f"not within {PLAYED}"


def _promise(state: State, site: str) -> str:
    return (
        f"While nothing drifts, the {state.charts(site)} charts together alarm once in "
        f"{state.quiet_days:g} days with parts, or more seldom."
    )


def _early(state: State, site: str) -> list[str]:
    """Products of which no stream has days enough, in words."""
    return [name or "the product" for name in state.early(site)]


def _how(state: State) -> str:
    return paragraph(
        "A day counts by the trimmed mean of its pictures, in standard deviations of the days "
        "before it (Student's t, so that few days are allowed for). p-value: how odd parts are "
        "among the good ones that the threshold rests on. distance: from the nearest normal patch. "
        "brightness and sharpness: of whole pictures. What moves in all products at once is the "
        "camera; what moves in one alone is the product. An alarm stands until --since names the "
        "day from which on things count anew."
    ) + paragraph(f"Limits are for {state.quiet_days:g} quiet days a site.", kind="soft")
