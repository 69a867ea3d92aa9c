"""The sections on a comparison: figures, what differs, to whom, what a site is worth, what to take.

All of it is read from `comparison.json`; nothing is computed here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fedad.reporting.markup import (
    NONE,
    Html,
    Section,
    copyable,
    details,
    html,
    paragraph,
    ranged,
    table,
)
from fedad.reporting.papers import both
from fedad.reporting.plots import intervals, side_by_side
from fedad.reporting.scatter import scatter
from fedad.reporting.shown_run import COLUMNS, Found

Comparison = Mapping[str, Any]  # what `comparison.json` holds
VERDICT = (
    "higher or lower: the signed-rank test over categories and seeds (Holm) and the bootstrap "
    "interval over test images agree. Equivalent: TOST and the 90 % interval keep the difference "
    "within the margin of {margin}, each pair by itself (p equal is not Holm's). Cannot tell: "
    "neither, which is not the same as equal."
)


def sections(found: Comparison) -> list[Found]:
    """Everything on the page but the run in detail."""
    parts = (_ran, _figures, _differences, _sites, _worth, _choice)
    return [part(found) for part in parts]


def tables(found: Comparison) -> dict[str, str]:
    """File name -> text, for papers."""
    figures = [_named(figure) for figure in found["plan"]["figures"]]
    return both("figures", ["", *figures], _figure_rows(found)) | both(
        "differences", _DIFFERENCE, _difference_rows(found["contrasts"])
    )


def _ran(found: Comparison) -> Found:
    """The matrix in its author's words, and what it took."""
    plan, cells = found["plan"], found["cells"]
    body = [paragraph(part.replace("\n", " ")) for part in _told(plan["purpose"])]
    body.append(
        paragraph(
            f"{len(plan['points'])} points, seeds {', '.join(map(str, plan['seeds']))}, yardsticks "
            f"{', '.join(plan['yardsticks']) or 'none'}: {len(cells)} cells, which took "
            f"{sum(_seconds_once(cells).values()):,.0f} seconds in all."
        )
    )
    if read := found["features"]:
        body.append(
            paragraph(
                f"Before them, embedding all {read['images']:,} images into the cache took "
                f"{read['seconds']:,.0f} seconds, which are in no cell's."
            )
        )
    rows = [[point["label"], *_varied(plan, point)] for point in plan["points"]]
    axes = _axes(plan)
    body.append(table(["point", *axes], rows, words=range(1, 1 + len(axes))))
    took = [[c["treatment"], str(c["seed"]), f"{c['seconds']:.1f}", c["folder"]] for c in cells]
    body.append(details("Cells", table(["", "seed", "seconds", "folder"], took, words=(3,))))
    return Section("run", "What was run", "".join(body)), []


def _named(figure: str) -> str:
    return COLUMNS.get(figure, figure)


def _told(purpose: str) -> Iterator[str]:
    """The paragraphs of the file's opening that are prose, not commands."""
    return (part for part in purpose.split("\n\n") if not part.startswith("fedad "))


def _seconds_once(cells: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """A cell that points share took its time once."""
    return {cell["key"]: cell["seconds"] for cell in cells}


def _axes(plan: Mapping[str, Any]) -> list[str]:
    """The knobs in which points differ."""
    keys = dict.fromkeys(key for point in plan["points"] for key in point["knobs"])
    return [k for k in keys if len({p["knobs"].get(k) for p in plan["points"]}) > 1]


def _varied(plan: Mapping[str, Any], point: Mapping[str, Any]) -> list[str]:
    return [str(point["knobs"].get(key, NONE)) for key in _axes(plan)]


def _figures(found: Comparison) -> Found:
    """Every treatment's figures, in all, by category and by seed."""
    names = found["plan"]["figures"]
    shown = [_named(name) for name in names]
    plots = [
        intervals(
            f"figures-{name}",
            _named(name),
            [(one["label"], _whole(one, name)) for one in found["treatments"]],
            axis="mean over categories and seeds, 95 % interval",
        )
        for name in names
    ]
    caption = (
        "Means over categories and seeds with 95 % intervals over redrawn test images and seeds; "
        "all sites' images in one ranking, isolated sites each in their own"
    )
    body = [
        *(paragraph(f"{note}.", kind="warning") for note in found["notes"]),
        side_by_side(plots),
        table(["", *shown], _figure_rows(found), caption),
        details("By category", table(["", *shown], _category_rows(found))),
        details("By seed", table(["", *shown], _seed_rows(found))),
    ]
    return Section("figures", "Figures", "".join(body)), plots


def _whole(one: Mapping[str, Any], figure: str) -> Mapping[str, Any]:
    told = one["figures"][figure]
    return told.get("together") or told["by_site"] or {"value": None}


def _figure_rows(found: Comparison) -> list[list[str]]:
    names = found["plan"]["figures"]
    return [
        [one["label"], *(ranged(_whole(one, name)) for name in names)]
        for one in found["treatments"]
    ]


def _category_rows(found: Comparison) -> Iterator[list[str]]:
    names = found["plan"]["figures"]
    for one in found["treatments"]:
        for category in one["figures"][names[-1]]["categories"]:
            told = (one["figures"][name]["categories"].get(category) for name in names)
            yield [f"{one['label']}, {category}", *map(ranged, told)]


def _seed_rows(found: Comparison) -> Iterator[list[str]]:
    names = found["plan"]["figures"]
    for one in found["treatments"]:
        of = {name: _by_seed(one["figures"][name]) for name in names}
        for seed in of[names[-1]]:
            values = (of[name].get(seed) for name in names)
            yield [f"{one['label']}, seed {seed}", *(_number(value) for value in values)]


def _by_seed(told: Mapping[str, Any]) -> Mapping[str, float]:
    return dict(told.get("together_seeds") or told.get("by_site_seeds") or {})


_DIFFERENCE = ["first less second", "difference", "p (Holm)", "p equal", "dz", "ranks", "verdict"]


def _difference_rows(some: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    return [
        [
            f"{one['first']} less {one['second']}, {_named(one['figure'])}",
            ranged(_difference(one), "+.4f"),
            f"{one['p_holm']:.2g}",
            f"{one['p_equal']:.2g}",
            _number(one["dz"], ".2f"),
            _number(one["rank_biserial"], ".2f"),
            one["verdict"],
        ]
        for one in some
    ]


def _difference(one: Mapping[str, Any]) -> dict[str, float | None]:
    return {"value": one["difference"], "low": one["low"], "high": one["high"]}


def _differences(found: Comparison) -> Found:
    """Paired differences with intervals, tests, equivalence and ranks."""
    margin, headline = found["plan"]["margin"], found["headline"]
    main = [one for one in found["contrasts"] if one["figure"] == headline]
    other = [one for one in found["contrasts"] if one["figure"] != headline]
    name = _named(headline)
    plots = [
        intervals(
            file,
            f"Paired differences, {name}",
            [(f"{one['first']} less {one['second']}", _difference(one)) for one in some],
            axis=f"difference, 95 % interval; shaded: the margin of {margin:g}",
            band=margin,
            about=0.0,
        )
        for file, some in (  # isolated sites are so far off that nothing else could be read
            ("differences", [one for one in main if one["together"]]),
            ("differences-isolated", [one for one in main if not one["together"]]),
        )
        if some
    ]
    notes = list(dict.fromkeys(note for one in found["contrasts"] for note in one["warnings"]))
    body = [
        *(paragraph(f"Small numbers: {note}.", kind="warning") for note in notes),
        side_by_side(plots),
        table(_DIFFERENCE, _difference_rows(main), "dz: mean over scatter; ranks: rank-biserial"),
        paragraph(VERDICT.format(margin=f"{margin:g}"), kind="note"),
        details("Other figures", table(_DIFFERENCE, _difference_rows(other))),
        *_ranks(found),
    ]
    return Section("differences", "What differs", "".join(body)), plots


def _ranks(found: Comparison) -> Iterator[Html]:
    """Friedman and Nemenyi, for three treatments or more."""
    rows = []
    for one in found["rankings"]:
        where = "all sites' images" if one["together"] else "site by site"
        ranks = ", ".join(f"{label} {rank:.2f}" for label, rank in one["ranks"].items())
        apart = "; ".join(" = ".join(group) for group in one["groups"]) or "all are"
        rows.append(
            [
                f"{_named(one['figure'])}, {where}",
                str(one["blocks"]),
                f"{one['p']:.2g}",
                ranks,
                f"{one['critical']:.2f}",
                apart,
            ]
        )
    if rows:
        columns = ["ranked by", "blocks", "p (Friedman)", "mean ranks", "critical", "not apart"]
        caption = "Mean ranks over blocks, a category with a seed; 1 is best. Ranks less than the "
        caption += "critical difference apart are not told apart at 5 %"
        yield table(columns, rows, caption, words=(3, 5))
        yield details("Nemenyi's p of each pair", Html("".join(map(_nemenyi, found["rankings"]))))


def _nemenyi(one: Mapping[str, Any]) -> Html:
    """The p of every two treatments, in the order of their ranks."""
    names = list(one["ranks"])
    rows = [[a, *(NONE if a == b else f"{one['pairs'][a][b]:.2g}" for b in names)] for a in names]
    where = "all sites' images" if one["together"] else "site by site"
    return table(["", *names], rows, f"{_named(one['figure'])}, {where}")


def _sites(found: Comparison) -> Found:
    """The worst site, the gap, and what each site gained over being isolated."""
    headline = found["headline"]
    name = _named(headline)
    over = [
        [one["treatment"], *_spread(one["figures"][headline][of])]
        for of in ("over_sites", "over_categories")
        for one in found["fairness"]
    ]
    gains = [
        (f"{one['treatment']}: {site}", told)
        for one in found["fairness"]
        for site, told in one.get("gain", {}).get(headline, {}).items()
    ]
    half = len(found["fairness"])
    columns = ["", "worst", "best", "gap", "spread"]
    body = [
        table(columns, over[:half], f"{name} over sites"),
        details("By site", table(["", name, "images"], _site_rows(found))),
        table(columns, over[half:], f"{name} over categories"),
    ]
    plots = []
    if gains:
        title = f"Gain over being isolated, {name}"
        plots = [intervals("gain", title, gains, axis="gain, 95 % interval", about=0.0)]
        answers = [[label, ranged(told, "+.3f"), told["answer"]] for label, told in gains]
        body += [
            plots[0].figure(),
            table(["did federation help me?", name, ""], answers, _SURE, words=(2,)),
        ]
    body += [_borrowed(found)]
    return Section("sites", "To whom", "".join(body)), plots


_SURE = (
    "helped or hurt: the 95 % interval of this site and point, by itself, leaves out 0. No "
    "interval where a category has fewer than five good or defective test images"
)


def _site_rows(found: Comparison) -> Iterator[list[str]]:
    """Each site's figure, and its good or defective images, whichever are fewer."""
    for one in found["fairness"]:
        for site, told in one["figures"][found["headline"]]["sites"].items():
            yield [f"{one['treatment']}: {site}", ranged(told), str(told["images"])]


def _spread(of: Mapping[str, Any]) -> list[str]:
    if not of:
        return [NONE] * 4
    return [
        f"{of['worst']} {of['worst_value']:.3f}",
        f"{of['best']} {of['best_value']:.3f}",
        f"{of['gap']:.3f}",
        f"{of['spread']:.3f}",
    ]


def _borrowed(found: Comparison) -> Html:
    """What others' rows hid and relieved, and whose rows explain whose parts."""
    rows = [
        [f"{one['treatment']}: {site}", _rate(told.get("masking")), _rate(told.get("relief"))]
        for one in found["fairness"]
        for site, told in one.get("borrowed", {}).items()
    ]
    note = (
        "Masked: my defects that my own rows would have stopped, hidden by another site's normal "
        "row. Relieved: my good parts that my own rows would have stopped. Sums over seeds, whose "
        "intervals count each test image once"
    )
    shares = [
        [f"{one['treatment']}: {site}", ", ".join(f"{n} {100 * s:.1f} %" for n, s in told.items())]
        for one in found["fairness"]
        for site, told in one.get("nearest", {}).items()
    ]
    words, columns = "Whose rows are nearest to whose parts", ["", "share by contributing site"]
    return Html(
        table(["", "masked", "relieved"], rows, note)
        + details(words, table(columns, shares, words=(1,)))
    )


def _rate(rate: Mapping[str, Any] | None) -> str:
    if not rate or not rate["of"]:
        return NONE
    value, low, high = (100 * rate[name] for name in ("value", "low", "high"))
    return f"{rate['cases']} of {rate['of']}: {value:.0f} % ({low:.0f} to {high:.0f})"


def _worth(found: Comparison) -> Found:
    """What leaving each site out costs the others, exactly; and what merging anew wins back."""
    headline = found["headline"]
    rows = [
        [f"{label}: without {left}{_short(told)}", "all sites" if judge == "together" else judge]
        + [_number(told[what][headline], "+.4f") for what in ("loss", "gap")]
        + [", ".join(told["lost"]) or NONE]
        for label, value in found["value"].items()
        for left, judges in value.items()
        for judge, told in judges.items()
    ]
    if not rows:
        return Section("worth", "What a site is worth", paragraph("No site was left out.")), []
    columns = ["", "judged by", "loss", "won back by merging anew", "known to nobody else"]
    name = _named(headline)
    body = paragraph(
        "The site's rows are taken out of the bank and all test images are scored again: exact, "
        f"with no site's help. The loss is in {name}."
    )
    return Section("worth", "What a site is worth", body + table(columns, rows)), []


def _short(told: Mapping[str, Any]) -> str:
    """Merged anew, the others may not fill the bank."""
    return f" (anew {told['short']:,} rows short)" if told["short"] else ""


def _choice(found: Comparison) -> Found:
    """The Pareto front, and what to take for which use."""
    named = {one["label"]: one["figures"][found["headline"]] for one in found["treatments"]}
    points = [
        {**point, **_ends(named[point["label"]]["together"])} for point in found["pareto"]["points"]
    ]
    name = _named(found["headline"])
    plots = [
        scatter(
            "pareto-bytes",
            f"{name} against bytes",
            points,
            cost=("mb_moved", "MB moved, up and down, all sites"),
            gain=("figure", name),
        ),
    ]
    alone = "seconds" in found["pareto"]["axes"]
    if alone:
        plots.append(
            scatter(
                "pareto-seconds",
                "Worst site against seconds",
                points,
                cost=("seconds", "seconds of all stages; cached features cost none"),
                gain=("worst_site", f"{name} of the worst site"),
            )
        )
    columns = ["", name, "worst site", "MB up a site", "MB down", "MB moved", "seconds"]
    rows = [[f"{k}. {p['label']}", *_costs(p)] for k, p in enumerate(points, start=1)]
    body = [
        side_by_side(plots),
        *([] if alone else [paragraph(_SIDE_BY_SIDE, kind="note")]),
        table([*columns, "on the front"], rows, "Means over seeds; of redrawn images and seeds"),
        *_recommended(found["pareto"]),
    ]
    return Section("pareto", "What to take", "".join(body)), plots


def _ends(told: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: told[name] for name in ("low", "high")} if told else {}


def _costs(point: Mapping[str, Any]) -> list[str]:
    costs = ("mb_up_a_site", "mb_down_a_site", "mb_moved", "seconds")
    return [
        *(f"{point[name]:.4f}" for name in ("figure", "worst_site")),
        *(f"{point[name]:.2f}" for name in costs),
        f"{'yes' if point['on_front'] else 'no'}, in {100 * point['often']:.0f} %",
    ]


_TIES = "Bytes within 1 % and seconds within 10 % are equal: of such points the best figure first"
_SIDE_BY_SIDE = (
    "Cells ran side by side, or some of them under Flower: seconds say how busy the machine "
    "was, or which way was taken, and are not compared."
)


def _recommended(pareto: Mapping[str, Any]) -> Iterator[str]:
    """A point a use case, then each point's command once."""
    rows = [
        [one["use_case"], " = ".join([one["label"] or "no point does it", *one["ties"]])]
        for one in pareto["recommended"]
    ]
    yield table(["use case", "take"], rows, _TIES, words=(1,))
    for point in pareto["points"]:
        yield f"<h3>{html(point['label'])}</h3>{copyable(point['flwr'])}{copyable(point['fedad'])}"


def _number(value: float | None, form: str = ".3f") -> str:
    return NONE if value is None else format(value, form)
