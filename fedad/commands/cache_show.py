"""`fedad cache show`: what this machine keeps because it takes time to make again."""

from __future__ import annotations

from fedad.commands.options import AsJson, CacheFolder


def cache_show(folder: CacheFolder = None, as_json: AsJson = False) -> None:
    """What is cached on this machine, and how much of it there is."""
    from fedad.commands.show import show_json
    from fedad.plumbing.caches import kept_in, others_in
    from fedad.plumbing.console import say
    from fedad.plumbing.files import cache_root

    root = folder or cache_root()
    kept, others = kept_in(root), others_in(root)
    if as_json:
        show_json({"folder": root, "kept": [one._asdict() for one in kept], "others": others})
        return
    say(root)
    for one in kept:
        say(f"  {one.kind:<9} {one.size / 2**20:>10,.1f} MiB  {one.files:>7,} files  {one.what}")
    if others:
        say(f"  fedad cache clear leaves alone: {', '.join(others)}")
