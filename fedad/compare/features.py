"""Every image through its network once, before the cells: else the first cell pays for all others,
and seconds compare the order of cells."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from fedad.compare.cells import RunCell
from fedad.embedders.embedder import Embedder
from fedad.images.usable import survey
from fedad.plumbing.files import read_json, write_json
from fedad.plumbing.progress import track
from fedad.running.launch import sites_of

FILE = "features.json"
CHUNK = 64  # images whose features are in memory at a time


def fill_cache(cells: Iterable[RunCell], root: Path) -> None:
    """Embed what `cells` will read into the cache, and add to `FILE` how long that took.

    Where `embedder.cache` is off every cell embeds for itself, and nothing is done here.
    """
    apart = {}
    for cell in cells:
        data, knobs = cell.config.data, cell.config.embedder
        if knobs.cache != "off":
            apart[knobs, data.dataset, data.dir, data.categories] = cell.config
    if not apart:
        return
    began, images = time.perf_counter(), 0
    for config in apart.values():
        sites = [survey(config, site).site for site in sites_of(config)]
        samples = [s for site in sites for s in (*site.train, *site.held, *site.test)]
        embed, images = Embedder(config.embedder), images + len(samples)
        with track("embedding every image", len(samples)) as progress:
            for at in range(0, len(samples), CHUNK):
                embed(samples[at : at + CHUNK])
                progress(min(at + CHUNK, len(samples)))
    seconds = float(told_of(root).get("seconds", 0.0)) + time.perf_counter() - began
    write_json(root / FILE, {"images": images, "seconds": seconds})


def told_of(root: Path) -> Mapping[str, Any]:
    """What `fill_cache` has left; empty where no cache was filled."""
    path = root / FILE
    return read_json(path, "what filling the cache took") if path.exists() else {}
