"""The server: the rounds of a method, then the run folder."""

from __future__ import annotations

import traceback
from contextlib import closing, suppress
from logging import ERROR, INFO, WARNING
from pathlib import Path

from flwr.app import ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp
from flwr.supercore import log

from fedad.config import Config, read
from fedad.errors import ConfigError, DataError, FedadError
from fedad.models.finishing import finish_alone
from fedad.plumbing.files import private_umask
from fedad.plumbing.journal import NAME as JOURNAL
from fedad.plumbing.journal import TakenError
from fedad.plumbing.logs import structure
from fedad.plumbing.shown import for_log, for_log_lines, for_terminal
from fedad.reporting.run_folder import FAILURE, new_folder, write_failure, write_run
from fedad.running.old_uploads import all_held, delete
from server_app.kept import Kept
from server_app.strategy import MethodStrategy

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run the strategy and leave `record.json` and the model, or `failure.json`, in `round.out`.

    Where another run has begun there, this one leaves nothing until it may go on with that.
    """
    private_umask()
    structure(process="server app", run=str(context.run_id))
    out = str(context.run_config.get("round.out", ""))
    folder = None
    try:
        folder = _vacant(out)
        config = read(context.run_config)
        folder = Path(out) if out else _folder(config)
        _delete_old_uploads(folder.parent)
        is_simulated = _run(grid, config, folder)
        if is_simulated:
            _finish(folder, config)
        log(INFO, "everything is in %s", for_terminal(folder))
    except TakenError:  # whose folder it is has the last word there
        raise
    except Exception as error:
        known = error if isinstance(error, FedadError) else _known(error)
        if folder is not None:
            with suppress(OSError):  # on a full disk Flower's own status is left to say why
                write_failure(folder, known)
        raise known from error


def _run(grid: Grid, config: Config, folder: Path) -> bool:
    """Run to the end; return whether all sites are virtual ones."""
    begin = Kept.reopen if config.round.resume else Kept.begin
    with closing(begin(folder, config)) as kept:
        (folder / FAILURE).unlink(missing_ok=True)  # of what is resumed
        strategy = MethodStrategy(config, kept)
        strategy.start(grid, ArrayRecord())
        write_run(folder, strategy.model, strategy.record(), strategy.together.counts)
        kept.note("finished")
        return strategy.door.virtual


def _finish(folder: Path, config: Config) -> None:
    """Add what `fedad run` would, after a plain `flwr run`: without it the run is whole, too."""
    try:
        for line in finish_alone(folder, config):
            log(INFO, "%s", for_log(line))
    except (FedadError, OSError) as error:
        log(WARNING, "the run is whole but for its pictures and models: %s", for_log(error))


def _delete_old_uploads(runs: Path) -> None:
    """Delete what runs beside this one have kept for long enough; no run fails over it."""
    for old in all_held(runs):
        if old.is_over:
            try:
                delete(old)
            except OSError as error:
                log(WARNING, "an upload that is to be deleted stays: %s", for_log(error))
            else:
                told = f"{old.run.name}: its {len(old.files)} uploads are deleted after {old.days}"
                log(INFO, "%s days", for_log(told))


def _vacant(out: str) -> Path | None:
    """The folder of that name, if no run has begun there."""
    return Path(out) if out and not (Path(out) / JOURNAL).exists() else None


def _folder(config: Config) -> Path:
    if config.round.resume:
        raise ConfigError("round.resume needs round.out, the folder of the run that is to go on")
    return new_folder(config.round.name)


def _known(error: Exception) -> FedadError:
    """Of the server's disk, or a fault of ours: the log has where."""
    if isinstance(error, OSError):
        return DataError(
            f"{error.filename or 'the run folder'}: cannot be written ({error.strerror}): "
            "is the server's disk full?"
        )
    for line in for_log_lines(traceback.format_exc()):
        log(ERROR, "%s", line)
    return FedadError(f"the server failed ({type(error).__name__}: {error}), see its log")
