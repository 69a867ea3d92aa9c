"""`fedad export`: a product's model as one ONNX graph, written only if it scores as the model."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from fedad.commands.options import AsJson, Overrides


def export(  # noqa: PLR0917 - options, which are named
    out: Annotated[Path, typer.Option("--onnx", help="The file.")],
    models: Annotated[
        Path, typer.Option(help="A site's folder of models: its current one is taken.")
    ] = Path("models"),
    bank: Annotated[
        Path | None, typer.Option(help="Or a model's file, with its thresholds beside it.")
    ] = None,
    product: Annotated[str, typer.Option(help="Which of the model's products it is.")] = "",
    images: Annotated[
        Path | None,
        typer.Option(help="Pictures to compare scores by; the site's own good ones if not given."),
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare a file that is there, and write none.")
    ] = False,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Write a model as one graph: canvas in, map and score out. It is compared with the model on
    pictures, and refused with exit code 1 where scores differ."""
    from fedad.commands.show import show_json
    from fedad.errors import DataError
    from fedad.export.onnx_file import about, exported
    from fedad.export.plan import plan_of
    from fedad.export.verify import compared, own_pictures
    from fedad.inspection.opened import open_inspector
    from fedad.plumbing.console import say
    from fedad.plumbing.files import write_atomic
    from fedad.running.overlay import absolute, read_knobs

    inspector = open_inspector(bank or models, absolute(read_knobs(overrides or [])))
    try:
        if verify:
            if not out.is_file():
                raise DataError("there is no such file: without --verify it is written")
            content = out.read_bytes()
            product = str(about(content)["product"])
        else:
            plan = plan_of(inspector, product)
            product, content = plan.product, exported(inspector.embed.backbone, plan)
        agreed = compared(content, inspector, own_pictures(inspector, product, images))
    except DataError as error:
        say(f"refused: {out}: {error}", error=True)
        raise typer.Exit(1) from error
    if not agreed.holds:
        say(f"refused: {out}: {agreed.told()}", error=True)
        raise typer.Exit(1)
    if not verify:
        write_atomic(out, content)
    if as_json:
        told = {"file": out, "written": not verify, "model": inspector.opened.name}
        told |= {"product": product, "bytes": len(content), "agreement": asdict(agreed)}
        show_json(told)
        return
    say(agreed.told())
    if not verify:
        say(f"{out}: {product}, {plan.rows:,} rows, {len(content) / 1e6:.1f} MB")
