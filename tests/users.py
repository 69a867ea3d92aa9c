"""Who reads: file modes count for an ordinary user, even where the tests run as root."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

NOBODY = 65534  # a user to whom file modes apply, as they do not to root


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Inside, file modes count. What is read must lie where everybody may go: `public_path`."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
