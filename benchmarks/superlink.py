"""A real SuperLink with its database on disk: bytes, memory and processor, by nodes and by bank.

    python benchmarks/superlink.py [--nodes 10 30 100] [--rows 204] [--bank 1000] [--runs 1]
        [--apps] [--spread 0]

SuperLink has the command of `docker/compose.yaml`: TLS, signed requests, process isolation, a
database. A node is a thread here, in the place of a SuperNode and its SuperExec: it has a key of
its own, goes through Flower's own client of the Fleet API to the same endpoints (there is no proxy
between), and asks every 3 s as a SuperNode does. All nodes send at the same moment, once the last
of them has its answer: the worst that a database meets. With `--spread` they send one after the
other, evenly over so many seconds.

Asked for training, a node sends a bank of `--rows` drawn rows of 152 numbers; then all get one of
`--bank` rows, and answer a word. Who asks is this process, which takes the run's task as SuperExec
does, with Flower's own Grid and the ServerApp's own `exchange`. With `--apps` it is SuperExec and
the ServerApp themselves, and nodes answer as the ClientApp of the first of them does.

`idle` is SuperLink's processor while nodes ask and no run goes on. `peak` are the database's files
(`.db` and `.db-wal`) together, `live` the bytes of all objects in it, looked at ten times a second;
`free` is what the file holds of nothing once the run has ended, `vacuumed` what `VACUUM INTO` makes
of it; rows are of messages and objects then, and again once `flwr list` was asked.
"""

from __future__ import annotations

import argparse
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from logging import ERROR, getLogger
from pathlib import Path
from typing import Any

import numpy as np
from common import PUBLISHED, heading, row
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.common.config import get_fused_config_from_fab
from flwr.common.constant import SubStatus
from flwr.common.serde import run_from_proto
from flwr.proto.control_pb2 import RegisterNodeRequest
from flwr.proto.runtime_pb2 import AcquireTaskRequest, PullTaskInputRequest, PushTaskOutputRequest
from flwr.supercore.constant import TaskType
from flwr.supercore.control import ControlHttpClient
from flwr.supercore.heartbeat import HeartbeatSender, make_task_heartbeat_fn_http
from flwr.supercore.inflatable.inflatable_object import (
    get_all_nested_objects,
    get_object_tree,
    iterate_object_tree,
    no_object_id_recompute,
)
from flwr.supercore.inflatable.inflatable_utils import (
    inflate_object_from_contents,
    pull_objects,
    push_objects,
)
from flwr.supercore.interceptors import (
    RuntimeVersionHttpInterceptor,
    SuperExecAuthHttpInterceptor,
)
from flwr.supercore.primitives.asymmetric import generate_key_pairs, public_key_to_bytes
from flwr.supercore.protobuf.client import ProtobufClient
from flwr.supercore.runtime import RuntimeHttpClient
from flwr.supercore.task_identity import TaskIdentity
from flwr.superlink.grid.http_grid import HttpGrid
from flwr.supernode.fleet_http_connection import http_request_response
from regions import FEATURES, bank_of
from sites import Copies, plants

from fedad import wire
from fedad.config import Config, read
from fedad.deploy import services
from fedad.deploy.certificates import make_keys
from fedad.deploy.link import Link
from fedad.deploy.reach import Server
from fedad.deploy.services import Listen
from fedad.deploy.submit import run_on
from fedad.errors import FedadError
from fedad.messages.envelope import EVALUATE, TRAIN
from fedad.reporting.run_folder import read_record
from fedad.running.flower import environment_of, free_port
from server_app.exchange import exchange

HOST, DATABASE = "127.0.0.1", "superlink.db"
ASKS = 3.0  # seconds that a SuperNode waits after an answer that has no message
LOOK, LOOK_INSIDE = 0.02, 0.1  # seconds from one look at a file's size, at its tables, to the next
MIB = 2**20
SIDE, RATIO = 128, 0.8
TABLES = ("message_ins", "message_res", "objects", "run_objects")


class Gate:
    """Lets nobody pass before all have come, and again from the beginning."""

    def __init__(self, count: int) -> None:
        self.barrier = threading.Barrier(count)

    def wait(self) -> None:
        try:
            self.barrier.wait(300)
        except threading.BrokenBarrierError:
            return


@dataclass
class Node(threading.Thread):
    """One site's side of the line."""

    number: int
    count: int
    address: str
    ca: bytes
    keys: Any
    gate: Gate
    answer: Callable[[Message, Context], Message]
    alone: threading.Lock  # who answers: one at a time
    done: threading.Event
    later: float  # seconds that it waits before it sends
    contexts: dict[int, Context] = field(default_factory=dict)  # by run
    failed: str = ""

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    __hash__ = threading.Thread.__hash__

    def run(self) -> None:
        try:
            with http_request_response(
                self.address, False, root_certificates=self.ca, authentication_keys=self.keys
            ) as line:
                while not self.done.is_set():
                    if not self._turn(*line):
                        self.done.wait(ASKS)
        except Exception as error:  # the main thread says so
            self.failed = f"{type(error).__name__}: {error}"

    def _turn(  # noqa: PLR0917 - Flower's tuple
        self,
        node: int,
        receive: Callable[..., Any],
        send: Callable[..., Any],
        get_run: Callable[..., Any],
        get_fab: Callable[..., Any],
        pull: Callable[..., Any],
        push: Callable[..., Any],
        confirm: Callable[..., Any],
    ) -> bool:
        """Fetch a message and answer it, as a SuperNode does, call by call."""
        received = receive()
        if received is None:
            return False
        message, tree = received
        run = message.metadata.run_id
        if run not in self.contexts:
            told = get_run(run)
            config = get_fused_config_from_fab(get_fab(told.fab_hash, run).content, told)
            place = {"partition-id": self.number, "num-partitions": self.count}
            self.contexts[run] = Context(run, node, place, RecordDict(), config)
        wanted = [part.object_id for part in iterate_object_tree(tree)]
        contents = pull_objects(wanted, lambda name: pull(run, name))
        confirm(run, message.metadata.message_id)
        asked = inflate_object_from_contents(tree.object_id, contents)
        with self.alone:
            asked.metadata.__dict__["_message_id"] = message.metadata.message_id
            reply = self.answer(asked, self.contexts[run])
        with no_object_id_recompute():
            reply.metadata.__dict__["_message_id"] = reply.object_id
            objects, tree = get_all_nested_objects(reply), get_object_tree(reply)
            self.gate.wait()
            self.done.wait(self.later)
            missing, session = send(reply, tree, 0.0)
            push_objects(
                objects,
                lambda name, content: push(run, session, name, content),
                object_ids_to_push=missing,
            )
        return True


@dataclass
class Watch(threading.Thread):
    """What the database and two processes take at the most, in bytes."""

    database: Path
    processes: dict[str, int]  # by what they are called, where to look: a process or its ancestor
    most: dict[str, int] = field(default_factory=dict)
    done: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    __hash__ = threading.Thread.__hash__

    def run(self) -> None:
        inside = 0.0
        while not self.done.wait(LOOK):
            sizes = {end: _size(self.database, end) for end in ("", "-wal")}
            self._note("peak", sum(sizes.values()))
            self._note("wal", sizes["-wal"])
            if time.monotonic() > inside:
                inside = time.monotonic() + LOOK_INSIDE
                found = _asked(self.database, "select count(*), sum(length(content)) from objects")
                self._note("objects", found[0] if found else 0)
                self._note("live", (found[1] or 0) if found else 0)
                for name, process in self.processes.items():
                    self._note(name, _peak(process, name))

    def _note(self, name: str, value: int) -> None:
        self.most[name] = max(self.most.get(name, 0), value)


def _size(database: Path, end: str) -> int:
    try:
        return database.with_name(database.name + end).stat().st_size
    except OSError:
        return 0


def _asked(database: Path, query: str) -> tuple[Any, ...] | None:
    """The first row; None while the database cannot say."""
    try:
        line = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=1)
        try:
            return tuple(line.execute(query).fetchone())
        finally:
            line.close()
    except (sqlite3.Error, TypeError):
        return None


def _peak(process: int, name: str) -> int:
    """The most that a process, or the one below it whose program has this name, has held."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and _is_below(int(folder.name), process):
            try:
                words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")[:2]
                if any(Path(word).name == name for word in words):
                    return _number(folder, "VmHWM") * 1024
            except OSError:
                continue
    return 0


def _is_below(process: int, ancestor: int) -> bool:
    while process > 1:
        if process == ancestor:
            return True
        process = _number(Path(f"/proc/{process}"), "PPid")
    return False


def _number(folder: Path, name: str) -> int:
    try:
        lines = (folder / "status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), 0)


def _processor(process: int) -> float:
    """Seconds of processor that a process has taken."""
    words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def knobs(root: Path, nodes: int, bank: int) -> Config:
    """The run's configuration, over a folder with a plant a node."""
    return read(
        {
            **PUBLISHED,
            "data.dataset": "autovi",
            "data.dir": str(plants(root, 1)),
            "data.sites": nodes,
            "embedder.size": SIDE,
            "embedder.batch": 1,
            "embedder.threads": 1,
            "embedder.cache": str(root / "cache"),
            "coreset.local-ratio": RATIO,
            "bank.size": bank,
            "round.expected": ",".join(f"site-{k:04d}" for k in range(nodes)),
            "round.enrol-seconds": 600,
        }
    )


@contextmanager
def started(command: list[str], home: Path, log: Path) -> Iterator[int]:
    """A process with a home and a log of its own, ended afterwards; its number."""
    home.mkdir(exist_ok=True)
    with log.open("ab") as written:
        process = subprocess.Popen(
            command,
            cwd=home,
            env={**environment_of(home), "FEDAD_LOG": ""},
            stdout=written,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
    try:
        yield process.pid
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def measured(asked: argparse.Namespace, root: Path, nodes: int) -> Iterator[dict[str, Any]]:
    """One SuperLink, so many nodes, and what each of its runs comes to."""
    work = root / "work"
    work.mkdir()
    config = knobs(root, nodes, asked.bank)
    make_keys(work / "keys", hosts=("localhost", HOST), sites=["nobody"], days=1)
    server, ca = work / "keys" / "server", work / "keys" / "server" / "ca.crt"
    port = free_port()
    address, database, log = f"localhost:{port}", work / DATABASE, work / "superlink.log"
    with ExitStack() as stack:
        command = services.superlink(server, database, Listen(HOST, port))
        superlink = stack.enter_context(started(command, work / "superlink", log))
        _wait_until_up(Server(address, ca))
        command = services.superexec(server, address)
        watched = {"flower-superlink": superlink}
        if asked.apps:
            log = work / "superexec.log"
            watched["flwr-serverapp"] = stack.enter_context(started(command, work / "exec", log))
        pairs = registered(address, ca.read_bytes(), nodes)
        gate, alone, done = Gate(nodes), threading.Lock(), threading.Event()
        answer = Copies() if asked.apps else drawn(asked.rows)
        threads = [
            Node(
                k,
                nodes,
                address,
                ca.read_bytes(),
                pair,
                gate,
                answer,
                alone,
                done,
                k * asked.spread / nodes,
            )
            for k, pair in enumerate(pairs)
        ]
        stack.callback(_ended, threads, done)
        for one in threads:
            one.start()
        _wait_for(lambda: _count(database, "node where status = 'online'") == nodes, threads)
        before = _processor(superlink)
        time.sleep(asked.idle)
        resting = (_processor(superlink) - before) / asked.idle
        link = Link(address, ca, work / "operator")
        for _ in range(asked.runs):
            watch = Watch(database, watched)
            watch.start()
            found = {"resting": resting, "before": _size(database, "") + _size(database, "-wal")}
            made, spent, began = Calls.made, _processor(superlink), time.monotonic()
            if asked.apps:
                folder = run_on(link, config, work / "runs")
                stages = read_record(folder)["seconds"]
            else:
                link.start(config.flat())
                with explained(threads, work / "superlink.log"):
                    stages = run_here(address, server, asked.bank)
            found["seconds"] = time.monotonic() - began
            watch.done.set()
            watch.join()
            found["ended"] = {table: _count(database, table) for table in TABLES}
            link._flwr("list", "fedad")
            found["asked"] = {table: _count(database, table) for table in TABLES}
            found["processor"] = _processor(superlink) - spent
            found["requests"] = Calls.made - made
            yield {**found, **_left(database, work), "stages": stages, **watch.most}


@contextmanager
def explained(threads: Sequence[Node], log: Path) -> Iterator[None]:
    """Say of a run that failed what the nodes met with, and which errors SuperLink wrote."""
    try:
        yield
    except FedadError as error:
        met = Counter(one.failed for one in threads if one.failed)
        lines = log.read_text(errors="replace").splitlines()
        wrote = Counter(line.strip()[:200] for line in lines if "Error" in line)
        told = [f"{count} x {what}" for what, count in (*met.most_common(5), *wrote.most_common(9))]
        raise FedadError("\n  ".join([str(error), *told])) from error


def drawn(rows: int) -> Callable[[Message, Context], Message]:
    """A site that answers with so many rows of its own, or with a word."""

    def answer(message: Message, context: Context) -> Message:
        content = RecordDict({"word": ConfigRecord({"said": "judged"})})
        if message.metadata.message_type == TRAIN:
            rng = np.random.default_rng(int(context.node_config["partition-id"]))
            content = wire.pack(bank_of("site", _rows(rng, rows)))
        return Message(content, reply_to=message)

    return answer


def _rows(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.normal(size=(count, FEATURES)).astype(np.float32)


def run_here(address: str, server: Path, bank: int) -> dict[str, float]:
    """Take the task of the run that waits, ask all nodes twice, and end it; seconds by stage."""
    ca, secret = (server / "ca.crt").read_bytes(), (server / "superexec.secret").read_bytes()
    signed = SuperExecAuthHttpInterceptor(
        master_secret=secret, protected_methods=frozenset({"/flwr.proto.Runtime/AcquireTask"})
    )
    versioned = RuntimeVersionHttpInterceptor(component_name="SuperExec")
    executor = RuntimeHttpClient.from_server_address(address, False, ca, [versioned, signed])
    wanted = AcquireTaskRequest(supported_task_types=[TaskType.SERVER_APP])
    grid = HttpGrid(address, False, ca, token=executor.AcquireTask(wanted).token)
    alive = HeartbeatSender(make_task_heartbeat_fn_http(grid._runtime_client))
    alive.start()
    given = grid._runtime_client.PullTaskInput(PullTaskInputRequest())
    TaskIdentity.run_id, TaskIdentity.task_id = given.run.run_id, given.task_id
    TaskIdentity.node_id = given.context.node_id
    grid.set_run(run_from_proto(given.run))
    seconds, rng = {}, np.random.default_rng(0)
    for stage, content in (
        (TRAIN, RecordDict()),
        (EVALUATE, wire.pack(bank_of("all", _rows(rng, bank)))),
    ):
        began = time.monotonic()
        nodes = sorted(grid.get_node_ids())
        messages = [Message(content, node, stage, ttl=3600, group_id="1") for node in nodes]
        replies = [one.reason for one in exchange(grid, messages, seconds=600) if not one.message]
        if replies:
            raise FedadError(f"{len(replies)} of {len(nodes)} nodes did not answer: {replies[0]}")
        seconds[stage] = time.monotonic() - began
    ended = PushTaskOutputRequest(sub_status=SubStatus.COMPLETED, details="")
    grid._runtime_client.PushTaskOutput(ended)
    alive.stop()
    grid.close()
    return seconds


def _left(database: Path, work: Path) -> dict[str, Any]:
    """What a run has left of the database, and the bytes that nodes were sent and have sent."""
    last = "select bytes_sent, bytes_recv from run order by rowid desc"
    return {
        "moved": _asked(database, last) or (0, 0),
        "free": _pages(database),
        "vacuumed": _vacuumed(database, work / "small.db"),
    }


class Calls:
    """How many requests the nodes of this process have made."""

    made = 0

    @classmethod
    def count(cls) -> None:
        plain = ProtobufClient._unary_unary

        def counted(client: Any, **words: Any) -> Any:
            cls.made += 1
            return plain(client, **words)

        ProtobufClient._unary_unary = counted  # type: ignore[method-assign]


def registered(address: str, ca: bytes, count: int) -> list[Any]:
    """Keys that the SuperLink knows, each by its site's name."""
    client = ControlHttpClient.from_server_address(
        address, False, ca, [RuntimeVersionHttpInterceptor(component_name="flwr CLI")]
    )
    pairs = [generate_key_pairs() for _ in range(count)]
    for number, (_, public) in enumerate(pairs):
        client.RegisterNode(
            RegisterNodeRequest(public_key=public_key_to_bytes(public), name=f"site-{number:04d}")
        )
    client.close()
    return pairs


def _ended(threads: list[Node], done: threading.Event) -> None:
    done.set()
    for one in threads:
        one.gate.barrier.abort()
        one.join(20)


def _wait_until_up(server: Server) -> None:
    _wait_for(lambda: _answers(server), [])


def _answers(server: Server) -> bool:
    try:
        return server.answer("/health")[0] == 200
    except OSError:
        return False


def _wait_for(there: Callable[[], bool], threads: list[Node], seconds: float = 120.0) -> None:
    until = time.monotonic() + seconds
    while not there():
        failed = [one.failed for one in threads if one.failed]
        if failed or time.monotonic() > until:
            raise FedadError(f"not up in {seconds:.0f} s: {failed[:1]}")
        time.sleep(0.2)


def _count(database: Path, table: str) -> int:
    found = _asked(database, f"select count(*) from {table}")
    return int(found[0]) if found else 0


def _pages(database: Path) -> int:
    """Bytes of the file that hold nothing."""
    free, size = _asked(database, "pragma freelist_count"), _asked(database, "pragma page_size")
    return int(free[0]) * int(size[0]) if free and size else 0


def _vacuumed(database: Path, copy: Path) -> int:
    copy.unlink(missing_ok=True)
    line = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=5)
    line.execute("vacuum into ?", (str(copy),))
    line.close()
    return copy.stat().st_size


COLUMNS = (
    *("nodes", "rows up", "bank rows", "before MiB", "peak MiB", "wal MiB", "live MiB"),
    *("objects", "free after MiB", "vacuumed MiB", "SuperLink MiB", "ServerApp MiB"),
    *("idle, of a core", "requests", "SuperLink s", "run s", "sent MiB", "received MiB"),
)


def tell(asked: argparse.Namespace, nodes: int, found: dict[str, Any]) -> None:
    """Print one run's row, its stages, and what was left."""
    mib = {key: f"{value / MIB:.2f}" for key, value in found.items() if isinstance(value, int)}
    row(
        *(nodes, 204 if asked.apps else asked.rows, asked.bank),
        *(mib["before"], mib["peak"], mib["wal"], mib["live"]),
        *(found["objects"], mib["free"], mib["vacuumed"], mib["flower-superlink"]),
        *(mib.get("flwr-serverapp", ""), f"{found['resting']:.3f}", found["requests"]),
        *(f"{found['processor']:.1f}", f"{found['seconds']:.0f}"),
        *(f"{moved / MIB:.1f}" for moved in found["moved"]),
    )
    stages = ", ".join(f"{name} {spent:.1f} s" for name, spent in found["stages"].items())
    print(f"  stages: {stages}")
    print(f"  rows once it ended: {found['ended']}; once asked: {found['asked']}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, nargs="+", default=[10, 30, 100])
    parser.add_argument("--rows", type=int, default=204, help="of a site's upload")
    parser.add_argument("--apps", action="store_true", help="the ServerApp, and a ClientApp")
    parser.add_argument("--bank", type=int, default=1000, help="rows")
    parser.add_argument("--runs", type=int, default=1, help="one after the other")
    parser.add_argument("--spread", type=float, default=0.0, help="seconds over which nodes send")
    parser.add_argument("--idle", type=float, default=15.0, help="seconds without a run")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended from outside"))  # and all it started
    getLogger("flwr").setLevel(ERROR)
    Calls.count()
    heading()
    row(*COLUMNS)
    row(*["---"] * len(COLUMNS))
    for nodes in asked.nodes:
        with tempfile.TemporaryDirectory() as folder:
            for found in measured(asked, Path(folder), nodes):
                tell(asked, nodes, found)


if __name__ == "__main__":
    main()
