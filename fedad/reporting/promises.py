"""The rate of false rejects that thresholds promise, beside the rate that was found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fedad.evaluation import Rate
from fedad.plumbing.console import add_row, table

if TYPE_CHECKING:
    from rich.table import Table

AS_PROMISED = "as promised"
MORE = "more than promised: its parts are not those that the threshold rests on"
LESS = "less than promised: the threshold rests on harder parts"
UNKNOWN = "no good test part"
ADVICE = (
    "a plant whose parts are new to it stops more good ones than it wishes: give some of each kind "
    "as validation images, or to fedad calibrate"
)


def promises_of(figures: Mapping[str, Any], rate: float) -> dict[str, Any]:
    """What the thresholds of a run promised, and what came of it, by site, over its products.

    Args:
        figures: of one way of sharing, as `record.figures_of` gives them.
        rate: `score.false-rejects`.
    """
    sites = {
        name: _promise(told["decisions"].values(), rate)
        for name, told in figures["sites"].items()
        if told.get("decisions")
    }
    every = [
        one for told in figures["sites"].values() for one in told.get("decisions", {}).values()
    ]
    return {"false_rejects": rate, "sites": sites, "all_sites": _promise(every, rate)}


def _promise(decisions: Any, rate: float) -> dict[str, Any]:
    """Products at one site, or at all, added up."""
    decisions = list(decisions)
    rejected, escaped = (
        Rate.exact(
            sum(one[key]["cases"] for one in decisions), sum(one[key]["of"] for one in decisions)
        )
        for key in ("false_rejects", "escapes")
    )
    return {
        "parts": sum(one["calibrated_on"] for one in decisions),
        "false_rejects": rejected._asdict(),
        "escapes": escaped._asdict(),
        "verdict": _verdict(rejected, rate),
    }


def _verdict(found: Rate, promised: float) -> str:
    if not found.of:
        return UNKNOWN
    if found.low > promised:
        return MORE
    return LESS if found.high < promised else AS_PROMISED


def is_broken(promises: Mapping[str, Any]) -> bool:
    """Whether a site stops more good parts than was promised, beyond what chance does."""
    return any(one["verdict"] == MORE for one in promises["sites"].values())


def promise_table(promises: Mapping[str, Any]) -> Table:
    """A line a site: how many parts its thresholds rest on, and what they stopped."""
    title = f"good parts stopped, {promises['false_rejects']:.0%} promised"
    made = table(title, ("site", "calibrated on", "stopped", "escapes", ""), words=(0, 4))
    for site, one in promises["sites"].items():
        add_row(made, site, *cells(one))
    made.add_section()
    add_row(made, "all sites together", *cells(promises["all_sites"]))
    return made


def cells(one: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """Parts, the two rates with their intervals, and the verdict."""
    return (
        f"{one['parts']} parts",
        shown_rate(one["false_rejects"]),
        shown_rate(one["escapes"]),
        one["verdict"],
    )


def shown_rate(rate: Mapping[str, Any]) -> str:
    """A rate in percent with its interval, or a dash."""
    if not rate["of"]:
        return "-"
    value, low, high = (100 * rate[name] for name in ("value", "low", "high"))
    return f"{rate['cases']} of {rate['of']}: {value:.0f} % ({low:.0f} to {high:.0f})"
