"""Looks at an app before any of its code is on this machine's disk; in place of `flwr-clientapp`.

A site's policy is worth nothing if the app that it is about decides whether to follow it. So
`fedad guard` starts SuperExec with this program where Flower expects its own: it does the same,
but holds the sha256 of the app that came against the site's list first, and the server's words
about the app against the app. It runs from what the site has installed; before the app is loaded,
all modules of ours are forgotten, so that its own run. Each task unpacks its app anew, into a
folder that nobody else writes to.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from client_app.bundle import Named, check
from client_app.own import folder_of, policy_of
from fedad.deploy.stand_ins import PROGRAM, PROGRAMS, answers_check
from fedad.plumbing.files import cache_root, private_umask
from fedad.plumbing.private import fresh_folder
from fedad.policy import CHECKED_APP, OWN_APP, PolicyError, note

OURS = ("fedad", "client_app", "server_app")
REFUSED = "the app does not run at this site, see its log"
REPLACED = ("pull_task_input", "install_from_fab")  # what Flower's program calls, and we stand in


def main() -> None:
    """What `flwr-clientapp` does, with a look at the app between its coming and its unpacking."""
    if answers_check(PROGRAM, _what_flower_lacks):
        return
    private_umask()
    from client_app.watchdog import watch

    watch()  # also before there is an app, its SuperNode may be gone
    from flwr.supernode.cli.flwr_clientapp import flwr_clientapp
    from flwr.supernode.runtime import run_clientapp as flower

    pull, install = (getattr(flower, name) for name in REPLACED)
    task: list[Any] = []
    homes: list[Path] = []

    def pulled(*args: Any, **how: Any) -> Any:
        task[:] = pull(*args, **how)
        return tuple(task)

    def installed(content: Any, *args: Any, **how: Any) -> Any:
        _, context, run, fab = task
        try:
            look_at(content, context.node_config, str(run.run_id))
            with _noted(context.node_config, str(run.run_id), content):
                named = Named(run.fab_id, run.fab_version, (run.fab_hash, fab.hash_str))
                check(content, named)
                homes.append(_own_home())
                _forget()
                place = install(content, *args, **how)
                _check_place(flower, place, named)
            return place
        except Exception as error:  # Flower sends the text of what is raised here to the server
            raise PolicyError(REFUSED, "apps") from error

    vars(flower).update(zip(REPLACED, (pulled, installed), strict=True))
    try:
        flwr_clientapp()
    finally:
        for home in homes:
            shutil.rmtree(home, ignore_errors=True)


def look_at(app: bytes, node_config: Mapping[str, Any], run: str) -> None:
    """Let an app in if the policy that node-config names lists it; without a list, our own alone.

    Raises:
        PolicyError: it is not listed; the site's audit has its sha256.
        ConfigError: the policy cannot be read; the audit says why.
    """
    digest = hashlib.sha256(app).hexdigest()
    allowed = policy_of(node_config, run).apps
    if allowed is None:
        allowed = tuple(filter(None, [os.environ.get(OWN_APP)]))
    if digest not in allowed:
        told = f"the app {digest}"
        note(folder_of(node_config), "refused", run=run, line="apps", told=told)
        raise PolicyError("the site's policy refuses this app", "apps")
    os.environ[CHECKED_APP] = digest


@contextmanager
def _noted(node_config: Mapping[str, Any], run: str, app: bytes) -> Iterator[None]:
    """Note in the site's audit why an app that may run does not."""
    try:
        yield
    except Exception as error:
        os.environ.pop(CHECKED_APP, None)
        told = f"the app {hashlib.sha256(app).hexdigest()}: {str(error)[:300]}"
        note(folder_of(node_config), "refused", run=run, line="apps", told=told)
        raise


def _own_home() -> Path:
    """A fresh folder for Flower to unpack this task's app into."""
    home = fresh_folder(cache_root() / "guard", "task")
    os.environ["FLWR_HOME"] = str(home)
    return home


def _check_place(flower: ModuleType, unpacked: Path, named: Named) -> None:
    """That Flower will load what it has just unpacked."""
    loaded = flower.get_project_dir(named.id, named.version, named.hashes[-1])
    if Path(loaded).resolve() != Path(unpacked).resolve():
        raise PolicyError(f"Flower would load {loaded}, not {unpacked}", "apps")


def _what_flower_lacks() -> str:
    """What this Flower does otherwise than the one that we stand in for; empty if nothing."""
    from flwr.supercore.constant import TASK_TYPE_TO_COMMAND
    from flwr.supernode.runtime import run_clientapp as flower

    if new := {*TASK_TYPE_TO_COMMAND.values()} - {*PROGRAMS}:
        return f"this Flower has programs for tasks that ours do not stand in for: {sorted(new)}"
    calls = flower.run_clientapp.__code__.co_names
    if gone := [name for name in REPLACED if name not in calls or not hasattr(flower, name)]:
        return f"this Flower's ClientApp does not call {', '.join(gone)} any more"
    return ""


def _forget() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] in OURS]:
        del sys.modules[name]
