"""Join what the sites selected and select no further: fast, and blind to what sites share."""

from collections.abc import Sequence

from fedad.aggregation.base import Choose, prefixes, shares, site_weights
from fedad.banks.bank import Bank, join
from fedad.config import MergeKnobs

__all__ = ["concatenate"]


def concatenate(uploads: Sequence[Bank], size: int, *, knobs: MergeKnobs, choose: Choose) -> Bank:
    """The first rows of each upload, shared out by image count; see `base.Aggregation`."""
    parts = shares(site_weights(uploads, knobs), size, [len(upload) for upload in uploads])
    return join(prefixes(uploads, parts))
