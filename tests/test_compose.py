"""docker/compose.yaml and the bare processes of `make federation`: the same commands and flags."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from fedad.deploy import services
from fedad.deploy.certificates import make_keys
from fedad.deploy.federation import _FEDAD, Federation
from fedad.deploy.services import Kit, Listen
from fedad.running.flower import environment_of

DOCKER = Path(__file__).parents[1] / "docker"
SITES = ("lyon", "graz")
ADDRESS = re.compile(r"[\w.-]+:\d+")


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]


@pytest.fixture
def bare(tmp_path):
    up = Federation(tmp_path, {site: tmp_path / site for site in SITES})
    return up.commands()


def expected():
    """What the compose file has to say, by the functions that the bare processes come from."""
    keys = Path("/keys")
    found = {
        "superlink": services.superlink(
            keys, Path("/state/superlink.db"), Listen("0.0.0.0", services.SUPERLINK_PORT)
        ),
        "superexec": services.superexec(keys, "superlink:8000"),
        "proxy": services.proxy(Path("/etc/fedad/nginx.conf")),
    }
    for site in SITES:
        kit = Kit(site, keys, Path("/data"), Path("/output"))
        listen = Listen("0.0.0.0", services.SUPERNODE_PORT)
        found[f"{site}-supernode"] = services.supernode(kit, "fedad.example:8443", listen)
        found[f"{site}-superexec"] = services.guarded(
            kit, services.site_superexec(kit, f"{site}-supernode:9094")
        )
    return {name: services.supervised(command) for name, command in found.items()}


def test_the_policy_that_the_comments_offer_is_what_the_functions_would_say():
    """A plant takes two lines out of their comments: its SuperNode's last word, and a mount."""
    text = (DOCKER / "compose.yaml").read_text()
    text = re.sub(r"# with a policy, not the next line but: (- .*)\n.*", r"\1", text)
    offered = yaml.safe_load(re.sub(r"# with a policy: (- .*)", r"\1", text))["services"]
    for site in SITES:
        kit = Kit(site, Path("/keys"), Path("/data"), Path("/output"), Path("/policy.toml"))
        node = services.supernode(kit, "fedad.example:8443", Listen("0.0.0.0", 9094))
        assert offered[f"{site}-supernode"]["command"] == services.supervised(node)
        mount = f"../policies/{site}.toml:{kit.policy}:ro"
        assert mount in offered[f"{site}-superexec"]["volumes"]


def shape(command):
    """A command with places in place of addresses and folders, and of `fedad` as it is not
    installed."""
    words = "\0".join(command).replace("\0".join(_FEDAD), "fedad").split("\0")
    return [
        re.sub(r"\S*/[^\s\"]*", "PATH", ADDRESS.sub("ADDRESS", word))
        if not word.replace(".", "").isdigit()
        else "NUMBER"
        for word in words
    ]


def test_the_compose_file_has_the_commands_of_the_functions(compose):
    assert {name: service["command"] for name, service in compose.items()} == expected()


def test_the_bare_processes_have_the_same_commands_and_flags(compose, bare):
    assert set(compose) == set(bare)
    for name, service in compose.items():
        assert shape(service["command"]) == shape(bare[name]), name


def test_a_flag_that_only_one_of_them_has_is_seen(compose, bare):
    command = compose["superlink"]["command"]
    assert shape([w for w in command if w != "--enable-supernode-auth"]) != shape(bare["superlink"])


def test_the_proxys_configuration_is_that_of_the_bare_one():
    made = services.proxy_configuration(
        Path("/keys"), Path("/scratch"), Listen("0.0.0.0", services.PROXY_PORT), "superlink:8000"
    )
    assert (DOCKER / "nginx.conf").read_text() == made


def test_only_a_sites_superexec_sees_images_and_nothing_else_reaches_it(compose):
    for name, service in compose.items():
        mounts = [volume.split(":")[1] for volume in service["volumes"]]
        site = name.partition("-")[0]
        assert ("/data" in mounts) == (name in [f"{one}-superexec" for one in SITES])
        if "/data" in mounts:
            assert service["networks"] == [site]
            assert f"../data/{site}:/data:ro" in service["volumes"]


def test_the_superlinks_port_is_open_to_the_server_alone(compose):
    assert [name for name, service in compose.items() if "ports" in service] == ["proxy"]
    reached = {name for name, service in compose.items() if "server" in service["networks"]}
    assert reached == {"superlink", "superexec", "proxy"}


def test_whoever_is_told_to_reach_the_proxy_finds_it_by_its_name(compose):
    """SuperNodes by their commands, and the server's preflight by README's."""
    readme = (DOCKER.parent / "README.md").read_text().replace("\\\n", " ")
    (line,) = re.findall(r"exec superexec fedad preflight server .*", readme)
    (name,) = re.findall(r"--proxy ([\w.-]+):8443", line)
    asking = [one for one, service in compose.items() if f"{name}:8443" in service["command"]]
    assert asking == [f"{site}-supernode" for site in SITES]
    for one in ("superexec", *asking):
        networks = compose["proxy"]["networks"]
        assert any(
            name in (networks.get(shared) or {}).get("aliases", ())
            for shared in compose[one]["networks"]
        ), one


def test_every_service_starts_again_and_has_no_privileges(compose):
    for service in compose.values():
        assert service["restart"] == "unless-stopped"
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert "mem_limit" in service


def test_the_image_has_the_environment_of_the_bare_processes(tmp_path):
    text = (DOCKER / "Dockerfile").read_text().replace("\\\n", " ")
    (line,) = re.findall(r"^ENV (.*)$", text, re.MULTILINE)
    image, bare = dict(word.split("=") for word in line.split()), environment_of(tmp_path)
    flower = {name: value for name, value in bare.items() if name.startswith("FLWR_")}
    assert {name: image[name] for name in flower if name != "FLWR_HOME"} == {
        name: value for name, value in flower.items() if name != "FLWR_HOME"
    }
    assert "USER fedad" in text


@pytest.fixture(scope="module")
def sees(compose, tmp_path_factory):
    """Service -> the files of keys that it sees, as `fedad certs` lays them out: (folder, name)."""
    root = tmp_path_factory.mktemp("compose")
    make_keys(root / "keys", hosts=["fedad.example"], sites=SITES, days=30)

    def files_of(service):
        for volume in service["volumes"]:
            there = (root / "docker" / volume.split(":")[0]).resolve()
            for path in (there, *there.rglob("*")):
                if path.is_file() and path.is_relative_to(root / "keys"):
                    yield path.relative_to(root / "keys").as_posix()

    (root / "docker").mkdir()
    return {name: set(files_of(service)) for name, service in compose.items()}


def test_no_container_sees_the_authoritys_key(compose, sees):
    assert all(sees.values())
    for files in sees.values():
        assert not [name for name in files if name.startswith("authority/")]
    for service in compose.values():  # nor by a folder above it, whatever is laid there later
        assert not {v.split(":")[0] for v in service["volumes"]} & {"..", "../keys", "/", "../"}


def test_the_proxy_sees_its_certificate_and_who_may_come_and_no_secret(sees):
    server = {f"server/{name}" for name in ("ca.crt", "superlink.crt", "superlink.key")}
    known = {f"server/sites/{site}.{ending}" for site in SITES for ending in ("pub", "known")}
    assert sees["proxy"] == server | known


def test_what_runs_apps_does_not_see_the_key_by_which_its_site_is_known(sees):
    for site in SITES:
        assert sees[f"{site}-superexec"] == {f"{site}/superexec.secret"}
        assert {name.partition("/")[0] for name in sees[f"{site}-supernode"]} == {site}


def test_bodies_lie_on_a_disk_and_not_in_memory(compose):
    text, proxy = (DOCKER / "nginx.conf").read_text(), compose["proxy"]
    (place,) = re.findall(r"client_body_temp_path (\S+);", text)
    mounts = {volume.split(":")[1]: volume.split(":")[0] for volume in proxy["volumes"]}
    (mount,) = (Path(m) for m in mounts if Path(place).is_relative_to(m))
    assert mounts[str(mount)] == "proxy-scratch"
    assert not any(Path(place).is_relative_to(tmpfs) for tmpfs in proxy["tmpfs"])
    (files,) = re.findall(r"worker_rlimit_nofile (\d+);", text)
    assert proxy["ulimits"]["nofile"] == int(files)
    assert str(mount) in (DOCKER / "Dockerfile").read_text()  # owned by who runs there


def test_every_service_is_the_user_whom_the_operator_names(compose):
    assert {service["user"] for service in compose.values()} == {"${FEDAD_UID:-10001}"}
    text = (DOCKER / "Dockerfile").read_text()
    assert "ARG UID=10001" in text
    assert 'useradd --uid "${UID}"' in text
    assert {service["build"]["args"]["UID"] for service in compose.values()} == {
        "${FEDAD_UID:-10001}"
    }


def test_docker_looks_whether_each_process_is_well(compose):
    """By words that `fedad.deploy.health` knows, of files and ports that the service has."""
    for name, service in compose.items():
        _, python, module, what, *words = service["healthcheck"]["test"]
        assert [python, module, what] == ["python", "-m", "fedad.deploy.health"]
        kind = name.rpartition("-")[2]
        assert words[0] == ("process" if kind == "superexec" else kind)
        if kind == "superexec":
            assert words[1] in service["command"]
        else:
            ports = {"superlink": 8000, "proxy": 8443, "supernode": 9094}
            assert words[1] == f"localhost:{ports[kind]}"
        assert set(words[2:]) <= {"/keys/ca.crt"}
        assert service["environment"]["FEDAD_LOG"] == "${FEDAD_LOG:-}"


BASE = "python:3.11-slim-bookworm@sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("base", "good"),
    [
        (BASE, True),
        ("python:3.11-slim-bookworm", False),
        ("", False),
        (BASE[:-1], False),
        (BASE.replace("sha256", "md5"), False),
        (f"{BASE} --other", False),
    ],
)
def test_the_image_is_made_from_a_base_by_its_digest_alone(base, good):
    """Nothing is the default: a digest is looked up by who builds, where a registry is reached."""
    text = (DOCKER / "Dockerfile").read_text()
    first, *_ = re.findall(r"^[A-Z]+ .*", text, re.MULTILINE)
    assert first == "ARG BASE"
    assert re.findall(r"^FROM .*", text, re.MULTILINE) == ["FROM ${BASE}"]
    look = re.search(r"^RUN (echo .*?)\n\n", text, re.MULTILINE | re.DOTALL).group(1)
    done = subprocess.run(
        ["sh", "-c", look], check=False, env={"BASE": base, "PATH": os.environ["PATH"]}
    )
    assert (done.returncode == 0) == good
