"""What a server says of pictures is what the command says, whatever is sent to it."""

import base64
import io
import json
import re
import threading

import numpy as np
import pytest
from PIL import Image

from fedad.errors import BadFileError
from fedad.inspection.recognise import NONE_KNOWN, Candidate, recognised
from fedad.judging.looks import Looks
from fedad.judging.verdict_words import AGAIN, NOK, OK, UNREADABLE
from fedad.serving.bodies import MOST_PICTURES, Held
from fedad.serving.recent import Recent
from fedad.serving.served import Served
from tests.bad_data.cases import train_file
from tests.bad_data.image_cases import BOMBS, BROKEN, CUT, FOREIGN, IMAGES
from tests.serving.conftest import pictures, serving

UNLIKE = ("seconds", "id", "sha256", "time", "width", "height", "scale", "pictures", "operator")


def same(told):
    """What a verdict says of the picture alone."""
    return {name: value for name, value in told.items() if name not in UNLIKE}


def all_pictures(plants, products=("bolt", "hose")):
    return [
        (path, product)
        for product in products
        for defect in ("good", "blot")
        for path in pictures(plants, defect, product)[:2]
    ]


def test_a_picture_by_the_page_is_judged_as_by_the_command(served, fedad, models, plants):
    verdicts = set()
    for product in ("bolt", "hose"):
        for path in (
            *pictures(plants, "good", product)[:2],
            *pictures(plants, "blot", product)[:2],
        ):
            words = ("inspect", path, "--models", models, "--product", product, "--jsonl", "-")
            by_command = json.loads(fedad(*words)[2])
            answer = served.inspect(path, product).json()
            (by_page,) = answer["predictions"]
            assert same(by_page) == same(by_command)
            assert answer["model_version"] == by_page["model"]
            assert (by_page["height"], by_page["width"]) == (60, 72)
            verdicts.add(by_page["verdict"])
    assert {OK, NOK} <= verdicts


def test_a_file_its_bytes_and_any_form_of_it_are_judged_alike(served, plants, tmp_path):
    inspector = served.serving.served.inspector
    image = Image.open(pictures(plants, "blot")[0])
    deep = Image.fromarray((np.asarray(image.convert("L")).astype(np.uint16) << 8) + 77)
    for name, form in (("a.jpg", image), ("b.bmp", image), ("c.tif", image), ("d.png", deep)):
        form.save(tmp_path / name)
        (by_page,) = served.inspect(tmp_path / name).json()["predictions"]
        assert same(by_page) == same(inspector.inspect(tmp_path / name, "bolt").told())
    with pytest.raises(BadFileError, match="no bytes"):
        inspector.inspect(b"", "bolt", "empty.png")


def test_pictures_in_json_are_those_of_raw_bodies(served, plants):
    some = all_pictures(plants)
    instances = [
        {"image": {"b64": base64.b64encode(path.read_bytes()).decode()}, "product": of, "name": "x"}
        for path, of in some
    ]
    torn = {"image": {"b64": base64.b64encode(b"no picture").decode()}, "name": "torn.png"}
    told = served.client.post("/v1/inspect", json={"instances": [*instances, torn]}).json()
    *found, last = told["predictions"]
    for (path, product), one in zip(some, found, strict=True):
        (raw,) = served.inspect(path, product).json()["predictions"]
        assert {**same(one), "image": path.name} == same(raw)
    assert (last["verdict"], last["image"]) == (UNREADABLE, "torn.png")
    assert "torn.png: no PNG, JPEG, BMP or TIFF" in last["reason"]


def test_a_product_is_recognised_and_a_stranger_is_of_none(told_apart, unlike):
    with serving(told_apart) as line:
        for path, product in all_pictures(unlike, ("bolt", "disc")):
            (one,) = line.inspect(path, "").json()["predictions"]
            assert one["recognised"]
            assert one["product"] == product, path
            (chosen,) = line.inspect(path, product).json()["predictions"]
            assert {**same(one), "recognised": False} == same(chosen)
        noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
        one = line.serving.served.inspector.inspect(noise)
        assert (one.verdict, one.reason) == (AGAIN, NONE_KNOWN)
        assert one.line().startswith(f"{AGAIN} picture ({one.product}, recognised)")


def test_a_picture_is_embedded_once_whatever_it_may_be(served, plants, monkeypatch):
    backbone, seen = served.serving.served.inspector.embed.backbone, []
    inside = backbone.model.forward_intermediates

    def watched(images, **how):
        seen.append(len(images))
        return inside(images, **how)

    monkeypatch.setattr(backbone.model, "forward_intermediates", watched, raising=False)
    served.inspect(pictures(plants, "good")[0], "")
    assert seen == [1]


def test_the_least_odd_product_is_by_its_own_measure():
    """A product whose good pictures differ much does not win all others' pictures."""
    wide, narrow = Looks(0, 0, 10.0, 9), Looks(0, 0, 3.0, 9)
    scale = (0.0, 8.0)
    assert (
        recognised({"wide": Candidate(6, wide, scale), "it": Candidate(1, narrow, scale)}) == "it"
    )
    below = Looks(0, 0, -1.0, 9)
    assert Candidate(-1.0, below, scale).strangeness == 1
    assert Candidate(-5.0, below, scale).strangeness < 1 < Candidate(0.0, below, scale).strangeness


def test_several_products_in_one_folder_are_recognised(fedad, told_apart, unlike, tmp_path):
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for path, product in all_pictures(unlike, ("bolt", "disc")):
        (mixed / f"{product}-{path.parent.name}-{path.name}").write_bytes(path.read_bytes())
    code, err, out = fedad("inspect", mixed, "--models", told_apart, "--jsonl", tmp_path / "rows")
    assert code in (0, 10, 11), err
    assert "names no product of the model: each picture's is recognised" in err
    rows = [json.loads(line) for line in (tmp_path / "rows").read_text().splitlines()]
    assert all(row["image"].startswith(f"{row['product']}-") for row in rows)
    assert "(bolt, recognised)" in out


CLAIMS = [one for one in BOMBS if "claim" in one.name]


def test_the_bad_pictures_get_one_line_each_and_the_server_lives(served, plants, tmp_path):
    assert refused_of([*CUT, *FOREIGN, *BROKEN, *CLAIMS], served, plants, tmp_path) > 40


@pytest.mark.reliability
def test_all_bad_pictures_get_one_line_each_and_the_server_lives(served, plants, tmp_path):
    cases = [one for one in IMAGES if one.read != "ordinary user" and not one.knobs]
    assert refused_of(cases, served, plants, tmp_path) > 50


def refused_of(cases, served, plants, tmp_path):
    """How many of the cases' pictures are refused; each is judged or gets its line, and a good one
    has the same verdict afterwards."""
    good = pictures(plants, "good")[0]
    before = same(served.inspect(good).json()["predictions"][0])
    refused = 0
    for number, case in enumerate(cases):
        root = draw_plant_file(tmp_path / f"{number}")
        case.build(root)
        for path in train_file(root).parent.iterdir():
            if not path.is_file() or path.stat().st_size > 2**26:
                continue
            lines = len(served.lines)
            name = path.name.encode(errors="replace").decode()
            answer = served.inspect(path, name=name)
            told = answer.json()
            if answer.status_code == 200:
                assert told["predictions"][0]["verdict"] in (OK, NOK, AGAIN)
                continue
            refused += 1
            assert answer.status_code == 400, (case.name, told)
            assert set(told) == {"error"}
            assert told["error"].isprintable()
            assert len(served.lines) == lines + 1
    assert same(served.inspect(good).json()["predictions"][0]) == before
    return refused


def draw_plant_file(root):
    """As much of a plant as a case of one image needs."""
    train_file(root).parent.mkdir(parents=True)
    truth = root / "bolt/ground_truth/blot/0007"
    truth.mkdir(parents=True)
    (root / "bolt/test/good").mkdir(parents=True)
    Image.new("L", (24, 20)).save(truth / "0000.png")
    Image.new("RGB", (24, 20)).save(train_file(root, "0000.png"))
    return root


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (b"", "instances: expected a list"),
        (b"{", "no JSON"),
        (b"[" * 100, "no JSON"),
        (b"[]", "expected a JSON object"),
        (b'{"instances": []}', "1 to 16"),
        (b'{"instances": [{"image": {"b64": "%"}}]}', r"instances\[0\]: expected image\.b64"),
        (b'{"instances": [{"image": "x"}]}', r"instances\[0\]"),
        (b'{"instances": [{"image": {"b64": ""}, "product": 7}]}', "product = 7: expected a text"),
    ],
)
def test_json_that_is_not_understood_says_what_was_expected(served, body, line):
    answer = served.client.post(
        "/v1/inspect", content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 400
    assert re.search(line, answer.json()["error"]), answer.json()


def test_other_values_that_cannot_be_say_so(served, plants):
    path = pictures(plants, "good")[0]
    answer = served.inspect(path, "bolts")
    assert answer.status_code == 400
    assert "did you mean 'bolt'" in answer.json()["error"]
    answer = served.client.post("/v1/inspect", content=b"x", headers={"Content-Type": "text/plain"})
    assert "expected image/png" in answer.json()["error"]
    many = {"instances": [{"image": {"b64": ""}}] * (MOST_PICTURES + 1)}
    assert served.client.post("/v1/inspect", json=many).status_code == 400
    assert served.client.get("/v1/inspections", params={"last": "x"}).status_code == 400
    assert served.client.get("/v1/inspections/nothing").status_code == 404
    assert served.client.get("/v2/anything").json() == {"error": "Not Found"}
    assert served.client.get("/page/../app.py").status_code == 404
    assert served.client.get("/page/%2e%2e%2fapp.py").status_code == 404


def test_a_name_is_shown_without_folders_or_control_characters(served, plants):
    path = pictures(plants, "good")[0]
    for given, kept in (
        ("C:\\cam\\part.png", "part.png"),
        ("../../etc/passwd", "passwd"),
        ("a\x1b[2J.png", "a\\x1b[2J.png"),
        ("", "picture"),
    ):
        (one,) = served.inspect(path, name=given).json()["predictions"]
        assert one["image"] == kept


def test_the_last_inspections_are_a_strip_with_their_pictures(served, plants):
    good, bad = pictures(plants, "good")[0], pictures(plants, "blot")[0]
    served.inspect(good)
    (one,) = served.inspect(bad).json()["predictions"]
    listed = served.client.get("/v1/inspections", params={"last": 2}).json()["inspections"]
    assert [row["image"] for row in listed] == [bad.name, good.name]
    assert served.client.get(f"/v1/inspections/{one['id']}").json() == one
    sizes = {}
    for kind, url in one["pictures"].items():
        answer = served.client.get(url)
        assert answer.headers["content-type"] == "image/png", kind
        sizes[kind] = Image.open(io.BytesIO(answer.content)).size
    assert one["verdict"] == NOK
    assert set(sizes) == {"picture", "heat", "overlay", "odd", "alike"}
    assert sizes["picture"] == sizes["heat"] == (72, 60)
    assert served.client.get(f"/v1/inspections/{one['id']}/other.png").status_code == 404
    assert listed[1]["pictures"]["alike"] is None


def test_memory_of_recent_inspections_is_bounded(served, plants):
    one = served.serving.served.inspector.inspect(pictures(plants, "good")[0], "bolt")
    recent = Recent(most=6, pictured=3, most_bytes=25)
    added = [recent.add(one, bytes(10)) for _ in range(9)]
    kept = recent.last(99)
    assert [seen.id for seen in kept] == [seen.id for seen in reversed(added[3:])]
    assert [seen.one is not None for seen in kept] == [True] * 3 + [False] * 3
    assert [seen.content is not None for seen in kept] == [True] * 2 + [False] * 4
    assert kept[5].as_json()["pictures"]["picture"] is None
    assert len({seen.id for seen in added}) == 9


def test_a_body_that_is_too_large_is_refused_whether_it_says_so_or_not(own, plants):
    own.serving.held = Held(most=3000)
    content = pictures(plants, "good")[0].read_bytes()
    assert len(content) > 3000
    headers = {"Content-Type": "image/png"}
    for body in (content, iter([content[:2000], content[2000:]])):
        answer = own.client.post("/v1/inspect", content=body, headers=headers)
        assert answer.status_code == 413
        assert "at most 0 MiB" in answer.json()["error"]
    assert own.serving.held.bytes == 0


def test_bodies_that_are_too_much_together_wait_outside(own, plants):
    own.serving.held = Held(together=9_000_000)
    own.serving.held.bytes = 9_000_000
    answer = own.inspect(pictures(plants, "good")[0])
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


def test_a_full_queue_says_when_to_come_again(own, plants):
    served, path = own.serving.served, pictures(plants, "good")[0]
    going, free = threading.Event(), threading.Event()
    inside = served.inspector.inspect

    def slow(*words):
        going.set()
        free.wait(20)
        return inside(*words)

    served.inspector.inspect, served.most = slow, 2
    answers = []
    asking = [threading.Thread(target=lambda: answers.append(own.inspect(path))) for _ in range(3)]
    asking[0].start()
    assert going.wait(20)
    for thread in asking[1:]:
        thread.start()
    while served.queued < 2:
        pass
    refused = own.inspect(path)
    free.set()
    for thread in asking:
        thread.join()
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert [one.status_code for one in answers] == [200] * 3
    assert 'fedad_errors_total{kind="queue"} 1' in own.client.get("/metrics").text


def test_without_a_model_it_says_so_and_judges_once_there_is_one(own_models, models, plants):
    (own_models / "current").unlink()
    with serving(own_models) as line:
        assert line.client.get("/health").status_code == 200
        assert line.client.get("/ready").status_code == 503
        answer = line.inspect(pictures(plants, "good")[0])
        assert answer.status_code == 503
        assert "no model judges yet" in answer.json()["error"]
        (own_models / "current").symlink_to((models / "current").readlink())
        while line.client.get("/ready").status_code != 200:
            pass
        assert line.inspect(pictures(plants, "good")[0]).status_code == 200


def test_an_error_of_our_own_is_one_line_and_a_file(own, plants, monkeypatch):
    monkeypatch.setattr(own.serving.recent, "add", lambda *words: 1 / 0)
    answer = own.inspect(pictures(plants, "good")[0])
    assert answer.status_code == 500
    assert re.search(r"fedad itself failed \(ZeroDivisionError\).*crash\.txt", own.lines[-1])
    assert len(own.lines) == 1
    assert "Traceback" not in answer.text


def test_who_waits_when_the_server_ends_is_told(own_models, plants):
    served = Served(own_models)
    served.start()
    served.stop()
    with pytest.raises(Exception, match="the server ends"):
        served.submit([("x", "bolt", "x")])
