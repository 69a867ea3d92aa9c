"""SimpleNet's head: its loss by hand, training that helps, and FedAvg that is an average."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from fedad.averaging.reach import ADAM
from fedad.errors import UploadError
from fedad.judging.admission import admit_upload
from fedad.methods.base import FIRST, Turn, method_of
from fedad.methods.discriminator import LAYERS, MARGIN, logits
from fedad.round import fit, learn, merge
from tests.contracts.drawn_sites import D, config_of, embed, far, site
from tests.contracts.test_methods import enrolled

SITES = [site("graz", count=6), site("lyon", count=6), site("turin", categories=("bolt",))]


def by_hand(head, points):
    """The logits of points (n, D), layer by layer in float64."""
    adapted = points @ head["adapt"].T + head["shift"]
    inside = adapted @ head["hidden"].T + head["offset"]
    mean, spread = inside.mean(1, keepdims=True), inside.std(1, keepdims=True)
    normed = (inside - mean) / np.sqrt(spread**2 + 1e-5) * head["gain"] + head["bias"]
    return np.where(normed > 0, normed, 0.2 * normed) @ head["out"]


def test_logits_are_those_of_the_layers():
    model = learn(config_of("discriminator"), SITES, embed).model
    head = {name: getattr(model, name)[0].astype(float) for name in LAYERS}
    points = embed(SITES[0].train).patches[:20].astype(float)
    layers = {name: torch.tensor(getattr(model, name)[0]) for name in LAYERS}
    found = logits(layers, torch.tensor(points, dtype=torch.float32)).numpy()
    np.testing.assert_allclose(found, by_hand(head, points), rtol=1e-4, atol=1e-5)


def test_the_loss_counts_what_is_within_the_margin_alone():
    method = method_of(config_of("discriminator"))
    shapes = {"adapt": (D, D), "shift": (D,), "hidden": (8, D), "offset": (8,)}
    layers = {name: torch.zeros(shape) for name, shape in shapes.items()}
    layers |= {name: torch.zeros(8) for name in ("gain", "bias", "out")}
    points = torch.ones(4, D)
    noise = torch.Generator().manual_seed(0)
    assert method._loss(layers, points, noise).item() == pytest.approx(2 * MARGIN)


def test_more_training_tells_defects_better_apart():
    gaps = []
    for epochs in (1, 12):
        config = config_of("discriminator", epochs=epochs)
        model, method = learn(config, SITES, embed).model, method_of(config)
        good, _ = method.score(model, embed(SITES[0].test))
        bad, _ = method.score(model, far(SITES[0].test))
        gaps.append(np.median(bad[:, 1:3, 1:3]) - np.median(good))
    assert gaps[1] > gaps[0] > 0


def test_the_server_averages_by_images_of_the_product():
    config = config_of("discriminator")
    uploads = [fit(config, plant, embed).upload for plant in SITES]
    merged = merge(config, uploads)
    bolts = [one.take([one.categories.index("bolt")]) for one in uploads]
    weights = [float(one.images[0]) for one in bolts]
    for layer in LAYERS:
        stack = np.stack([getattr(one, layer)[0] for one in bolts]).astype(float)
        expected = np.average(stack, axis=0, weights=weights)
        np.testing.assert_allclose(getattr(merged, layer)[0], expected, rtol=1e-5, atol=1e-6)
    assert merged.by_product() == {"bolt": 16, "hose": 12}


def test_every_site_starts_from_the_same_head_and_goes_on_from_the_broadcast_one():
    config = config_of("discriminator", rate=1e-12)
    one, other = (fit(config, plant, embed).upload for plant in SITES[:2])
    np.testing.assert_allclose(one.hidden, other.hidden, atol=1e-6)
    moved = one.replace(shift=one.shift + 7)
    later = fit(config, SITES[0], embed, Turn(2, moved)).upload
    np.testing.assert_allclose(later.shift, moved.shift, atol=1e-6)
    assert FIRST.model is None


def test_one_liar_of_three_does_not_move_a_median():
    config = config_of("discriminator", averaging="median")
    plants = [site(name, categories=("bolt",)) for name in ("graz", "lyon", "turin")]
    uploads = [fit(config, plant, embed).upload for plant in plants]
    lie = uploads[2].replace(out=np.full_like(uploads[2].out, 1e4))
    honest, attacked = merge(config, uploads), merge(config, [*uploads[:2], lie])
    assert np.abs(attacked.out - honest.out).max() < 1
    plain = replace(config, plugins={})
    averaged = merge(config_of("discriminator"), [*uploads[:2], lie])
    assert np.abs(averaged.out).max() > 1000
    assert plain.knobs("discriminator").averaging == "mean"


@pytest.mark.parametrize("dtype", ["float32", "int8"])
@pytest.mark.parametrize("number", [1, 2])
def test_heads_that_no_training_gives_are_refused_and_honest_ones_are_not(dtype, number):
    config = config_of("discriminator", rounds=2)
    config = replace(config, wire=replace(config.wire, dtype=dtype))
    turn = FIRST
    if number == 2:
        turn = Turn(2, merge(config, [fit(config, one, embed).upload for one in SITES]))
    honest = fit(config, SITES[0], embed, turn).upload
    who = enrolled(SITES[0])._replace(train=dict.fromkeys(("bolt", "hose"), 6))
    assert admit_upload(config, honest, who, turn) == (honest, [])
    knobs = config.knobs("discriminator")
    steps = knobs.epochs * 6 * -(-16 // knobs.batch)
    for layer in LAYERS:
        far = getattr(honest, layer).copy()
        far.reshape(len(far), -1)[1, -1] += 2.1 * ADAM * knobs.rate * steps + 0.1
        with pytest.raises(UploadError, match=f"a weight of {layer} is") as refused:
            admit_upload(config, honest.replace(**{layer: far}), who, turn)
        assert refused.value.reason == "norm"


def test_heads_of_other_features_are_refused():
    config, who = config_of("discriminator"), enrolled(SITES[0])
    honest = fit(config, SITES[0], embed).upload
    with pytest.raises(UploadError, match=r"neurons and features, expected \(8, 7\)"):
        method_of(config).admit(honest, who._replace(features=D + 1), FIRST)
