"""`fedad model rollback`: let the model before judge again."""

from __future__ import annotations

from pathlib import Path

from fedad.commands.options import AsJson, Models


def model_rollback(models: Models = Path("models"), as_json: AsJson = False) -> None:
    """Let the model judge again that did before the current one."""
    from fedad.commands.show import show_json
    from fedad.errors import DataError
    from fedad.models.store import accept, models_folder, previous
    from fedad.plumbing.console import say

    folder = models_folder(models)
    if (before := previous(folder)) is None:
        raise DataError(
            f"{folder}: no model was accepted before the current one and is still there"
        )
    accept(folder, before)
    if as_json:
        show_json({"current": before})
        return
    say(f"model {before} judges from now on")
