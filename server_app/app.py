"""The server: one round, then the run folder."""

from __future__ import annotations

from logging import INFO
from pathlib import Path

from flwr.app import ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp
from flwr.supercore import log

from fedad.config import read
from fedad.errors import FedadError
from fedad.reporting.run_folder import new_folder, write_failure, write_run
from server_app.strategy import OneRound

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run the strategy and leave `record.json` and the bank, or `failure.json`, in `round.out`."""
    out = str(context.run_config.get("round.out", ""))
    folder = Path(out) if out else None
    try:
        config = read(context.run_config)
        folder = folder or new_folder(config.round.name)
        strategy = OneRound(config)
        strategy.start(grid, ArrayRecord(), num_rounds=1)
        write_run(folder, strategy.merged, strategy.record(), strategy.together.counts)
        log(INFO, "everything is in %s", folder)
    except FedadError as error:
        if folder is not None:
            write_failure(folder, error)
        raise
