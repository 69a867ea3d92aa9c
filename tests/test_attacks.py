"""What a malicious site can do to the others, with and without each defence."""

from __future__ import annotations

import re
import sys
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from fedad.attacks.base import defects_of
from fedad.banks.admission import admit_bank
from fedad.banks.bank import Bank
from fedad.cli import main
from fedad.config import read
from fedad.datasets.base import open_dataset
from fedad.embedders.embedder import Embedder
from fedad.errors import UploadError
from fedad.judging.thresholds import calibrate
from fedad.messages.file import load
from fedad.methods.base import FIRST
from fedad.methods.patchcore import PatchCore
from fedad.partition import partition
from fedad.plugins import names, plugin
from fedad.plumbing.progress import Bars
from fedad.reporting.record import SCHEMA, figures_of
from fedad.reporting.run_folder import read_record, write_record
from fedad.round import fit, merge, run_round
from fedad.running.launch import launch
from fedad.scoring.nearest import nearest
from fedad.types import Enrolled
from fedad.yardsticks import centralised, isolated
from tests.conftest import features_of

D, SITES = 8, 5
REFUSED = ("huge", "nan")
BLINDING = ("blind", "half_blind", "lie_and_blind")
KNOBS = {"coreset.local-ratio": 0.5, "bank.size": 200, "patchcore.preset": "classic"}


def images(seed, count=10):
    """Features of good images: three clusters of patches."""
    rng = np.random.default_rng([seed, 1])
    centres = np.random.default_rng(0).normal(size=(3, D)) * 4
    return features_of(
        centres[rng.integers(0, 3, (count, 4, 4))] + rng.normal(size=(count, 4, 4, D))
    )


def flaws(seed, count):
    """Defective patches: away from all clusters, and different from each other."""
    return (9 + 2 * np.random.default_rng([seed, 2]).normal(size=(count, D))).astype(np.float32)


def method(aggregation, scoring):
    knobs = {**KNOBS, "merge.aggregation": aggregation, "score.scoring": scoring}
    return PatchCore.of(read(knobs), device="cpu")


@pytest.fixture(scope="module")
def uploads():
    plain = method("federated_coreset", "nearest")
    rng = np.random.default_rng
    return [
        plain.fit(images(k), FIRST, rng=rng(k)).sealed(f"site-{k}", "float32") for k in range(SITES)
    ]


def lie(name, upload, seed=0):
    """What the attacker, who knows 60 defective patches, sends."""
    return plugin("attacks", name)(
        upload, rng=np.random.default_rng(seed), defects={"bolt": flaws(7, 60)}
    )


def auroc(how, sent, own):
    """How well an honest site ranks 60 other defective patches above its good ones."""
    model = how.merge(sent, FIRST, rng=np.random.default_rng(9))
    good, _ = how.score(model, images(99, 6), own=own)
    bad, _ = how.score(model, features_of(flaws(8, 60).reshape(1, 6, 10, D)), own=own)
    scores = np.concatenate([good.ravel(), bad.ravel()])
    return roc_auc_score(np.arange(len(scores)) >= good.size, scores)


@pytest.mark.parametrize("name", names("attacks"))
def test_an_attack_changes_no_honest_bank_and_repeats_with_its_seed(name, uploads):
    before = uploads[4].rows.copy()
    one, same, other = (lie(name, uploads[4], seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(uploads[4].rows, before)
    np.testing.assert_array_equal(one.rows, same.rows)
    assert one.sites == ("site-4",)
    changed = (one.rows.shape, one.images.sum()) != (before.shape, uploads[4].images.sum())
    assert changed or not np.array_equal(one.rows, before) or name == "swapped"
    assert other.rows.shape == one.rows.shape


@pytest.mark.parametrize("name", ["count_lie", "flood", "lie_and_blind", "lie_and_noise_ball"])
def test_who_uploads_for_more_images_than_it_enrolled_does_not_get_in(name, uploads):
    honest = uploads[4]
    images = int(honest.images.sum())
    longest = float(np.linalg.norm(honest.rows, axis=1).max())
    mark = replace(honest.fingerprint, patches=int(honest.patches.sum()) // images)
    enrolled = Enrolled("site-4", {"bolt": images}, {}, mark, D, longest)
    knobs = read(KNOBS)
    assert admit_bank(knobs, honest, enrolled) == (honest, [])
    with pytest.raises(UploadError, match=f"enrolled {images} images"):
        admit_bank(knobs, lie(name, honest), enrolled)


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_what_is_no_number_or_too_large_does_not_get_in(name, dtype, uploads):
    with pytest.raises(UploadError, match="rows holds"):
        Bank.unpack(*lie(name, uploads[4].sealed("site-4", dtype)).pack())


@pytest.mark.parametrize("name", sorted({*names("attacks")} - {*REFUSED}))
def test_under_quotas_honest_sites_keep_their_share_of_places(name, uploads):
    sent = [*uploads[:4], Bank.unpack(*lie(name, uploads[4]).pack())]
    bank = method("quota", "nearest").merge(sent, FIRST, rng=np.random.default_rng(9))
    places = np.bincount(bank.site, minlength=SITES)
    assert len(bank) == 200
    assert places[:4].min() >= int(200 / 5.5)
    assert places[4] <= 200 * 1.5 / 5.5 + 1


def test_undefended_a_lie_about_counts_takes_the_bank(uploads):
    """What the defences are for: without them the attacks work."""
    sent = [*uploads[:4], lie("lie_and_outliers", uploads[4])]
    plain = method("federated_coreset", "nearest").merge(sent, FIRST, rng=np.random.default_rng(9))
    assert (plain.site == 4).mean() > 0.35


@pytest.mark.parametrize("name", sorted({*names("attacks")} - {*REFUSED}))
def test_in_robust_mode_an_attack_costs_less_than_the_site_is_worth(name, uploads):
    sent = [*uploads[:4], Bank.unpack(*lie(name, uploads[4]).pack())]
    robust, own = method("quota", "q_of_n"), uploads[0]
    assert auroc(robust, sent, own) > auroc(robust, uploads[:4], own) - 0.01


@pytest.mark.parametrize("name", BLINDING)
def test_undefended_a_blinding_attack_costs_much(name, uploads):
    plain, own = method("federated_coreset", "nearest"), uploads[0]
    sent = [*uploads[:4], lie(name, uploads[4])]
    assert auroc(plain, sent, own) < auroc(plain, uploads[:4], own) - 0.02


@pytest.mark.parametrize("name", sorted({*names("attacks")} - {*REFUSED}))
def test_no_attack_brings_a_patch_nearer_than_its_nearest_honest_row(name, uploads):
    """The guarantee, through the merge and the method, for defects that the attacker knows."""
    robust = method("quota", "q_of_n")
    sent = [*uploads[:4], Bank.unpack(*lie(name, uploads[4]).pack())]
    model = robust.merge(sent, FIRST, rng=np.random.default_rng(9))
    patches = flaws(7, 60)
    scores, _ = robust.score(model, features_of(patches.reshape(1, 6, 10, D)), own=uploads[0])
    honest = [nearest(upload, patches).distance for upload in uploads[:4]]
    assert (scores.ravel() >= np.min(honest, axis=0)).all()


def test_a_lie_about_one_product_takes_few_rows_from_another():
    """The sizes of the products' banks follow image counts too."""
    plain, robust = (method(name, "nearest") for name in ("federated_coreset", "quota"))
    uploads = []
    for k in range(SITES):
        two = replace(images(k), categories=("bolt",) * 5 + ("nut",) * 5)
        bank = plain.fit(two, FIRST, rng=np.random.default_rng(k))
        uploads.append(bank.sealed(f"site-{k}", "float32"))
    lie = uploads[4].replace(images=np.array([[10**9, 5]]))
    kept = {
        how: (
            how.merge([*uploads[:4], lie], FIRST, rng=np.random.default_rng(0)).category == 1
        ).sum()
        for how in (plain, robust)
    }
    assert kept[plain] == SITES  # one row a site, which every merge keeps
    assert kept[robust] >= 200 * 25 // (25 + 27.5)


@pytest.fixture
def robust(config):
    return replace(
        config,
        merge=replace(config.merge, aggregation="quota"),
        score=replace(config.score, scoring="q_of_n", replicates=0),
        wire=replace(config.wire, dtype="float16"),
    )


@pytest.fixture
def sites(config):
    return partition(open_dataset(config.data), config.data, seed=0)


def test_the_robust_mode_is_the_same_bytes_in_process_and_through_the_apps(robust, sites, tmp_path):
    folder = launch(robust, via="local", root=tmp_path, with_yardsticks=False, sink=Bars())
    plain = run_round(robust, sites, Embedder(robust.embedder))
    np.testing.assert_array_equal(load(folder / "bank.safetensors", Bank).rows, plain.model.rows)
    write_record(
        tmp_path / "plain", {"schema": SCHEMA, "figures": {"federated": figures_of(plain.findings)}}
    )
    again = read_record(tmp_path / "plain")["figures"]["federated"]
    assert read_record(folder)["figures"]["federated"] == again


def test_alone_and_centralised_there_is_nobody_to_distrust(robust, sites):
    embed, trusting = Embedder(robust.embedder), replace(robust.score, scoring="nearest")
    for way in (isolated, centralised):
        one, other = (
            figures_of(way(config, sites, embed))
            for config in (robust, replace(robust, score=trusting))
        )
        for name in ("image_auroc", "pixel_auroc"):
            assert one["together"]["mean"][name] == other["together"]["mean"][name]


def test_a_threshold_does_not_rest_on_a_training_images_own_rows(robust, sites):
    embed, trusting = Embedder(robust.embedder), replace(robust.score, scoring="nearest")
    own, upload, _ = fit(robust, sites[0], embed)
    bank = merge(robust, [upload])
    one, other = (
        calibrate(
            replace(config, score=replace(config.score, false_rejects=0.4)),
            sites[0],
            embed,
            bank,
            own,
        )
        for config in (robust, replace(robust, score=trusting))
    )
    assert one == other
    assert all(found.score > 0 for found in one.values())


def test_an_attacker_knows_the_patches_under_its_own_masks(config, sites):
    embed = Embedder(config.embedder)
    found = defects_of(sites[0].test, embed)
    whole = defects_of([replace(s, masks=None) for s in sites[0].test if not s.is_good], embed)
    assert set(found) == {"bolt", "hose"}
    for category, patches in found.items():
        assert 0 < len(patches) < len(whole[category]) == 2 * 64
        rows = {row.tobytes() for row in whole[category]}
        assert all(row.tobytes() in rows for row in patches)


def test_fedad_attack_prints_what_each_defence_leaves(overlay, capsys, monkeypatch):
    words = ["--attack", "blind", "--attack", "nan", "-c", "bank.size=100"]
    monkeypatch.setattr(sys, "argv", ["fedad", "attack", str(overlay), *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    said = capsys.readouterr().out
    assert "turin lies" in said
    for word in ("no attack", "site absent", "blind", "(refused)", "default", "quota + q_of_n"):
        assert word in said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--site", "lyom"], r"--site lyom \(did you mean 'lyon'\?\)"),
        (["--attack", "blnid"], r"no 'blnid' in fedad/attacks \(did you mean 'blind'\?\)"),
        (["--site", "graz", "--site", "lyon", "--site", "turin"], "at least one site to stay"),
    ],
)
def test_a_wrong_word_of_fedad_attack_is_answered(overlay, words, says, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["fedad", "attack", str(overlay), *words])
    with pytest.raises(SystemExit):
        main()
    assert re.search(says, capsys.readouterr().err)
