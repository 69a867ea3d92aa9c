"""Keys and authorities that take another's place: old and new are both good until one is retired.

With a whole federation: tests/reliability/test_rotation_up.py.
"""

import shutil
import ssl
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from fedad.deploy import rotation
from fedad.deploy.certificates import make_keys, public_of, trusted_in
from fedad.deploy.checks import authority, trusted
from fedad.deploy.expiry import MONTH, Validity, in_file, of_server
from fedad.deploy.issuing import issue
from fedad.deploy.link import Link, LinkError
from fedad.deploy.reach import Server
from fedad.deploy.site_checks import _identity
from fedad.errors import ConfigError, DataError, FedadError
from tests.operations.conftest import HOSTS, shown


def files(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.*")}


def renew(keys, what, **how):
    return rotation.renew(keys, what, **{"hosts": (), "days": 300, **how})


def certificate(path):
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_another_key_of_a_site_passes_the_proxy_beside_the_old_one(keys):
    before = files(keys)
    written = renew(keys, "lyon")
    after = files(keys)
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed == {f"lyon/node.{end}" for end in ("key", "pub")} | {
        f"server/sites/lyon.{end}" for end in ("pub", "known")
    }
    assert {path.relative_to(keys).as_posix() for path in written} == changed | {"lyon/ca.crt"}
    assert _identity(keys / "lyon", "lyon")
    told = (keys / "server/sites/lyon.pub").read_bytes()
    assert told.split()[:2] == public_of(keys / "lyon" / "node.key").split()
    new, old = after["server/sites/lyon.known"].splitlines(keepends=True)
    assert old == before["server/sites/lyon.known"]
    assert new != old
    rotation.retire(keys, "lyon")
    assert (keys / "server/sites/lyon.known").read_bytes() == new
    with pytest.raises(DataError, match="lyon has one key alone"):
        rotation.retire(keys, "lyon")


def test_a_site_whose_folder_was_carried_away_gets_a_whole_one(keys):
    shutil.rmtree(keys / "lyon")
    renew(keys, "lyon")
    assert {path.name for path in (keys / "lyon").iterdir()} == {
        "ca.crt",
        "node.key",
        "node.pub",
        "superexec.secret",
    }
    assert len((keys / "server/sites/lyon.known").read_bytes().splitlines()) == 2


def test_everybody_knows_old_and_new_until_the_old_authority_is_retired(keys):
    """By TLS on a socket: who has which ca.crt trusts which server."""
    early = shutil.copytree(keys, keys.parent / "early")  # a machine that nobody has been to
    renew(keys, "authority")
    both = (keys / "lyon" / "ca.crt").read_bytes()
    assert both == trusted_in(keys) == (keys / "server" / "ca.crt").read_bytes()
    assert len(in_file(keys / "lyon" / "ca.crt", "the authority")) == 2
    with shown(keys / "server") as address:  # its certificate is still the old authority's
        assert trusted(Server(address, keys / "lyon" / "ca.crt")).passed
        assert trusted(Server(address, early / "lyon" / "ca.crt")).passed
    with pytest.raises(DataError, match="of the authority that would go"):
        rotation.retire(keys, "authority")
    renew(keys, "server")
    with shown(keys / "server") as address:
        assert trusted(Server(address, keys / "lyon" / "ca.crt")).passed
        late = trusted(Server(address, early / "lyon" / "ca.crt"))
        assert not late.passed
        assert "certificate verify failed" in late.told
    rotation.retire(keys, "authority")
    assert len(in_file(keys / "lyon" / "ca.crt", "the authority")) == 1
    assert not list((keys / "authority").glob("before.*"))
    with shown(keys / "server") as address:
        assert trusted(Server(address, keys / "lyon" / "ca.crt")).passed
    with shown(early / "server") as address:
        assert not trusted(Server(address, keys / "lyon" / "ca.crt")).passed


def test_a_plant_that_comes_between_two_authorities_knows_both(keys):
    renew(keys, "authority")
    make_keys(keys, hosts=(), sites=["turin"], days=30)
    assert (keys / "turin" / "ca.crt").read_bytes() == trusted_in(keys)
    assert trusted_in(keys).count(b"BEGIN CERTIFICATE") == 2


def test_another_certificate_of_the_server_is_for_the_same_names(keys):
    before = certificate(keys / "server" / "superlink.crt")
    renew(keys, "server", days=100)
    after = certificate(keys / "server" / "superlink.crt")
    names = [
        one.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        for one in (before, after)
    ]
    assert [*map(str, names[0].value)] == [*map(str, names[1].value)]
    assert before.public_key() != after.public_key()
    left = after.not_valid_after_utc - datetime.now(UTC)
    assert timedelta(days=99) < left <= timedelta(days=100)
    renew(keys, "server", hosts=["fedad.example"])
    after = certificate(keys / "server" / "superlink.crt")
    assert "fedad.example" in str(after.extensions)


@pytest.mark.parametrize("written", range(8))
def test_a_renewal_that_was_cut_short_is_done_again(keys, monkeypatch, written):
    """Whatever was written before a disk was full, the same again gives one that works."""
    wrote, left = rotation.write_atomic, [written]

    def full(path, content):
        if not left[0]:
            raise OSError(28, "No space left on device")
        left[0] -= 1
        wrote(path, content)

    monkeypatch.setattr(rotation, "write_atomic", full)
    if written < 7:  # of seven files
        with pytest.raises(DataError, match="is the disk full"):
            renew(keys, "authority")
        left[0] = 99
    renew(keys, "authority")
    monkeypatch.undo()
    assert len({(keys / name / "ca.crt").read_bytes() for name in ("lyon", "graz", "server")}) == 1
    with shown(keys / "server") as address:
        assert trusted(Server(address, keys / "lyon" / "ca.crt")).passed
    renew(keys, "server")
    rotation.retire(keys, "authority")
    with shown(keys / "server") as address:
        assert trusted(Server(address, keys / "lyon" / "ca.crt")).passed


def test_words_that_do_not_go_together_and_names_that_are_not_there(keys):
    with pytest.raises(ConfigError, match="expected authority, server or one of graz, lyon"):
        renew(keys, "oslo")
    with pytest.raises(ConfigError, match="--retire server"):
        rotation.retire(keys, "server")
    with pytest.raises(DataError, match="one authority alone"):
        rotation.retire(keys, "authority")
    how = {"hosts": (), "days": 30}
    with pytest.raises(ConfigError, match="expected one of them alone"):
        issue(keys, sites=["oslo"], renew="lyon", **how)
    with pytest.raises(ConfigError, match="expected one of them alone"):
        issue(keys, sites=(), renew="lyon", retire="lyon", **how)
    renew(keys, "authority")
    with pytest.raises(DataError, match="the authority before this one is still good"):
        renew(keys, "authority")
    (keys / "authority" / "ca.key").write_bytes((keys / "authority" / "before.key").read_bytes())
    with pytest.raises(DataError, match=r"ca\.key is not the key of ca\.crt"):
        renew(keys, "server")


def test_a_certificate_does_not_outlive_its_authority(tmp_path, monkeypatch):
    monkeypatch.setattr("fedad.deploy.signing.AUTHORITY_DAYS", 200)
    make_keys(tmp_path, hosts=HOSTS, sites=[], days=200)
    with pytest.raises(ConfigError, match=r"--days 825: the authority is valid until 20.*--renew"):
        renew(tmp_path, "server", days=825)


def test_nothing_to_make_is_said(keys, fedad):
    before = files(keys)
    code, _, said = fedad("certs", keys)
    assert code == 0
    assert said.startswith(f"nothing to make: {keys} has an authority and keys of graz, lyon\n")
    assert "the server's certificate is valid until 20" in said
    assert files(keys) == before


def test_an_expired_certificate_is_refused_with_its_day(keys, tmp_path):
    late = tmp_path / "late"
    shutil.copytree(keys / "authority", late / "authority")
    make_keys(late, hosts=HOSTS, sites=[], days=-3)
    day = (datetime.now(UTC) - timedelta(days=3)).strftime("%Y-%m-%d")
    with shown(late / "server") as address:
        looked_at = trusted(Server(address, keys / "lyon" / "ca.crt"))
    assert not looked_at.passed
    assert f"the server's certificate expired on {day}, 3 days ago" in looked_at.told
    assert "--renew server" in looked_at.fix


def test_commands_to_the_superlink_name_the_day_too(keys, tmp_path, monkeypatch):
    late = tmp_path / "late"
    shutil.copytree(keys / "authority", late / "authority")
    make_keys(late, hosts=HOSTS, sites=[], days=-3)
    wrong = subprocess.CompletedProcess([], 1, "", "SSL: CERTIFICATE_VERIFY_FAILED")
    monkeypatch.setattr(subprocess, "run", lambda *words, **how: wrong)
    day = (datetime.now(UTC) - timedelta(days=3)).strftime("%Y-%m-%d")
    with shown(late / "server") as address:
        link = Link(address, keys / "server" / "ca.crt", tmp_path / "scratch")
        for ask in (link.known, lambda: link.unregister("7")):
            with pytest.raises(LinkError, match=f"certificate expired on {day}.*--renew server"):
                ask()


def test_an_expired_authority_is_refused_with_its_day(tmp_path, monkeypatch):
    monkeypatch.setattr("fedad.deploy.signing.AUTHORITY_DAYS", -5)
    monkeypatch.setattr("fedad.deploy.certificates.check_days", lambda *some: None)
    make_keys(tmp_path, hosts=HOSTS, sites=["lyon"], days=30)
    day = (datetime.now(UTC) - timedelta(days=5)).strftime("%Y-%m-%d")
    looked_at = authority(tmp_path / "lyon" / "ca.crt")
    assert not looked_at.passed
    assert f"the authority expired on {day}" in looked_at.told
    with (
        shown(tmp_path / "server") as address,
        pytest.raises(FedadError, match=f"the authority expired on {day}"),
    ):
        of_server(Server(address, tmp_path / "lyon" / "ca.crt"))


def test_another_ones_certificate_is_not_called_expired(keys, tmp_path):
    make_keys(tmp_path / "other", hosts=HOSTS, sites=["lyon"], days=30)
    with shown(keys / "server") as address, pytest.raises(ssl.SSLCertVerificationError):
        of_server(Server(address, tmp_path / "other" / "lyon" / "ca.crt"))


def test_from_thirty_days_before_its_end_a_certificate_is_warned_of():
    now = datetime(2026, 3, 1, tzinfo=UTC)

    def told(days):
        return Validity("it", now + timedelta(days=days)).told(now)

    assert told(MONTH) == "it is valid until 2026-03-31, 30 days more"
    assert told(MONTH - 1).startswith("WARNING: it is valid until 2026-03-30, 29 days more")
    assert told(1.5).endswith("2026-03-02, 1 day more")
    assert told(-2) == "it expired on 2026-02-27, 2 days ago"
