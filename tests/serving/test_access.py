"""Who may ask: a stranger without a token gets nothing, and no page of another site does."""

import os
import re
import stat

import pytest

from fedad.deploy.certificates import make_keys
from fedad.errors import ConfigError, DataError
from fedad.serving import app, changing
from fedad.serving.access import Access, is_loopback, token_at
from fedad.serving.refusals import RefusedError
from fedad.serving.server import Settings, access_of, folder_of
from tests.serving.conftest import HERE, pictures, serving

TOKEN = "a-token-of-some-length"


@pytest.fixture(scope="module")
def locked(models):
    """A server that others reach, as line-4."""
    with serving(models, Access(TOKEN, ("line-4.plant", "*.cell.plant"), loopback=False)) as line:
        yield line


def routes():
    """Every route, with its methods; what is between braces stands for a word."""
    own = (app.about, app.inspections, app.verdicts)
    for some in (*own, changing.thresholds, changing.teaching, changing.models):
        for route in some.routes:
            for method in route.methods:
                yield method, re.sub(r"\{[^}]*\}", "0123456789abcdef", route.path)


def test_a_stranger_without_a_token_gets_nothing(locked, plants):
    found = [*routes()]
    assert len(found) > 25
    for given in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}):
        for method, path in found:
            if path in ("/", "/health") or path.startswith("/page/"):
                continue
            answer = locked.client.request(method, path, headers=given)
            assert answer.status_code == 401, (method, path)
            if method != "HEAD":
                assert answer.json().keys() == {"error"}
            assert answer.headers["www-authenticate"] == "Bearer"
    assert locked.client.get("/health").json() == {"status": "ok"}
    assert locked.client.get("/v1/model?token=" + TOKEN).status_code == 401
    locked.client.headers["Authorization"] = f"bearer {TOKEN}"
    assert locked.inspect(pictures(plants, "good")[0]).status_code == 200
    assert locked.client.get("/ready").status_code == 200
    del locked.client.headers["Authorization"]


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [
        ("127.0.0.1", True),
        ("127.0.0.1:8400", True),
        ("localhost:99", True),
        ("LOCALHOST.", True),
        ("[::1]:8400", True),
        ("127.9.9.9", True),
        ("10.0.0.5", False),
        ("rebound.example", False),
        ("localhost.rebound.example", False),
        ("", False),
        ("127.0.0.1@rebound.example", False),
        ("[::1", False),
    ],
)
def test_a_name_that_leads_here_is_none_of_ours(served, host, is_ours):
    """DNS rebinding: a page of another site by a name of its own."""
    answer = served.client.get("/v1/model", headers={"Host": host})
    assert answer.status_code == (200 if is_ours else 403), answer.text


def test_others_call_a_server_by_its_certificates_names_or_an_address():
    access = Access(TOKEN, ("line-4.plant", "*.cell.plant"), loopback=False)
    headers = {"authorization": f"Bearer {TOKEN}"}
    for host in ("line-4.plant:8400", "LINE-4.plant", "a.cell.plant", "10.0.0.5:8400", "[fe80::1]"):
        access.check("GET", "/v1/model", {**headers, "host": host})
    for host in ("line-5.plant", "cell.plant", "a.b.cell.plant", "cell.plant.evil", "xcell.plant"):
        with pytest.raises(RefusedError, match="not called so"):
            access.check("GET", "/v1/model", {**headers, "host": host})


@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        ({}, True),
        ({"Origin": HERE}, True),
        ({"Origin": "https://127.0.0.1:8400"}, True),
        ({"Origin": "http://127.0.0.1:8401"}, False),
        ({"Origin": "http://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": ""}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
    ],
)
def test_a_write_comes_from_the_servers_own_page_or_from_none(served, headers, passes):
    answer = served.client.post(
        "/v1/verdicts", json={"id": "x", "verdict": "right"}, headers=headers
    )
    assert answer.status_code == (404 if passes else 403)  # there is no inspection x


def test_headers_that_decide_stand_once(served):
    twice = [("Host", "127.0.0.1"), ("Host", "evil.example")]
    assert served.client.get("/health", headers=twice).status_code == 400


def test_every_answer_keeps_the_page_to_itself(served):
    for path in ("/", "/health", "/v1/model", "/nothing", "/v1/inspections/x"):
        headers = served.client.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'self'; img-src 'self'")
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["server"] == "fedad"
        assert headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in headers
    assert served.client.options("/v1/inspect", headers={"Origin": "http://x"}).status_code == 405


def test_a_token_is_made_for_its_owner_alone(tmp_path):
    path = tmp_path / "keys" / "token"
    token, made = token_at(path)
    assert made
    assert len(token) > 40
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert token_at(path) == (token, False)
    os.chmod(path, 0o644)
    with pytest.raises(ConfigError, match=r"other users may read the token: chmod 600"):
        token_at(path)
    os.chmod(path, 0o600)
    for text in ("", "short", "a token with spaces in it", "ein-Schlüssel-mit-Umlaut"):
        path.write_text(text)
        with pytest.raises(ConfigError, match="expected a token of 16 letters"):
            token_at(path)
    with pytest.raises(ConfigError, match="expected a file with a token"):
        token_at(tmp_path)


def test_nothing_but_this_machine_is_let_in_without_a_token_and_tls(tmp_path, models):
    said = []
    make_keys(tmp_path / "certs", hosts=["line-4.plant", "10.0.0.5"], sites=[], days=9)
    pair = [tmp_path / "certs" / "server" / f"superlink.{ending}" for ending in ("crt", "key")]
    token = tmp_path / "token"
    for how, lacking in (
        ({}, "--token-file and --certificate and --key"),
        ({"token_file": token}, "--certificate and --key"),
        ({"certificate": pair[0], "key": pair[1]}, "--token-file"),
    ):
        with pytest.raises(ConfigError, match=f"others could reach it: expected {lacking} as well"):
            access_of(Settings(models, host="0.0.0.0", **how), said.append)
    assert not token.exists()
    how = {"token_file": token, "certificate": pair[0], "key": pair[1], "names": ("proxy.plant",)}
    access, secured = access_of(Settings(models, host="0.0.0.0", **how), said.append)
    assert secured
    assert access.token == token.read_text().strip()
    assert {"line-4.plant", "proxy.plant"} <= {*access.names}
    assert said == [f"the token that requests and the page need is in {token}"]
    with pytest.raises(ConfigError, match="expected both, or none"):
        access_of(Settings(models, certificate=pair[0]), said.append)
    with pytest.raises(ConfigError, match="expected a certificate and its key in PEM"):
        access_of(Settings(models, certificate=pair[1], key=pair[0]), said.append)
    access, secured = access_of(Settings(models), said.append)
    assert (access.token, access.loopback, secured) == ("", True, False)


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("line", False)],
)
def test_loopback(host, expected):
    assert is_loopback(host) == expected


def test_a_folder_that_is_not_there_says_what_makes_one(tmp_path, models, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"fedad bank build NAME --site SITE --models .* makes one"):
        folder_of(models.parent / "nowhere" / "models")
    (tmp_path / "runs/latest/sites/lyon/models").mkdir(parents=True)
    with pytest.raises(DataError, match="there are runs/latest/sites/lyon/models: name one"):
        folder_of(tmp_path / "nowhere")
    assert folder_of(models) == folder_of(models.parent) == models
