"""The student and its teacher: a flow that is one, training that helps, uploads that are held."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from fedad.errors import ConfigError, DataError, UploadError
from fedad.members._ast import Ruler, flow_of, student_of, studied, taught
from fedad.members._flow import Flow, positions
from fedad.members._images import grid_batches
from fedad.members._torched import filled, shapes_of, trained
from fedad.members._weights import laid_out, started, taken_apart
from fedad.members.ast import PAPER, Ast
from fedad.methods.base import Turn
from tests.members.drawn import (
    SITES,
    auroc,
    config_of,
    enrolled,
    parts,
    turns_of,
    uploads_of,
    wrong,
)

TINY = {"teacher-rounds": 1, "student-rounds": 2, "epochs": 10, "hidden": 16, "batch": 3}


def member_of(**more):
    return Ast.of(config_of("ast", {**TINY, "rate": 5e-3}, **more))


@pytest.fixture(scope="module")
def member():
    return member_of()


@pytest.fixture(scope="module")
def turns(member):
    return turns_of(member)


@pytest.fixture(scope="module")
def sent(member, turns):
    """What both sites send in the rounds of teachers and the first of students."""
    return [uploads_of(member, turn) for turn in turns[1:3]]


def random_flow(channels=5, condition=4):
    flow = Flow(channels, condition, 8, [1, 3], clamp=3.0, seed=0).double()
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for one in flow.parameters():
            one.copy_(0.5 * torch.randn(one.shape, generator=draw, dtype=torch.float64))
    return flow


def test_the_volume_is_the_determinant_of_the_jacobian():
    flow, places = random_flow(), positions(4, 1, 1).double()[None]
    x = torch.linspace(-1, 2, 5, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(
        lambda one: flow(one.view(1, 5, 1, 1), places)[0].flatten(), x
    )
    _, volume = flow(x.view(1, 5, 1, 1), places)
    assert volume.item() == pytest.approx(torch.linalg.slogdet(jacobian).logabsdet.item())
    assert abs(volume.item()) > 0.1


def test_the_flow_starts_as_a_permutation():
    flow = Flow(6, 4, 8, [3, 3], clamp=3.0, seed=0)
    drawn = started(shapes_of(flow), 0, "ast teacher", "bolt")
    x = torch.randn(2, 6, 4, 4, generator=torch.Generator().manual_seed(0))
    latents, volume = filled(flow, drawn, "cpu")(x, positions(4, 4, 4).expand(2, -1, -1, -1))
    assert not volume.any()
    torch.testing.assert_close(latents.sort(1).values, x.sort(1).values)
    assert not torch.equal(latents, x)


def test_places_differ():
    told = positions(8, 5, 7).flatten(1).T
    assert torch.cdist(told, told).fill_diagonal_(1).min() > 0.01


def test_both_losses_fall(member):
    features, rng = SITES["graz"], np.random.default_rng(0)
    spread = features.patches.std(0)
    ruler = Ruler(features.patches.mean(0), spread)
    networks = {
        "teacher": flow_of(member.knobs, 6, 0),
        "student": student_of(member.knobs, 6),
    }
    for name, network in networks.items():
        filled(network, started(shapes_of(network), 0, f"ast {name}", "bolt"), "cpu")

    def batches():
        for _ in range(12):
            yield from grid_batches(features, "bolt", 3, rng)

    how = {"rate": 5e-3, "device": "cpu"}
    flow, student = networks.values()
    told = taught(flow, batches(), ruler, **how)
    assert np.mean(told[-4:]) < np.mean(told[:4]) - 0.2
    told = studied(student, flow, batches(), ruler, **how)
    assert np.mean(told[-4:]) < 0.7 * np.mean(told[:4])


def test_training_beats_random_weights_where_only_neighbours_tell(member, turns):
    """The defect has no colour that good parts have not."""
    good, bad = parts(*range(30, 38)), parts(*range(40, 48), defect=True)
    masks = np.stack([wrong(seed) for seed in range(40, 48)])
    found = []
    for turn in (turns[1], turns[-1]):
        told = member.tap(turn.model, bad).anomaly
        found.append(auroc(member.tap(turn.model, good).anomaly.ravel(), told[masks]))
    untrained, trained = found
    assert trained > 0.8
    assert trained > untrained + 0.15


def test_a_tap_is_the_difference_and_its_mean_square(member, turns):
    tap = member.tap(turns[-1].model, SITES["lyon"])
    assert tap.channels.shape == SITES["lyon"].grid.shape
    np.testing.assert_allclose(tap.anomaly, np.square(tap.channels).mean(3), rtol=1e-6)


def test_rounds_are_sums_then_teachers_then_students_the_teacher_frozen(member, turns):
    assert len(member.rounds) == 4
    start, taught_, studied_ = (turns[k].model for k in (1, 2, 4))
    assert (start.teacher != taught_.teacher).any()
    np.testing.assert_array_equal(start.student, taught_.student)
    np.testing.assert_array_equal(taught_.teacher, studied_.teacher)
    assert (taught_.student != studied_.student).any()
    patches = np.concatenate([one.patches for one in SITES.values()]).astype(float)
    np.testing.assert_allclose(start.mean[0], patches.mean(0), rtol=1e-6)
    np.testing.assert_allclose(start.spread[0], patches.std(0), rtol=1e-6)


def test_weights_are_averaged_by_images_and_a_product_that_is_away_stays(member, turns):
    sites = {**SITES, "turin": parts(20, 21, category="hose")}
    sums = uploads_of(member, Turn(), sites)
    turn = Turn(2, member.merge(sums, Turn(), rng=None))
    uploads = uploads_of(member, turn, sites)
    whole = member.merge(uploads, turn, rng=None)
    expected = (6 * uploads[0].rows[0].astype(float) + 4 * uploads[1].rows[0]) / 10
    np.testing.assert_allclose(whole.teacher[0], expected, atol=1e-6)
    without = member.merge(uploads[:2], turn, rng=None)
    np.testing.assert_array_equal(without.teacher[1], turn.model.teacher[1])
    np.testing.assert_array_equal(without.teacher[0], whole.teacher[0])


def test_all_products_have_one_network_where_the_scope_is_mixed():
    config = config_of("ast", {**TINY, "epochs": 1})
    member = Ast.of(replace(config, bank=replace(config.bank, scope="mixed")))
    sites = {"graz": parts(1, 2), "lyon": parts(3, category="hose")}
    model = turns_of(member, sites)[-1].model
    assert model.groups == ("",)
    assert member.tap(model, sites["lyon"]).anomaly.shape == (1, 8, 8)


def test_what_is_laid_out_can_be_taken_apart():
    shapes = {"a": (3, 100), "b": (), "c": (256,), "d": (2, 2, 3, 3)}
    rng = np.random.default_rng(0)
    arrays = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    rows = laid_out(arrays)
    assert rows.shape == (2 + 1 + 1 + 1, 256)
    for name, array in taken_apart(rows, shapes).items():
        np.testing.assert_array_equal(array, arrays[name])


def test_the_honest_are_admitted(member, turns, sent):
    for turn, uploads in zip(turns, [uploads_of(member, turns[0]), *sent], strict=False):
        for upload in uploads:
            assert member.admit(upload, enrolled(upload.sites[0]), turn)[1] == []


def test_steps_are_counted_with_images_that_come_one_by_one():
    """In parts each image may be a batch, and an honest site takes more steps for it."""
    whole = member_of(batch=4)
    parted = replace(whole.config, coreset=replace(whole.config.coreset, memory_gb=1.0))
    assert (whole._steps(10), Ast(parted)._steps(10)) == (3 * TINY["epochs"], 10 * TINY["epochs"])


def moved(rows):
    rows = rows.copy()
    rows[0, 0, 0] += 1.0
    return rows


def beyond(rows):
    rows = rows.copy()
    rows[:, -1, -1] = 0.5
    return rows


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda one: {"rows": one.rows[:, :-1]}, "shape"),
        (lambda one: {"rows": one.rows[:, :, :-1]}, "shape"),
        (lambda one: {"rows": moved(one.rows)}, "norm"),
        (lambda one: {"rows": beyond(one.rows)}, "range"),
        (lambda one: {"categories": ("gear",)}, "names"),
        (lambda one: {"images": one.images + 100}, "counts"),
        (lambda one: {"scope": "mixed"}, "names"),
    ],
)
def test_what_no_site_can_have_trained_is_refused(member, turns, sent, change, word):
    for turn, (upload, _) in zip(turns[1:3], sent, strict=True):
        with pytest.raises(UploadError) as refused:
            member.admit(upload.replace(**change(upload)), enrolled("graz"), turn)
        assert refused.value.reason == word


def test_the_paper_has_its_numbers_and_leaves_no_choice():
    paper = Ast.of(config_of("ast", {"preset": "paper"})).knobs
    assert {name: getattr(paper, name) for name in PAPER} == PAPER
    with pytest.raises(ConfigError, match=r"ast\.hidden = 7: expected 1024, the paper's"):
        Ast.of(config_of("ast", {"preset": "paper", "hidden": 7})).knobs  # noqa: B018
    with pytest.raises(ConfigError, match=r"ast\.kernels = '3,4': expected odd numbers"):
        Ast.of(config_of("ast", {"kernels": "3,4"})).knobs  # noqa: B018


def test_a_loss_that_is_not_finite_names_the_rate():
    student = torch.nn.Linear(1, 1)
    with pytest.raises(DataError, match=r"ast\.rate = 0\.1: after 1 steps the loss is nan"):
        trained(
            student, [1.0, np.nan], lambda x: student.weight.sum() * x, rate=0.1, knob="ast.rate"
        )
