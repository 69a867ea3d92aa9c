"""The state of a line as one page that can be opened, and as lines of a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from fedad.drift.chart import chart
from fedad.drift.run_length import delay
from fedad.drift.self_started import FIRST
from fedad.drift.series import Series
from fedad.drift.state import State
from fedad.reporting.markup import Html, Section, details, paragraph, table
from fedad.reporting.page import page
from fedad.reporting.plots import side_by_side

SHIFTS = (1.0, 2.0, 3.0)  # standard deviations of days, of which a page says how soon they are seen
MOST_REFERENCE = 60  # days before a shift: more hardly change how soon it is seen


def lines(state: State) -> Iterator[str]:
    """What a terminal says: each site's alarms, or that there are none, and how much was looked
    at."""
    for site in state.sites:
        where = f"{site}: " if site else ""
        events = [one for one in state.events if one.site == site]
        for one in events:
            yield f"{where}ALARM on {one.day}, moved since about {one.since}: {one.words}"
        if not events:
            days = max(len(one.days.days) for one in state.series if one.site == site)
            charts = 2 * sum(one.site == site for one in state.series)
            yield f"{where}nothing drifts: {days} days, {charts} charts"
        if early := _early(state, site):
            yield f"{where}too few days yet of {', '.join(early)}: charts begin after {FIRST}"
        yield f"{where}{_promise(state, site)}"
    if not state.series:
        yield "no judged picture with a time"
    for why, count in state.left_out.items():
        yield f"{count} lines were left out: {why}"


def as_page(state: State) -> str:
    """The whole page."""
    sections = [Section("what", "What moves", _events(state))]
    for number, site in enumerate(state.sites):
        plots = [chart(state, site, product) for product in state.products(site)]
        body = side_by_side(plots) + _table(state, site) + _seen(state, site)
        sections.append(Section(f"site-{number}", site or "Charts", body))
    sections.append(Section("how", "How to read it", _how(state)))
    alarms = len(state.events)
    said = f"{alarms} alarm{'s' * (alarms != 1)}" if alarms else "nothing drifts"
    return page("Does the line look as it did?", said, sections)


def _events(state: State) -> str:
    if not state.events:
        return paragraph("Nothing drifts.")
    return "".join(
        paragraph(
            f"{f'{one.site}, ' if one.site else ''}{one.day}: {one.words}. It has moved since "
            f"about {one.since}.",
            kind="warning",
        )
        for one in state.events
    )


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
    """How soon a shift is seen, by the limits and days of a site."""
    limits = state.limits[site]
    days = max(len(one.days.days) for one in state.series if one.site == site)
    reference = max(FIRST, min(days, MOST_REFERENCE))
    found = [(shift, delay(limits, shift, reference)) for shift in SHIFTS]
    rows = [(f"{shift:g} sd", f"{one.mean:.1f}", f"{one.most:.0f}") for shift, one in found]
    head = ("a day's mean moves by", "days until an alarm", "in 95 of 100 cases within")
    told = (
        f"{_promise(state, site)} Beyond {limits.ewma:.3f} and {limits.cusum:.2f} sd is an alarm."
    )
    return details("How soon is it seen?", paragraph(told) + table(head, rows))


def _promise(state: State, site: str) -> str:
    charts = 2 * sum(one.site == site for one in state.series)
    return (
        f"While nothing drifts, the {charts} charts together alarm once in {state.quiet_days:g} "
        "days with parts, or more seldom."
    )


def _early(state: State, site: str) -> list[str]:
    """Products of which no stream has days enough."""
    return [
        name or "the product"
        for name in state.products(site)
        if not any(one.is_ready for one in state.of(site, name))
    ]


def _how(state: State) -> str:
    return paragraph(
        "A day counts by the trimmed mean of its pictures, in standard deviations of the days "
        "before it (Student's t, so that few days are allowed for). p-value: how odd parts are "
        "among the good ones that the threshold rests on. distance: from the nearest normal patch. "
        "brightness and sharpness: of whole pictures. What moves in all products at once is the "
        "camera; what moves in one alone is the product. An alarm stands until --since names the "
        "day from which on things count anew."
    ) + paragraph(f"Limits are for {state.quiet_days:g} quiet days a site.", kind="soft")
