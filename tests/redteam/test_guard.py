"""A server chooses the type of a task: at a site no program but ours answers, or none at all."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest
from flwr.supercore import constant
from flwr.supercore.constant import TASK_TYPE_TO_COMMAND, TaskType
from flwr.supercore.superexec.executor import ExecutionSpec, SubprocessExecutor, subprocess_executor

from client_app import gate, refusal
from fedad.deploy import guard as guarding
from fedad.deploy import stand_ins
from fedad.deploy.guard import guard, programs
from fedad.deploy.stand_ins import PROGRAM, PROGRAMS, stand_in, try_out
from fedad.errors import ConfigError
from fedad.plumbing.private import fresh_folder
from fedad.policy import CHECKED_APP, OWN_APP, audit_of

OTHERS = sorted({*TASK_TYPE_TO_COMMAND} - {TaskType.CLIENT_APP})
APP = "3" * 64
SUPEREXEC = "flower-superexec"


@pytest.fixture(autouse=True)
def _installed(monkeypatch):
    """Flower's programs are found, as in an environment that somebody has activated."""
    here = str(Path(sys.executable).parent)
    monkeypatch.setenv("PATH", os.pathsep.join([here, os.environ["PATH"]]))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache of this test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def started(monkeypatch, cache):
    """What `guard` would become: the program, its words and its environment."""
    kept = []
    monkeypatch.setattr(guarding, "app_digest", lambda: APP)
    monkeypatch.setattr(guarding.os, "execve", lambda *words: kept.append(words))
    return kept


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    """A folder with our programs, and the site's own."""
    work = tmp_path_factory.mktemp("ours")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(work / "cache"))
        folder = programs(work / "own", over_exec=False)
    return folder, work / "own"


def test_every_task_of_this_flower_has_a_stand_in(ours):
    folder, _ = ours
    assert {*TASK_TYPE_TO_COMMAND} == {*TaskType}
    assert {*TASK_TYPE_TO_COMMAND.values()} == {*PROGRAMS}
    assert all(os.access(folder / name, os.X_OK) for name in TASK_TYPE_TO_COMMAND.values())
    assert not gate._what_flower_lacks()


def test_a_flower_with_more_tasks_or_another_program_is_seen_at_the_start(monkeypatch):
    monkeypatch.setitem(constant.TASK_TYPE_TO_COMMAND, "flwr-new", "flwr-new")
    assert "flwr-new" in gate._what_flower_lacks()
    monkeypatch.undo()
    monkeypatch.setattr(gate, "REPLACED", ("pull_task_input", "unpack_otherwise"))
    assert "unpack_otherwise" in gate._what_flower_lacks()


def test_flowers_own_launcher_finds_only_ours_and_each_refusal_is_noted(ours, monkeypatch):
    folder, own = ours
    monkeypatch.setenv("PATH", str(folder))
    processes, popen = [], subprocess.Popen

    def kept(*words):
        processes.append(popen(*words))
        return processes[-1]

    monkeypatch.setattr(subprocess_executor.subprocess, "Popen", kept)
    for task_type in OTHERS:
        spec = ExecutionSpec(
            task_type=task_type,
            task_id=1,
            runtime_api_address="127.0.0.1:1",
            token="token",
            insecure=True,
            root_certificates_path=None,
            runtime_dependency_install=False,
            parent_pid=os.getpid(),
            suppress_output=False,
        )
        SubprocessExecutor().launch(spec)
    assert [one.wait(60) for one in processes] == [refusal.ENDED] * len(OTHERS)
    told = [one["told"].partition(":")[0] for one in audit_of(own)]
    assert sorted(told) == sorted(TASK_TYPE_TO_COMMAND[one] for one in OTHERS)
    assert {one["line"] for one in audit_of(own)} == {"task type"}


def test_the_clientapps_stand_in_does_what_flowers_does(ours):
    folder, _ = ours
    done = subprocess.run([folder / PROGRAM, "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "--runtime-api-address" in done.stdout


def test_superexec_gets_a_path_of_ours_alone_and_the_app_of_this_fedad(
    started, cache, tmp_path, monkeypatch
):
    monkeypatch.setenv(CHECKED_APP, "4" * 64)  # what somebody left there counts for nothing
    guard([SUPEREXEC, "--insecure"], tmp_path / "own")
    ((program, words, environment),) = started
    assert Path(program).is_absolute()
    assert Path(program).name == SUPEREXEC
    assert words == [SUPEREXEC, "--insecure"]
    folder = Path(environment["PATH"])
    assert folder.parent == cache / "fedad" / "guard"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {one.name for one in folder.iterdir() if os.access(one, os.X_OK)} >= {*PROGRAMS}
    assert environment[OWN_APP] == APP
    assert CHECKED_APP not in environment


@pytest.fixture
def decoys(tmp_path, monkeypatch):
    """Programs of Flower's names behind ours on PATH, and the file that they would leave."""
    folder, ran = tmp_path / "decoys", tmp_path / "ran"
    folder.mkdir()
    for name in PROGRAMS:
        (folder / name).write_text(f"#!/bin/sh\ntouch '{ran}'\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}{os.pathsep}{folder}")
    return ran


def broken_folder(patch):
    write = guarding.stand_in

    def without_rights(folder, audit):
        write(folder, audit)
        for name in PROGRAMS:
            (folder / name).chmod(0o600)

    patch.setattr(guarding, "stand_in", without_rights)


@pytest.mark.parametrize(
    ("breaks", "says"),
    [
        (broken_folder, "cannot be executed .Permission denied.: .* noexec"),
        (lambda p: p.setattr(sys, "executable", "/no such/python"), "does not answer as ours"),
        (lambda p: p.setattr(sys, "executable", ""), "does not answer as ours"),
        (lambda p: p.setattr(sys, "executable", shutil.which("true")), "does not answer as ours"),
        (lambda p: p.setattr(sys, "executable", shutil.which("echo")), "does not answer as ours"),
    ],
    ids=["no right", "no interpreter", "no name", "true", "echo"],
)
def test_a_program_that_cannot_stand_in_stops_the_guard(breaks, says, started, decoys, monkeypatch):
    with monkeypatch.context() as patch:
        breaks(patch)
        with pytest.raises(ConfigError, match=says):
            guard([SUPEREXEC])
    assert not started
    assert not decoys.exists()


@pytest.fixture
def noexec(tmp_path):
    """A disk on which nothing can be executed."""
    folder = tmp_path / "noexec"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "noexec", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a disk; the same by modes: the case 'no right'")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_disk_that_executes_nothing_stops_the_guard(noexec, started, decoys, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(noexec / "cache"))
    with pytest.raises(ConfigError, match="is the folder on a disk that is mounted noexec"):
        guard([SUPEREXEC])
    assert not started
    assert not decoys.exists()


@pytest.mark.parametrize("name", ["with a space", "'\"$(touch ran)`touch ran`\n;touch ran"])
def test_an_interpreter_and_a_cache_of_any_name_are_used(name, tmp_path, monkeypatch, started):
    monkeypatch.chdir(tmp_path)
    interpreter = tmp_path / name / "python"
    interpreter.parent.mkdir()
    interpreter.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    interpreter.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(interpreter))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / name / "cache"))
    guard([SUPEREXEC])
    assert len(started) == 1
    assert not (tmp_path / "ran").exists()


def test_a_cache_that_divides_path_stops_the_guard(tmp_path, monkeypatch, started):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / f"a{os.pathsep}b"))
    with pytest.raises(ConfigError, match="divides PATH"):
        guard([SUPEREXEC])
    assert not started


def test_a_cache_or_an_audit_that_cannot_be_written_stops_the_guard(cache, tmp_path, started):
    with pytest.raises(ConfigError, match="no-such-program: cannot be started"):
        guard(["no-such-program"])
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"file.*: cannot be written"):
        guard([SUPEREXEC], tmp_path / "file" / "own")
    cache.write_text("")
    with pytest.raises(ConfigError, match=r"cache.*: cannot be written"):
        guard([SUPEREXEC], tmp_path / "own")
    assert not started


@pytest.mark.parametrize(
    "words",
    [
        ["--executor", "kubernetes"],
        ["--executor=kubernetes"],
        ["--executor"],
        ["--allow-runtime-dependency-installation"],
        ["--allow"],
    ],
)
def test_words_that_pass_us_by_are_refused(words, started):
    with pytest.raises(ConfigError, match=r"--(executor|allow)"):
        guard([SUPEREXEC, "--insecure", *words])
    assert not started


def test_the_default_executor_may_be_named(started):
    guard([SUPEREXEC, "--executor", "subprocess", "--appio-api-address", "localhost:9094"])
    assert len(started) == 1


def fedad(*words, **environment):
    return subprocess.run(
        [sys.executable, "-c", "from fedad.cli import main; main()", *words],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_is_one_line_and_exit_code_2_where_it_cannot_guard(tmp_path):
    (tmp_path / "cache").write_text("")
    done = fedad("guard", "--", SUPEREXEC, "--version", XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1


def test_the_command_becomes_the_real_superexec(tmp_path):
    words = ("--output", str(tmp_path / "own"), "--", SUPEREXEC, "--version")
    done = fedad("guard", *words, XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Flower version")


@pytest.mark.parametrize("mode", [0o777, 0o757, 0o775])
def test_a_folder_that_others_may_rename_holds_no_programs(mode, tmp_path, monkeypatch):
    shared = tmp_path / "shared"
    (shared / "below").mkdir(parents=True)
    shared.chmod(mode)
    if mode == 0o775:
        os.chown(shared, -1, 1)
    with pytest.raises(ConfigError, match=f"{shared}: .* may change it"):
        fresh_folder(shared / "below" / "guard", "programs")
    shared.chmod(mode | 0o1000)  # as /tmp
    assert fresh_folder(shared / "below" / "guard", "programs").stat().st_mode & 0o777 == 0o700


def test_a_folder_of_another_user_holds_no_programs(tmp_path):
    (tmp_path / "theirs").mkdir()
    try:
        os.chown(tmp_path / "theirs", 12345, -1)
    except PermissionError:
        pytest.skip("this user may give nothing away")
    with pytest.raises(ConfigError, match="belongs to user 12345"):
        fresh_folder(tmp_path / "theirs" / "guard", "programs")


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_has_is_not(tmp_path):
    code = (
        "import pathlib, sys, time; from fedad.plumbing.private import fresh_folder; "
        "print(fresh_folder(pathlib.Path(sys.argv[1]), 'task'), flush=True); time.sleep(60)"
    )
    words = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        left = Path(process.stdout.readline().strip())
        (left / "apps").mkdir()
        own = fresh_folder(tmp_path, "task")
        assert left.is_dir()
        process.kill()
    assert fresh_folder(tmp_path, "task") != own
    assert own.is_dir()
    assert not left.exists()


def test_the_program_that_a_process_becomes_holds_its_folder(tmp_path):
    code = (
        "import os, pathlib, sys; from fedad.plumbing.private import fresh_folder; "
        "fresh_folder(pathlib.Path(sys.argv[1]), 'programs', over_exec=True); "
        "os.execvp('sleep', ['sleep', '60'])"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) as process:
        until = time.monotonic() + 30
        while b"sleep\x00" not in Path(f"/proc/{process.pid}/cmdline").read_bytes()[:6]:
            assert time.monotonic() < until
            time.sleep(0.05)
        (held,) = tmp_path.iterdir()
        fresh_folder(tmp_path, "programs")
        assert held.is_dir()
        process.kill()
    fresh_folder(tmp_path, "programs")
    assert not held.exists()


def test_a_refused_task_is_answered_by_one_sentence(monkeypatch, in_a_run, tmp_path):
    """Else the SuperNode, which takes one message at a time, would wait for ever."""
    from flwr.app import Message, RecordDict
    from flwr.supernode.runtime import run_clientapp as flower

    run, app = SimpleNamespace(run_id=7), SimpleNamespace(content=b"foreign")
    task = (Message(RecordDict(), 1, "train"), MagicMock(), run, app)
    monkeypatch.setattr(flower, "pull_task_input", lambda client: task)
    monkeypatch.setattr(flower, "push_message", MagicMock())
    monkeypatch.setattr(flower, "push_task_output", MagicMock())
    words = ["--runtime-api-address", "127.0.0.1:1", "--token", "token", "--insecure"]
    monkeypatch.setattr(sys, "argv", ["flwr-agentapp.py", *words])
    monkeypatch.setattr(refusal, "private_umask", lambda: None)
    with pytest.raises(SystemExit) as ended:
        refusal.main("flwr-agentapp", str(tmp_path / "own"))
    assert ended.value.code == refusal.ENDED
    (_, reply, _), _ = flower.push_message.call_args
    assert reply.error.reason == gate.REFUSED
    assert gate.REFUSED in flower.push_task_output.call_args[0]
    first, second = audit_of(tmp_path / "own")
    assert first["told"].startswith("flwr-agentapp: ")
    assert second["run"] == "7"


def test_a_refused_task_stays_refused_where_nothing_can_be_noted(tmp_path):
    (tmp_path / "own").write_text("a file where the folder goes")
    folder = tmp_path / "programs"
    folder.mkdir()
    stand_in(folder, tmp_path / "own")
    try_out(folder)
    words = ["--runtime-api-address", "127.0.0.1:1", "--token", "token", "--insecure"]
    done = subprocess.run([folder / "flwr-agentapp", *words], capture_output=True, check=False)
    assert done.returncode == refusal.ENDED


def test_an_answer_of_another_program_is_not_ours(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["flwr-clientapp.py", "--help"])
    assert not stand_ins.answers_check(PROGRAM)
    monkeypatch.setattr(sys, "argv", ["flwr-clientapp.py", stand_ins.CHECK, "word"])
    assert stand_ins.answers_check(PROGRAM)
    assert capsys.readouterr().out == f"{PROGRAM} word\n"
    with pytest.raises(SystemExit, match="too new"):
        stand_ins.answers_check(PROGRAM, lambda: "too new")
