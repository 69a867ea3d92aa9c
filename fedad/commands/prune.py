"""`fedad prune`: at the server, delete the uploads whose days are over."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from fedad.commands.options import AsJson


def prune(
    runs: Annotated[Path, typer.Argument(help="Where run folders are.")] = Path("runs"),
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go, and delete nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """At the server: delete uploads of sites older than their run's round.keep-days. Models stay;
    without its uploads no site can be forgotten by `fedad model forget` any more."""
    from fedad.commands.show import show_json
    from fedad.errors import DataError
    from fedad.plumbing.console import say
    from fedad.running.old_uploads import all_held, delete

    if not runs.is_dir():
        raise DataError(f"{runs}: there is no such folder, expected the folder of runs")
    found = [*all_held(runs)]
    old = [one for one in found if one.is_over]
    gone: list[dict[str, Any]] = [  # as it was: nothing can be measured afterwards
        {
            "run": one.run.name,
            "files": len(one.files),
            "bytes": one.size,
            "age_days": round(one.age, 1),
            "keep_days": one.days,
        }
        for one in old
    ]
    if not dry_run:
        for one in old:
            delete(one)
    if as_json:
        told = {"runs": runs, "deleted": not dry_run, "uploads": gone}
        show_json({**told, "kept": len(found) - len(old)})
        return
    verb = "would be deleted" if dry_run else "are deleted"
    for row in gone:
        say(
            f"{row['run']}: {row['files']} uploads, {row['bytes'] / 2**20:.1f} MiB, {verb}: "
            f"{row['age_days']:.0f} days old, {row['keep_days']} were to be kept"
        )
    say(f"{runs}: uploads of {len(found) - len(old)} runs stay, of {len(old)} {verb}")
