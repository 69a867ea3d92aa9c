"""`fedad demo`: three drawn plants, one run, and what federation brought."""

from __future__ import annotations

from pathlib import Path

from fedad.commands.options import AsJson, Runs, Via, ViaOption


def demo(runs: Runs = Path("runs"), via: ViaOption = Via.FLWR, as_json: AsJson = False) -> None:
    """Draw three plants, run the Flower app once, and show what federation brought."""
    from fedad.commands.run import keep_models
    from fedad.commands.show import show_run
    from fedad.plumbing.console import say
    from fedad.plumbing.progress import Bars
    from fedad.running.launch import launch
    from fedad.running.overlay import read_config

    config = read_config(None, ["round.name=demo"])
    folder = launch(config, via=via, root=runs.absolute(), with_yardsticks=True, sink=Bars())
    keep_models(folder)
    show_run(folder, as_json=as_json)
    if as_json:
        return
    site = min((folder / "sites").iterdir()).name
    say(
        "",
        "Next:",
        f"  fedad serve --models {folder / 'sites' / site / 'models'}   a page to drop a part on",
        "  fedad run demo -c wire.dtype=float16 --yardsticks                half the bytes",
        f"  fedad bank info {folder / 'bank.safetensors'}",
        "  fedad data check DIR --dataset autovi                            your own images",
    )
