"""`fedad calibrate`: a plant's thresholds, from good parts that the bank has not seen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedad.commands.options import AsJson, Overrides

if TYPE_CHECKING:
    from fedad.judging.promise import Promise


def calibrate(  # noqa: PLR0917 - options, which are named
    model_file: Annotated[Path, typer.Option("--bank", help="A bank.safetensors.")],
    good: Annotated[Path, typer.Option("--good", help="Images of new good parts.")],
    rate: Annotated[
        float | None, typer.Option("--rate", help="Wished share of good parts stopped.")
    ] = None,
    verdicts: Annotated[
        Path | None,
        typer.Option(
            help="Table of parts judged since: category, score, verdict (good, defective)."
        ),
    ] = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Set thresholds that keep a wished rate of false rejects, and say what it takes."""
    from fedad.commands.show import show_json
    from fedad.plumbing.console import say
    from fedad.plumbing.progress import Bars, shown_by
    from fedad.running.onboarding import onboard
    from fedad.running.overlay import read_config

    knobs = ["data.dataset=auto", *(overrides or [])]
    if rate is not None:
        knobs.append(f"score.false-rejects={rate}")
    config = read_config(None, knobs)
    with shown_by(Bars()):
        made = onboard(config, model_file, good, verdicts)
    if as_json:
        told = {name: _plain(promise) for name, promise in made.promises.items()}
        show_json({"file": made.file, "promises": told, "warnings": [*made.warnings]})
    else:
        say(*made.warnings)
        for name, promise in made.promises.items():
            say(f"{name}: {promise.told()}")
        say(f"thresholds in {made.file}")
    if not all(promise.kept for promise in made.promises.values()):
        raise typer.Exit(1)


def _plain(promise: Promise) -> dict[str, Any]:
    """A promise as plain values."""
    return {
        "threshold": promise.threshold,
        "rate": promise.rate,
        "parts": promise.parts,
        "images": promise.images,
        "kept": promise.kept,
        "told": promise.told(),
    }
