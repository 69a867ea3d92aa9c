"""What takes long, in a process of its own beside the server: changes of a model, and what drifts.

A change embeds pictures: in the server's process two threads would share torch, and memory would
stay taken. Lines of a year are read: a thread that did would keep the one that judges from Python.
The task comes as a JSON line; what is done, and what came of it, goes back as others. The
process ends with its server: its standard input is closed then. A models' folder is whole whenever
it does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

from fedad.errors import BusyError, ConfigError, DataError, FedadError
from fedad.plumbing.parse import from_json

KIND = {kind.__name__: kind for kind in (BusyError, ConfigError, DataError)}
LESS = 10  # how much lower its priority is than that of inspections
TEACH, ADD, REMOVE, DRIFT = "teach", "add_normal", "remove_normal", "drift"


@dataclass
class Beside:
    """One task in a process of its own."""

    task: Mapping[str, Any]
    _process: subprocess.Popen[str] | None = field(default=None, repr=False)
    _stopped: bool = False

    def run(self, note: Callable[[str], None] = lambda line: None) -> dict[str, Any]:
        """What became of the model: model, accepted, reasons, is_current; or what drifts.

        Raises:
            FedadError: as the task raises, or the process ended without a word.
        """
        command = [sys.executable, "-m", "fedad.serving.work"]
        pipe = subprocess.PIPE
        self._process = process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True
        )
        to, answers = cast(IO[str], process.stdin), cast(IO[str], process.stdout)
        if self._stopped:
            self.stop()
        try:
            to.write(json.dumps(dict(self.task)) + "\n")
            to.flush()
            for line in answers:
                told = from_json(line)
                if "error" in told:
                    raise KIND.get(told["kind"], FedadError)(told["error"])
                if "done" in told:
                    return dict(told["done"])
                note(str(told["note"]))
        except OSError as error:
            raise FedadError(f"the task {self.task['do']!r} was ended ({error})") from error
        finally:
            with suppress(OSError):  # what was not read by a process that was ended
                to.close()
            process.kill()
            process.wait()
            answers.close()
        raise FedadError(f"the task {self.task['do']!r} was ended")

    def stop(self) -> None:
        """End it; the models' folder stays as it was, or has one whole model more."""
        self._stopped = True
        if self._process is not None:
            self._process.kill()


def main() -> None:
    """Do the task that standard input names."""
    from fedad.plumbing.files import private_umask

    private_umask()
    sys.stdout = sys.stderr  # what anything else prints is no answer
    os.nice(LESS)
    task = dict(from_json(sys.stdin.readline()))
    threading.Thread(target=_end_with_server, daemon=True).start()
    try:
        _say({"done": _done(task)})
    except FedadError as error:
        _say({"error": str(error), "kind": type(error).__name__})
    except Exception as error:
        _say({"error": f"fedad itself failed ({type(error).__name__}: {error})", "kind": ""})


def _done(task: Mapping[str, Any]) -> dict[str, Any]:
    if task["do"] == DRIFT:
        from fedad.serving.drifting import found

        return found([Path(file) for file in task["files"]], task["since"])
    return _changed(task)


def _changed(task: Mapping[str, Any]) -> dict[str, Any]:
    from fedad.config import read
    from fedad.models.gate import Gate

    models, product = Path(task["models"]), task.get("product", "")
    gate = Gate.at(Path(task["policy"]) if task.get("policy") else None)
    if task["do"] == TEACH:
        from fedad.models.teaching import teach

        config = read({**task["knobs"], "score.false-rejects": task["rate"]})
        added = teach(
            models, Path(task["folder"]), product, task["rate"], gate, _note, config=config
        )
    else:
        from fedad.models.extras import add_normal, remove_normal

        if task["do"] == ADD:
            added = add_normal(models, Path(task["picture"]), product, gate, name=task["name"])
        else:
            added = remove_normal(models, task["sha256"], gate)
    return told(added)


def told(added: Any) -> dict[str, Any]:
    """What became of a model (`models.adding.Added`), as JSON has it."""
    return {
        "model": added.name,
        "accepted": added.is_current,
        "reasons": list(added.decision.reasons),
    }


def _note(line: str) -> None:
    _say({"note": line})


def _say(value: Mapping[str, Any]) -> None:
    answers = cast(IO[str], sys.__stdout__)
    answers.write(f"{json.dumps(value)}\n")
    answers.flush()


def _end_with_server() -> None:
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    main()
