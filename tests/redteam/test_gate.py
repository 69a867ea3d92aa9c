"""A server names an app, its id, version and hash: none but a listed one's own code is loaded."""

from __future__ import annotations

import hashlib
import importlib
import io
import os
import sys
import zipfile
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest
from flwr.app import Message, RecordDict
from flwr.cli.build import build_fab_from_disk

from client_app import bundle, gate
from client_app.bundle import Named, check
from fedad.policy import CHECKED_APP, OWN_APP, PolicyError, audit_of

pytestmark = pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning")

PROJECT = """\
[project]
name = "part"
version = "1.0.0"
[tool.flwr.app]
publisher = "plant"
[tool.flwr.app.components]
serverapp = "shown_app:app"
clientapp = "shown_app:app"
"""
CODE = """\
import os, pathlib
from flwr.app import Message, RecordDict
from flwr.clientapp import ClientApp

with pathlib.Path(os.environ["RAN"]).open("a") as file:
    file.write("{name}\\n")
app = ClientApp()

@app.train()
def train(message, context):
    return Message(RecordDict(), reply_to=message)
"""
REFUSAL = f"<class 'fedad.policy.PolicyError'>:<'{gate.REFUSED}'>"


def digest_of(app: bytes) -> str:
    return hashlib.sha256(app).hexdigest()


def write_app(folder: Path, name: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(PROJECT)
    (folder / "shown_app.py").write_text(CODE.format(name=name))
    return folder


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Two apps of one id and version: ours, and a stranger's."""
    work = tmp_path_factory.mktemp("apps")
    apps = [build_fab_from_disk(write_app(work / name, name)) for name in ("ours", "theirs")]
    return SimpleNamespace(ours=apps[0], theirs=apps[1])


@pytest.fixture
def site(monkeypatch, in_a_run, tmp_path, built):
    """Flower's own ClientApp process, gated: what it makes of a task, and what was run."""
    from flwr.supernode.runtime import run_clientapp as flower

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("FLWR_HOME", str(tmp_path / "flwr"))
    monkeypatch.setenv("RAN", str(tmp_path / "ran"))
    monkeypatch.setenv(CHECKED_APP, "")
    monkeypatch.setenv(OWN_APP, digest_of(built.ours))
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(gate, "_forget", lambda: None)
    monkeypatch.setattr(gate, "private_umask", lambda: None)
    for name in ("RuntimeHttpClient", "HeartbeatSender", "register_signal_handlers", "event"):
        monkeypatch.setattr(flower, name, MagicMock())
    monkeypatch.setattr(flower, "flwr_exit", MagicMock())
    program = importlib.import_module("flwr.supernode.cli.flwr_clientapp")
    monkeypatch.setattr(
        program, "flwr_clientapp", partial(flower.run_clientapp, "nowhere", "token", True)
    )
    install = flower.install_from_fab
    node = {"site": "lyon", "output-dir": str(tmp_path / "own")}

    def answer(app: bytes = built.ours, *, unpack=install, policy: str = "", **named: str) -> str:
        """The reason that the server hears; empty if the app ran."""
        if policy:
            node["policy"] = policy
        sys.modules.pop("shown_app", None)
        run = {"fab_id": "plant/part", "fab_version": "1.0.0", "fab_hash": digest_of(app)}
        run |= {name: text for name, text in named.items() if name in run}
        fab = SimpleNamespace(content=app, hash_str=named.get("hash_str", digest_of(app)))
        task = (
            Message(RecordDict(), 1, "train"),
            MagicMock(node_config=node),
            SimpleNamespace(run_id=7, **run),
            fab,
        )
        monkeypatch.setattr(flower, "pull_task_input", lambda client: task)
        monkeypatch.setattr(flower, "install_from_fab", unpack)
        monkeypatch.setattr(flower, "push_message", MagicMock())
        gate.main()
        (_, reply, _), _ = flower.push_message.call_args
        return str(reply.error.reason) if reply.has_error() else ""

    def ran() -> list[str]:
        path = tmp_path / "ran"
        return path.read_text().splitlines() if path.exists() else []

    yield SimpleNamespace(answer=answer, ran=ran, own=tmp_path / "own", work=tmp_path)
    sys.modules.pop("shown_app", None)


def refusals(site) -> list[dict]:
    return [one for one in audit_of(site.own) if one["event"] == "refused"]


def test_without_a_policy_the_installed_app_runs_and_no_other(site, built):
    assert not site.answer()
    assert site.ran() == ["ours"]
    assert os.environ[CHECKED_APP] == digest_of(built.ours)
    assert site.answer(built.theirs) == REFUSAL
    (line,) = refusals(site)
    assert (line["run"], line["line"]) == ("7", "apps")
    assert line["told"] == f"the app {digest_of(built.theirs)}"
    assert site.ran() == ["ours"]


def test_a_gate_that_nobody_told_what_is_installed_lets_nothing_in(site, monkeypatch):
    monkeypatch.delenv(OWN_APP)
    assert site.answer() == REFUSAL
    monkeypatch.setenv(OWN_APP, "")
    assert site.answer() == REFUSAL
    assert len(refusals(site)) == 2
    assert not site.ran()


def test_a_policy_that_lists_apps_lets_in_those_alone(site, built, tmp_path):
    policy = tmp_path / "policy.toml"
    policy.write_text(f'apps = ["{digest_of(built.theirs)}"]')
    assert site.answer(policy=str(policy)) == REFUSAL  # though it is the installed one
    assert not site.answer(built.theirs, policy=str(policy))
    policy.write_text("apps = []")
    assert site.answer(policy=str(policy)) == REFUSAL
    policy.write_text("")
    assert not site.answer(policy=str(policy))
    assert site.answer(built.theirs, policy=str(policy)) == REFUSAL
    assert site.ran() == ["theirs", "ours"]
    assert len(refusals(site)) == 3


@pytest.mark.parametrize("text", [None, "= nothing", 'apps = ["abc"]', f'apps = ["{"3" * 64}"]'])
def test_the_server_hears_one_sentence_and_the_audit_why(text, site, tmp_path):
    policy = tmp_path / "policy.toml"
    if text is not None:
        policy.write_text(text)
    assert site.answer(policy=str(policy)) == REFUSAL
    (line,) = refusals(site)
    assert line["run"] == "7"
    assert str(policy) in line["told"] or line["line"] == "apps"
    assert not site.ran()


ALTERED = {
    "a version that leaves the folder": {"fab_version": "1.0.0.{hash}/../../images"},
    "a version with dots": {"fab_version": "1.0.0/.."},
    "a version with a backslash": {"fab_version": "1.0.0\\..\\images"},
    "a version with a zero byte": {"fab_version": "1.0.0\0"},
    "a version with an escape": {"fab_version": "1.0.0\x1b[2J"},
    "another version": {"fab_version": "1.0.1"},
    "no version": {"fab_version": ""},
    "an id that leaves the folder": {"fab_id": "plant/../images"},
    "an id of one part": {"fab_id": "plant"},
    "an absolute id": {"fab_id": "/etc"},
    "an id that says the same in other parts": {"fab_id": "plant/part.1", "fab_version": "0.0"},
    "another id": {"fab_id": "plant/images"},
    "an id that ends the line": {"fab_id": "plant/part\n"},
    "another hash": {"hash_str": "3" * 64},
    "a hash cut short": {"hash_str": "{hash}"},
    "no hash": {"hash_str": ""},
    "a hash that leaves the folder": {"hash_str": "/../../i"},
    "another hash of the run": {"fab_hash": "3" * 64},
    "no hash of the run": {"fab_hash": ""},
    "a megabyte": {"fab_version": "1" * 2**20},
}


@pytest.mark.parametrize("named", ALTERED.values(), ids=ALTERED)
def test_other_words_about_a_listed_app_load_nothing(named, site, built):
    """Where those words lead, on a site's disk, stands code that a server wants to be run."""
    short = digest_of(built.ours)[:8]
    named = {what: text.format(hash=short) for what, text in named.items()}
    for place in (f"flwr/images.{short}", f"images.{short}", f"flwr/apps/plant.part.1.0.1.{short}"):
        write_app(site.work / place, "planted")
    assert site.answer(**named) == REFUSAL
    assert not site.ran()
    (line,) = refusals(site)
    assert line["run"] == "7"
    assert line["told"].startswith(f"the app {digest_of(built.ours)}: ")
    assert "that the server names is" in line["told"]
    assert line["told"].isprintable()
    assert len(line["told"]) < 300
    assert not os.environ.get(CHECKED_APP)


def test_code_that_somebody_planted_in_flowers_home_is_not_loaded(site, built):
    """Flower does not unpack an app whose folder is there."""
    short = digest_of(built.ours)[:8]
    write_app(site.work / "flwr" / "apps" / f"plant.part.1.0.0.{short}", "planted")
    assert not site.answer()
    assert site.ran() == ["ours"]


def test_each_task_has_a_home_of_its_own_and_leaves_nothing(site, monkeypatch):
    homes, made = [], gate._own_home

    def kept():
        homes.append(made())
        assert homes[-1].stat().st_mode & 0o777 == 0o700
        return homes[-1]

    monkeypatch.setattr(gate, "_own_home", kept)
    site.answer()
    site.answer()
    assert len({*homes}) == 2
    assert site.answer(unpack=MagicMock(side_effect=OSError(28, "No space"))) == REFUSAL
    monkeypatch.setattr(
        importlib.import_module("flwr.supernode.runtime.run_clientapp"),
        "flwr_exit",
        MagicMock(side_effect=KeyboardInterrupt),
    )
    with pytest.raises(KeyboardInterrupt):
        site.answer()
    assert len(homes) == 4
    assert not any(home.exists() for home in homes)


def test_an_app_that_flower_unpacks_elsewhere_is_not_loaded(site):
    elsewhere = MagicMock(return_value=site.work)
    assert site.answer(unpack=elsewhere) == REFUSAL
    assert "Flower would load" in refusals(site)[0]["told"]
    assert not site.ran()


def test_the_server_hears_no_more_where_the_audit_cannot_be_written(site, tmp_path, caplog):
    (tmp_path / "own").write_text("a file where the folder goes")
    assert site.answer(policy=str(tmp_path / "gone.toml")) == REFUSAL
    assert str(tmp_path / "own") in caplog.text


def test_the_server_hears_no_more_where_the_app_cannot_be_unpacked(site, tmp_path):
    full = MagicMock(side_effect=OSError(28, "No space left", str(tmp_path)))
    assert site.answer(unpack=full) == REFUSAL
    assert "No space left" in refusals(site)[0]["told"]


def test_the_server_hears_no_more_where_the_cache_is_open_to_others(site, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(0o777)
    assert site.answer() == REFUSAL
    assert "every user may change it" in refusals(site)[0]["told"]
    assert not site.ran()


def test_the_gate_looks_at_an_app_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.delenv(CHECKED_APP, raising=False)
    policy, good = tmp_path / "policy.toml", b"a good app"
    policy.write_text(f'apps = ["{digest_of(good)}"]')
    node = {"site": "lyon", "policy": str(policy), "output-dir": str(tmp_path / "own")}
    with pytest.raises(PolicyError) as refusal:
        gate.look_at(b"another app", node, "7")
    assert str(tmp_path) not in str(refusal.value)
    assert CHECKED_APP not in os.environ
    gate.look_at(good, node, "7")
    assert os.environ.pop(CHECKED_APP) == digest_of(good)


def packed(*files: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in files:
            made.writestr(name, content)
    return kept.getvalue()


def with_mode(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


def renamed(app: bytes, old: bytes, new: bytes) -> bytes:
    assert len(old) == len(new)
    return app.replace(old, new)


GOOD = ("pyproject.toml", PROJECT.encode())
DEEP = "a = " + "[" * 5000 + "]" * 5000
BAD_APPS = {
    "a file above": (lambda: packed(GOOD, ("../x.py", b"")), "outside the app's folder"),
    "a file far above": (lambda: packed(GOOD, ("a/../../x.py", b"")), "outside"),
    "an absolute file": (lambda: packed(GOOD, ("/etc/x.py", b"")), "outside"),
    "a file here": (lambda: packed(GOOD, ("./x.py", b"")), "outside"),
    "a backslash": (lambda: packed(GOOD, ("..\\x.py", b"")), "is called"),
    "a drive": (lambda: packed(GOOD, ("c:x.py", b"")), "is called"),
    "a line's end": (lambda: packed(GOOD, ("x\n.py", b"")), "is called"),
    "a zero byte": (
        lambda: renamed(packed(GOOD, ("xQ.py", b"")), b"xQ.py", b"x\0.py"),
        "is called",
    ),
    "a link": (lambda: packed(GOOD, (with_mode("x.py", 0o120777), b"/etc")), "a link or device"),
    "a pipe": (lambda: packed(GOOD, (with_mode("x.py", 0o010644), b"")), "a link or device"),
    "twice": (
        lambda: renamed(packed(GOOD, ("x.py", b""), ("y.py", b"")), b"y.py", b"x.py"),
        "twice",
    ),
    "twice, in capitals": (lambda: packed(GOOD, ("x.py", b""), ("X.py", b"")), "twice"),
    "a file and a folder": (lambda: packed(GOOD, ("x", b""), ("x/y.py", b"")), "a folder too"),
    "too many": (
        lambda: packed(GOOD, *((f"{k}.py", b"") for k in range(10_001))),
        "files, at most",
    ),
    "a bomb": (lambda: packed(GOOD, ("x.py", b"0" * 101 * 2**20)), "when unpacked, at most"),
    "a long project": (lambda: packed((GOOD[0], b"#" * (2**20 + 1))), "has more than"),
    "too long": (lambda: bytes(bundle.LARGEST + 1), "bytes, at most"),
    "no app": (lambda: b"no app", "not an app that can be unpacked"),
    "cut short": (lambda: packed(GOOD)[:-30], "not an app that can be unpacked"),
    "spoilt": (
        lambda: renamed(packed((with_mode(*[GOOD[0], 0o100644]), GOOD[1])), b"plant", b"plans"),
        "unpacked",
    ),
    "no project": (lambda: packed(("x.py", b"")), "there is no pyproject.toml"),
    "no TOML": (lambda: packed((GOOD[0], b"= nothing")), "not TOML"),
    "no text": (lambda: packed((GOOD[0], b"\xff")), "not TOML"),
    "deep TOML": (lambda: packed((GOOD[0], DEEP.encode())), "not TOML"),
    "no name": (lambda: packed((GOOD[0], b"[project]\nversion = '1.0.0'")), "has no name"),
    "no table": (lambda: packed((GOOD[0], b"project = 1")), "has no name"),
    "another name": (
        lambda: packed((GOOD[0], PROJECT.replace("part", "pert").encode())),
        "its own",
    ),
    "another version": (
        lambda: packed((GOOD[0], PROJECT.replace("1.0.0", "1.0.1").encode())),
        "own",
    ),
    "a version of three numbers": (
        lambda: packed((GOOD[0], PROJECT.replace('"1.0.0"', "1.0").encode())),
        "its own '1.0'",
    ),
}


@pytest.mark.parametrize(("made", "says"), BAD_APPS.values(), ids=BAD_APPS)
def test_an_app_that_is_not_what_is_said_of_it_is_not_unpacked(made, says):
    app = made()
    with pytest.raises(ValueError, match=says) as refused:
        check(app, Named("plant/part", "1.0.0", (digest_of(app),)))
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 250


def test_an_app_that_is_what_is_said_of_it_passes(built):
    for app in (built.ours, packed(GOOD, ("a/", b""), ("a/ü.py", b""))):
        check(app, Named("plant/part", "1.0.0", (digest_of(app),) * 2))
