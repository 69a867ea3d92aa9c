"""`fedad model list`: the models that a site keeps."""

from __future__ import annotations

from pathlib import Path

from fedad.commands.options import AsJson, Models


def model_list(models: Models = Path("models"), as_json: AsJson = False) -> None:
    """The models that a site keeps, the oldest first."""
    from fedad.commands.show import show_json
    from fedad.models.kept import Kept
    from fedad.models.store import current, models_folder, names
    from fedad.plumbing.console import say

    folder = models_folder(models)
    now, rows = current(folder), []
    for name in names(folder):
        kept = Kept(folder / name)
        told, decision = kept.passport(), kept.decision()
        waits = "" if decision is None or decision.accepted else "; ".join(decision.reasons)
        rows.append(
            {
                "model": name,
                "current": name == now,
                "made": told["made"],
                "source": told["source"],
                "products": told["products"],
                "sites": told["sites"],
                "waits": waits,
            }
        )
    if as_json:
        show_json(rows)
        return
    for row in rows:
        mark = "*" if row["current"] else " "
        why = f"  waits: {row['waits']}" if row["waits"] and not row["current"] else ""
        say(f"{mark} {row['model']}  {row['made']}  {row['source']}{why}")
    if not rows:
        say(f"{folder}: no model is kept there")
