"""What a run has to come to, by the plain round over the same folders."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from fedad.config import Config
from fedad.datasets.base import open_dataset
from fedad.embedders.embedder import Embedder
from fedad.judging.thresholds import calibrate
from fedad.messages.file import save
from fedad.partition import one_site
from fedad.reporting.record import figures_of
from fedad.round import examine, fit, merge
from fedad.types import Site


class Oracle:
    """The banks and figures of any of the sites, computed in this process."""

    def __init__(self, config: Config, folders: Mapping[str, Path], scratch: Path) -> None:
        self.config, self.scratch = config, scratch
        self.embed = Embedder(config.embedder)
        self.sites = {name: self._site(name, folder) for name, folder in folders.items()}
        self.local = {name: fit(config, site, self.embed) for name, site in self.sites.items()}
        self.bank = cache(self._bank)
        self.figures = cache(self._figures)

    def digest(self, uploaded: tuple[str, ...]) -> str:
        """The sha256 of the bank of these sites."""
        return save(
            self.scratch / "oracle.safetensors",
            self.bank(uploaded),
            method=self.config.round.method,
        )

    def check(self, record: Mapping[str, Any]) -> None:
        """The record's bank and figures are, byte for byte, those of the sites that were left."""
        lost = record["missing"]
        judged = tuple(sorted(set(self.sites) - set(lost)))
        late = {name for name, told in lost.items() if told["stage"] == "evaluate"}
        uploaded = tuple(sorted({*judged, *late}))
        assert record["model"]["sha256"] == self.digest(uploaded)
        assert json.dumps(record["figures"]) == self.figures(uploaded, judged)

    def _site(self, name: str, folder: Path) -> Site:
        knobs = replace(self.config.data, dir=str(folder))
        return one_site(name, open_dataset(knobs), knobs, seed=self.config.round.seed)

    def _bank(self, uploaded: tuple[str, ...]):
        return merge(self.config, [self.local[name].upload for name in uploaded])

    def _figures(self, uploaded: tuple[str, ...], judged: tuple[str, ...]) -> str:
        bank, found = self.bank(uploaded), {}
        for name in judged:
            site, own = self.sites[name], self.local[name].own
            thresholds = calibrate(self.config, site, self.embed, bank, own)
            found[name] = examine(self.config, site, self.embed, bank, thresholds, own=own)
        text = json.dumps({"federated": figures_of(found)})
        return json.dumps(json.loads(text.replace("NaN", "null")))
