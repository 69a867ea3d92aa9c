"""Is it my camera, or the product? By what moved with what alarmed.

A camera, its lens and its lamp are the same for all products: how whole pictures look moves in all
of them at once. What moves in one product alone, while the others' pictures look as before, is the
product. What has moved is told on the days of the alarm, of each stream of the site, by standard
errors of days; there is no second alarm for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from fedad.drift.series import Series
from fedad.drift.streams import LOOKS, ODDNESS

CAMERA, PRODUCT, STATION, EITHER = "camera", "product", "station", "camera or product"
SURE = 2.6  # standard errors from which on a stream has moved: of 100 that have not, 1 does


@dataclass(frozen=True)
class Event:
    """What alarms of one site that fall together come to: `cause` in a word, `words` for a person;
    `alarmed` are their products and streams."""

    site: str
    since: date
    day: date
    cause: str
    words: str
    alarmed: tuple[tuple[str, str], ...]

    def told(self) -> dict[str, Any]:
        """As plain values that JSON holds."""
        return {**vars(self), "since": f"{self.since}", "day": f"{self.day}"}


def events_of(series: Sequence[Series]) -> Iterator[Event]:
    """What the alarms of all sites come to, site by site, the oldest first."""
    for site in sorted({one.site for one in series}):
        mine = [one for one in series if one.site == site]
        others = [one for one in series if one.site != site]
        for together in _together([one for one in mine if one.alarm]):
            yield _event(site, together, mine, others)


def _together(alarmed: list[Series]) -> Iterator[list[Series]]:
    """Alarms whose days, from what each began with to its alarm, overlap."""
    some, end = list[Series](), date.min
    for one in sorted(alarmed, key=_period):
        if some and _period(one)[0] > end:
            yield some
            some = []
        some.append(one)
        end = max(end, _period(one)[1])
    if some:
        yield some


def _period(one: Series) -> tuple[date, date]:
    if one.alarm is None:
        raise ValueError("a series without an alarm")
    return one.days.days[one.alarm.start], one.days.days[one.alarm.at]


def _event(site: str, alarmed: list[Series], mine: list[Series], others: list[Series]) -> Event:
    since = min(_period(one)[0] for one in alarmed)
    day = min(_period(one)[1] for one in alarmed)  # by then it was known
    end = max(_period(one)[1] for one in alarmed)
    products = sorted({one.product for one in mine if one.moved(since, end)})
    looks, odd = (_moved(mine, alarmed, names, since, end) for names in (LOOKS, ODDNESS))
    cause = _cause(looks, odd, products)
    words = _words(cause, looks, odd, products, _amounts(alarmed))
    if cause in (PRODUCT, EITHER):
        words += _elsewhere({one.product for one in alarmed}, others, since, end)
    pairs = tuple((one.product, one.stream.name) for one in alarmed)
    return Event(site, since, day, cause, words, pairs)


def _moved(
    mine: list[Series], alarmed: list[Series], names: Sequence[str], since: date, end: date
) -> list[str]:
    """Products of which one of these streams moved: where one alarmed, those whose same stream went
    the same way."""
    found = set[str]()
    for name in names:
        signs = {one.product: one.moved(since, end) for one in mine if one.stream.name == name}
        ups = {product for product, off in signs.items() if off > SURE}
        downs = {product for product, off in signs.items() if off < -SURE}
        found |= max(ups, downs, key=len)
        found |= {one.product for one in alarmed if one.stream.name == name}
    return sorted(found)


def _cause(looks: list[str], odd: list[str], products: list[str]) -> str:
    if len(products) < 2:
        return EITHER if looks else PRODUCT
    if _are_most(looks, products):
        return CAMERA
    if not looks and _are_most(odd, products):
        return STATION
    return PRODUCT


def _are_most(some: list[str], products: list[str]) -> bool:
    return len(some) >= 2 and len(some) > len(products) / 2


def _words(cause: str, looks: list[str], odd: list[str], products: list[str], amounts: str) -> str:
    if cause == CAMERA:
        return (
            f"the camera, its lens or its lamp: whole pictures look otherwise in {len(looks)} of "
            f"{len(products)} products at once ({amounts})"
        )
    if cause == STATION:
        return (
            f"the station, or one lot of material in all: {len(odd)} of {len(products)} products "
            f"are odder at once, and brightness and sharpness stay ({amounts}): was the camera "
            "moved, is something in its view?"
        )
    if cause == EITHER:
        return (
            "the camera, or how the product looks: with one product alone nothing tells them "
            f"apart ({amounts})"
        )
    names = ", ".join(sorted({*looks, *odd})) or "none"
    rest = "the others look as before" if len(products) > 1 else "brightness and sharpness stay"
    return (
        f"the product {names}, not the camera: {rest} ({amounts}): a new variant or finish, "
        "another material, or more defects"
    )


def _amounts(alarmed: list[Series]) -> str:
    return "; ".join(
        f"{one.product or 'all'}: {one.stream.name} {one.amount(one.alarm.change)}"
        for one in alarmed
        if one.alarm
    )


def _elsewhere(products: set[str], others: list[Series], since: date, end: date) -> str:
    """Other sites at which the same product moved at that time."""
    same = [one for one in others if one.product in products and one.stream.name in ODDNESS]
    sites = sorted({one.site for one in same if one.moved(since, end) > SURE})
    return f"; it is odder at {', '.join(sites)} as well" if sites else ""
