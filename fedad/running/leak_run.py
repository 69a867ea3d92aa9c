"""Open what is attacked, try the attacks, and write what they found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fedad.config import Config
from fedad.errors import DataError
from fedad.plumbing.files import private_folder, write_atomic, write_json
from fedad.plumbing.shown import for_terminal
from fedad.reporting.run_folder import RECORD, read_record
from fedad.running.leak import Attacked, attacked
from fedad.running.leak_banks import Opened, as_embedded, as_in_the_run, banks_of, with_embedding
from fedad.running.leak_images import Suspects, suspects
from fedad.running.leak_told import NOTE, SCHEMA, markdown, record
from fedad.running.model_file import embedder_of
from fedad.running.overlay import read_config, read_knobs


class Found(NamedTuple):
    """What attacks on one bank found, and what there is to say of the images."""

    opened: Opened
    products: list[Attacked]
    notes: list[str]


def leaks(
    knobs: Sequence[str], place: Path, members: Path, others: Path, *, decoder: bool = False
) -> list[Found]:
    """Attack the bank in a file, or those in a run's folder.

    Raises:
        DataError: no bank, no image, or no image of any product of a bank.
        MismatchError: the images would be embedded otherwise than the bank's were.
        ConfigError: a product that the bank does not know.
    """
    config = as_in_the_run(read_config(None, knobs), place, {*read_knobs(knobs)})
    found = list[Found]()
    for opened in banks_of(place):
        known = suspects(config, members, others, opened.bank.categories)
        if found and not _is_of(opened, known):
            found[0].notes.append(
                f"{opened.file} is not attacked: nothing says which images are of "
                f"{', '.join(opened.bank.sites)}: name the file, with that site's own images"
            )
            continue
        found.append(_attacked(config, opened, known, decoder=decoder))
    for one in found:
        one.notes.extend(_left_out(place))
    return found


def results(found: Sequence[Found]) -> dict[str, Any]:
    """All of it, as `leak.json` has it."""
    return {
        "schema": SCHEMA,
        "note": NOTE,
        "banks": [record(one.opened, one.products, one.notes) for one in found],
    }


def write_leaks(out: Path, found: Sequence[Found]) -> None:
    """Write `leak.json`, `leak.md` and a picture a product that decoders were tried on, for the
    owner of the folder alone."""
    private_folder(out)
    for one in found:
        for product in one.products:
            if product.drawn:
                _write_pictures(out, one.opened, product)
    write_atomic(out / "leak.md", markdown(found))
    write_json(out / "leak.json", results(found))


def _attacked(config: Config, opened: Opened, some: Suspects, *, decoder: bool) -> Found:
    config = with_embedding(config, opened)
    embed = embedder_of(config, as_embedded(opened), opened.file)
    products = list(attacked(opened, embed, some, decoder=decoder))
    if not products:
        there = sorted({one.category for one in some.members})
        raise DataError(
            f"{opened.file}: no product of it has both members and others: the members are of "
            f"{', '.join(there)}, the others of "
            f"{', '.join(sorted({one.category for one in some.others}))}"
        )
    left = sorted({*opened.bank.categories} - {one.product for one in products})
    notes = [*some.notes, *([f"not attacked: {', '.join(left)}, without images"] if left else [])]
    taken, all_ = len(some.of_sites(opened.bank.sites)), len(some.members)
    if taken < all_:
        notes.append(f"sites.csv: of {all_} members {taken} are of {', '.join(opened.bank.sites)}")
    return Found(opened, products, notes)


def _left_out(place: Path) -> list[str]:
    """Which knobs of the run left good images out of its bank: they count as members here."""
    if not (place / RECORD).is_file():
        return []
    knobs = read_record(place)["config"]
    return [
        f"the run had {knob} = {knobs[knob]}: members that it left out count as members here, so "
        "that less is recognised than of those it learned from"
        for knob in ("data.holdout", "data.images")
        if knobs.get(knob)
    ]


def _is_of(opened: Opened, some: Suspects) -> bool:
    """Whether some members are known to be of the bank's sites."""
    return bool({*some.whose.values()} & {*opened.bank.sites})


def _write_pictures(out: Path, opened: Opened, one: Attacked) -> None:
    from fedad.leakage.inversion import best_of
    from fedad.leakage.side_by_side import side_by_side

    if one.drawn is None:
        return
    best = best_of(list(one.drawn.by))
    name = for_terminal(f"{opened.file.stem}-{one.product}.png")
    write_atomic(out / name, side_by_side(one.drawn.private.crops, best.drawn))
