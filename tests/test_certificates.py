"""The keys of a federation: who signed what, who may read it, and what is never overwritten."""

import errno
import os
import shutil
import stat
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from fedad.deploy.certificates import make_keys, public_of
from fedad.errors import ConfigError, DataError

HOSTS = ("fedad.example", "10.0.0.5")


@pytest.fixture
def keys(tmp_path):
    make_keys(tmp_path, hosts=HOSTS, sites=["lyon", "graz"], days=30)
    return tmp_path


def certificate(path):
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_the_authority_has_signed_the_servers_certificate_for_its_names(keys):
    authority = certificate(keys / "authority" / "ca.crt")
    server = certificate(keys / "server" / "superlink.crt")
    server.verify_directly_issued_by(authority)
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"fedad.example", "localhost", "superlink"} <= set(
        names.get_values_for_type(x509.DNSName)
    )
    addresses = map(str, names.get_values_for_type(x509.IPAddress))
    assert set(addresses) == {"10.0.0.5", "127.0.0.1"}
    left = server.not_valid_after_utc - datetime.now(UTC)
    assert timedelta(days=29) < left <= timedelta(days=30)
    for site in ("lyon", "graz"):
        assert (keys / site / "ca.crt").read_bytes() == (keys / "authority" / "ca.crt").read_bytes()


def test_every_site_has_a_key_of_its_own_that_the_server_knows_the_public_half_of(keys):
    public = set()
    for site in ("lyon", "graz"):
        key = serialization.load_ssh_private_key((keys / site / "node.key").read_bytes(), None)
        assert isinstance(key.curve, ec.SECP384R1)
        told = (keys / "server" / "sites" / f"{site}.pub").read_bytes()
        assert told == (keys / site / "node.pub").read_bytes()
        assert told.split()[:2] == public_of(keys / site / "node.key").split()
        public.add(told.split()[1])
    assert len(public) == 2


def test_private_files_are_for_their_owner_alone(keys):
    private = [path for path in keys.rglob("*") if path.suffix in (".key", ".secret")]
    assert len(private) == 7
    assert {stat.S_IMODE(path.stat().st_mode) for path in private} == {0o600}


def test_more_sites_come_by_the_same_authority_and_nothing_is_replaced(keys):
    before = (keys / "authority" / "ca.key").read_bytes()
    make_keys(keys, hosts=(), sites=["turin"], days=30)
    assert (keys / "turin" / "ca.crt").read_bytes() == (keys / "lyon" / "ca.crt").read_bytes()
    assert (keys / "authority" / "ca.key").read_bytes() == before
    held = (keys / "lyon" / "node.key").read_bytes()
    with pytest.raises(DataError, match=r"lyon/ca\.crt: is there already"):
        make_keys(keys, hosts=(), sites=["oslo", "lyon"], days=30)
    assert (keys / "lyon" / "node.key").read_bytes() == held
    assert not (keys / "oslo").exists()


def test_a_disk_that_is_full_midway_leaves_nothing_and_the_next_call_works(tmp_path, monkeypatch):
    def full(file, *how, **words):
        if len(list(tmp_path.rglob("*.*"))) > room:
            os.close(file)
            raise OSError(errno.ENOSPC, "No space left on device")
        return fdopen(file, *how, **words)

    fdopen, folder, room = os.fdopen, tmp_path / "new" / "keys", 8
    monkeypatch.setattr(os, "fdopen", full)
    with pytest.raises(DataError, match=r"cannot be written \(No space left .* is the disk full"):
        make_keys(folder, hosts=HOSTS, sites=["lyon", "graz"], days=30)
    assert not list(tmp_path.iterdir())
    room = 99
    make_keys(folder, hosts=HOSTS, sites=["lyon"], days=30)
    before = {path: path.read_bytes() for path in folder.rglob("*.*")}
    room = len(before) + 2
    with pytest.raises(DataError, match="nothing was"):
        make_keys(folder, hosts=(), sites=["graz"], days=30)
    assert {path: path.read_bytes() for path in folder.rglob("*.*")} == before
    assert not (folder / "graz").exists()


@pytest.mark.parametrize("name", ["", "server", "authority", "../lyon", "a b", "a" * 33, "-lyon"])
def test_a_sites_name_has_to_be_a_folders(name, tmp_path):
    with pytest.raises(ConfigError, match="the name of a folder"):
        make_keys(tmp_path, hosts=HOSTS, sites=[name], days=30)


@pytest.mark.parametrize(
    "host", ["", "fedad.example:8443", "https://x", "a b", "mühle.example", "a..b", "a" * 64, "a."]
)
def test_a_host_has_to_be_one_that_sites_can_look_up(host, tmp_path):
    with pytest.raises(ConfigError, match="without a port"):
        make_keys(tmp_path / "keys", hosts=[*HOSTS, host], sites=["lyon"], days=30)
    with pytest.raises(ConfigError, match="expected at most 3650"):
        make_keys(tmp_path / "keys", hosts=HOSTS, sites=["lyon"], days=10_000_000)
    assert not (tmp_path / "keys").exists()


@pytest.mark.parametrize("host", ["fedad", "xn--mhle-hva.example", "a_b.c-d", "10.0.0.5", "::1"])
def test_names_and_addresses_stand_in_the_certificate(host, tmp_path):
    make_keys(tmp_path, hosts=[host], sites=[], days=30)
    text = (tmp_path / "server" / "superlink.crt").read_bytes()
    names = x509.load_pem_x509_certificate(text).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert host in map(str, (name.value for name in names.value))


def test_the_first_keys_need_the_servers_name(tmp_path):
    with pytest.raises(ConfigError, match="--host is missing"):
        make_keys(tmp_path, hosts=(), sites=["lyon"], days=30)
    (tmp_path / "authority").mkdir()
    with pytest.raises(DataError, match=r"is ca\.key kept elsewhere"):
        make_keys(tmp_path, hosts=(), sites=["lyon"], days=30)


def test_the_servers_certificate_is_renewed_by_the_same_authority(keys):
    before = {path.name: path.read_bytes() for path in (keys / "server").glob("*.*")}
    with pytest.raises(DataError, match=r"superlink\.crt: is there already"):
        make_keys(keys, hosts=("localhost",), sites=[], days=9)
    for name in ("superlink.crt", "superlink.key"):
        (keys / "server" / name).unlink()
    make_keys(keys, hosts=("localhost",), sites=[], days=9)
    after = {path.name: path.read_bytes() for path in (keys / "server").glob("*.*")}
    changed = {name for name in before if after[name] != before[name]}
    assert changed == {"superlink.crt", "superlink.key"}


def test_no_second_authority_is_made_where_the_first_was_taken_away(keys):
    shutil.rmtree(keys / "authority")
    for hosts in ((), ("localhost",)):
        with pytest.raises(DataError, match="bring back the authority that made it"):
            make_keys(keys, hosts=hosts, sites=["turin"], days=30)
    assert not (keys / "turin").exists()


def test_what_is_no_key_is_said(tmp_path):
    (tmp_path / "node.key").write_text("nothing")
    with pytest.raises(DataError, match=r"node\.key: expected a private key"):
        public_of(tmp_path / "node.key")
