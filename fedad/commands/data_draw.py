"""`fedad data draw`: drawn sets as folders of images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fedad.commands.options import AsJson


def data_draw(
    name: Annotated[
        str,
        typer.Argument(
            help="plants, loco, textures or random_pose; or a part of these: flat_connector, "
            "angle, special_construct, cloth, wafer, metal."
        ),
    ],
    folder: Annotated[Path, typer.Argument(help="Where it goes: an empty or a new folder.")],
    *,
    images: Annotated[
        int | None,
        typer.Option(help="Good ones to learn from, of each product at each site that makes it."),
    ] = None,
    size: Annotated[int, typer.Option(help="Pixels a side.")] = 256,
    seed: Annotated[int, typer.Option(help="Another seed draws other parts.")] = 0,
    sites: Annotated[int, typer.Option(help="Plants, each with its own lamp and lens.")] = 3,
    good: Annotated[
        int | None, typer.Option(help="Good ones to judge; by default they grow with --images.")
    ] = None,
    defective: Annotated[
        int | None, typer.Option(help="Defective ones to judge; by default as above.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Draw a data set: plants (AutoVI's layout), parts with logical and structural defects (MVTec
    LOCO's), textures of several products a material (AutoVI's)."""
    from fedad.commands.show import show_json
    from fedad.drawing.provide import provide
    from fedad.drawing.sets import drawn_set, plan_of
    from fedad.plugins import plugin
    from fedad.plumbing.console import say
    from fedad.plumbing.progress import Bars, shown_by

    drawn = drawn_set(name)
    judged = {"good": good, "defective": defective}
    given = {key: value for key, value in judged.items() if value is not None}
    plan = plan_of(drawn, images=images, size=size, seed=seed, sites=sites, **given)
    with shown_by(Bars()):
        provide(folder, drawn, plan)
    dataset = plugin("datasets", drawn.layout)(folder)
    if as_json:
        found = {"images": len(dataset.samples), "products": dataset.categories}
        show_json({"folder": folder, "dataset": drawn.layout, **found})
        return
    say(
        f"{len(dataset.samples)} images of {', '.join(dataset.categories)} in {folder}",
        f"read them by data.dataset={drawn.layout} data.dir={folder.absolute()}",
    )
