"""`fedad model threshold`: by another wished rate, or by what operators said of parts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from fedad.commands.options import AsJson, Models, PolicyFile


def model_threshold(  # noqa: PLR0917 - options, which are named
    product: Annotated[str, typer.Option(help="Which of the model's products.")],
    rate: Annotated[float | None, typer.Option(help="Wished share of good parts stopped.")] = None,
    verdicts: Annotated[
        Path | None, typer.Option(help="The log of operators' verdicts, to move it by.")
    ] = None,
    good: Annotated[
        Path | None, typer.Option(help="Good pictures that nothing was learned from, to set it by.")
    ] = None,
    preview: Annotated[
        bool, typer.Option("--preview", help="Say what would come of it; change nothing.")
    ] = False,
    models: Models = Path("models"),
    policy: PolicyFile = None,
    as_json: AsJson = False,
) -> None:
    """Set a product's threshold anew, by another wished rate, by good pictures, or by operators'
    verdicts: another model, which the gate lets in or keeps waiting."""
    from fedad.commands.show import show_added
    from fedad.errors import ConfigError
    from fedad.models.gate import Gate
    from fedad.models.kept import kept_named
    from fedad.models.rethreshold import preview as previewed
    from fedad.models.rethreshold import (
        preview_verdicts,
        read_log,
        recalibrate,
        rethreshold,
    )

    if good is not None and (preview or verdicts is not None):
        raise ConfigError("--good: not with --preview or --verdicts")
    if good is not None:
        from fedad.models.teaching import set_by_good
        from fedad.plumbing.progress import Bars, shown_by

        with shown_by(Bars()):
            added = set_by_good(models, good, product, Gate.at(policy), rate=rate)
        show_added(added, as_json=as_json)
        return
    if (rate is None) == (verdicts is None):
        raise ConfigError(
            "expected --rate, --good with pictures, or --verdicts with the log of operators"
        )
    if preview:
        kept = kept_named(models)
        if verdicts is not None:
            told = preview_verdicts(kept, kept.config(), product, read_log(verdicts))
        else:
            told = previewed(kept, kept.config(), product, rate or 0)
        _show(product, told, as_json=as_json)
        return
    gate = Gate.at(policy)
    if verdicts is not None:
        added = recalibrate(models, product, read_log(verdicts), gate)
    else:
        added = rethreshold(models, product, rate or 0, gate)
    show_added(added, as_json=as_json)


def _show(product: str, told: Mapping[str, Any], *, as_json: bool) -> None:
    """What would come of a threshold."""
    from fedad.commands.show import show_json
    from fedad.plumbing.console import say

    if as_json:
        show_json(told)
        return
    say(f"{product}: {told['told']}")
    if "good" in told:
        say(f"{told['good_stopped']} of {told['good']} own good pictures would be stopped")
    say(f"{told['defects_found']} of {told['defects']} known defects would be found")
