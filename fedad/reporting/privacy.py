"""What a run's release promises of each image, in the record and in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fedad.config import Config
from fedad.privacy.base import RELATION, asked_of_images, is_private

NONE = (
    "no release: whoever holds an upload can tell exactly which images it was made of "
    "(epsilon is infinite)"
)


def privacy_of(config: Config) -> dict[str, Any]:
    """What the record says of a run's release: of one upload of one product at one site.

    A method that takes several rounds shares the budget over all of them.
    """
    name = config.privacy.release
    if not is_private(config):
        return {"release": name, "epsilon": None, "told": NONE}
    knobs = config.knobs(name)
    unit = getattr(knobs, "unit", "image")
    return {
        "release": name,
        "epsilon": knobs.epsilon,
        "delta": knobs.delta,
        "unit": unit,
        "relation": RELATION,
        "told": (
            f"({knobs.epsilon:g}, {knobs.delta:g})-differential privacy of each {unit} of each "
            f"product at its site, by {RELATION}, for all that this run took of its good images; "
            "a second run costs anew"
        )
        + "".join(f"; {line}" for line in asked_in_words(config)),
    }


def asked_in_words(config: Config) -> Iterator[str]:
    """From how many images on a private release is of use, by a public rule: nobody is asked how
    many there are."""
    if wanted := asked_of_images(config):
        yield (
            f"at this epsilon it takes some {wanted} good images a site and product for half of "
            "what federation brings to be left, on drawn plants"
        )
