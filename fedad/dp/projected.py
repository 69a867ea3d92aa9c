"""Patches as the rows of a bank are: through its public projection, if it went through one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fedad.dp.public import Public, public_of
from fedad.errors import MismatchError
from fedad.types import Fingerprint


def as_rows(fingerprint: Fingerprint, patches: np.ndarray) -> np.ndarray:
    """(N, d) float32: `patches` (N, D) as the rows of a bank with this fingerprint are, in feature
    units. They stay as they are where it has no projection.

    Raises:
        MismatchError: a projection that is not the one that this version of fedad has.
    """
    return projection_of(fingerprint).project(patches) if fingerprint.projection else patches


def projection_of(fingerprint: Fingerprint) -> Public:
    """The public projection that a fingerprint names.

    Raises:
        MismatchError: it is not the one that this version of fedad has for these features.
    """
    public = public_of(replace(fingerprint, projection=""))
    if public.digest != fingerprint.projection:
        raise MismatchError(
            f"these rows went through the projection {fingerprint.projection:.12}, and this fedad "
            f"has {public.digest:.12} for such features: are the versions the same?"
        )
    return public
