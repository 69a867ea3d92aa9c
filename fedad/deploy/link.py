"""Commands to a SuperLink: which keys it shall know, which run it shall start, how that goes.

They go to the SuperLink itself, not to the proxy that sites see, and need no password: whoever
reaches that port commands the federation. So they are given on the server.
"""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fedad.deploy.expiry import expired
from fedad.deploy.reach import Server
from fedad.errors import FedadError
from fedad.plumbing.files import write_atomic
from fedad.plumbing.parse import from_json
from fedad.running.flower import as_toml, assemble, environment_of
from fedad.wire import Known, unpack_known

NAME = "fedad"  # of the connection in Flower's own configuration
NODES, PROTOBUF = "/v1/control/list-nodes", "application/protobuf"
SECONDS = 60.0  # the longest that one command may take


class LinkError(FedadError):
    """The SuperLink did not do what it was told."""


class KnownError(LinkError):
    """The SuperLink knows this key already."""


class Link:
    """A SuperLink at `address` (host:port), known by the authority's certificate `ca`.

    `scratch` is a folder for Flower's own configuration, so that nobody's `~/.flwr` is touched.
    """

    def __init__(self, address: str, ca: Path, scratch: Path) -> None:
        self.address, self.ca, self.scratch = address, ca, scratch
        self.environment = environment_of(scratch)
        home = Path(self.environment["FLWR_HOME"])
        write_atomic(
            home / "config.toml",
            f'[superlink]\ndefault = "{NAME}"\n[superlink.{NAME}]\n'
            f"address = {json.dumps(address)}\n"
            f"root-certificates = {json.dumps(str(ca.absolute()))}\n",
            flush=False,
        )

    def register(self, key: Path, site: str) -> str:
        """Let the owner of the public key `key` come in, as `site`; return Flower's number of it.

        Raises:
            KnownError: the SuperLink knows the key already.
            LinkError: the SuperLink cannot be reached.
        """
        there = str(key.absolute())  # Flower's program does not stand where the user does
        return str(self._flwr("supernode", "register", there, NAME, "--name", site)["node-id"])

    def unregister(self, node: str) -> None:
        """Let nobody in any more by the key that has this number.

        Raises:
            LinkError: the SuperLink cannot be reached, or knows no such number.
        """
        self._flwr("supernode", "unregister", node, NAME)

    def known(self) -> list[Known]:
        """All keys that the SuperLink was ever told of; Flower's program leaves out whose they are.

        Raises:
            LinkError: the SuperLink does not say.
        """
        try:
            status, body = Server(self.address, self.ca).ask(NODES, kind=PROTOBUF)
            if status == http.client.OK:
                return unpack_known(body)
            cause = f"it answers {status}"
        except (OSError, http.client.HTTPException, FedadError) as error:
            cause = str(error) or type(error).__name__
        self._check_certificate()
        raise LinkError(f"{self.address}: the SuperLink does not list its keys: {cause}")

    def start(self, run_config: Mapping[str, str | int | float]) -> str:
        """Start a run of this very app, and return Flower's number of it.

        Raises:
            LinkError: the SuperLink cannot be reached or refuses the app.
        """
        app, knobs = self.scratch / "app", self.scratch / "run.toml"
        shutil.rmtree(app, ignore_errors=True)
        assemble(app)
        write_atomic(knobs, as_toml(run_config), flush=False)
        return str(self._flwr("run", str(app), NAME, "--run-config", str(knobs))["run-id"])

    def status(self, run: str) -> tuple[str, str]:
        """How a run stands: pending, starting, running, or finished:<how>; and why, if it says."""
        entry = self._flwr("list", NAME, "--run-id", run)["runs"][0]
        why = str(entry.get("status-details", ""))
        return str(entry["status"]), "" if why == "N/A" else why

    def stop(self, run: str) -> None:
        """End a run that is on its way."""
        self._flwr("stop", run, NAME)

    def _flwr(self, *words: str) -> dict[str, Any]:
        command = ["flwr", *words, "--format", "json"]
        try:
            done = subprocess.run(
                command,
                cwd=self.scratch,
                env=self.environment,
                capture_output=True,
                text=True,
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise LinkError(
                f"{self.address}: no answer in {SECONDS:.0f} s: is the SuperLink up?"
            ) from error
        try:
            return self._answer(done.stdout, done.stderr)
        except KnownError:
            raise
        except LinkError:
            self._check_certificate()
            raise

    def _check_certificate(self) -> None:
        """Say so where the certificate has expired, which Flower's program tells in its own words.

        Raises:
            LinkError: it has, naming the day.
        """
        if told := expired(Server(self.address, self.ca)):
            raise LinkError(f"{told}: fedad certs DIR --renew server")

    def _answer(self, said: str, wrong: str) -> dict[str, Any]:
        try:
            answer = dict(from_json(said[said.index("{") :]))
        except ValueError:
            answer = {}
        if not answer.get("success"):
            lines = str(answer.get("error-message") or wrong or said).strip().splitlines()
            cause = " ".join(line.strip() for line in lines[-3:]) or "nothing"
            kind = KnownError if "already in use" in cause else LinkError
            raise kind(f"{self.address}: the SuperLink did not do it, Flower says: {cause}")
        return answer
