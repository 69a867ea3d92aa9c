"""How many patches an image has under a run's knobs; what takes torch is imported when asked."""

from __future__ import annotations

from fedad.config import Config


def patches_of(config: Config) -> int:
    """Patches an image, found without weights.

    Raises:
        ConfigError: no such backbone, layer or grid.
    """
    from fedad.embedders.backbone import grid_of

    height, width, _ = grid_of(config.embedder)
    return height * width
