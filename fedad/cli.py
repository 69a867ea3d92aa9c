"""`fedad ...`: what `flwr` does not do. Heavy imports wait until a command needs them."""

from __future__ import annotations

import signal
import sys
import traceback
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fedad import __version__
from fedad.commands.compare import compare
from fedad.commands.factory import factory
from fedad.commands.report import report
from fedad.errors import DataError, FedadError

app = typer.Typer(
    help="Federated visual anomaly detection: one round, and no image leaves the plant.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
data = typer.Typer(help="Look at, or draw, a data set.", no_args_is_help=True)
bank = typer.Typer(help="Build, merge and look at banks, file by file.", no_args_is_help=True)
app.add_typer(data, name="data")
app.add_typer(bank, name="bank")
app.add_typer(factory)
app.add_typer(compare)
app.add_typer(report)


class Via(StrEnum):
    """How a run is run: by `flwr run`, or by the same apps in this process."""

    FLWR = "flwr"
    LOCAL = "local"


class Form(StrEnum):
    """How a map is written."""

    NPY = "npy"
    PNG = "png"


Overrides = Annotated[
    list[str] | None, typer.Option("-c", "--set", metavar="KEY=VALUE", help="Set one knob.")
]
Runs = Annotated[Path, typer.Option(help="Where run folders go.")]
ViaOption = Annotated[Via, typer.Option(help="The real thing, or the same in this process.")]


def main() -> None:
    """Run the command line; an error is one line and an exit code, never a traceback."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was started is ended
    try:
        app()
    except FedadError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        if isinstance(error, OSError) and error.filename:  # of the user's disk, not of ours
            print(
                f"error: {error.filename}: {error.strerror}: does its folder exist, may it be "
                "written, is the disk full?",
                file=sys.stderr,
            )
            sys.exit(DataError.exit_code)
        _crash(error)


def _crash(error: Exception) -> None:
    from fedad.plumbing.files import cache_root, write_atomic

    path = cache_root() / "crash.txt"
    write_atomic(path, traceback.format_exc())
    print(
        f"error: fedad itself failed ({type(error).__name__}: {error}): please report {path}",
        file=sys.stderr,
    )
    sys.exit(70)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"fedad {__version__}")
        raise typer.Exit


@app.callback()
def about(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it, and end.")
    ] = False,
) -> None:
    pass


@app.command()
def demo(runs: Runs = Path("runs"), via: ViaOption = Via.FLWR) -> None:
    """Draw three plants, run the Flower app once, and show what federation brought."""
    from fedad.plumbing.progress import Bars
    from fedad.running.launch import launch, read_config

    config = read_config(None, ["round.name=demo"])
    folder = launch(config, via=via, root=runs.absolute(), with_yardsticks=True, sink=Bars())
    _show(folder)
    print(
        "\nNext:\n"
        "  fedad run configs/demo.toml -c wire.dtype=float16 --yardsticks   half the bytes\n"
        f"  fedad bank info {folder / 'bank.safetensors'}\n"
        "  fedad data check DIR --dataset autovi                            your own images"
    )


@app.command()
def run(  # noqa: PLR0917 - options, which are named
    config: Annotated[
        Path | None, typer.Argument(help="A TOML file, such as configs/demo.toml.")
    ] = None,
    overrides: Overrides = None,
    runs: Runs = Path("runs"),
    via: ViaOption = Via.FLWR,
    yardsticks: Annotated[
        bool, typer.Option("--yardsticks", help="Also isolated and centralised.")
    ] = False,
    resume: Annotated[
        Path | None, typer.Option(help="A run folder: go on with that run, by its configuration.")
    ] = None,
) -> None:
    """Check a configuration, run it in simulation, and leave a run folder."""
    from fedad.plumbing.progress import Bars
    from fedad.running.launch import chosen_config, launch

    knobs = chosen_config(config, overrides or [], resume)
    folder = launch(knobs, via=via, root=runs.absolute(), with_yardsticks=yardsticks, sink=Bars())
    _show(folder)


@app.command()
def attack(
    config: Annotated[Path, typer.Argument(help="A TOML file, such as configs/demo.toml.")],
    attacks: Annotated[
        list[str] | None, typer.Option("--attack", help="Which; all of them if none is named.")
    ] = None,
    sites: Annotated[
        list[str] | None, typer.Option("--site", help="Who lies; the last site if none is named.")
    ] = None,
    overrides: Overrides = None,
) -> None:
    """Let sites lie in simulation, and show the others' figures with and without each defence."""
    from rich.console import Console

    from fedad.commands.attack import attacked_federation, cells, cells_table
    from fedad.plugins import names, plugin
    from fedad.plumbing.progress import Bars, shown_by
    from fedad.running.launch import read_config

    for name in attacks or ():
        plugin("attacks", name)
    with shown_by(Bars()):
        found = attacked_federation(read_config(config, overrides or []), sites or ())
        shown = list(cells(found, attacks or names("attacks")))
    Console().print(cells_table(shown, f"{', '.join(found.defects)} lies"))


@app.command()
def score(
    folder: Annotated[Path, typer.Argument(help="Images, or a data set in AutoVI's layout.")],
    bank_file: Annotated[Path, typer.Option("--bank", help="A bank.safetensors.")],
    maps: Annotated[Path, typer.Option("--maps", help="Where the anomaly maps go.")],
    form: Annotated[Form, typer.Option("--format", help="float32 NPY or 16-bit PNG.")] = Form.NPY,
    overrides: Overrides = None,
) -> None:
    """Judge images with a bank, and write the maps that `fedad evaluate` reads."""
    from fedad.commands.score import score as judge
    from fedad.plumbing.progress import Bars, shown_by
    from fedad.running.launch import read_config

    config = read_config(None, overrides or [])
    with shown_by(Bars()):
        count = judge(config, folder, bank_file, maps, form=form)
    print(f"{count} maps in {maps}, image scores in {maps / 'scores.csv'}")


@app.command()
def evaluate(  # noqa: PLR0917 - options, which are named
    data_folder: Annotated[Path, typer.Option("--data", help="A data set, AutoVI's or LOCO's.")],
    maps: Annotated[Path, typer.Option("--maps", help="One anomaly map a test image.")],
    out: Annotated[Path, typer.Option(help="Where JSON, CSV and the plot go.")] = Path(
        "evaluation"
    ),
    limits: Annotated[
        str, typer.Option(help="False-positive rates up to which AUC-sPRO is taken.")
    ] = "0.01,0.05,0.1,0.3,1.0",
    mode: Annotated[str, typer.Option(help="exact, or official.")] = "exact",
    categories: Annotated[str, typer.Option(help="A comma list; all if empty.")] = "",
    replicates: Annotated[int, typer.Option(help="Of the bootstrap; 0 for no intervals.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Of the bootstrap and the official sample.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, not a table.")] = False,
) -> None:
    """AUC-sPRO and its company for anybody's anomaly maps; needs neither Flower nor torch."""
    from fedad.commands.evaluate import print_evaluation, rates
    from fedad.config import words
    from fedad.evaluation import evaluate as judge
    from fedad.evaluation import write_evaluation
    from fedad.plumbing.progress import Bars, shown_by

    with shown_by(Bars()):
        found = judge(
            data_folder,
            maps,
            limits=rates(limits),
            mode=mode,
            categories=words(categories),
            replicates=replicates,
            seed=seed,
        )
        write_evaluation(found, out)
    print_evaluation(found, out, as_json=as_json)


@data.command("check")
def data_check(
    folder: Annotated[Path, typer.Argument(help="The data set's root.")],
    dataset: Annotated[str, typer.Option(help="How its folders are laid out.")] = "autovi",
) -> None:
    """Count what a folder holds, read every file, and say what is wrong."""
    from rich.console import Console

    from fedad.commands.check import counts_table, problems
    from fedad.plugins import plugin
    from fedad.plumbing.progress import Bars, shown_by

    found = plugin("datasets", dataset)(folder)
    Console().print(counts_table(found))
    print(f"licence: {found.licence}")
    with shown_by(Bars()):
        wrong, odd = problems(found)
    for line in (*wrong, *odd):
        print(line)
    print(f"{len(wrong)} problems" if wrong else "nothing is wrong with it")
    if wrong:
        sys.exit(1)


@data.command("draw")
def data_draw(
    folder: Annotated[Path, typer.Argument(help="Where the demo plants go.")],
    seed: Annotated[int, typer.Option(help="Another seed draws other parts.")] = 0,
) -> None:
    """Draw the demo plants: three products at three plants, in AutoVI's layout."""
    from fedad.datasets.synthetic import synthetic

    drawn = synthetic(folder, seed=seed)
    print(f"{len(drawn.samples)} images of {', '.join(drawn.categories)} in {folder}")


@data.command("split")
def data_split(
    folder: Annotated[Path, typer.Argument(help="The data set's root.")],
    out: Annotated[Path, typer.Argument(help="Where each site gets a folder of its own.")],
    dataset: Annotated[str, typer.Option(help="How its folders are laid out.")] = "autovi",
    overrides: Overrides = None,
) -> None:
    """Deal a data set's images out to one folder a site, as factories have them."""
    from fedad.commands.split import split
    from fedad.running.launch import read_config, sites_of

    knobs = [f"data.dir={folder.absolute()}", f"data.dataset={dataset}", *(overrides or [])]
    for path in split(sites_of(read_config(None, knobs)), out):
        print(path)


@bank.command("build")
def bank_build(  # noqa: PLR0917 - options, which are named
    folder: Annotated[Path, typer.Argument(help="One plant's own folder of images.")],
    site: Annotated[str, typer.Option(help="The plant's name.")],
    out: Annotated[Path, typer.Option(help="The file that may leave the plant.")],
    dataset: Annotated[str, typer.Option(help="How its folders are laid out.")] = "autovi",
    memory: Annotated[
        float, typer.Option(min=0, help="GB that it may take; 0: as much as it likes.")
    ] = 0.0,
    overrides: Overrides = None,
) -> None:
    """At a plant: its good images -> the bank that it would upload."""
    from fedad.commands.banks import build
    from fedad.plumbing.progress import Bars, shown_by
    from fedad.running.launch import read_config

    knobs = [f"data.dir={folder.absolute()}", f"data.dataset={dataset}", *(overrides or [])]
    if memory:
        knobs.append(f"coreset.memory-gb={memory}")
    with shown_by(Bars()):
        built = build(read_config(None, knobs), site, out)
    print(f"{len(built)} rows of {built.images.sum()} images in {out}")


@bank.command("merge")
def bank_merge(
    files: Annotated[list[Path], typer.Argument(help="Banks that plants have built.")],
    out: Annotated[Path, typer.Option(help="The bank for all of them.")],
    overrides: Overrides = None,
) -> None:
    """At the server: the plants' banks -> one bank, as a run would merge them."""
    from fedad.commands.banks import merge_files
    from fedad.plumbing.progress import Bars, shown_by
    from fedad.running.launch import read_config

    with shown_by(Bars()):
        merged, warnings = merge_files(read_config(None, overrides or []), files, out)
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    print(f"{len(merged)} rows of {', '.join(merged.sites)} in {out}")


@bank.command("info")
def bank_info(file: Annotated[Path, typer.Argument(help="A bank.safetensors.")]) -> None:
    """What a bank file holds, and how its features were made."""
    from rich.console import Console

    from fedad.commands.banks import info_table

    Console().print(info_table(file))


def _show(folder: Path) -> None:
    from fedad.commands.show import show_run

    show_run(folder)
