"""Looks at an app before any of its code is on this machine's disk; in place of `flwr-clientapp`.

A site's policy is worth nothing if the app that it is about decides whether to follow it. So
`fedad guard` starts SuperExec with this program where Flower expects its own: it does the same,
but holds the sha256 of the app that came against the site's list first. It runs from what the site
has installed; before the app is loaded, all modules of ours are forgotten, so that its own run.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fedad.plumbing.files import cache_root
from fedad.policy import CHECKED_APP, PolicyError, note, policy_for

OURS = ("fedad", "client_app", "server_app")
REFUSED = "the app does not run at this site, see its log"


def main() -> None:
    """What `flwr-clientapp` does, with a look at the app between its coming and its unpacking."""
    from client_app.watchdog import watch

    watch()  # also before there is an app, its SuperNode may be gone
    from flwr.supernode.cli.flwr_clientapp import flwr_clientapp
    from flwr.supernode.runtime import run_clientapp as flower

    pull, install = flower.pull_task_input, flower.install_from_fab
    task: list[Any] = []

    def pulled(*args: Any, **how: Any) -> Any:
        task[:] = pull(*args, **how)
        return tuple(task)

    def installed(content: Any, *args: Any, **how: Any) -> Any:
        _, context, run, _ = task
        try:
            look_at(content, context.node_config, str(run.run_id))
            _forget()
            return install(content, *args, **how)
        except Exception as error:  # Flower sends the text of what is raised here to the server
            raise PolicyError(REFUSED, "apps") from error

    vars(flower).update(pull_task_input=pulled, install_from_fab=installed)
    flwr_clientapp()


def look_at(app: bytes, node_config: Mapping[str, Any], run: str) -> None:
    """Let an app in if the policy that node-config names lists it, or names no apps.

    Raises:
        PolicyError: it is not listed; the site's audit has its sha256.
        ConfigError: the policy cannot be read; the audit says why.
    """
    digest = hashlib.sha256(app).hexdigest()
    if path := str(node_config.get("policy", "")):
        folder = _folder(node_config)
        allowed = policy_for(run, Path(path), folder).apps
        if allowed is not None and digest not in allowed:
            note(folder, "refused", run=run, line="apps", told=f"the app {digest}")
            raise PolicyError("the site's policy refuses this app", "apps")
    os.environ[CHECKED_APP] = digest


def _folder(node_config: Mapping[str, Any]) -> Path:
    """The site's own, as `client_app/site.py` has it."""
    name = str(node_config.get("site", "nobody"))
    return Path(str(node_config.get("output-dir") or cache_root() / "sites" / name)).expanduser()


def _forget() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] in OURS]:
        del sys.modules[name]
