"""Models change while a server judges: each picture is judged by one whole model."""

import json
import shutil
import time

import pytest

from fedad.config import read
from fedad.errors import BusyError, DataError
from fedad.models.by_hand import build_and_keep
from fedad.models.gate import Gate
from fedad.models.store import accept, current, previous
from fedad.serving import served as file
from fedad.serving.teachings import enough_for
from fedad.serving.work import Beside
from tests.serving.conftest import pictures, serving

LENIENT = "gate-false-rejects = 1.0\ngate-lost-defects = 1.0\n"


@pytest.fixture(scope="module")
def two_models(models, settings, tmp_path_factory):
    """Two models, of which the second is current."""
    folder = shutil.copytree(models, tmp_path_factory.mktemp("two") / "models", symlinks=True)
    config = read({**settings.flat(), "coreset.local-ratio": 0.5})
    build_and_keep(config, "lyon", None, folder, Gate(1.0, 1.0))
    assert previous(folder) == current(models)
    return folder


@pytest.fixture
def changing(two_models, tmp_path):
    """A server of two models, with a gate that lets all in."""
    folder = shutil.copytree(two_models, tmp_path / "site" / "models", symlinks=True)
    policy = tmp_path / "policy.toml"
    policy.write_text(LENIENT)
    with serving(folder, policy=policy) as line:
        yield line


def test_the_next_picture_is_judged_by_the_model_that_is_current_then(changing, plants):
    folder, path = changing.serving.served.models, pictures(plants, "blot")[0]
    second, first = current(folder), previous(folder)
    said = {}
    for name in (second, first, second):
        accept(folder, name)
        answer = changing.inspect(path).json()
        (one,) = answer["predictions"]
        assert one["model"] == answer["model_version"] == name
        assert said.setdefault(name, one["score"]) == one["score"]
    assert said[first] != said[second]
    assert f"model {first} judges from now on, {second} did before" in changing.lines


def test_a_model_that_cannot_be_opened_leaves_the_one_before(changing, plants, monkeypatch):
    folder, path = changing.serving.served.models, pictures(plants, "blot")[0]
    second, first = current(folder), previous(folder)
    before = changing.inspect(path).json()["predictions"][0]["score"]
    file_of = folder / first / "model.safetensors"
    content = file_of.read_bytes()
    file_of.write_bytes(content[: len(content) // 2])
    accept(folder, first)
    (one,) = changing.inspect(path).json()["predictions"]
    assert (one["model"], one["score"]) == (second, before)
    ready = changing.client.get("/ready")
    assert ready.status_code == 200
    assert ready.json()["model"] == second
    assert f"model {first} cannot be opened" in ready.json()["notes"][0]
    for _ in range(3):
        changing.inspect(path)
    said = [text for text in changing.lines if "cannot be opened" in text]
    assert len(said) == 1
    assert said[0].endswith(f"{second} goes on")
    file_of.write_bytes(content)
    monkeypatch.setattr(file, "AGAIN", 0.0)
    assert changing.inspect(path).json()["model_version"] == first
    assert changing.client.get("/ready").json()["notes"] == []


def test_back_and_forth_by_the_page(changing, plants):
    folder = changing.serving.served.models
    second, first = current(folder), previous(folder)
    assert changing.client.post("/v1/rollback").json() == {"model": first}
    assert changing.client.get("/ready").json()["model"] == first
    assert changing.client.post(f"/v1/models/{second}/accept").json() == {"model": second}
    assert changing.client.get("/v1/model").json()["model"] == second
    assert changing.client.post("/v1/models/0000/accept").status_code == 400


def test_what_is_said_of_a_model(served, models):
    told = served.client.get("/v1/model").json()
    assert (told["model"], told["site"], told["source"]) == (current(models), "lyon", "built alone")
    assert set(told["products"]) == {"bolt", "hose"}
    one = told["products"]["bolt"]
    inspector = served.serving.served.inspector
    assert one["threshold"] == inspector.limits["bolt"].promise.threshold
    assert (one["wished"], one["stale"], one["parts"]) == (0.2, "", 6)
    assert one["good"] == sorted(good.score for good in inspector.limits["bolt"].good)
    assert len(one["defects"]) == 6
    rates = {row["rate"]: row["threshold"] for row in one["rates"]}
    assert rates[0.2] == one["threshold"]
    assert rates[0.1] is None
    assert "0.143 at best" in next(row["told"] for row in one["rates"] if row["rate"] == 0.1)
    assert one["scale"][0] < one["threshold"] < one["scale"][1] * 4
    assert told["waiting"] == []
    assert told["extras"] == 0
    assert told["limits"] == {"body_bytes": 2**26, "pictures": 16}


def test_a_threshold_is_shown_before_it_is_set(changing, plants):
    asked = {"product": "bolt", "rate": 0.3}
    shown = changing.client.get("/v1/thresholds", params=asked).json()
    assert {"threshold", "told", "good_stopped", "good", "defects_found", "defects"} <= set(shown)
    done = changing.client.post("/v1/thresholds", json=asked).json()
    assert done["accepted"], done
    told = changing.client.get("/v1/model").json()
    assert told["model"] == done["model"]
    assert told["products"]["bolt"]["threshold"] == shown["threshold"]
    (one,) = changing.inspect(pictures(plants, "good")[0]).json()["predictions"]
    assert one["threshold"] == shown["threshold"]
    for rate in (0, 1, -0.1, "x", True, None):
        answer = changing.client.post("/v1/thresholds", json={"product": "bolt", "rate": rate})
        assert answer.status_code == 400
    answer = changing.client.post("/v1/thresholds", json={"product": "bolt", "rate": 0.01})
    assert "at best" in answer.json()["error"]


def test_operators_verdicts_move_a_threshold_when_somebody_says_so(changing, plants):
    for path in (*pictures(plants, "good"), *pictures(plants, "blot")):
        (one,) = changing.inspect(path).json()["predictions"]
        good = path.parent.name == "good"
        word = "right" if (one["verdict"] == "OK") == good else "false_alarm" if good else "missed"
        changing.client.post("/v1/verdicts", json={"id": one["id"], "verdict": word})
    before = changing.client.get("/v1/model").json()["products"]["bolt"]["threshold"]
    shown = changing.client.get("/v1/calibrate", params={"product": "bolt"}).json()
    assert shown["before"] == before
    done = changing.client.post("/v1/calibrate", json={"product": "bolt"})
    if shown["threshold"] is None:
        assert done.status_code == 400
    else:
        assert done.json()["accepted"]
        now = changing.client.get("/v1/model").json()["products"]["bolt"]["threshold"]
        assert now == shown["threshold"]
        assert shown["judged"] > 0


def until_learned(line, id_, seconds=120):
    until = time.monotonic() + seconds
    while (told := line.client.get(f"/v1/teachings/{id_}").json())["state"] == "learning":
        assert time.monotonic() < until, told
        time.sleep(0.1)
    return told


def test_a_product_is_taught_from_the_page_while_pictures_are_judged(changing, unlike, plants):
    id_ = changing.client.post("/v1/teachings", json={"product": "disc"}).json()["id"]
    sent = sorted((unlike / "disc/train/good").iterdir())
    for path in sent:
        answer = changing.client.put(
            f"/v1/teachings/{id_}/pictures",
            params={"name": f"ä {path.name}"},
            content=path.read_bytes(),
        )
        told = answer.json()
    assert told == {"pictures": len(sent), "enough_for": 0.2}
    put = {"params": {"name": "x.png"}, "content": sent[0].read_bytes()}
    assert changing.client.put(f"/v1/teachings/{id_}/pictures", **put).json() == told
    torn = {"params": {"name": "torn.png"}, "content": b"x"}
    answer = changing.client.put(f"/v1/teachings/{id_}/pictures", **torn)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("torn.png: no PNG")
    before = current(changing.serving.served.models)
    assert changing.client.post(f"/v1/teachings/{id_}", json={"rate": 0.2}).status_code == 202
    (one,) = changing.inspect(pictures(plants, "good")[0]).json()["predictions"]
    assert one["model"] == before
    busy = changing.client.post("/v1/rollback")
    assert busy.status_code == 409
    assert changing.client.post(f"/v1/teachings/{id_}", json={"rate": 0.2}).status_code == 409
    told = until_learned(changing, id_)
    assert (told["state"], told["accepted"]) == ("done", True), told
    for defect in ("good", "blot"):
        for path in pictures(unlike, defect, "disc")[:2]:
            (one,) = changing.inspect(path, "disc").json()["predictions"]
            assert (one["product"], one["model"]) == ("disc", told["model"])
    (one,) = changing.inspect(pictures(plants, "good")[0], "bolt").json()["predictions"]
    assert one["product"] == "bolt"
    assert changing.client.delete(f"/v1/teachings/{id_}").status_code == 200
    assert changing.client.get(f"/v1/teachings/{id_}").status_code == 404
    assert len([*changing.serving.served.models.glob(f"taught/{id_}/*.png")]) == len(sent)


def test_what_cannot_be_taught_says_why(changing, unlike, monkeypatch):
    def refusing(note, **task):
        note("learning")
        raise DataError(f"{task['folder']}/0001-x.png: too few")

    monkeypatch.setattr(changing.serving.changes, "beside", refusing)
    teachings = "/v1/teachings"
    for name in ("", "a/b", "..", "mean", "x" * 99):
        assert changing.client.post(teachings, json={"product": name}).status_code == 400
    id_ = changing.client.post(teachings, json={"product": "disc"}).json()["id"]
    answer = changing.client.post(f"{teachings}/{id_}", json={"rate": 0.1})
    assert "no picture was added yet" in answer.json()["error"]
    path = pictures(unlike, "good", "disc")[0]
    changing.client.put(f"{teachings}/{id_}/pictures", content=path.read_bytes())
    changing.client.post(f"{teachings}/{id_}", json={"rate": 0.1})
    told = until_learned(changing, id_)
    assert (told["state"], told["told"]) == ("refused", "0001-x.png: too few")
    changing.client.delete(f"{teachings}/{id_}")
    assert not [*changing.serving.served.models.glob("taught/*")]
    for _ in range(8):
        changing.client.post(teachings, json={"product": "disc"})
    assert changing.client.post(teachings, json={"product": "disc"}).status_code == 409


@pytest.mark.reliability
def test_a_false_alarm_becomes_normal_and_is_one_no_more(changing, plants):
    path = pictures(plants, "blot")[0]
    (one,) = changing.inspect(path).json()["predictions"]
    assert changing.client.get("/v1/normals").json()["normals"] == []
    done = changing.client.post("/v1/normals", json={"id": one["id"]})
    assert done.status_code == 200, done.json()
    told = done.json()
    assert [row["name"] for row in told["normals"]] == [path.name]
    assert told["normals"][0]["sha256"] == one["sha256"]
    assert told["accepted"], told
    assert changing.client.get("/v1/model").json()["extras"] == 1
    (again,) = changing.inspect(path).json()["predictions"]
    assert again["model"] == told["model"]
    assert again["score"] < one["score"]
    assert changing.client.post("/v1/normals", json={"id": one["id"]}).status_code == 400
    gone = changing.client.delete(f"/v1/normals/{one['sha256']}").json()
    assert gone["normals"] == []
    (back,) = changing.inspect(path).json()["predictions"]
    assert back["score"] == one["score"]
    changing.serving.seen(one["id"]).forget()
    answer = changing.client.post("/v1/normals", json={"id": one["id"]})
    assert (answer.status_code, "not in memory any more" in answer.json()["error"]) == (404, True)


def test_one_change_at_a_time(changing):
    with (
        changing.serving.changes.alone(),
        pytest.raises(BusyError, match="under way"),
        changing.serving.changes.alone(),
    ):
        pass
    assert changing.client.post("/v1/rollback").status_code == 200


@pytest.mark.reliability
def test_a_task_beside_the_server_brings_its_error_back_in_one_line(own_models, tmp_path):
    task = {"do": "remove_normal", "models": str(own_models), "sha256": "77", "knobs": {}}
    with pytest.raises(DataError, match="0 added normals have a sha256"):
        Beside(task).run()
    assert json.dumps(task)


@pytest.mark.parametrize(("parts", "rate"), [(0, None), (3, None), (4, 0.2), (9, 0.1), (99, 0.01)])
def test_how_many_pictures_promise_which_rate(parts, rate):
    assert enough_for(parts) == rate
