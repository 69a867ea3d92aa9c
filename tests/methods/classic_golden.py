"""What `patchcore` gave before it had presets, and what `patchcore.preset = classic` must give.

    python -m tests.methods.classic_golden

writes `tests/golden/classic.json`: sha256 of every upload and every merged bank, with its header,
and image scores. Features are drawn by numpy alone, so that no network's rounding is in them; a
bank's rows are some of them, and its bytes are the same on every machine. Scores are sums, whose
last bits a processor may round otherwise.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from safetensors.numpy import save as to_bytes

from fedad.config import read
from fedad.messages.payload import Payload
from fedad.methods.base import method_of
from fedad.round import learn
from tests.contracts.drawn_sites import embed, far, site

GOLDEN = Path(__file__).parents[1] / "golden" / "classic.json"
SITES = [
    site("graz", count=12),
    site("lyon", count=9),
    site("turin", count=10, categories=("bolt",)),
]
SCORINGS = ("nearest", "standardised")
SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "mixed": {"bank.scope": "mixed"},
    "float16": {"wire.dtype": "float16"},
    "a size": {"bank.size": 60},
    "uniform": {"coreset.selection": "uniform"},
    "concatenate": {"merge.aggregation": "concatenate"},
}


def given(settings: dict[str, Any]) -> dict[str, Any]:
    """What a run over the drawn sites gives by these knobs."""
    knobs = {"coreset.local-ratio": 0.25, **settings}
    learned = learn(read(knobs), SITES, embed)
    found: dict[str, Any] = {"bank": digest(learned.model)}
    found["uploads"] = {name: digest(one.upload) for name, one in learned.local.items()}
    for scoring in SCORINGS:
        method = method_of(read({**knobs, "score.scoring": scoring}))
        for what, seen in (("good", embed), ("far", far)):
            features = seen(SITES[0].test)
            maps, scores = method.score(learned.model, features, own=learned.own("graz"))
            found[f"{scoring}, {what}"] = [float(score) for score in scores]
            found[f"{scoring}, {what}, map"] = [float(value) for value in maps[0].ravel()]
    return found


def digest(payload: Payload) -> str:
    """sha256 of a payload as it is packed."""
    tensors, header = payload.pack()
    text = json.dumps(header, sort_keys=True).encode()
    return hashlib.sha256(text + to_bytes(tensors)).hexdigest()


if __name__ == "__main__":
    GOLDEN.parent.mkdir(exist_ok=True)
    told = {name: given(settings) for name, settings in SETTINGS.items()}
    GOLDEN.write_text(json.dumps(told, indent=1) + "\n")
