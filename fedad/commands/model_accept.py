"""`fedad model accept`: let a model judge that waits."""

from __future__ import annotations

from pathlib import Path

from fedad.commands.options import AsJson, ModelName, Models


def model_accept(name: ModelName, models: Models = Path("models"), as_json: AsJson = False) -> None:
    """Let a model judge that waits, or an older one again."""
    from fedad.commands.show import show_json
    from fedad.models.kept import kept_named
    from fedad.models.store import accept, models_folder
    from fedad.plumbing.console import say

    kept = kept_named(models, name)
    accept(models_folder(models), kept.name)
    if as_json:
        show_json({"current": kept.name})
        return
    say(f"model {kept.name} judges from now on")
