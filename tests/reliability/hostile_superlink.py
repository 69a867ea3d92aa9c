"""A SuperLink that tells the sites of each run what a file says, and takes any app.

Its own side, the ServerApp with it, sees the run as it is.
"""

import json
import os
from pathlib import Path
from typing import Any

from flwr.supercore.constant import TaskType
from flwr.superlink.cli import flower_superlink
from flwr.superlink.servicer.control import control_handlers
from flwr.superlink.servicer.fleet import fleet_handlers

PLAN = "HOSTILE_PLAN"  # in the environment: a file of JSON, a Run's field -> what the sites hear
honest = fleet_handlers.get_run


def get_run(request: Any, state: Any) -> Any:
    response = honest(request, state)
    for name, told in json.loads(Path(os.environ[PLAN]).read_text()).items():
        setattr(response.run, name, told)
    return response


if __name__ == "__main__":
    fleet_handlers.get_run = get_run
    control_handlers._get_app_type = lambda config: TaskType.SERVER_APP
    flower_superlink()
