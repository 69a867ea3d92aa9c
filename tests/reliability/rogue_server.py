"""The ServerApp of the test with a rogue: honest sites in its own process, the rogue on the wire.

It is copied into an app of its own; `PLAN` is written in front of it.
"""

import json
import time
from pathlib import Path

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from client_app.app import app as client_app
from fedad.config import read
from server_app.kept import Kept
from server_app.local_grid import LocalGrid
from tests.bad_messages.door import Server
from tests.bounds import resident, start_peak

PLAN: dict = json.loads(Path(__file__).with_name("plan.json").read_text())
app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    settings = {**context.run_config, **PLAN["settings"]}
    nodes = [{"partition-id": k, "num-partitions": 3} for k in range(3)]
    kept = Kept.begin(Path(settings["round.out"]), read(settings))
    server = Server(LocalGrid(client_app, nodes, settings), settings, kept)
    while not (there := list(grid.get_node_ids())):
        time.sleep(0.2)
    server.move(there[0])
    start_peak()
    before, words, slowest = resident("VmRSS"), [], 0.0
    for number, stage in enumerate(PLAN["stages"]):
        began = time.monotonic()
        words.append(server.word(stage, grid, number, seconds=15.0))
        slowest = max(slowest, time.monotonic() - began)
    told = {"words": words, "slowest": slowest, "memory": resident("VmHWM") - before}
    Path(PLAN["result"]).write_text(json.dumps(told))
