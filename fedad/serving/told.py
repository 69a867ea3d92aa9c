"""What there is to say of the model that judges, and of those that wait."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from fedad.inspection.inspector import Inspector
from fedad.judging.promise import promise
from fedad.models.checked import Checked
from fedad.models.kept import Kept
from fedad.models.store import names
from fedad.plumbing.files import json_number
from fedad.running.thresholds_file import Limits
from fedad.serving.bodies import MOST_BYTES, MOST_PICTURES

RATES = (0.01, 0.02, 0.05, 0.1, 0.2)  # of good parts stopped, that a threshold is offered for


def model_told(inspector: Inspector, models: Path) -> dict[str, Any]:
    """The model that judges: its products, their thresholds and what these rest on.

    Raises:
        FedadError: a file of its folder that is not what it should be.
    """
    opened = inspector.opened
    kept = Kept(models / opened.name)
    told, found = kept.passport(), kept.checked()
    products = {
        name: {
            **_limits_told(limits, inspector),
            "scale": list(inspector.scales[name]),
            "defects": sorted(_defects(found, name)),
            "stale": opened.stale.get(name, ""),
        }
        for name, limits in sorted(inspector.limits.items())
    }
    return {
        "model": opened.name,
        "site": opened.site,
        "source": told["source"],
        "made": told["made"],
        "products": products,
        "waiting": waiting(models, opened.name),
        "extras": len(kept.extras().pictures),
        "limits": {"body_bytes": MOST_BYTES, "pictures": MOST_PICTURES},
    }


def waiting(models: Path, now: str) -> list[dict[str, Any]]:
    """The models that came after the current one and that the gate did not let in, and why."""
    known = names(models)
    later = known[known.index(now) + 1 :] if now in known else known
    found = []
    for name in later:
        decision = Kept(models / name).decision()
        if decision is not None and not decision.accepted:
            found.append({"model": name, "reasons": list(decision.reasons)})
    return found


def _limits_told(limits: Limits, inspector: Inspector) -> dict[str, Any]:
    one, knobs = limits.promise, inspector.opened.config.score
    rates = []
    for rate in RATES:
        wished = promise(limits.good, replace(knobs, false_rejects=rate))
        rates.append(
            {"rate": rate, "threshold": json_number(wished.threshold), "told": wished.told()}
        )
    return {
        "threshold": json_number(one.threshold),
        "wished": one.rate,
        "promise": one.told(),
        "parts": one.parts,
        "images": one.images,
        "good": sorted(good.score for good in limits.good),
        "rates": rates,
    }


def _defects(found: list[Checked], product: str) -> list[float]:
    return [one.score for one in found if one.product == product and not one.is_good]
