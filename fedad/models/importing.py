"""A model that came as one file -> the site's own folder of models, by way of its gate."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fedad.errors import DataError
from fedad.models.adding import Added
from fedad.models.archive import Brought, read_archive
from fedad.models.by_hand import add_file
from fedad.models.gate import Gate
from fedad.models.signature import check_signer


def bring(
    changes: Mapping[str, Any],
    file: Path,
    models: Path,
    gate: Gate,
    *,
    signer: Path | None = None,
    good: Path | None = None,
) -> tuple[Added, str]:
    """Read what `fedad model export` wrote, and keep the model as one that was brought by hand.

    Args:
        signer: the public key that has to have signed it; without one anybody may have, which is
            said.
        good: images of good parts, where the site has none of its own with a model.

    Returns:
        what became of it, and who signed it, in a sentence.

    Raises:
        DataError: the file is not whole, another signed it, or nothing says where thresholds are
            to come from.
    """
    with tempfile.TemporaryDirectory(prefix="fedad-") as scratch:
        brought = read_archive(file, Path(scratch))
        if signer is not None:
            try:
                check_signer(brought.signed, signer)
            except DataError as error:
                raise DataError(f"{file}: {error}") from error
        told = _told(brought, checked=signer is not None)
        source = f"imported from {file.name}, {told}"
        return add_file(changes, brought.file, models, gate, good=good, source=source), told


def _told(brought: Brought, *, checked: bool) -> str:
    if brought.signed is None:
        return "signed by nobody"
    vouched = "" if checked else ", which nothing here vouches for: --signer KEY does"
    return f"signed by {brought.signed.site}, {brought.signed.mark}{vouched}"
