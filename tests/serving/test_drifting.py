"""What drifts, as the page and programs are told: by days that are over, found beside judging."""

import json
import threading
from collections import defaultdict
from datetime import timedelta
from urllib.parse import quote
from xml.etree import ElementTree

import pytest

from fedad.drift.state import state_of
from fedad.errors import FedadError
from fedad.serving import drifting as file
from fedad.serving import inspected
from fedad.serving.drifting import Drifting, found, of_product, told_of
from fedad.serving.inspected import Inspected
from tests.drift.lines import START, from_day, rows
from tests.serving.conftest import serving
from tests.serving.test_outwards import until

FROM = 25
DARKER = from_day(FROM, every=(1, 0.93, 1))


def keep(models, told):
    """Lines as a server of these models would have kept them."""
    by_day = defaultdict(list)
    for one in told:
        by_day[one["time"][:10]].append(one)
    for day, some in by_day.items():
        lines = b"".join(json.dumps(one).encode() + b"\n" for one in some)
        inspected.append(models / "inspected" / f"{day}.jsonl", lines)


def test_the_answer_has_the_words_and_numbers_of_the_command():
    state = state_of(rows(change=DARKER))
    told = told_of(state)
    assert json.loads(json.dumps(told)) == told
    ((event,), (told_event,)) = state.events, told["events"]
    assert (told_event["cause"], told_event["words"]) == ("camera", event.words)
    assert told_event["since"] == f"{event.since}"
    assert {(one["product"], one["stream"]) for one in told_event["alarms"]} == {*event.alarmed}
    assert all(one["change"].startswith("-") for one in told_event["alarms"])
    assert (told["quiet_days"], told["charts"], told["first"]) == (1000, 24, 8)
    assert (told["from"], told["until"]) == (f"{START}", f"{START + timedelta(39)}")
    assert [one["days"] for one in told["products"]] == [40] * 3
    assert [one["sd"] for one in told["soon"]["a_day"]] == [0.05, 0.1, 0.2]
    assert told["soon"]["at_once"][2]["within"] <= 10


def test_a_few_days_say_nothing_and_no_day_says_so():
    told = told_of(state_of(rows(days=8) + rows(days=20, products=("late",), seed=1)))
    few = {one["product"]: one["too_few"] for one in told["products"]}
    assert few == {"bolt": True, "clip": True, "hose": True, "late": False}
    assert told["events"] == []
    nothing = told_of(state_of([]))
    assert (nothing["products"], nothing["until"], nothing["charts"]) == ([], None, 0)


def test_one_product_is_told_with_the_cause_that_all_have():
    told = told_of(state_of(rows(change=DARKER)))
    bolt = of_product(told, "bolt")
    assert [one["product"] for one in bolt["products"]] == ["bolt"]
    assert bolt["events"] == told["events"]
    odd = told_of(state_of(rows(change=from_day(FROM, bolt=(1.3, 1, 1)))))
    assert odd["events"][0]["cause"] == "product"
    assert of_product(odd, "hose")["events"] == []


def test_a_server_answers_with_what_its_own_process_found(own_models):
    keep(own_models, rows(change=DARKER))
    with serving(own_models) as line:
        told = line.client.get("/v1/drift").json()
        assert told["events"][0]["cause"] == "camera"
        urls = [one["chart"] for one in told["products"]]
        assert urls == [f"/v1/drift/{name}.svg" for name in ("bolt", "clip", "hose")]
        texts = {}
        for theme in ("light", "dark"):
            answer = line.client.get(urls[0], params={"theme": theme})
            assert answer.headers["content-type"] == "image/svg+xml"
            assert ElementTree.fromstring(answer.text).tag.endswith("svg")
            texts[theme] = answer.text
        assert texts["light"] != texts["dark"]
        assert "<style" not in texts["light"]
        one = line.client.get("/v1/drift", params={"product": "clip"}).json()
        assert [of["product"] for of in one["products"]] == ["clip"]
        assert line.client.get("/v1/drift", params={"product": "none"}).status_code == 404
        for wrong in ("/v1/drift/none.svg", "/v1/drift/bolt.svg?theme=red"):
            assert line.client.get(wrong).status_code == 404
        assert "expected a day" in line.client.get("/v1/drift?since=soon").json()["error"]
        since = f"{START + timedelta(FROM)}"
        assert line.client.get("/v1/drift", params={"since": since}).json()["events"] == []
        assert line.lines[-1].endswith("as 2026-11-02")


def test_a_server_that_has_judged_nothing_says_so(own_models):
    with serving(own_models) as line:
        line.serving.drifting._find = found
        told = line.client.get("/v1/drift").json()
        assert (told["events"], told["products"], told["until"]) == ([], [], None)
        known = line.client.get("/v1/drift", params={"product": "bolt"})
        assert (known.status_code, known.json()["products"]) == (200, [])


def test_a_product_of_any_name_has_its_chart(own_models):
    name = "naïve ½ <b>&?#%"
    keep(own_models, [{**one, "product": name} for one in rows(days=12, products=("a",))])
    with serving(own_models) as line:
        line.serving.drifting._find = found
        (one,) = line.client.get("/v1/drift").json()["products"]
        assert one["chart"] == f"/v1/drift/{quote(name, safe='')}.svg"
        drawing = ElementTree.fromstring(line.client.get(one["chart"]).text)
        assert name in "".join(drawing.itertext())


@pytest.fixture
def log(tmp_path):
    keep(tmp_path, rows(days=3, parts=1, products=("bolt",)))
    return Inspected(tmp_path)


def test_it_is_found_once_until_another_day_is_over(log, monkeypatch):
    asked = []

    def find(files, since):
        asked.append(([path.name for path in files], since))
        return {"told": {"nth": len(asked)}}

    drifting = Drifting(log, find)
    assert [drifting.ask()["told"]["nth"] for _ in range(3)] == [1, 1, 1]
    keep(log.folder.parent, [{"time": f"{inspected._today()}T08:00:00Z"}])  # the running day
    assert drifting.ask()["told"]["nth"] == 1
    keep(log.folder.parent, rows(days=4, parts=1)[-1:])
    assert drifting.ask()["told"]["nth"] == 2
    assert drifting.ask("2026-03-03")["told"]["nth"] == 3
    assert [since for _, since in asked] == ["", "", "2026-03-03"]
    assert asked[1][0] == [f"{START + timedelta(day)}.jsonl" for day in range(4)]
    for day in range(1, 9):
        drifting.ask(f"2026-04-0{day}")
    assert len(drifting._known) == file.MOST


def test_the_answer_of_before_is_given_while_a_new_one_takes_long(log, monkeypatch):
    monkeypatch.setattr(file, "PATIENCE", 0.01)
    free, count = threading.Event(), []

    def find(files, since):
        count.append(1)
        if len(count) > 1:
            free.wait(20)
        return {"nth": len(count)}

    drifting = Drifting(log, find)
    assert drifting.ask() == {"nth": 1}
    keep(log.folder.parent, rows(days=4, parts=1)[-1:])
    assert [drifting.ask() for _ in range(3)] == [{"nth": 1}] * 3
    free.set()
    until(lambda: drifting.ask() == {"nth": 2})
    assert len(count) == 2


def test_a_process_that_was_ended_says_so_and_the_next_is_asked_anew(log):
    tries = []

    def find(files, since):
        tries.append(1)
        if len(tries) == 1:
            raise FedadError("the task 'drift' was ended")
        return {"nth": 2}

    drifting = Drifting(log, find)
    with pytest.raises(FedadError, match="was ended"):
        drifting.ask()
    assert drifting.ask() == {"nth": 2}
