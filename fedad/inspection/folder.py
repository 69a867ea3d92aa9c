"""Every picture of a folder -> a line each, with `verdicts.csv`, overlays and JSON lines beside."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from fedad.errors import ConfigError, DataError
from fedad.images.pixels import shown
from fedad.inspection.inspector import Inspector
from fedad.inspection.overlay import as_png, overlay
from fedad.inspection.results import Lines, as_csv, row_of, unreadable
from fedad.judging.verdict_words import OK, UNREADABLE
from fedad.plumbing.files import write_atomic
from fedad.plumbing.progress import track
from fedad.running.maps import to_judge
from fedad.types import Dataset, Sample

CSV = "verdicts.csv"


def inspect_all(
    inspector: Inspector,
    what: Path,
    *,
    product: str = "",
    dataset: str = "auto",
    out: Path | None = None,
    jsonl: Path | None = None,
    overlays: str = "all",
    note: Callable[[str], None] = lambda text: None,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """A line for a person and a row for a program, of each picture in turn.

    Args:
        what: a picture, any folder of pictures, or a data set, of which the test images are judged.
        product: of the model's; else folders' names say it, or it is recognised.
        out: gets `verdicts.csv`, and an overlay of all pictures, of those that are not OK, or of
            none, as `overlays` says: all, nok or none.
        jsonl: a file that the rows are added to.
        note: is told how the folder was read.

    Raises:
        DataError: no picture, or none of a product that the model knows.
        ConfigError: results would take the place of pictures.
    """
    data = replace(inspector.opened.config.data, dataset=dataset, categories=product)
    config = replace(inspector.opened.config, data=data)
    found = to_judge(config, what, inspector.products, out, recognised=True)
    _check_out(out, found)
    for line in found.notes:
        note(line)
    for path, why in found.unused:
        note(f"not judged: {shown(path)} ({why})")
    rows = []
    with ExitStack() as stack:
        lines = stack.enter_context(Lines(jsonl)) if jsonl else None
        progress = stack.enter_context(track("inspecting", len(found.samples)))
        for sample in found.samples:
            line, row = _judged(inspector, sample, out, overlays)
            rows.append(row)
            if lines:
                lines.add(row)
            yield line, row
            progress(len(rows))
    if out:
        write_atomic(out / CSV, as_csv(rows))


def _judged(
    inspector: Inspector, sample: Sample, out: Path | None, overlays: str
) -> tuple[str, dict[str, Any]]:
    name = sample.file + sample.path.suffix * (not sample.file.endswith(sample.path.suffix))
    try:
        one = inspector.inspect(sample.path, sample.category, name)
    except DataError as error:
        return f"{UNREADABLE:10} {name}: {error}", unreadable(name, str(error))
    if out and (overlays == "all" or (overlays == "nok" and one.verdict != OK)):
        place = out / f"{sample.file}.png"
        write_atomic(place, as_png(overlay(one)), flush=False)
    return one.line(), row_of(one)


def _check_out(out: Path | None, found: Dataset) -> None:
    """Refuse to write over the pictures that are judged."""
    if out is None:
        return
    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out {shown(out)}: it is a file, expected a folder for the verdicts")
    taken = {sample.path.resolve() for sample in found.samples}
    for sample in found.samples:
        if (out / f"{sample.file}.png").resolve() in taken:
            raise ConfigError(
                f"--out {shown(out)}: overlays would stand among the pictures that they are of: "
                "name another folder"
            )
