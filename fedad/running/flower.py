"""Run the Flower app once, and leave nothing behind.

`flwr run` alone starts a daemon that outlives it, resolves the app's dependencies anew before every
run, hands the daemon's folder and environment to the apps, and exits with 0 when a run fails. Here
a SuperLink of its own is started in a scratch folder and stopped again; how the run ended is read
from what the ServerApp wrote.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import fedad
from fedad.errors import FedadError
from fedad.plumbing.files import FOLDER_MODE, private_file, private_folder, read_json, write_atomic
from fedad.plumbing.progress import Advance, Sink
from fedad.reporting.run_folder import FAILURE, RECORD
from fedad.running.finishing import RUNNER
from fedad.running.knobs import check_listed

PACKAGES = ("fedad", "server_app", "client_app")
START_SECONDS = 60.0


class RunFailedError(FedadError):
    """The run ended without a record."""


def run_flower(
    run_config: Mapping[str, str | int | float], out: Path, *, sites: int, sink: Sink
) -> None:
    """`flwr run` in simulation, with `sites` virtual SuperNodes; the run folder is `out`.

    Flower's own log goes to `out/flower.log`. Progress of the sites is shown in `sink`.

    Raises:
        FedadError: the run failed; the message is the cause, as the ServerApp gave it.
    """
    check_listed(dict(run_config), app_pyproject())
    log = out / "flower.log"
    with tempfile.TemporaryDirectory(prefix="fedad-") as scratch:
        work = Path(scratch)
        environment = environment_of(work)
        app = assemble(work / "app")
        config = work / "run.toml"
        write_atomic(config, as_toml(run_config), flush=False)
        with (
            _superlink(work, environment, log) as connection,
            private_file(log).open("ab") as written,
        ):
            command = ["flwr", "run", str(app), connection, "--stream"]
            command += ["--run-config", str(config), "--federation-config", _federation(sites)]
            process = subprocess.Popen(
                command, cwd=work, env=environment, stdout=written, stderr=subprocess.STDOUT
            )
            _watch(process, out, sink)
    _check_end(out, log)


def raise_failure(out: Path) -> None:
    """Raise what a ServerApp has left as the cause of its run's failure, if anything."""
    if (out / FAILURE).exists():
        failure = read_json(out / FAILURE, "why a run ended")
        error = FedadError(failure["message"])
        error.exit_code = failure["exit_code"]
        raise error


def _check_end(out: Path, log: Path) -> None:
    raise_failure(out)
    if not (out / RECORD).exists():
        raise RunFailedError(
            f"the run ended without a result: {last_error(log)} (all of it: {log})"
        )


def last_error(log: Path) -> str:
    """The last line of a log that tells of an error, or else its last line."""
    lines = log.read_text(errors="replace").splitlines()
    telling = [line for line in lines if "rror" in line or "xception" in line]
    return (telling or lines or ["Flower said nothing"])[-1].strip()


def environment_of(work: Path) -> dict[str, str]:
    """Flower's home in the scratch folder, its tools on PATH, nothing sent or installed."""
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "FLWR_HOME": str(work / "flwr"),
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
        "RAY_TMPDIR": str(work),
        "RAY_DEDUP_LOGS": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        RUNNER: "1",
    }


def assemble(app: Path) -> Path:
    """The app's folder: our packages and their pyproject.toml, and nothing else to pack."""
    root = Path(fedad.__file__).parents[1]
    app.mkdir(FOLDER_MODE)
    shutil.copyfile(app_pyproject(), private_file(app / "pyproject.toml"))
    for name in PACKAGES:
        for path in sorted((root / name).rglob("*")):
            if path.is_file() and path.parent.name != "__pycache__":
                copy = app / path.relative_to(root)
                private_folder(copy.parent)
                shutil.copyfile(path, private_file(copy))
    return app


def app_digest() -> str:
    """The sha256 of the app that a run of this very fedad brings to the sites.

    Raises:
        FedadError: Flower does not build it.
    """
    with tempfile.TemporaryDirectory(prefix="fedad-") as scratch:
        work = Path(scratch)
        command = ["flwr", "build", "--app", str(assemble(work / "app"))]
        done = subprocess.run(
            command,
            cwd=work,
            env=environment_of(work),
            capture_output=True,
            text=True,
            check=False,
        )
        for built in work.glob("*.fab"):
            return hashlib.sha256(built.read_bytes()).hexdigest()
    raise FedadError(f"flwr build makes no app of this fedad: {done.stderr.strip()[-300:]}")


def app_pyproject() -> Path:
    """The pyproject.toml with the knobs: beside the packages in a checkout, inside in a wheel."""
    package = Path(fedad.__file__).parent
    beside = package.parent / "pyproject.toml"
    return beside if beside.exists() else package / "pyproject.toml"


def as_toml(run_config: Mapping[str, str | int | float]) -> str:
    """Flat knobs as TOML; a JSON string of plain characters is a TOML string."""
    return "".join(
        f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in run_config.items()
    )


def _federation(sites: int) -> str:
    """Virtual sites take turns: each uses all cores (and the GPU) while it works."""
    cores = os.cpu_count() or 1
    gpus = 1.0 if _has_gpu() else 0.0
    return (
        f"num-supernodes={sites} client-resources-num-cpus={cores} "
        f"client-resources-num-gpus={gpus} init-args-num-cpus={cores}"
    )


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


@contextmanager
def _superlink(work: Path, environment: Mapping[str, str], log: Path) -> Iterator[str]:
    """A SuperLink of our own on a free port of the loopback; yields its connection's name."""
    port = free_port()
    home = Path(environment["FLWR_HOME"])
    write_atomic(
        home / "config.toml",
        '[superlink]\ndefault = "own"\n'
        f'[superlink.own]\naddress = "127.0.0.1:{port}"\ninsecure = true\n',
        flush=False,
    )
    command = ["flower-superlink", "--insecure", "--simulation", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--disable-runtime-dependency-installation"]
    with private_file(log).open("ab") as written:
        process = subprocess.Popen(
            command,
            cwd=work,
            env=environment,
            stdout=written,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_until_up(port, process, log)
        yield "own"
    finally:
        _end(process)


def _wait_until_up(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(  # nosec B310
                f"http://127.0.0.1:{port}/health", timeout=2
            ):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RunFailedError(f"Flower's SuperLink did not start: {last_error(log)} (all of it: {log})")


def _end(process: subprocess.Popen[bytes], patience: float = 10.0) -> None:
    """End a process and all that it started."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
            process.wait(patience)
        except ProcessLookupError:
            break
        except subprocess.TimeoutExpired:
            continue
    process.wait()


def _watch(process: subprocess.Popen[bytes], out: Path, sink: Sink) -> None:
    """Show what the sites write of their progress until the run has ended."""
    bars: dict[tuple[str, str], Advance] = {}
    started = sink.start("starting Flower", 1)
    try:
        while process.poll() is None:
            for file in (out / "progress").glob("*.json"):
                started(1)
                _show(file, bars, sink)
            time.sleep(0.25)
    except BaseException:
        process.terminate()
        raise
    shutil.rmtree(out / "progress", ignore_errors=True)


def _show(file: Path, bars: dict[tuple[str, str], Advance], sink: Sink) -> None:
    progress = read_json(file, "how far a site is")
    key = (file.stem, progress["stage"])
    if key not in bars:
        bars[key] = sink.start(f"{file.stem}: {progress['stage']}", progress["total"])
    bars[key](progress["done"])


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
