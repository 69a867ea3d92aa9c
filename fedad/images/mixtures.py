"""Files of one product that were not written alike: in bits, orientation or colour profile.

A model that learns from upright pictures judges turned ones, and nothing of it looks wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from fedad.images.facts import NOTHING_TO_FOLLOW
from fedad.images.orientation import told
from fedad.images.remembered import ImageFacts
from fedad.messages.faults import Fault
from fedad.types import Reading, Sample

MOST = 4  # kinds that a sentence names


def mixtures(facts: Mapping[Sample, ImageFacts]) -> list[Fault]:
    """A fault for each product and thing in which its files differ."""
    found = []
    for category in sorted({sample.category for sample in facts}):
        of_it = {sample: look for sample, look in facts.items() if sample.category == category}
        found += [Fault("mixed", text, "train") for text in _differing(category, of_it)]
    return found


def counted(facts: Mapping[Sample, ImageFacts], kind: Callable[[ImageFacts], str]) -> str:
    """How many files there are of each kind, such as `12 as stored, 3 upside down`."""
    counts = Counter(map(kind, facts.values())).most_common()
    told_ = [f"{count} {name}" for name, count in counts[:MOST]]
    return ", ".join([*told_, *(["others"] if len(counts) > MOST else [])])


def bits(look: ImageFacts) -> str:
    """The file's bits, in words; those of 8 and fewer are read alike."""
    return f"of {max(8, look.bits)} bits"


def orientation(look: ImageFacts) -> str:
    """How its tag says to turn a file, in words."""
    return "as stored" if look.tag == 1 else told(look.tag)


def profile(look: ImageFacts) -> str:
    """The file's colour profile; none is taken for sRGB."""
    return "sRGB" if look.profile in NOTHING_TO_FOLLOW else look.profile


def _differing(category: str, facts: Mapping[Sample, ImageFacts]) -> Iterator[str]:
    reading = next((sample.reading for sample in facts), Reading())
    knobs = (
        (bits, "data.bits, or data.white, is for those of more than 8", False),
        (orientation, "data.orientation = 'apply' turns them alike", reading.orientation),
        (profile, "data.profile = 'apply' makes them alike", reading.profile),
    )
    for kind, knob, is_mended in knobs:
        if not is_mended and len(set(map(kind, facts.values()))) > 1:
            yield f"{category}: its files differ, {counted(facts, kind)}: {knob}"
