"""`fedad serve` as a process: it begins with one line and ends when it is told to."""

import os
import re
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from fedad.deploy.certificates import make_keys
from fedad.serving.metrics import ERRORS
from tests.bad_data.cases import train_file
from tests.bad_data.image_cases import BROKEN, CUT, FOREIGN
from tests.serving.conftest import pictures
from tests.serving.test_inspecting import CLAIMS, draw_plant_file

ROOT = Path(__file__).parents[2]
SECONDS = float(os.environ.get("FEDAD_LOAD_SECONDS", "30"))
CLIENTS = 20
MOST_GROWN = 60 * 2**20  # bytes, once the last inspections' pictures are in memory


@contextmanager
def server(*words, cwd=None):
    """A server on a port of its own: its process, its address, and the lines that it wrote."""
    command = [sys.executable, "-c", "from fedad.cli import main; main()", "serve", "--port", "0"]
    process = subprocess.Popen(
        [*command, *map(str, words)],
        cwd=cwd or ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    lines, address = [], None
    try:
        for line in process.stderr:
            lines.append(line.rstrip("\n"))
            if found := re.match(r"(https?://\S+)/  model", line):
                address = found[1]
                break
        reader = threading.Thread(
            target=lambda: lines.extend(line.rstrip("\n") for line in process.stderr), daemon=True
        )
        reader.start()
        yield process, address, lines
        if process.poll() is None:
            process.terminate()
        process.wait(60)
        reader.join(10)
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def test_it_answers_and_ends_on_sigterm_with_nothing_left_over(own_models, plants):
    with server("--models", own_models) as (process, address, lines):
        answer = httpx.post(
            f"{address}/v1/inspect",
            params={"product": "bolt"},
            content=pictures(plants, "good")[0].read_bytes(),
            headers={"Content-Type": "image/png"},
            timeout=60,
        )
        assert answer.status_code == 200
        assert answer.headers["server"] == "fedad"
        assert httpx.get(f"{address}/ready").json()["status"] == "ready"
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert len(lines) == 1, lines
    assert "judges bolt, hose" in lines[0]


@pytest.mark.reliability
def test_by_tls_a_token_is_asked_for(own_models, tmp_path):
    make_keys(tmp_path / "certs", hosts=["localhost"], sites=[], days=9)
    certs, token = tmp_path / "certs" / "server", tmp_path / "token"
    words = ("--host", "0.0.0.0", "--token-file", token, "--models", own_models)
    pair = ("--certificate", certs / "superlink.crt", "--key", certs / "superlink.key")
    with server(*words, *pair) as (_, address, lines):
        trusted = ssl.create_default_context(cafile=str(certs / "ca.crt"))
        url = address.replace("0.0.0.0", "localhost")
        with httpx.Client(verify=trusted, base_url=url) as client:
            assert client.get("/health").status_code == 200
            assert client.get("/v1/model").status_code == 401
            headers = {"Authorization": f"Bearer {token.read_text().strip()}"}
            assert client.get("/v1/model", headers=headers).status_code == 200
    assert lines[0].endswith(str(token))
    assert [line for line in lines[2:] if "GET /v1/model 401" not in line] == []


def test_what_must_be_so_before_anything_listens(fedad, models, tmp_path):
    for words, line in (
        (("--models", tmp_path / "none"), "there is no such folder: fedad bank build"),
        (("--models", models, "--host", "0.0.0.0"), "others could reach it"),
        (("--models", models, "--watch", tmp_path / "none"), "no such folder to watch"),
        (("--models", models, "--webhook", "x"), "--webhook x: expected an address"),
        (("--models", models, "--policy", tmp_path / "none"), "expected the site's policy"),
        (("--models", models, "--port", "0", "--product", "bolts"), "did you mean 'bolt'"),
        (("--models", models, "--host", "203.0.113.7", "--token-file", "t"), "others could"),
    ):
        code, said, _ = fedad("serve", *words)
        assert code in (2, 3), said
        assert [one for one in said.splitlines() if one.startswith("error: ")] == said.splitlines()
        assert line in said


@pytest.mark.reliability
def test_twenty_clients_at_once_and_memory_stays(own_models, plants, tmp_path):
    """Bad pictures between good ones; FEDAD_LOAD_SECONDS says for how long."""
    good = [(path, "bolt") for d in ("good", "blot") for path in pictures(plants, d)]
    bad = []
    for number, case in enumerate((*CUT, *FOREIGN, *BROKEN, *CLAIMS)):
        case.build(draw_plant_file(tmp_path / f"{number}"))
        bad += train_file(tmp_path / f"{number}").parent.glob("bad.*")
    with server("--models", own_models) as (process, address, lines):
        answers, memory, end = Counter(), [], time.monotonic() + SECONDS

        def ask(number):
            with httpx.Client(base_url=address, timeout=120) as client:
                at = number
                while time.monotonic() < end:
                    at += 1
                    path, product = (
                        (bad[at % len(bad)], "bolt") if at % 5 == 0 else good[at % len(good)]
                    )
                    answer = client.post(
                        "/v1/inspect",
                        params={"product": product, "name": path.name},
                        content=path.read_bytes(),
                        headers={"Content-Type": "image/png"},
                    )
                    answers[answer.status_code] += 1

        clients = [threading.Thread(target=ask, args=(number,)) for number in range(CLIENTS)]
        for one in clients:
            one.start()
        while any(one.is_alive() for one in clients):
            time.sleep(1)
            memory.append(resident(process.pid))
        for one in clients:
            one.join()
        text = httpx.get(f"{address}/metrics").text
    assert process.returncode == 0
    assert set(answers) <= {200, 400}, answers
    assert answers[200] > CLIENTS
    refused = re.findall(rf'{ERRORS}{{kind="(\w+)"}} (\d+)', text)
    assert refused == [("picture", str(answers[400]))]
    assert len([line for line in lines if " 400: " in line]) == answers[400]
    assert len(lines) == answers[400] + 1
    third = len(memory) // 3
    assert max(memory[-third:]) - max(memory[third : 2 * third]) < MOST_GROWN, memory


def resident(pid):
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
