"""A YAML matrix -> the points to compare: overlays of the run-config, each with every seed.

    name: merges
    base: ../demo.toml                 a TOML overlay beside the YAML file; may be left out
    set: {bank.scope: category}        knobs of every cell
    axes:
      merge.aggregation: [federated_coreset, concatenate]        a knob and its values
      sites:                                                     or a name and its overlays
        three: {data.partition: iid, data.sites: 3}
        five: {data.partition: iid, data.sites: 5}
    seeds: 5                           0 to 4, or a list
    yardsticks: [isolated, centralised]

The points are all combinations of the axes. `KEYS` has the other keys and their defaults.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from fedad.config import Config, read
from fedad.errors import ConfigError
from fedad.evaluation import Counts, summarise
from fedad.plugins import did_you_mean
from fedad.plumbing.checked import expected
from fedad.plumbing.parse import from_yaml, read_text
from fedad.running import shipped
from fedad.running.overlay import absolute, flat, read_knobs, read_toml

FEDERATED, ISOLATED, CENTRALISED = "federated", "isolated", "centralised"
AT_SITE = "at-site"  # under a private release: by the model and the site's own, which stays
YARDSTICKS = (ISOLATED, CENTRALISED, AT_SITE)
USUAL = [ISOLATED, CENTRALISED]
Count = Annotated[int, Field(ge=0)]
Names = Annotated[list[str], Field(min_length=1)]
KEYS: dict[str, tuple[Any, Any]] = {  # key -> its kind, its default
    "name": (str, ""),  # of the comparison and its folder; the file's own if empty
    "base": (str, ""),
    "set": (dict[str, Any], {}),
    "axes": (dict[str, Any], {}),
    "seeds": (Annotated[int, Field(ge=1)] | list[int], 5),
    "yardsticks": (list[str], USUAL),
    "figures": (Names, ["image_auroc", "pixel_auroc", "auc_spro_0.05"]),  # the last one decides
    "margin": (Annotated[float, Field(gt=0)], 0.01),  # two figures so near count as equal
    # of the bootstrap over test images and seeds; some seconds a cell
    "replicates": (Count, 10_000),
    "leave-one-out": (Count, 1),  # for how many seeds each site is left out in turn
    # use case -> {most: figure, at-most: {cost: number}}; these come before the usual ones
    "recommend": (dict[str, dict[str, Any]], {}),
}
SEED = "round.seed"
COSTS = ("mb_up_a_site", "mb_down_a_site", "mb_moved", "seconds")
LIMITS = (*COSTS, "epsilon")  # that a use case may limit


@dataclass(frozen=True)
class Point:
    """One combination of the axes: what is compared with the others."""

    label: str
    knobs: Mapping[str, str | int | float]
    marks: Mapping[str, str]  # axis -> what its value is called


@dataclass(frozen=True)
class Plan:
    """A matrix, checked: every point reads as a configuration."""

    name: str
    purpose: str  # the comment that the file opens with
    points: tuple[Point, ...]
    seeds: tuple[int, ...]
    yardsticks: tuple[str, ...]
    figures: tuple[str, ...]
    margin: float
    replicates: int
    leave_one_out: int
    recommend: Mapping[str, Mapping[str, Any]]

    def config(self, point: Point, seed: int) -> Config:
        """The run of a point with a seed."""
        return read({**point.knobs, SEED: seed})

    def changed(self, *, seeds: int | None, leave_one_out: int | None) -> Plan:
        """The same matrix over the seeds 0 to `seeds` - 1, with as many in which sites are left
        out; None leaves the plan's."""
        return replace(
            self,
            seeds=self.seeds if seeds is None else _seeds(seeds),
            leave_one_out=self.leave_one_out if leave_one_out is None else leave_one_out,
        )


def read_plan(path: Path, overrides: Sequence[str] = ()) -> Plan:
    """The matrix in `path`, with `key=value` overrides of knobs in every cell.

    Raises:
        ConfigError: no such file, not YAML, an unknown key, or a point that is no configuration.
    """
    path = shipped.found(path, ".yaml")
    text, found = _read_yaml(path)
    given = _checked(path, found)
    base = flat(read_toml(path.parent / given["base"])) if given["base"] else {}
    name = str(given["name"] or path.stem)
    _check_seedless(path, given["set"])
    knobs = {**base, **given["set"], "round.name": name, **read_knobs(overrides)}
    plan = Plan(
        name=name,
        purpose=_opening(text),
        points=tuple(_points(path, knobs, given["axes"], read_knobs(overrides))),
        seeds=_seeds(given["seeds"]),
        yardsticks=_listed(path, "yardsticks", given["yardsticks"], YARDSTICKS),
        figures=_listed(path, "figures", given["figures"], known_figures()),
        margin=float(given["margin"]),
        replicates=given["replicates"],
        leave_one_out=given["leave-one-out"],
        recommend=given["recommend"],
    )
    for case, wish in plan.recommend.items():
        _check_wish(path, f"recommend: {case}", wish)
    _check_points(path, plan)
    return plan


def _check_wish(path: Path, where: str, wish: Mapping[str, Any]) -> None:
    """A use case: what there is to be most of, and numbers that costs may be at most."""
    _listed(path, where, wish, ("most", "at-most"))
    _listed(path, where, [wish.get("most", "figure")], ("figure", "worst_site", *COSTS))
    limits = wish.get("at-most", {})
    if not isinstance(limits, dict):
        raise ConfigError(
            f"{path}: {where}: at-most: {limits!r}: expected costs and numbers such as "
            "{mb_up_a_site: 5}"
        )
    for cost in _listed(path, where, limits, LIMITS):
        if type(limits[cost]) not in (int, float):
            raise ConfigError(
                f"{path}: {where}: {cost}: {limits[cost]!r}: expected a number, without its unit"
            )


def _check_points(path: Path, plan: Plan) -> None:
    """Every point reads as a configuration, with a label of its own and another run."""
    if len({point.label for point in plan.points}) < len(plan.points):
        raise ConfigError(f"{path}: axes: two points have one label: is a value written twice?")
    found: dict[str, str] = {}
    for point in plan.points:
        config = plan.config(point, plan.seeds[0])
        same = found.setdefault(repr((config.essence(), config.data.dir)), point.label)
        if same != point.label:
            raise ConfigError(
                f"{path}: axes: {same!r} and {point.label!r} are one run: their knobs say how it "
                "goes, not what it computes"
            )


def known_figures() -> tuple[str, ...]:
    """The keys of all figures there are."""
    return tuple(summarise(Counts())["pooled"]["figures"])


def _checked(path: Path, found: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of the file, each of its kind, over the defaults."""
    for key, value in found.items():
        if key not in KEYS:
            raise ConfigError(
                f"{path}: {key}: there is no such key{did_you_mean(key, KEYS)}; "
                f"there are {', '.join(KEYS)}"
            )
        try:
            TypeAdapter(KEYS[key][0]).validate_python(value, strict=True)
        except ValidationError as error:
            raise ConfigError(f"{path}: {key}: {value!r}: {expected(error)}") from None
    return {**{key: default for key, (_, default) in KEYS.items()}, **found}


def _read_yaml(path: Path) -> tuple[str, dict[str, Any]]:
    try:
        text = read_text(path, "YAML")
        found = from_yaml(text)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise ConfigError(f"{path}: not YAML ({error})") from error
    if not isinstance(found, dict):
        raise ConfigError(f"{path}: expected keys such as axes and seeds, as in {__name__}")
    return text, found


def _opening(text: str) -> str:
    """The comment at the top of a file, as paragraphs."""
    lines = itertools.takewhile(lambda line: line.startswith("#"), text.splitlines())
    return "\n".join(line.removeprefix("#").strip() for line in lines)


def _points(
    path: Path, knobs: Mapping[str, Any], axes: Mapping[str, Any], fixed: Mapping[str, Any]
) -> Iterator[Point]:
    """All combinations of the axes, in the order in which they are written."""
    _check_seedless(path, fixed)
    sides = [_side(path, axis, values) for axis, values in axes.items()]
    for combination in itertools.product(*sides):
        overlay = {key: value for _, part in combination for key, value in part.items()}
        _check_seedless(path, overlay)
        if both := sorted(set(overlay) & set(fixed)):
            raise ConfigError(f"-c {both[0]}: the matrix varies it; edit {path} instead")
        marks = {axis: label for axis, (label, _) in zip(axes, combination, strict=True)}
        label = ", ".join(marks.values()) or "as configured"
        yield Point(label, absolute({**knobs, **overlay}), marks)


def _check_seedless(path: Path, knobs: Mapping[str, Any]) -> None:
    if SEED in knobs:
        raise ConfigError(
            f"{SEED}: every point runs with each of the seeds: set seeds in {path}, or --seeds"
        )


def _side(path: Path, axis: str, values: Any) -> list[tuple[str, dict[str, Any]]]:
    """The values of one axis: what each is called, and the knobs that it sets."""
    if isinstance(values, list) and values:
        return [(_called(axis, value), {axis: value}) for value in values]
    if isinstance(values, dict) and values and all(isinstance(v, dict) for v in values.values()):
        return [(str(label), dict(overlay)) for label, overlay in values.items()]
    raise ConfigError(
        f"{path}: axes: {axis}: expected a knob with a list of values, or a name with overlays "
        "such as {three: {data.sites: 3}}"
    )


def _called(axis: str, value: Any) -> str:
    """A name speaks for itself, a number does not."""
    return value if isinstance(value, str) else f"{axis.rpartition('.')[2]} {value}"


def _seeds(value: Any) -> tuple[int, ...]:
    seeds = tuple(range(value)) if isinstance(value, int) else tuple(value)
    if not seeds or len(set(seeds)) < len(seeds) or not all(type(seed) is int for seed in seeds):
        raise ConfigError(f"seeds = {value!r}: expected how many, or a list of different numbers")
    return seeds


def _listed(path: Path, key: str, values: Any, known: Sequence[str]) -> tuple[str, ...]:
    for value in values:
        if value not in known:
            raise ConfigError(
                f"{path}: {key}: there is no {value!r}{did_you_mean(str(value), known)}; "
                f"expected some of {', '.join(known)}"
            )
    if len(set(values)) < len(values):
        raise ConfigError(f"{path}: {key}: {values!r}: one of them is written twice")
    return tuple(values)
