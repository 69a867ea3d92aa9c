"""In place of Flower's programs for tasks that no site takes: it runs nothing and tells so.

A server chooses a task's type. Whatever comes here is noted in the site's audit before anything of
the server's is read; then the server gets an answer, or the SuperNode would wait for one for ever.
"""

from __future__ import annotations

import hashlib
import sys
from contextlib import suppress
from pathlib import Path

from fedad.deploy.stand_ins import PROGRAM, answers_check
from fedad.plumbing.files import private_umask
from fedad.policy import note

LINE = "task type"
ENDED = 77  # the exit code: EX_NOPERM


def main(name: str, audit: str) -> None:
    """Refuse a task of the type that has the program `name`; the process ends with 77.

    Args:
        audit: the folder of the site's audit.
    """
    if answers_check(name):
        return
    private_umask()
    try:
        note(Path(audit), "refused", run="", line=LINE, told=f"{name}: a site runs {PROGRAM} alone")
    finally:
        with suppress(Exception):  # nobody there: then nobody waits
            _answer(name, Path(audit))
        sys.exit(ENDED)


def _answer(name: str, audit: Path) -> None:
    """Reply to the message that the task is about, each request once, without its app."""
    from flwr.app import Error, Message
    from flwr.common.constant import ErrorCode, SubStatus
    from flwr.supernode.runtime import run_clientapp as flower

    from client_app.gate import REFUSED
    from client_app.watchdog import client_of, task_of

    if (task := task_of(sys.argv[1:])) is None:
        return
    client = client_of(task)
    message, context, run, fab = flower.pull_task_input(client)
    app = hashlib.sha256(fab.content).hexdigest()
    note(audit, "refused", run=str(run.run_id), line=LINE, told=f"{name}: with the app {app}")
    error = Error(code=ErrorCode.CLIENT_APP_RAISED_EXCEPTION, reason=REFUSED)
    flower.push_message(client, Message(error, reply_to=message), context)
    flower.push_task_output(client, None, SubStatus.FAILED, REFUSED)
