"""What leaves a server: counts, verdicts to others, and lines of a folder that is watched."""

import json
import re
import shutil
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import ModuleType, SimpleNamespace

import pytest

from fedad.errors import ConfigError
from fedad.inspection import hot_folder
from fedad.serving import outbox as file
from fedad.serving import watched
from fedad.serving.metrics import Metrics
from fedad.serving.mqtt import mqtt
from fedad.serving.outbox import Outbox, UndeliveredError
from fedad.serving.recent import KINDS
from fedad.serving.watched import Watched
from fedad.serving.webhook import webhook, without_password
from tests.serving.conftest import pictures, serving


def until(holds, seconds=30.0):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture
def listener():
    """A program that is told of verdicts: what it got, and what it answers."""
    got, answers = [], []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.headers["Content-Type"], json.loads(body)))
            self.send_response(answers.pop(0) if answers else 204)
            self.end_headers()

        def log_message(self, *words):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/verdicts"
    yield SimpleNamespace(url=url, got=got, answers=answers)
    server.shutdown()
    thread.join()
    server.server_close()


def test_each_verdict_is_posted_and_no_pixel_of_it(models, plants, listener):
    with serving(models, webhook=listener.url) as line:
        told = [
            line.inspect(path).json()["predictions"][0]
            for path in (pictures(plants, "good")[0], pictures(plants, "blot")[0])
        ]
        until(lambda: len(listener.got) == 2)
    for (kind, message), one in zip(listener.got, told, strict=True):
        assert kind == "application/json"
        assert message.items() <= one.items()
        assert not {*KINDS, "pictures", "sha256"} & {*message}
        assert {"image", "product", "verdict", "score", "threshold", "id", "time"} <= {*message}
        assert len(json.dumps(message)) < 1000


def test_what_is_not_taken_is_tried_again_and_counted(monkeypatch, listener):
    monkeypatch.setattr(file, "FIRST_WAIT", 0.01)
    failed, lines = [], []
    outbox = Outbox(
        webhook(listener.url),
        listener.url,
        failed=lambda: failed.append(1),
        note=lines.append,
        first_wait=0.01,
    )
    listener.answers += [500, 503, 204]
    outbox.put({"n": 1})
    until(lambda: len(listener.got) == 3)
    outbox.put({"n": 2})
    until(lambda: len(listener.got) == 4)
    listener.answers += [400]
    outbox.put({"n": 3})  # will never be taken
    outbox.put({"n": 4})
    until(lambda: len(listener.got) == 6)
    outbox.stop()
    assert [message["n"] for _, message in listener.got] == [1, 1, 1, 2, 3, 4]
    assert len(failed) == 3
    assert [line for line in lines if "it answered 500: trying again" in line] == lines[:1]
    assert lines[1].endswith("takes verdicts again")


def test_nobody_listens_and_judging_does_not_wait(monkeypatch):
    monkeypatch.setattr(file, "MOST", 5)
    failed, lines, going = [], [], threading.Event()

    def nobody(message):
        going.wait(20)
        raise UndeliveredError("refused")

    outbox = Outbox(
        nobody, "x", failed=lambda: failed.append(1), note=lines.append, first_wait=0.001
    )
    began = time.monotonic()
    for number in range(50):
        outbox.put({"n": number})
    assert time.monotonic() - began < 5
    assert len(failed) >= 44
    going.set()
    outbox.stop(patience=20)
    assert len([line for line in lines if "refused" in line]) == 1


@pytest.mark.parametrize("url", ["ftp://x/", "x", "http://", "http://[::1", "http://h:99999/"])
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(ConfigError, match="--webhook"):
        webhook(url)


def test_a_password_is_not_printed():
    assert without_password("https://me:secret@mes.plant/x?key=secret") == "https://mes.plant/x"
    assert without_password("mqtts://me:secret@broker/topic") == "mqtts://broker/topic"
    assert "secret" not in without_password("http://[secret")


def test_verdicts_are_published_to_a_broker_where_paho_is_installed(monkeypatch):
    sent = []

    class Client:
        def __init__(self, version):
            sent.append(version)

        def tls_set(self):
            sent.append("tls")

        def username_pw_set(self, *words):
            sent.append(words)

        def connect(self, *words):
            sent.append(words)

        def loop_start(self):
            sent.append("loop")

        def publish(self, topic, message, qos):
            sent.append((topic, message, qos))
            taken = message != b"lost"
            return SimpleNamespace(wait_for_publish=lambda s: None, is_published=lambda: taken)

    client = ModuleType("client")
    client.Client, client.CallbackAPIVersion = Client, SimpleNamespace(VERSION2=2)
    package, above = ModuleType("paho.mqtt"), ModuleType("paho")
    package.client, above.mqtt = client, package
    for name, module in (("paho", above), ("paho.mqtt", package), ("paho.mqtt.client", client)):
        monkeypatch.setitem(sys.modules, name, module)
    send = mqtt("mqtts://me:s%20t@broker.plant/line-4/verdicts")
    send(b"{}")
    assert sent == [
        2,
        "tls",
        ("me", "s t"),
        ("broker.plant", 8883),
        "loop",
        ("line-4/verdicts", b"{}", 1),
    ]
    with pytest.raises(UndeliveredError, match="no answer"):
        send(b"lost")
    for url in ("http://x/y", "mqtt://x", "mqtt://x/#", "mqtt:///topic"):
        with pytest.raises(ConfigError, match="--mqtt"):
            mqtt(url)
    for name in ("paho", "paho.mqtt", "paho.mqtt.client"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match=r"pip install 'fedad\[mqtt\]'"):
        mqtt("mqtt://broker/topic")


LINE = re.compile(r'[a-z_]+(\{[a-z_]+="([^"\\]|\\.)*"(,[a-z_]+="([^"\\]|\\.)*")*\})? \S+')


def test_metrics_are_text_that_prometheus_reads(own, plants):
    own.inspect(pictures(plants, "good")[0])
    own.inspect(pictures(plants, "good")[0], "bolts")
    answer = own.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    text = answer.text
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert all(LINE.fullmatch(line) for line in lines)
    model, site = own.serving.served.inspector.opened.name, "lyon"
    for line in (
        'fedad_inspections_total{product="bolt",verdict="OK"} 1',
        'fedad_inspection_seconds_bucket{le="+Inf"} 1',
        "fedad_inspection_seconds_count 1",
        "fedad_queue_length 0",
        'fedad_errors_total{kind="value"} 1',
        f'fedad_model_info{{model="{model}",site="{site}"}} 1',
        "fedad_webhook_failures_total 0",
    ):
        assert line in lines, line
    names = {line.split("{")[0].split(" ")[0] for line in lines}
    assert "process_resident_memory_bytes" in names
    for name in ("fedad_inspections_total", "fedad_inspection_seconds", "fedad_queue_length"):
        assert text.count(f"# TYPE {name} ") == 1


def test_a_label_holds_any_name():
    metrics = Metrics()
    metrics.judged('a"b\\c\nd', "OK", 0.06)
    text = metrics.text([])
    assert r'fedad_inspections_total{product="a\"b\\c\nd",verdict="OK"} 1' in text
    assert 'bucket{le="0.05"} 0' in text
    assert 'bucket{le="0.1"} 1' in text


def test_a_watched_folder_is_judged_beside_the_requests(own_models, plants, tmp_path, monkeypatch):
    monkeypatch.setattr(hot_folder, "POLL", 0.01)
    folder = tmp_path / "camera"
    folder.mkdir()
    good, bad = pictures(plants, "good")[0], pictures(plants, "blot")[0]
    with serving(own_models, product="bolt") as line:
        watching = Watched(folder, line.serving, line.lines.append)
        watching.start()
        try:
            for name, path in (("a.png", good), ("b.png", bad)):
                shutil.copy(path, folder / name)
            until(lambda: (folder / "done/a.png").exists() and (folder / "NOK/b.png").exists())
            strip = line.client.get("/v1/inspections").json()["inspections"]
            assert {row["image"] for row in strip} == {"a.png", "b.png"}
            (raw,) = line.inspect(bad, "").json()["predictions"]
            (same,) = [row for row in strip if row["image"] == "b.png"]
            assert (raw["score"], raw["product"]) == (same["score"], "bolt")
            assert line.client.get(same["pictures"]["overlay"]).status_code == 200
        finally:
            watching.stop()
        assert line.lines == []


def test_a_folder_that_cannot_be_watched_is_told_once_and_tried_again(
    own_models, plants, tmp_path, monkeypatch
):
    monkeypatch.setattr(watched, "AGAIN", 0.01)
    monkeypatch.setattr(hot_folder, "POLL", 0.01)
    folder = tmp_path / "camera"
    with serving(own_models, product="bolt") as line:
        watching = Watched(folder, line.serving, line.lines.append)
        watching.start()
        try:
            until(lambda: line.serving.notes)
            time.sleep(0.1)
            assert "no such folder to watch" in line.client.get("/ready").json()["notes"][0]
            folder.mkdir()
            shutil.copy(pictures(plants, "good")[0], folder / "a.png")
            until((folder / "done/a.png").exists)
            assert line.client.get("/ready").json()["notes"] == []
        finally:
            watching.stop()
        assert len(line.lines) == 1
