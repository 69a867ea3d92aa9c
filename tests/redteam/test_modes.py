"""Nothing that a site, a server or a cache writes may be read by another user of the machine.

Looked at by the bits of the modes, since whoever runs these tests may be root, whom no mode stops.
"""

from __future__ import annotations

import ast
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from flwr.app import ArrayRecord

import client_app.app
import server_app.app
from fedad.cli import main
from fedad.config import read
from fedad.datasets.base import open_dataset
from fedad.datasets.synthetic import synthetic
from fedad.deploy.certificates import make_keys
from fedad.deploy.checks import private
from fedad.deploy.federation import Federation
from fedad.deploy.rehearsal import factory_config
from fedad.deploy.site_folders import split
from fedad.deploy.submit import run_on
from fedad.partition import partition
from fedad.plumbing import files
from fedad.plumbing.files import private_file, private_folder, write_atomic
from fedad.plumbing.journal import Journal
from fedad.running.flower import assemble
from fedad.running.knobs import write_knobs
from server_app.kept import Kept
from server_app.local_grid import LocalGrid, run_locally
from server_app.strategy import MethodStrategy

ROOT = Path(__file__).parents[2]
FEDAD = (sys.executable, "-c", "from fedad.cli import main; main()")
WIDE = 0o000  # the umask of whoever was careless: files 0666, folders 0777


def mode(path):
    return stat.S_IMODE(path.lstat().st_mode)


def too_open(*roots):
    """What somebody else may read, write or look into, with its mode; a link's own is void."""
    found = {}
    for root in roots:
        assert root.exists(), f"{root}: nothing was written, so nothing was looked at"
        for path in (root, *root.rglob("*")):
            if not path.is_symlink() and mode(path) & 0o077:
                found[str(path)] = oct(mode(path))
    return found


@pytest.fixture(autouse=True)
def _careless(monkeypatch):
    """Each test begins with the widest umask, and leaves the session's own."""
    before = os.umask(WIDE)
    yield
    os.umask(before)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty folder, and a cache in it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "own" / "cache"))
    return private_folder(tmp_path / "own")


@pytest.fixture
def settings(knobs, place):
    return {**knobs, "embedder.cache": str(place / "features"), "score.replicates": 2}


@pytest.fixture
def fedad(capsys, monkeypatch, place):
    """Run `fedad ...` in this process, in the empty folder."""
    monkeypatch.chdir(place)

    def run(*words, code=0):
        monkeypatch.setattr(sys, "argv", ["fedad", *map(str, words)])
        os.umask(WIDE)
        ended = 0
        try:
            main()
        except SystemExit as end:
            ended = end.code or 0
        assert ended == code, capsys.readouterr()

    return run


# What each file is written by.


def test_a_file_is_its_owners_alone_from_its_first_moment_on(tmp_path, monkeypatch):
    seen, path = [], tmp_path / "a" / "b" / "file"
    fsync = os.fsync

    def look(handle):
        seen.append(too_open(tmp_path))
        fsync(handle)

    monkeypatch.setattr(files.os, "fsync", look)
    tmp_path.chmod(0o700)
    write_atomic(path, b"x" * 10)
    assert seen == [{}, {}]  # the part, then its folder
    assert [mode(one) for one in (path, path.parent, path.parent.parent)] == [0o600, 0o700, 0o700]


def test_what_an_older_version_left_open_is_shut_when_it_is_written(tmp_path):
    for write in (lambda path: write_atomic(path, "new"), private_file):
        path = tmp_path / "old"
        path.write_text("old")
        path.chmod(0o666)
        write(path)
        assert mode(path) == 0o600
    assert path.read_text() == "old"
    (tmp_path / "journal.jsonl").touch(mode=0o644)
    journal = Journal(tmp_path)
    journal.close()
    assert mode(tmp_path / "journal.jsonl") == 0o600


def test_a_folder_that_is_the_users_own_stays_as_it_is(tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    private_folder(shared)
    write_atomic(shared / "file", "")
    assert mode(shared) == 0o1777
    with pytest.raises(FileExistsError):
        private_folder(shared / "file")


def test_a_source_file_keeps_the_mode_that_it_had(tmp_path):
    path = tmp_path / "pyproject.toml"
    text = (ROOT / "pyproject.toml").read_text().replace("sites = 3\n", "")
    path.write_text(text)
    path.chmod(0o664)
    assert write_knobs(path)
    assert mode(path) == 0o664


MAKING = {"mkdir", "makedirs", "write_text", "write_bytes", "touch", "FileHandler"}
COPYING = {"copy", "copy2", "copytree", "copyfile", "move"}
WRITING = {*"wax", "wb", "ab", "xb", "w+", "a+", "wb+", "ab+"}
PRIVATE = ("private_file(", "private_folder(")


def wide(source):
    """The calls that may make a file or a folder without saying for whom."""
    tree = ast.parse(source)
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Assign)]
    safe = {ast.unparse(n.targets[0]) for n in nodes if ast.unparse(n.value).startswith(PRIVATE)}
    bound = [item for node in ast.walk(tree) if isinstance(node, ast.With) for item in node.items]
    safe |= {  # what is opened in an archive is no file of its own
        ast.unparse(item.optional_vars)
        for item in bound
        if item.optional_vars and ast.unparse(item.context_expr).startswith("zipfile.ZipFile(")
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and makes(node):
            text, owner = ast.unparse(node), ast.unparse(node.func).rpartition(".")[0]
            asked = any(ast.unparse(a).endswith(("FOLDER_MODE", "FILE_MODE")) for a in node.args)
            if owner not in safe and not asked and not any(one in text for one in PRIVATE):
                yield text


def makes(call):
    """Whether a call may make a file or a folder."""
    owner, _, name = ast.unparse(call.func).rpartition(".")
    words = [*call.args, *(word.value for word in call.keywords if word.arg == "mode")]
    if name == "open":
        ways = [ast.unparse(word) for word in words]
        return any(way.strip("'") in WRITING or "O_CREAT" in way for way in ways)
    return name in MAKING or (owner == "shutil" and name in COPYING)


@pytest.mark.parametrize(
    "path",
    [
        p
        for room in ("fedad", "server_app", "client_app")
        for p in sorted((ROOT / room).rglob("*.py"))
    ],
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)
def test_nothing_is_made_without_saying_for_whom(path):
    assert list(wide(path.read_text())) == []


@pytest.mark.parametrize(
    "source",
    [
        "folder.mkdir(parents=True, exist_ok=True)",
        "folder.mkdir(mode=0o755)",
        "os.makedirs(folder)",
        "path.write_text(text)",
        "path.write_bytes(data)",
        "path.open('w')",
        "path.open(mode='ab')",
        "open(path, 'wb')",
        "os.open(path, os.O_RDWR | os.O_CREAT, 0o644)",
        "shutil.copytree(here, there)",
        "shutil.copyfile(here, there)",
        "path.touch()",
        "other = private_file(there); path.write_text(text)",
        "logging.FileHandler(path)",
    ],
)
def test_the_gate_sees_each_of_these(source):
    assert list(wide(source))


def test_the_gate_spares_what_is_made_for_its_owner():
    spared = [
        "private_file(path).open('ab')",
        "path = private_file(there); path.write_text(text)",
        "folder.mkdir(FOLDER_MODE)",
        "os.open(path, os.O_WRONLY | os.O_CREAT, FILE_MODE)",
        "shutil.copyfile(here, private_file(there))",
        "array.copy(); path.open(); path.open('rb'); image.save(stream, 'PNG')",
    ]
    assert [source for source in spared if list(wide(source))] == []


# Entry points: what the libraries write that we call.


@pytest.mark.parametrize("words", [["supervise", "--delay", "60"], ["guard"]])
def test_what_a_command_starts_writes_for_its_owner_alone(words, place):
    code = "import os, pathlib; pathlib.Path('made').touch(); os.mkdir('folder')"
    program = [sys.executable, "-c", code]
    with subprocess.Popen([*FEDAD, *words, "--", *program], cwd=place) as process:
        until = time.monotonic() + 30
        while not (place / "folder").exists() and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
    assert too_open(place) == {}


def test_each_app_keeps_its_process_from_writing_for_others(settings, place, in_a_run):
    """Its libraries', that is: ours ask for a mode by themselves."""
    found = []

    def asked(message, context):
        os.umask(WIDE)
        reply = client_app.app.app(message, context)
        found.append(("site", message.metadata.message_type, os.umask(WIDE)))
        return reply

    strategy = MethodStrategy(read({**settings, "round.out": str(place / "run")}))
    nodes = [{"partition-id": number, "num-partitions": 3} for number in range(3)]
    strategy.start(LocalGrid(asked, nodes, settings), ArrayRecord())
    with pytest.raises(Exception, match="knob"):  # nothing but its first line runs
        server_app.app.app(
            LocalGrid(asked, [], settings),
            server_app.app.Context(1, 1, {}, None, {"no.such-knob": 1}),
        )
    found.append(("server", "main", os.umask(WIDE)))
    assert {(who, stage) for who, stage, _ in found} == {
        ("site", "query"),
        ("site", "train"),
        ("site", "evaluate"),
        ("server", "main"),
    }
    assert {umask for *_, umask in found} == {0o077}


# Whole runs.


@pytest.fixture
def no_umask(monkeypatch):
    """The modes have to do without the umask: a library's caller may set another."""
    for module in (server_app.app, client_app.app):
        monkeypatch.setattr(module, "private_umask", lambda: None, raising=False)


@pytest.mark.usefixtures("in_a_run", "no_umask")
@pytest.mark.parametrize("method", ["patchcore", "discriminator"])
def test_a_run_in_process(method, settings, place):
    few = {"discriminator.rounds": 2, "discriminator.epochs": 1, "discriminator.hidden": 16}
    out = place / "run"
    run_locally({**settings, **few, "round.method": method, "round.out": str(out)}, sites=3)
    assert (out / "record.json").exists()
    assert too_open(place) == {}
    written = {path.name for path in place.rglob("*")}
    assert {"journal.jsonl", "scores.csv", "upload.safetensors", "findings.safetensors"} <= written


@pytest.mark.usefixtures("in_a_run", "no_umask")
def test_a_run_of_factories_with_a_liar_that_ends_early(settings, config, factory, place):
    """Seals, audits, receipts and what was put aside, after the server's process was cut."""
    sites = partition(open_dataset(config.data), config.data, seed=0)
    data = split(sites, place / "data")
    own = {**settings, "data.dir": "", "round.min-sites": 2}
    nodes = [
        factory(
            folder.name,
            folder,
            place / "output" / folder.name,
            cache=str(place / "output" / folder.name / "cache"),
        )
        for folder in data
    ]

    class Cut(BaseException):
        """The server's process ends here."""

    def answered(message, context):
        reply = client_app.app.app(message, context)
        if message.metadata.message_type == "evaluate":
            raise Cut
        if message.metadata.message_type == "train" and context.node_config["site"] == "graz":
            next(iter(reply.content.config_records.values()))["more"] = "than is asked"
        return reply

    kept = Kept.begin(place / "run", read({**own, "round.out": str(place / "run")}))
    strategy = MethodStrategy(read(own), kept)
    with pytest.raises(Cut):
        strategy.start(LocalGrid(answered, nodes, own), ArrayRecord())
    kept.close()
    photographs = {path for path in (place / "data").rglob("*") if path.is_file()}
    shut = {path: at for path, at in too_open(place).items() if Path(path) not in photographs}
    assert shut == {}  # the photographs are links to the user's own files, in folders of ours
    written = {path.name for path in place.rglob("*")}
    assert {"own.safetensors", "upload.safetensors", "receipt.json", "audit.jsonl"} <= written
    assert [*place.glob("run/quarantine/*.bin")]


@pytest.mark.usefixtures("no_umask")
def test_photographs_that_cannot_be_linked_are_copied_for_their_owner(config, place, monkeypatch):
    monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError("another disk")))
    split(partition(open_dataset(config.data), config.data, seed=0), place / "data")
    assert too_open(place) == {}


def test_every_command_that_writes(fedad, overlay, plants, place):
    """In the order in which one uses what the one before has left."""
    cache = f"embedder.cache={place / 'features'}"
    of_site = f"data.dir={plants}"
    knobs = [
        part
        for line in overlay.read_text().splitlines()
        for part in ("-c", line.replace(" ", "").replace('"', ""))
    ]
    fedad("certs", "keys", "--host", "fedad.example", "--site", "lyon", "--site", "graz")
    fedad("run", overlay, "-c", cache, "--via", "local", "--yardsticks")
    fedad("report", "runs/latest")
    fedad("data", "split", plants, "plants", *knobs)
    fedad(
        "bank",
        "build",
        "plants/lyon",
        "--site",
        "lyon",
        "--out",
        "banks/lyon.safetensors",
        *knobs,
        "-c",
        cache,
    )
    fedad(
        "bank",
        "build",
        "plants/graz",
        "--site",
        "graz",
        "--out",
        "banks/graz.safetensors",
        *knobs,
        "-c",
        cache,
    )
    fedad(
        "bank",
        "merge",
        "banks/lyon.safetensors",
        "banks/graz.safetensors",
        "--out",
        "bank.safetensors",
        *knobs,
    )
    fedad(
        "score",
        plants,
        "--bank",
        "bank.safetensors",
        "--maps",
        "maps",
        *knobs,
        "-c",
        cache,
        "-c",
        of_site,
    )
    fedad("evaluate", "--data", plants, "--maps", "maps", "--out", "figures", "--replicates", "0")
    photographs = {str(path) for path in (place / "plants").rglob("*") if path.is_file()}
    assert {path: at for path, at in too_open(place).items() if path not in photographs} == {}
    written = {path.name for path in place.iterdir()}
    assert {"keys", "runs", "banks", "maps", "figures", "features", "plants"} <= written


def test_the_drawn_plants(place):
    synthetic(place / "demo", size=64, train=3, good=3, defective=3)
    assert len([*(place / "demo").rglob("*.png")]) > 10
    assert too_open(place) == {}


@pytest.mark.reliability
def test_a_comparison(fedad, knobs, place):
    few = ["score.false-rejects=0.4", "score.replicates=2", f"embedder.cache={place / 'features'}"]
    settings = [part for knob in few for part in ("-c", knob)]
    settings = [p for key, value in knobs.items() for p in ("-c", f"{key}={value}")] + settings
    write_atomic(place / "plan.yaml", PLAN)
    fedad("compare", "plan.yaml", *settings, "--jobs", "1")
    assert (place / "comparisons" / "small" / "report.html").exists()
    assert too_open(place) == {}


def test_a_run_that_fails_and_a_fault_of_ours(fedad, overlay, place, monkeypatch):
    fedad(
        "run",
        overlay,
        "--via",
        "local",
        "-c",
        "wire.largest-mb=0.001",
        "-c",
        f"embedder.cache={place / 'features'}",
        code=1,
    )
    assert [*place.glob("runs/*/failure.json")]
    monkeypatch.setattr("fedad.running.overlay.chosen_config", lambda *_: 1 / 0)
    fedad("run", overlay, code=70)
    assert (place / "cache" / "fedad" / "crash.txt").exists()
    assert too_open(place) == {}


def test_a_run_that_is_killed(overlay, place):
    """kill -9 as soon as a site has sealed something."""
    words = [*FEDAD, "run", str(overlay), "--via", "local"]
    cache = ["-c", f"embedder.cache={place / 'features'}"]
    with subprocess.Popen([*words, *cache], cwd=place, stderr=subprocess.DEVNULL) as process:
        until = time.monotonic() + 120
        while not [*place.rglob("upload.safetensors")] and time.monotonic() < until:
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    assert not [*place.rglob("record.json")]
    assert too_open(place) == {}


def test_the_app_that_is_handed_to_flower(place):
    assemble(place / "app")
    assert too_open(place) == {}


PLAN = """
# Whether half the bytes do.
#
#   fedad compare plan.yaml
#
# Expect: nothing of note.
name: small
axes:
  wire.dtype: [float32, float16]
seeds: 1
figures: [image_auroc]
replicates: 50
""".lstrip()


# What preflight says of a machine that an older version has written on.


def test_preflight_names_the_path_its_mode_and_what_mends_it(tmp_path):
    make_keys(tmp_path / "its keys", hosts=["localhost"], sites=["lyon"], days=30)
    keys = tmp_path / "its keys"
    assert [check.passed for check in private([keys, tmp_path / "none"])] == [True, True]
    (keys / "lyon" / "ca.crt").chmod(0o640)
    (keys / "lyon").chmod(0o755)
    (check,) = private([keys])
    assert not check.passed
    assert check.told.startswith(f"{keys / 'lyon'}: mode 0755")
    assert "and 1 more" in check.told
    subprocess.run(check.fix, shell=True, check=True)  # as the user will
    assert [check.passed for check in private([keys])] == [True]


@pytest.mark.reliability
def test_a_run_of_flower_and_its_workers(overlay, place):
    """Ray's workers are made by Flower's daemon, which `fedad run` has started."""
    cache = ["-c", f"embedder.cache={place / 'features'}"]
    subprocess.run([*FEDAD, "run", str(overlay), *cache], cwd=place, check=True)
    assert (place / "runs" / "latest" / "record.json").exists()
    assert too_open(place) == {}


class Lenient(Federation):
    """Sites that let a run of so few images in."""

    def kit(self, site):
        policy = self.work / "policy.toml"
        write_atomic(policy, "smallest-group = 1\n")
        return super().kit(site)._replace(policy=policy)


@pytest.mark.reliability
def test_a_deployment_that_is_killed(factories, tmp_path, needs_nginx):
    """All processes of the compose file, a run, then kill -9 for every one of them."""
    work, runs = tmp_path / "work", tmp_path / "runs"
    few = {"data.dataset": "autovi", "embedder.size": 64, "score.replicates": 2}
    config = factory_config(read({**few, "round.min-sites": 2}), sorted(factories))
    with Lenient(work, factories) as up:
        folder = run_on(up.link(), config, runs)
        for process in up.processes.values():
            os.killpg(process.pid, signal.SIGKILL)
    assert (folder / "record.json").exists()
    sockets = {str(path) for path in work.rglob("*") if path.is_socket()}
    shut = {path: at for path, at in too_open(work, runs).items() if path not in sockets}
    assert shut == {}
