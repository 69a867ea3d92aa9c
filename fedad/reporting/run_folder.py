"""The folder that a run leaves: `record.json`, `per_site.csv`, `bank.safetensors`, pictures."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fedad.banks.bank import Bank
from fedad.errors import DataError, FedadError
from fedad.evaluation import LIMITS, Counts, as_csv, curves, draw_fpr_spro
from fedad.images.reading import READ_BY, text_of
from fedad.messages.file import METHOD, READING, save
from fedad.messages.payload import Payload
from fedad.plumbing.files import (
    FOLDER_MODE,
    expanded,
    private_folder,
    read_json,
    write_atomic,
    write_json,
)
from fedad.reporting.record import SCHEMA, environment, per_site_csv
from fedad.reporting.tracking import tracked

RECORD, FAILURE = "record.json", "failure.json"
BANK, MODEL = "bank.safetensors", "model.safetensors"
COMPARISON = "comparison.json"  # in the folder of a matrix of runs


def model_file(kind: type[Payload]) -> str:
    """The file of a model of this kind in a run folder: a bank's has its own name."""
    return BANK if kind is Bank else MODEL


def new_folder(name: str, root: Path | None = None) -> Path:
    """A folder `<time>-<name>` that is not there yet, below `root` or `~/fedad-runs`."""
    root = root or expanded("~/fedad-runs")
    stem = time.strftime("%Y%m%d-%H%M%S") + f"-{name or 'run'}"
    for number in range(1, 1000):
        folder = root / (stem if number == 1 else f"{stem}-{number}")
        if not folder.exists():
            private_folder(folder.parent)
            folder.mkdir(FOLDER_MODE)
            return folder
    raise DataError(f"{root}: there are a thousand runs named {stem}")


def write_run(folder: Path, model: Payload, record: Mapping[str, Any], counts: Counts) -> None:
    """Write what a finished run leaves; `record.json` comes last, and says that it is whole.

    `counts` are of all sites: of them come each category's ROC and FPR-sPRO curves.
    """
    knobs = record["config"]
    about = {METHOD: str(knobs["round.method"])}
    if told := text_of({name: knobs[f"data.{name}"] for name in READ_BY}):
        about[READING] = told
    digest = save(folder / model_file(type(model)), model, private=False, **about)
    drawn = {name: curves(counts.in_category(name)) for name in counts.categories}
    for name, columns in drawn.items():
        write_atomic(folder / "curves" / f"{name}.csv", as_csv(columns))
    draw_fpr_spro(drawn, LIMITS, folder / "curves" / "fpr_spro")
    write_json(folder / "environment.json", environment())
    warnings = [*record["warnings"], *tracked(folder, record)]
    made = {**record["model"], "sha256": digest}
    write_record(folder, {**record, "model": made, "warnings": warnings})


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """The record, and its figures as a table."""
    write_atomic(folder / "per_site.csv", per_site_csv(record["figures"]))
    write_json(folder / RECORD, record)


def read_record(folder: Path) -> dict[str, Any]:
    """The record of a finished run.

    Raises:
        DataError: the folder holds none, or one that another version of fedad wrote.
    """
    record = read_json(folder / RECORD, "the record of a finished run")
    if record.get("schema") != SCHEMA:
        raise DataError(
            f"{folder / RECORD}: schema {record.get('schema')!a:.20}, expected {SCHEMA}: was it "
            "written by another version of fedad? Run it again, or read it with that version"
        )
    return record


def read_comparison(folder: Path) -> dict[str, Any]:
    """What a matrix of runs came to.

    Raises:
        DataError: the folder holds none.
    """
    return read_json(folder / COMPARISON, "a finished comparison")


def write_failure(folder: Path, error: FedadError) -> None:
    """Say why a run ended, for the runner to print."""
    write_json(folder / FAILURE, {"message": str(error), "exit_code": error.exit_code})


def point_latest(folder: Path) -> None:
    """`latest`, beside the run folder, leads to it."""
    link, part = folder.parent / "latest", folder.parent / ".latest.part"
    part.unlink(missing_ok=True)
    part.symlink_to(folder.name)
    part.replace(link)
