"""PatchCore whose banks travel in an eighth of the bytes: see `banks/coded.py`.

Everything is `patchcore`'s, with its knobs and presets, but for what travels: a site codes the rows
that it sends, with `coded_patchcore.loss` of their variance lost, once. It judges by the decoded
rows of others and by its own as they are, which never leave.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from fedad.banks.bank import Bank
from fedad.banks.coded import CodedBank, chosen, coded_bank
from fedad.config import Config
from fedad.errors import UploadError
from fedad.messages.payload import Payload
from fedad.methods.base import LeftOut, MethodBase, Round, Traced, Turn
from fedad.methods.patchcore import PatchCore
from fedad.types import Enrolled, Features

if TYPE_CHECKING:  # who only merges needs no network in memory
    from fedad.embedders.in_parts import InParts

__all__ = ["CodedPatchCore"]

HEEDS = "patchcore"


@dataclass(frozen=True)
class Knobs:
    """`coded_patchcore.*`: how much is lost on the wire."""

    # Of the variance of a site's rows: the least round number with an eighth of float32's bytes.
    loss: Annotated[float, Field(gt=0, lt=1)] = 0.0025


@dataclass(frozen=True)
class CodedPatchCore(MethodBase):
    """The method; see the module."""

    leaves_out = True

    @cached_property
    def plain(self) -> PatchCore:
        """The same without codes."""
        return PatchCore.of(self.config, device=self.on)

    @cached_property
    def loss(self) -> float:
        """`coded_patchcore.loss`."""
        return float(self.config.knobs("coded_patchcore").loss)

    @cached_property
    def rounds(self) -> Sequence[Round]:
        """Those of `patchcore`, whose banks are coded."""
        return (*self.plain.rounds[:-1], Round(CodedBank, CodedBank))

    @property
    def rejoins(self) -> bool:  # type: ignore[override]
        """As `patchcore`."""
        return self.plain.rejoins

    @property
    def settled(self) -> Config:
        """As `patchcore`."""
        return self.plain.settled

    @property
    def notes(self) -> tuple[str, ...]:
        """As `patchcore`."""
        return self.plain.notes

    @property
    def needs_pixels(self) -> bool:  # type: ignore[override]
        """As `patchcore`."""
        return self.plain.needs_pixels

    @property
    def turns(self) -> int:  # type: ignore[override]
        """As `patchcore`."""
        return self.plain.turns

    def fit(
        self,
        features: Features | InParts,
        turn: Turn,
        *,
        own: Payload | None = None,
        rng: np.random.Generator,
    ) -> Payload:
        """What `patchcore` keeps, in codes."""
        made = self.plain.fit(features, turn, own=own, rng=rng)
        return coded_bank(made, self.loss) if isinstance(made, Bank) else made

    def merge(self, uploads: Sequence[Any], turn: Turn, *, rng: np.random.Generator) -> Payload:
        """The bank that `patchcore` makes of the decoded rows, in the codes that they came in."""
        if not isinstance(uploads[0], CodedBank):
            return self.plain.merge(uploads, turn, rng=rng)
        made = self.plain.merge([upload.bank for upload in uploads], turn, rng=rng)
        return chosen(_bank(made), uploads)

    def score(
        self, model: Any, features: Features, *, own: Any | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """As `patchcore`, by decoded rows; see `base.Method.score`."""
        return self.plain.score(_bank(model), features, own=_exact(own))

    def trace(self, model: Any, features: Features, *, own: Any | None, site: str) -> Traced:
        """As `patchcore`; see `base.Tracing`."""
        return self.plain.trace(_bank(model), features, own=_exact(own), site=site)

    def judges(self, model: Any, category: str) -> bool:
        """Whether the bank has rows that an image of this category is compared with."""
        return self.plain.judges(_bank(model), category)

    def expected(self, site: Enrolled, turn: Turn) -> Enrolled:
        """As `patchcore`."""
        return self.plain.expected(site, turn)

    def admit(self, upload: Any, site: Enrolled, turn: Turn) -> tuple[Any, list[str]]:
        """The codes with counts that can be true: their decoded rows pass `patchcore`'s door."""
        if not isinstance(upload, CodedBank):
            return self.plain.admit(upload, site, turn)
        most = site.fingerprint.patches * sum(site.train.values())
        if len(upload) > most:  # before anything is unpacked
            raise UploadError(
                f"it sent {len(upload):,} rows, and its images have {most:,} patches", "counts"
            )
        if upload.decoded_bytes > self.config.wire.largest_mb * 1e6:
            raise UploadError(
                f"rows of {upload.decoded_bytes / 1e6:,.1f} MB when decoded, expected at most "
                f"wire.largest-mb = {self.config.wire.largest_mb:g}",
                "size",
            )
        bank, told = self.plain.admit(upload.bank, site, turn)
        if not told:
            return upload, []
        return upload.replace(**{name: getattr(bank, name) for name in bank.tables}), told

    def describe(self, model: Any) -> dict[str, Any]:
        """What `patchcore` says, and how the rows are coded."""
        told = self.plain.describe(_bank(model))
        if isinstance(model, CodedBank):
            told |= {"axes": model.axes, "coded_bytes": int(model.packed.size)}
        return told

    def scale(self, model: Any) -> dict[str, tuple[float, float]]:
        """As `patchcore`."""
        return self.plain.scale(_bank(model))

    def without_images(
        self, model: Any, own: Any, site: str, images: Sequence[int]
    ) -> tuple[Bank, Bank]:
        """`model` and `own`, decoded, less the rows of some images; see `base.Forgetting`."""
        return self.plain.without_images(_bank(model), _exact(own), site, images)

    def without_site(self, model: Any, site: str) -> Bank:
        """`model`, decoded, less the rows of a site; see `base.Forgetting`."""
        return self.plain.without_site(_bank(model), site)

    def leaving_out(self, model: Any, own: Any, site: str) -> LeftOut:
        """As `patchcore`, by decoded rows; see `base.LeavingOut`."""
        return self.plain.leaving_out(_bank(model), _exact(own), site)

    def part(
        self, model: Any, own: Any, site: str, *, rng: np.random.Generator | None = None
    ) -> tuple[Bank, Bank]:
        """What a site's own rows know, decoded and as they are; see `base.Dividing`."""
        return self.plain.part(_bank(model), _exact(own), site, rng=rng)

    def foresee(self, images: Sequence[Mapping[str, int]], patches_per_image: int) -> None:
        """As `patchcore`; see `base.Foreseeing`."""
        self.plain.foresee(images, patches_per_image)


def _bank(model: Any) -> Any:
    return model.bank if isinstance(model, CodedBank) else model


def _exact(own: Any) -> Any:
    return own.exact if isinstance(own, CodedBank) else own
