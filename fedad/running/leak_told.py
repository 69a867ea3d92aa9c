"""What attacks found, in words, as tables and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from fedad.evaluation.quality import Rate
from fedad.leakage.copies import Copies
from fedad.leakage.membership import MEASURABLE, Membership, Recognition
from fedad.plumbing.shown import for_markdown
from fedad.running.leak import Attacked, Drawn
from fedad.running.leak_banks import Opened

SCHEMA = 1
NOTE = (
    "An attack shows what leaks at least. That it finds nothing does not show that nothing leaks."
)
OF_MEMBERS = ("product", "statistic", "AUC", "members found at 1 % false alarms", "false alarms")
OF_ROWS = ("product", "rows", "verbatim", "rows an image", "images with a row")
OF_DECODERS = (
    "product",
    "decoder",
    "rows",
    "PSNR, dB",
    "mean crop's",
    "gain",
    "SSIM",
    "mean crop's SSIM",
    "best row, dB",
)
Rows = Iterable[Sequence[str]]


def verdict(one: Attacked) -> str:
    """One sentence that promises no more than what was measured."""
    told, best = one.membership, one.membership.best
    if best.found is None or best.alarms is None:
        few = (
            f"whether members are recognised at 1 % false alarms is not measurable below "
            f"{MEASURABLE} members and {MEASURABLE} others (there are {told.members} and "
            f"{told.others})"
        )
        return f"{one.product}: {few}; AUC {_auc(best)}, {_chosen(told)}; {_copied(one.copies)}"
    return (
        f"{one.product}: of {told.members} images that the bank was made of, {best.found.cases} "
        f"were recognised at 1 % false alarms ({best.alarms.cases} of {told.others} others), "
        f"{_chosen(told)}; {_copied(one.copies)}"
    )


def drawn_told(product: str, drawn: Drawn) -> str:
    """One sentence about the better of the decoders."""
    best = max(drawn.by, key=lambda one: one.scores.gain)
    how = "" if drawn.copied else ", each row beside the nearest patch, since none is a member's"
    return (
        f"{product}: a decoder that learned on {len(drawn.public)} drawn products draws "
        f"{best.rows} rows {best.scores.gain:+.1f} dB beside the mean crop, which no attacker has"
        f"{how} (the better of {len(drawn.by)}, chosen after looking)"
    )


def member_rows(some: Iterable[Attacked]) -> Iterator[Sequence[str]]:
    """A row a product and statistic, under `OF_MEMBERS`."""
    for one in some:
        for by in one.membership.by:
            yield one.product, by.statistic, _auc(by), _rate(by.found), _rate(by.alarms)


def copy_rows(some: Iterable[Attacked]) -> Iterator[Sequence[str]]:
    """A row a product, under `OF_ROWS`."""
    for one in some:
        told = one.copies
        each = f"{told.mean:.1f} in the mean, {told.most} at most" if told.verbatim else "not known"
        verbatim = f"{told.verbatim:,} ({told.share:.1%})"
        yield one.product, f"{told.rows:,}", verbatim, each, f"{told.told} of {told.images}"


def decoder_rows(some: Iterable[Attacked]) -> Iterator[Sequence[str]]:
    """A row a product and decoder, under `OF_DECODERS`; none where no decoder was tried."""
    for one in some:
        for by in one.drawn.by if one.drawn else ():
            scores = by.scores
            numbers = (scores.psnr, scores.base, scores.gain)
            alike = (by.ssim, by.base_ssim)
            yield (
                one.product,
                by.decoder,
                f"{by.rows:,}",
                *(f"{number:.1f}" for number in numbers),
                *(f"{number:.2f}" for number in alike),
                f"{scores.best:.1f}",
            )


def record(opened: Opened, some: Sequence[Attacked], notes: Sequence[str]) -> dict[str, Any]:
    """One bank's part of `leak.json`."""
    bank = opened.bank
    return {
        "file": str(opened.file),
        "sites": list(bank.sites),
        "dtype": bank.dtype,
        "rows": len(bank),
        "projection": bank.fingerprint.projection,
        "notes": list(notes),
        "products": {one.product: _product(one) for one in some},
    }


def markdown(told: Sequence[tuple[Opened, Sequence[Attacked], Sequence[str]]]) -> str:
    """`leak.md`: all banks, with their verdicts first."""
    lines = ["# What leaks", "", NOTE, ""]
    for opened, some, notes in told:
        bank = opened.bank
        lines += [f"## {for_markdown(opened.file)}", ""]
        lines += [f"Sites: {for_markdown(', '.join(bank.sites))}; rows as {bank.dtype}.", ""]
        lines += [f"- {for_markdown(verdict(one))}" for one in some]
        lines += [
            f"- {for_markdown(drawn_told(one.product, one.drawn))}" for one in some if one.drawn
        ]
        lines += [f"- note: {for_markdown(note)}" for note in notes]
        lines += [""]
        for columns, rows in tables(some):
            lines += [_line(columns), _line(["---"] * len(columns)), *map(_line, rows), ""]
    return "\n".join(lines)


def tables(some: Sequence[Attacked]) -> Iterator[tuple[Sequence[str], list[Sequence[str]]]]:
    """The columns and rows of each table that has some."""
    for columns, rows in (
        (OF_MEMBERS, member_rows(some)),
        (OF_ROWS, copy_rows(some)),
        (OF_DECODERS, decoder_rows(some)),
    ):
        if made := list(rows):
            yield columns, made


def _product(one: Attacked) -> dict[str, Any]:
    told = one.membership
    found: dict[str, Any] = {
        "verdict": verdict(one),
        "members": told.members,
        "others": told.others,
        "measurable": told.measurable,
        "best": told.best.statistic,
        "statistics": {by.statistic: _statistic(by) for by in told.by},
        "rows": {**asdict(one.copies), "share": one.copies.share},
    }
    if one.drawn:
        found["decoders"] = {
            by.decoder: {
                "rows": by.rows,
                **by.scores._asdict(),
                "ssim": by.ssim,
                "base_ssim": by.base_ssim,
            }
            for by in one.drawn.by
        }
        found["decoded_rows_are_patches"] = one.drawn.copied
        found["public"] = list(one.drawn.public)
    return found


def _statistic(by: Recognition) -> dict[str, Any]:
    told = {"auc": by.auc, "low": by.low, "high": by.high, "no_interval": by.reason}
    found = by.found._asdict() if by.found else None
    return {**told, "found": found, "false_alarms": by.alarms._asdict() if by.alarms else None}


def _auc(by: Recognition) -> str:
    if by.reason:
        return f"{by.auc:.3f} (no interval: {by.reason})"
    return f"{by.auc:.3f} ({by.low:.3f} to {by.high:.3f})"


def _rate(rate: Rate | None) -> str:
    if rate is None:
        return "not measurable"
    return f"{rate.cases} of {rate.of}: {rate.value:.3f} ({rate.low:.3f} to {rate.high:.3f})"


def _chosen(told: Membership) -> str:
    return f"by {told.best.statistic}, the best of {len(told.by)} statistics, chosen after looking"


def _copied(told: Copies) -> str:
    whose = f", of {told.told} of {told.images} members" if told.verbatim else ""
    return f"{told.verbatim:,} of {told.rows:,} rows are their patches as they are{whose}"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(for_markdown(cell) for cell in cells)} |"
