"""`fedad cache clear`: let go of what can be made again."""

from __future__ import annotations

from typing import Annotated

import typer

from fedad.commands.options import AsJson, CacheFolder


def cache_clear(
    kinds: Annotated[
        list[str] | None,
        typer.Argument(help="features, taps, looks or drawn; all of them if none.", metavar="KIND"),
    ] = None,
    folder: CacheFolder = None,
    as_json: AsJson = False,
) -> None:
    """Remove what is cached; the next run makes anew what it needs. Nothing else is touched."""
    from fedad.commands.show import show_json
    from fedad.plumbing.caches import clear
    from fedad.plumbing.console import say
    from fedad.plumbing.files import cache_root

    root = folder or cache_root()
    gone = clear(root, kinds or ())
    if as_json:
        show_json({"folder": root, "removed": [one._asdict() for one in gone]})
        return
    size, files = sum(one.size for one in gone), sum(one.files for one in gone)
    say(f"{root}: {files:,} files, {size / 2**20:,.1f} MiB, are gone")
