"""Who is who: names that look alike, a pinned fingerprint, and how many images a site may claim."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from flwr.app import ArrayRecord
from hypothesis import given
from hypothesis import strategies as st

from client_app.app import app as client_app
from fedad import __version__
from fedad.config import RoundKnobs, read
from fedad.deploy.certificates import make_keys
from fedad.deploy.link import Link
from fedad.deploy.plant import Plant
from fedad.deploy.register import Known, register_all
from fedad.embedders.handshake import IMAGES, PATCHES, Probe, compare, keeps, pin_of
from fedad.errors import ConfigError, DataError, FedadError
from fedad.plumbing.alike import SEEN_AS, alike, like, pairs_alike, skeleton
from fedad.plumbing.console import show
from fedad.reporting.record import MEAN_OF_SITES, figures_of, per_site_csv
from fedad.reporting.shown_figures import rows_of
from fedad.reporting.table import mean_over, site_tables
from server_app.exchange import Reply
from server_app.local_grid import LocalGrid
from server_app.quarantine import Introduction
from server_app.registry import Register, RunRefusedError, check_sites
from server_app.strategy import MethodStrategy
from tests.conftest import MARK

# Written with escapes: who reads this file could not tell them apart either.
ALIKE = {
    "case": ("lyon", "LYON"),
    "case of another alphabet": (
        "\u0437\u0430\u0432\u043e\u0434",
        "\u0417\u0410\u0412\u041e\u0414",
    ),
    "a sharp s": ("stra\u00dfe", "STRASSE"),
    "a space before": ("lyon", " lyon"),
    "a space inside": ("lyon", "ly on"),
    "a tab": ("lyon", "lyon\t"),
    "a space that does not break": ("ly on", "ly\u00a0on"),
    "no width": ("lyon", "ly\u200bon"),
    "a joiner": ("lyon", "lyon\u200d"),
    "a mark of direction": ("lyon", "\u202elyon"),
    "a filler": ("lyon", "lyon\u3164"),
    "a variation": ("lyon", "lyon\ufe0f"),
    "a soft hyphen": ("lyon", "ly\u00adon"),
    "composed or not": ("caf\u00e9", "cafe\u0301"),
    "a ligature": ("fine", "\ufb01ne"),
    "full width": ("lyon", "\uff4c\uff59\uff4f\uff4e"),
    "bold letters": ("lyon", "\U0001d425\U0001d432\U0001d428\U0001d427"),
    "a superscript": ("site2", "site\u00b2"),
    "Cyrillic o": ("lyon", "ly\u043en"),
    "Cyrillic all over": ("cope", "\u0441\u043e\u0440\u0435"),
    "Cyrillic upper case": ("HEAT", "\u041d\u0415\u0410\u0422"),
    "Greek o": ("lyon", "ly\u03bfn"),
    "Greek upper case": ("KATE", "\u039a\u0391\u03a4\u0395"),
    "Armenian o": ("lyon", "ly\u0585n"),
    "Cherokee": ("LAWS", "\u13de\u13aa\u13b3\u13da"),
    "0 and O": ("site-0", "site-O"),
    "0 and o": ("site-10", "site-1o"),
    "1 and l": ("site-1", "site-l"),
    "I and l": ("site-I", "site-l"),
    "1 and I": ("site-1", "site-I"),
    "a bar": ("site-l", "site-|"),
    "no dot": ("graz-i", "graz-\u0131"),
    "a script g": ("graz", "\u0261raz"),
    "r and n": ("turin-m", "turin-rn"),
    "two v": ("wien", "vvien"),
    "a dash": ("a-b", "a\u2013b"),
    "a digit of another script": ("line-3", "line-\u0663"),
}


@pytest.mark.parametrize("what", ALIKE)
def test_names_that_look_alike(what):
    one, other = ALIKE[what]
    assert alike(one, other)
    assert alike(other, one)
    assert like(other, ["graz-2", one]) == one


@pytest.mark.parametrize(
    ("one", "other"),
    [
        *(("lyon", "lyon"), ("graz", "lyon"), ("site-1", "site-2"), ("site-1", "site-10")),
        *(("plant-a", "plant-b"), ("pipe_clip", "pipe-clip"), ("bolt", "bold"), ("lyon", "lyons")),
        *(("site-i", "site-l"), ("\u4e2d", "\u65e5"), ("\u0436", "\u0448"), ("", "")),
    ],
)
def test_names_that_do_not(one, other):
    assert not alike(one, other)


@given(st.text(max_size=8), st.text(max_size=8))
def test_alike_goes_both_ways(one, other):
    assert alike(one, other) == alike(other, one)


@given(st.text(st.sampled_from([*SEEN_AS, *"abcXYZ019 -"]), max_size=10))
def test_a_skeleton_is_its_own(text):
    assert skeleton(skeleton(text)) == skeleton(text)


def test_pairs_are_linear_in_the_names():
    unseen = [
        f"{chr(0xFE00 + k % 16)}{chr(0xFE00 + k // 16 % 16)}" * (1 + k // 256) for k in range(2000)
    ]
    names = ["a" * (k % 2) + "lyon" + mark for k, mark in enumerate(unseen)]
    assert len([*pairs_alike(names)]) < 2 * len(names)
    assert [*pairs_alike(["graz", "Lyon", "lyon"])] == [("Lyon", "lyon")]


# At registration.


@pytest.fixture
def keys(tmp_path):
    make_keys(tmp_path / "keys", hosts=("localhost",), sites=["lyon", "graz"], days=30)
    return tmp_path / "keys"


@pytest.mark.parametrize("name", ["Lyon", "1yon", "Iyon", "LYON", "ly0n"])
def test_keys_are_not_made_for_a_name_like_another(name, keys, tmp_path):
    before = sorted(keys.rglob("*"))
    with pytest.raises(ConfigError, match=rf"--site '{name}' could be taken for 'lyon'"):
        make_keys(keys, hosts=(), sites=["oslo", name], days=30)
    assert sorted(keys.rglob("*")) == before
    with pytest.raises(ConfigError, match=rf"'{name}' could be taken for 'lyon'"):
        make_keys(tmp_path / "new", hosts=("localhost",), sites=["lyon", name], days=30)
    with pytest.raises(ConfigError, match="could be taken for 'server'"):
        make_keys(keys, hosts=(), sites=["Server"], days=30)


@pytest.fixture
def superlink(monkeypatch):
    """What a SuperLink knows, and was told."""
    told = SimpleNamespace(known=[], given=[])
    monkeypatch.setattr(Link, "known", lambda self: told.known)
    monkeypatch.setattr(Link, "register", lambda self, key, site: told.given.append(site) or "7")
    return told


def test_a_name_like_one_that_is_registered_is_refused_by_both_names(keys, superlink):
    superlink.known = [Known("1", "Lyon", b"", False), Known("2", "oslo", b"", False)]
    with pytest.raises(DataError, match=r"lyon\.pub: 'lyon' could be taken for 'Lyon', which is"):
        register_all(keys / "server", "localhost:1", ())
    assert superlink.given == []  # nor is graz, which came first
    assert [*register_all(keys / "server", "localhost:1", ["graz"])] == ["graz"]
    superlink.known = [Known("1", "Lyon", b"", True)]  # shut out: nobody comes by that name
    assert [*register_all(keys / "server", "localhost:1", ())] == ["graz", "lyon"]


def test_two_new_names_alike_are_refused(keys, superlink):
    sites = keys / "server" / "sites"
    (sites / "ly\u043en.pub").write_bytes((sites / "lyon.pub").read_bytes())
    with pytest.raises(DataError, match="is to be registered too"):
        register_all(keys / "server", "localhost:1", ())


# When a run begins.


def probe_of(seed=0, **mark):
    features = np.random.default_rng(seed).normal(1, 0.3, (IMAGES, PATCHES, 24))
    return Probe(replace(MARK, **mark), features.astype(np.float32))


def said(name, test=3, probe=None, categories=("bolt",)):
    counts = dict.fromkeys(categories, test)
    about = {"version": __version__, "train": dict.fromkeys(categories, 3), "test": counts}
    return Introduction(name, about, probe or probe_of())


def entered(*introductions, registered=None, expected=(), **knobs):
    register = Register(registered or {}, expected, RoundKnobs(**knobs))
    for node, one in enumerate(introductions):
        register.enter(Reply(node, SimpleNamespace()), lambda _, one=one: one)
    return register


@pytest.mark.parametrize("what", ["case", "a space inside", "Cyrillic o", "0 and O", "full width"])
def test_a_site_with_a_name_like_anothers_takes_no_part(what):
    one, other = ALIKE[what]
    register = entered(said(one), said(other))
    assert [*register.sites] == [one]
    assert register.words in ({"node 1": "identity"}, {other: "identity"})
    (reason,) = register.missing.values()
    assert "could be taken for" in reason
    assert one in reason


@pytest.mark.parametrize(
    "name", ["all sites", "all sites together", "together", "mean", "mean of sites", "node 5"]
)
def test_a_site_is_not_called_as_figures_of_all_are(name):
    register = entered(said(name))
    assert not register.sites
    assert "stands for other things" in register.missing["node 0"]


@pytest.mark.parametrize(
    ("one", "other", "how"),
    [
        ("bolt", "b\u043elt", "look alike"),
        ("Plate", "plate", "differ only in capitals"),
        ("K\u00fchler", "Ku\u0308hler", "look alike"),
        ("pipe clip", "pipe\u00a0clip", "look alike"),
    ],
)
def test_products_of_two_sites_that_look_alike_end_a_run_before_it_begins(one, other, how):
    sites = {
        "graz": said("graz", categories=(one,)).about,
        "lyon": said("lyon", categories=(other,)).about,
    }
    with pytest.raises(DataError, match=how) as refused:
        check_sites(read({}), sites, per_image=0)
    told = str(refused.value)
    assert all(text in told for text in ("graz", "lyon", ascii(one), ascii(other)))


def test_where_a_run_goes_on_without_some_no_site_ends_it_by_a_product_that_looks_alike():
    sites = {"graz": said("graz").about, "lyon": said("lyon", categories=("b\u043elt",)).about}
    lenient = read({"round.min-sites": 1})
    (warning,) = (one for one in check_sites(lenient, sites, per_image=0) if "look alike" in one)
    assert "graz" in warning
    assert "lyon" in warning
    many = [f"bolt{chr(0xFE00 + k % 16)}" + "\u200b" * (k // 16) for k in range(900)]
    sites["lyon"] = said("lyon", categories=many).about
    assert sum("look alike" in w for w in check_sites(lenient, sites, per_image=0)) == 20


def test_more_test_images_than_the_server_believes_are_refused():
    register = entered(said("graz", test=100_000), said("lyon", test=100_001))
    assert [*register.sites] == ["graz"]
    assert [*register.words.values()] == ["counts"]
    (reason,) = register.missing.values()
    assert "100,001 test images of 'bolt', and round.largest-test-set = 100,000" in reason
    assert not entered(said("lyon", test=2**47), largest_test_set=2**47).missing
    assert entered(said("lyon", test=11), largest_test_set=10).missing


def test_a_lie_about_test_images_moves_one_mean_and_not_the_other(knobs, tmp_path, capsys):
    """Both stand in the record, on the console, in the table of the page and in per_site.csv."""
    settings = {**knobs, "round.out": str(tmp_path), "score.replicates": 5}
    nodes = [{"partition-id": k, "num-partitions": 3} for k in range(3)]
    strategy = MethodStrategy(read(settings))
    with pytest.MonkeyPatch.context() as patch:
        from flwr.supercore.task_identity import TaskIdentity

        for part in ("run_id", "node_id", "task_id"):
            patch.setattr(TaskIdentity, f"_{part}", 1)
        strategy.start(LocalGrid(client_app, nodes, settings), ArrayRecord())
    record = strategy.record()
    told = record["figures"]["federated"]
    values = [one["mean"]["image_auroc"]["value"] for one in told["sites"].values()]
    assert told[MEAN_OF_SITES]["image_auroc"] == {
        "value": pytest.approx(np.mean(values)),
        "sites": 3,
        "no_interval": "not of sites",
    }
    assert mean_over(told, "image_auroc") == pytest.approx(np.mean(values))
    show(*site_tables(record["figures"]))
    assert capsys.readouterr().out.count("mean of sites") == 2
    assert any(row[0] == "federated, mean of sites" for row in rows_of(record["figures"]))
    assert "federated,mean of sites,mean,image_auroc," in per_site_csv(record["figures"])
    assert all(len(site["fingerprint"]) == 64 for site in record["sites"].values())
    assert len({site["fingerprint"] for site in record["sites"].values()}) == 1
    told["sites"]["graz"]["mean"]["image_auroc"]["value"] = 0.0
    lied = mean_over(told, "image_auroc")
    told["sites"]["graz"]["pooled"]["sizes"]["good_images"] *= 1000
    assert mean_over(told, "image_auroc") == lied == pytest.approx(np.sum(values[1:]) / 3)


def test_figures_of_nobody_have_no_mean():
    assert figures_of({})[MEAN_OF_SITES] == {}
    assert math.isnan(mean_over({"sites": {}}, "image_auroc"))


# A pinned fingerprint.


def test_a_pin_keeps_to_its_site_whatever_threads_it_uses():
    pin = pin_of(probe_of())
    assert len(pin) == 64
    assert int(pin, 16)
    noise = np.random.default_rng(1).normal(0, 3e-3, (IMAGES, PATCHES, 24)).astype(np.float32)
    coarse = probe_of(threads=7, batch=9)
    assert keeps(pin, coarse._replace(features=coarse.features + noise))
    for other in (probe_of(weights="1" * 64), probe_of(seed=2), probe_of(layers="layer1")):
        assert not keeps(pin, other)
    swapped = probe_of()
    assert not keeps(pin, swapped._replace(features=swapped.features[::-1].copy()))
    assert not keeps(pin, swapped._replace(features=swapped.features[..., :12].copy()))


LIARS = {"its network": {"weights": "1" * 64}, "its features alone": {"seed": 2}}


@pytest.mark.parametrize("lie", LIARS)
@pytest.mark.parametrize("liar", ["aaa", "zzz"])
def test_with_a_pin_the_liar_is_refused_whoever_is_first(liar, lie):
    probes = {"lyon": probe_of(), liar: probe_of(**LIARS[lie])}
    hands = compare(probes, pin_of(probe_of()))
    assert [*hands.refused] == [liar]
    assert "does not embed as round.fingerprint says" in hands.refused[liar]
    register = entered(
        *(said(name, probe=probe) for name, probe in probes.items()),
        fingerprint=pin_of(probe_of()),
    )
    register.close()
    assert [*register.sites] == ["lyon"]
    assert register.words == {liar: "probe"}


@pytest.mark.parametrize("lie", LIARS)
def test_without_a_pin_both_are_named_and_how_to_pin(lie):
    probes = {"aaa": probe_of(**LIARS[lie]), "lyon": probe_of()}
    register = entered(*(said(name, probe=probe) for name, probe in probes.items()))
    register.close()
    (reason,) = register.missing.values()
    for name, probe in probes.items():
        assert f"{pin_of(probe)} ({name})" in reason
    assert "set round.fingerprint" in reason


def test_two_that_keep_the_pin_and_differ_are_both_refused(monkeypatch):
    """Who crafts features for the eight numbers of a pin still cannot shut the other out alone."""
    probes = {"aaa": probe_of(seed=2), "lyon": probe_of()}
    monkeypatch.setattr("fedad.embedders.handshake.keeps", lambda pin, one: True)
    refused = compare(probes, pin_of(probe_of())).refused
    assert {*refused} == {*probes}
    assert "one of them lies" in refused["lyon"]


def test_of_three_the_majority_still_decides_without_a_pin():
    probes = {"aaa": probe_of(seed=2), "graz": probe_of(), "lyon": probe_of()}
    assert [*compare(probes).refused] == ["aaa"]
    assert [*compare(probes, pin_of(probe_of(seed=2))).refused] == ["graz", "lyon"]


@pytest.mark.parametrize("pin", ["x", "a" * 63, "A" * 64, "g" * 64])
def test_a_pin_that_is_none_is_refused(pin):
    with pytest.raises(ConfigError, match=r"round\.fingerprint"):
        read({"round.fingerprint": pin})
    assert read({"round.fingerprint": "a" * 64}).round.fingerprint


def test_a_run_refuses_sites_that_do_not_embed_as_pinned(knobs, in_a_run):
    nodes = [{"partition-id": k, "num-partitions": 3} for k in range(3)]
    settings = {**knobs, "round.fingerprint": "0" * 64}
    strategy = MethodStrategy(read(settings))
    with pytest.raises(RunRefusedError, match=r"does not embed as round\.fingerprint says"):
        strategy.start(LocalGrid(client_app, nodes, settings), ArrayRecord())


def test_preflight_prints_the_pin_and_holds_the_site_against_it(knobs, plants, tmp_path):
    plant = Plant(read(knobs), "lyon", plants, tmp_path)
    pin = plant.fingerprint().split(":")[0]
    assert len(pin) == 64
    same = replace(plant, config=read({**knobs, "round.fingerprint": pin}))
    assert same.fingerprint().startswith(pin)
    other = replace(plant, config=read({**knobs, "round.fingerprint": "0" * 64}))
    with pytest.raises(FedadError, match=rf"^{pin}, and round\.fingerprint is 0000"):
        other.fingerprint()
