"""All processes of `docker/compose.yaml` on one machine, without Docker: each on the loopback.

The same commands with the same flags (a test compares them), TLS and signed requests included; only
addresses and folders differ. What is started is ended, whatever happens in between: a killed
process cannot end the others, so those look whether it is there.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

from fedad.config import Value
from fedad.deploy import services
from fedad.deploy.certificates import make_keys
from fedad.deploy.link import Link
from fedad.deploy.services import Kit, Listen
from fedad.deploy.supervise import OWNER
from fedad.errors import DataError, FedadError
from fedad.plumbing.files import private_file, private_folder, write_atomic
from fedad.running.flower import environment_of, free_port, last_error

HOST = "127.0.0.1"
START_SECONDS = 60.0
END_SECONDS = 10.0


class Federation:
    """A server and its sites; in a `with` block they are up.

    Args:
        work: a folder for keys, logs, the SuperLink's database and each process's own home.
        sites: name -> the folder of that site's images.
        settings: what their node-configs have besides; see `services.settings_of`.
    """

    def __init__(
        self, work: Path, sites: Mapping[str, Path], settings: Mapping[str, Value] | None = None
    ) -> None:
        self.work, self.sites, self.settings = work.absolute(), dict(sites), settings or {}
        self.keys = self.work / "keys"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.ports = {name: free_port() for name in ("superlink", "proxy", *self.sites)}

    def __enter__(self) -> Self:
        try:
            self._check()
            if not self.keys.exists():
                make_keys(self.keys, hosts=("localhost", HOST), sites=[*self.sites], days=30)
            self._start_server()
            self._register()
            for site in self.sites:
                self.start(f"{site}-supernode")
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *failure: object) -> None:
        self.stop()

    @property
    def address(self) -> str:
        """Where the SuperLink itself is, which only the server's own machine sees."""
        return f"localhost:{self.ports['superlink']}"

    @property
    def proxy(self) -> str:
        """What sites see of it."""
        return f"localhost:{self.ports['proxy']}"

    def link(self) -> Link:
        """For commands to the SuperLink."""
        return Link(self.address, self.keys / "server" / "ca.crt", self._home("operator"))

    def commands(self) -> dict[str, list[str]]:
        """The command of each process, by the name of its service in the compose file."""
        server, ports = self.keys / "server", self.ports
        commands = {
            "superlink": services.superlink(
                server, self.work / "superlink.db", Listen(HOST, ports["superlink"])
            ),
            "superexec": services.superexec(server, self.address),
            "proxy": services.proxy(self.work / "nginx.conf"),
        }
        for site in self.sites:
            kit = self.kit(site)
            commands[f"{site}-supernode"] = services.supernode(
                kit, self.proxy, Listen(HOST, ports[site])
            )
            commands[f"{site}-superexec"] = services.guarded(
                kit, services.site_superexec(kit, f"{HOST}:{ports[site]}"), _FEDAD
            )
        return {name: services.supervised(command, _FEDAD) for name, command in commands.items()}

    def kit(self, site: str) -> Kit:
        """The files of a site."""
        data = self.sites[site].absolute()
        return Kit(site, self.keys / site, data, self.output(site), settings=self.settings)

    def output(self, site: str) -> Path:
        """Where a site keeps what is its own: sealed banks, scores, pictures."""
        return self.work / "output" / site

    def log(self, name: str) -> Path:
        return self.work / "logs" / f"{name}.log"

    def start(self, name: str, extra: Mapping[str, str] | None = None) -> None:
        """Start one process, with a home and a log of its own, and `extra` in its environment."""
        home = self._home(name)
        private_folder(self.log(name).parent)
        with private_file(self.log(name)).open("ab") as written:
            self.processes[name] = subprocess.Popen(
                self.commands()[name],
                cwd=home,
                env={**_environment(home), OWNER: str(os.getpid()), **(extra or {})},
                stdout=written,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def stop(self, *names: str) -> None:
        """End processes, all of them if none is named, and all that those started."""
        gone = [self.processes.pop(name) for name in names or [*self.processes]]
        for sign in (signal.SIGTERM, signal.SIGKILL):
            until = time.monotonic() + END_SECONDS
            for process in gone:
                _signal_group(process, sign)
            for process in gone:
                _wait(process, until - time.monotonic())

    def _check(self) -> None:
        if find_nginx() is None:
            raise DataError(
                "nginx is not installed: it is what keeps sites away from all but the Fleet API: "
                "apt-get install nginx-light"
            )
        for site, data in self.sites.items():
            if not data.is_dir():
                raise DataError(f"{data}: there is no such folder, expected the images of {site}")

    def _start_server(self) -> None:
        scratch = self.work / "nginx"
        private_folder(scratch)
        write_atomic(
            self.work / "nginx.conf",
            services.proxy_configuration(
                self.keys / "server",
                scratch,
                Listen(HOST, self.ports["proxy"]),
                f"{HOST}:{self.ports['superlink']}",
                getpass.getuser() if os.geteuid() == 0 else "",
            ),
        )
        self.start("superlink")
        for name in ("superexec", "proxy", *(f"{site}-superexec" for site in self.sites)):
            self.start(name)
        self._wait_until_up()

    def _wait_until_up(self) -> None:
        trust = ssl.create_default_context(cafile=str(self.keys / "server" / "ca.crt"))
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            try:
                with urllib.request.urlopen(  # nosec B310
                    f"https://{self.address}/health", timeout=2, context=trust
                ):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        log = self.log("superlink")
        raise FedadError(f"the SuperLink did not start: {last_error(log)} (all of it: {log})")

    def _register(self) -> None:
        """Tell the SuperLink the sites' keys, unless its database has them already."""
        listed, link = self.work / "registered", self.link()
        known = listed.read_text().split() if listed.exists() else []
        new = [site for site in self.sites if site not in known]
        with ThreadPoolExecutor() as pool:
            keys = (self.keys / "server" / "sites" / f"{site}.pub" for site in new)
            list(pool.map(link.register, keys, new))
        write_atomic(listed, "\n".join([*known, *new]))

    def _home(self, name: str) -> Path:
        return private_folder(self.work / "homes" / name)


def _environment(home: Path) -> dict[str, str]:
    environment = environment_of(home)
    nginx = find_nginx()
    folders = [environment["PATH"], *([str(Path(nginx).parent)] if nginx else [])]
    return {
        **environment,
        "PATH": os.pathsep.join(folders),
        "PYTHONPATH": os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "XDG_CACHE_HOME": str(home / "cache"),
    }


def find_nginx() -> str | None:
    """The proxy's program, if it is installed."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


def _signal_group(process: subprocess.Popen[bytes], sign: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, sign)


def _wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(max(0.1, seconds))


_ROOT = Path(__file__).parents[2]
_FEDAD: Sequence[str] = (sys.executable, "-c", "from fedad.cli import main; main()")
