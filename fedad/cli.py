"""`fedad ...`: what `flwr` does not do. Each command is a file in `commands/`."""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Callable
from inspect import unwrap
from typing import Annotated, Any

import typer
from click import Argument, Context, HelpFormatter
from typer.core import TyperCommand, TyperGroup
from typer.utils import get_params_from_function

from fedad import __version__
from fedad.commands.attack import attack
from fedad.commands.bank_build import bank_build
from fedad.commands.bank_info import bank_info
from fedad.commands.bank_merge import bank_merge
from fedad.commands.cache_clear import cache_clear
from fedad.commands.cache_show import cache_show
from fedad.commands.calibrate import calibrate
from fedad.commands.certs import certs
from fedad.commands.compare import compare
from fedad.commands.data_check import data_check
from fedad.commands.data_draw import data_draw
from fedad.commands.data_split import data_split
from fedad.commands.demo import demo
from fedad.commands.drift import drift
from fedad.commands.evaluate import evaluate
from fedad.commands.export import export
from fedad.commands.federation import federation
from fedad.commands.guard import guard
from fedad.commands.inspect import inspect
from fedad.commands.leak import leak
from fedad.commands.model_accept import model_accept
from fedad.commands.model_add import model_add
from fedad.commands.model_diff import model_diff
from fedad.commands.model_export import model_export
from fedad.commands.model_forget import model_forget
from fedad.commands.model_import import model_import
from fedad.commands.model_info import model_info
from fedad.commands.model_list import model_list
from fedad.commands.model_normal import model_normal
from fedad.commands.model_rollback import model_rollback
from fedad.commands.model_teach import model_teach
from fedad.commands.model_threshold import model_threshold
from fedad.commands.preflight_server import preflight_server
from fedad.commands.preflight_site import preflight_site
from fedad.commands.privacy_init import privacy_init
from fedad.commands.privacy_show import privacy_show
from fedad.commands.prune import prune
from fedad.commands.register import register
from fedad.commands.report import report
from fedad.commands.run import run
from fedad.commands.score import score
from fedad.commands.serve import serve
from fedad.commands.status_server import status_server
from fedad.commands.status_site import status_site
from fedad.commands.submit import submit
from fedad.commands.supervise import supervise
from fedad.commands.unregister import unregister
from fedad.errors import DataError, FedadError
from fedad.plumbing.console import never_fail, say
from fedad.plumbing.files import cache_root, private_umask, write_atomic

Command = Callable[..., None]
PASSES_ON = {"allow_extra_args": True, "ignore_unknown_options": True}  # another program's words


class StoppedError(BaseException):
    """Ctrl-C, with what is kept and how to go on as its notes: typer would end without a word."""


class Commands(TyperGroup):
    """All commands: what stops one of them reaches `main`."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            stopped = StoppedError()
            for told in getattr(stop, "__notes__", ()):
                stopped.add_note(told)
            raise stopped from stop


class Verb(TyperCommand):
    """One command, whose help says what each argument is: click 8.5 drops the text of typer's."""

    def format_help(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Show it; only then the function is asked, since that takes time."""
        told = get_params_from_function(unwrap(self.callback)) if self.callback else {}
        for one in self.params:
            if isinstance(one, Argument) and not one.help and one.name in told:
                one.help = getattr(told[one.name].default, "help", None)
        super().format_help(ctx, formatter)


app = typer.Typer(
    cls=Commands,
    help="Federated visual anomaly detection: one round, and no image leaves the plant.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run the command line; an error is one line and an exit code, never a traceback."""
    private_umask()
    never_fail()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was started is ended
    try:
        app()
    except FedadError as error:
        say(f"error: {error}", error=True)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, StoppedError) as stop:
        say("stopped", *getattr(stop, "__notes__", ()), error=True)
        sys.exit(130)
    except Exception as error:
        if isinstance(error, OSError) and error.filename:  # of the user's disk, not of ours
            say(
                f"error: {error.filename}: {error.strerror}: does its folder exist, may it be "
                "written, is the disk full?",
                error=True,
            )
            sys.exit(DataError.exit_code)
        _crash(error)


def _crash(error: Exception) -> None:
    what = f"error: fedad itself failed ({type(error).__name__}: {error})"
    try:
        path = cache_root() / "crash.txt"
        write_atomic(path, traceback.format_exc())
    except OSError as unwritable:
        say(
            f"{what}, and {unwritable.filename} cannot be written: set XDG_CACHE_HOME to a folder "
            "that can, do it again, and please report what is in it",
            error=True,
        )
    else:
        say(f"{what}: please report {path}", error=True)
    sys.exit(70)


def _version(wanted: bool) -> None:
    if wanted:
        say(f"fedad {__version__}")
        raise typer.Exit


@app.callback()
def about(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it, and end.")
    ] = False,
) -> None:
    pass


def _add(*commands: Command, **settings: Any) -> None:
    """Add commands after all that are there, each by the name of its function."""
    part = typer.Typer()  # an app lists its own commands before those of its parts
    for command in commands:
        part.command(cls=Verb, context_settings=settings)(command)
    app.add_typer(part)


def _add_group(name: str, text: str, **commands: Command) -> None:
    """Add `fedad NAME VERB` for each of the commands, after all that is there."""
    group = typer.Typer(help=text, no_args_is_help=True)
    for verb, command in commands.items():
        group.command(verb, cls=Verb)(command)
    app.add_typer(group, name=name)


_add(demo, run, attack, leak, calibrate, inspect, serve, drift, export, score, evaluate)
_add_group(
    "data", "Look at, or draw, a data set.", check=data_check, draw=data_draw, split=data_split
)
_add_group(
    "bank",
    "Build, merge and look at banks, file by file.",
    build=bank_build,
    merge=bank_merge,
    info=bank_info,
)
_add_group(
    "model",
    "At a site: the models that it keeps, and which one judges.",
    list=model_list,
    info=model_info,
    diff=model_diff,
    add=model_add,
    accept=model_accept,
    rollback=model_rollback,
    teach=model_teach,
    normal=model_normal,
    threshold=model_threshold,
    forget=model_forget,
    export=model_export,
    **{"import": model_import},
)
_add_group(
    "cache",
    "What this machine keeps because it takes time to make again.",
    show=cache_show,
    clear=cache_clear,
)
_add(certs)
_add(supervise, guard, **PASSES_ON)
_add(register, unregister, submit, prune, federation)
_add_group(
    "preflight",
    "Before a run: is this machine ready?",
    site=preflight_site,
    server=preflight_server,
)
_add_group(
    "status",
    "Day by day: how does this machine stand?",
    site=status_site,
    server=status_server,
)
_add_group(
    "privacy",
    "At a site: what was released with differential privacy, and what is left.",
    init=privacy_init,
    show=privacy_show,
)
_add(compare, report)
