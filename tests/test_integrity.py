"""R5: what is on disk is whole, or it is refused; nothing that writes leaves half a file."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from fedad import wire
from fedad.banks.bank import Bank
from fedad.errors import DataError
from fedad.messages.file import load, save
from fedad.plumbing.journal import NAME, Journal, events_of
from tests.conftest import bank_of

ROOT = Path(__file__).parents[1]
KILLS = 50


@pytest.fixture(scope="module")
def bank():
    rows = np.random.default_rng(0).normal(size=(120, 24))
    return bank_of(rows, images=2)


@pytest.fixture
def saved(bank, tmp_path):
    """Files of each kind that a run or a site goes on from, and how each is read."""
    journal = Journal.begin(tmp_path, key="k", config={"round.seed": 0})
    for number in range(8):
        journal.note("uploaded", site=f"site-{number}", sha256="0" * 64)
    journal.close()
    save(tmp_path / "bank", bank)
    wire.save(tmp_path / "sealed", wire.pack(bank), **{"made-of": "something"})
    return {
        "bank": lambda path: load(path, Bank),
        "sealed": wire.load,
        NAME: lambda path: events_of(path.parent),
    }


def is_refused(read, path, content):
    """Whether it is refused by its name."""
    path.write_bytes(content)
    try:
        read(path)
    except DataError as error:
        return path.name in str(error)
    return False


def flipped(whole, rng):
    """A thousand times the same bytes, each with one bit flipped."""
    for at in rng.integers(8 * len(whole), size=1000):
        content = bytearray(whole)
        content[at // 8] ^= 1 << int(at % 8)
        yield bytes(content)


@pytest.mark.parametrize("name", ["bank", "sealed"])
def test_1000_flipped_bits_and_200_cuts_are_all_seen(name, saved, tmp_path):
    rng, path = np.random.default_rng(1), tmp_path / name
    whole = path.read_bytes()
    cuts = [whole[:at] for at in rng.integers(len(whole), size=200)]
    assert sum(is_refused(saved[name], path, one) for one in flipped(whole, rng)) == 1000
    assert sum(is_refused(saved[name], path, one) for one in cuts) == 200
    assert not is_refused(saved[name], path, whole)


def test_a_journal_with_a_flipped_bit_is_refused_and_a_cut_one_is_a_shorter_one(saved, tmp_path):
    rng, path = np.random.default_rng(2), tmp_path / NAME
    whole = path.read_bytes()
    events = events_of(tmp_path)
    changed = [one + b"\n" for one in flipped(whole[:-1], rng)]
    assert sum(is_refused(saved[NAME], path, one) for one in changed) == 1000
    first = whole.index(b"\n") + 1
    for at in rng.integers(len(whole), size=200):
        path.write_bytes(whole[:at])
        if at < first:
            with pytest.raises(DataError, match="the journal is empty"):
                events_of(tmp_path)
        else:
            assert events_of(tmp_path) == events[: whole[:at].count(b"\n")]


# A process that saves one bank and another in turn, in the same file, until it is killed.
SAVER = """
import os, sys
from pathlib import Path
import numpy as np
from fedad.messages.file import save
from tests.conftest import bank_of

banks = [bank_of(np.full((4000, 64), number, np.float32)) for number in range(2)]
path = Path(sys.argv[1])
for line in sys.stdin:  # a line a child, which is killed
    child = os.fork()
    if not child:
        while True:
            for bank in banks:
                save(path, bank)
    print(child, flush=True)
    os.waitpid(child, 0)
    print("ended", flush=True)
"""


def test_50_kills_while_a_bank_is_saved_leave_a_whole_one(tmp_path):
    path, rng, found = tmp_path / "bank.safetensors", np.random.default_rng(3), []
    process = subprocess.Popen(
        [sys.executable, "-c", SAVER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    with process:
        for _ in range(KILLS):
            process.stdin.write("\n")
            process.stdin.flush()
            child = int(process.stdout.readline())
            time.sleep(rng.uniform(0, 0.2))
            os.kill(child, signal.SIGKILL)
            assert process.stdout.readline() == "ended\n"
            found.append(load(path, Bank).rows[0, 0] if path.exists() else "none yet")
        process.stdin.close()
    assert process.returncode == 0
    assert {0.0, 1.0} <= set(found) <= {0.0, 1.0, "none yet"}
    # the kills did fall into saves: parts that nobody reads are what they left
    assert list(tmp_path.glob(".*.part"))


# What happens to a bank, a journal and a site's answer where no more than so many bytes fit.
FULL = """
import sys
from pathlib import Path
import numpy as np
from fedad.messages.file import load, save
from fedad.errors import DataError
from fedad.plumbing.journal import Journal, events_of
from client_app.sealed import once
from fedad import wire
from fedad.banks.bank import Bank
from tests.conftest import bank_of

folder, limit = Path(sys.argv[1]), sys.argv[2]
small, large = (bank_of(np.ones((rows, 64), np.float32)) for rows in (10, 30_000))
path = folder / "bank.safetensors"
save(path, small)
journal = Journal.begin(folder, key="k")
if limit:
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
try:
    save(path, large)
    print("saved all the same")
except OSError as error:
    print("bank", error.strerror)
assert len(load(path, Bank)) == 10
try:
    once(folder / "upload.safetensors", "mark", lambda: wire.pack(large))
    print("sealed all the same")
except DataError as error:
    assert str(folder / "upload.safetensors") in str(error), error
    print("sealed", str(error).rpartition(": ")[2])
with (folder / "filler").open("wb", buffering=0) as filler:
    try:
        while filler.write(b"0" * 512):
            pass
    except OSError:
        pass
try:
    for number in range(100_000):
        journal.note("uploaded", number=number, text=4000 * "x")
    print("noted all the same")
except OSError as error:
    print("journal", error.strerror)
events = events_of(folder)
assert events == journal.events and len(events) > 0
(folder / "filler").unlink()
if not limit:
    journal.note("finished")
    assert events_of(folder)[-1]["event"] == "finished"
assert sorted(p.name for p in folder.iterdir()) == ["bank.safetensors", "journal.jsonl"]
"""


def full(folder, limit=""):
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(folder), str(limit)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_what_a_file_may_not_hold_leaves_the_old_one(tmp_path):
    told = full(tmp_path, 2**20)
    assert told == ["bank File too large", "sealed is the disk full?", "journal File too large"]


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 4 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = [shutil.which("mount") or "mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a disk of 4 MB")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_leaves_the_old_files_whole(small_disk):
    told = full(small_disk)
    no_space = "No space left on device"
    assert told == [f"bank {no_space}", "sealed is the disk full?", f"journal {no_space}"]
