"""Members of anomalib's networks give anomalib's own maps; without it one line says what to do.

    pip install 'fedad[anomalib]'

The tests that need anomalib skip where it is not installed.
"""

import importlib.util

import numpy as np
import pytest
import torch
from PIL import Image

from fedad.errors import ConfigError, DataError, MismatchError, UploadError
from fedad.members import _borrowed
from fedad.members._weights import SEEN, merged
from fedad.members.base import member_of
from fedad.methods.base import Turn
from tests.members.drawn import MARK_64, SITES, config_of, enrolled, part, seen, turns_of

# anomalib warns when it is imported, of its own parts and of timm's.
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")

KNOBS = {
    "revdist": {"rounds": 2, "epochs": 1, "size": 64, "batch": 3},
    "csflow": {"rounds": 2, "epochs": 2, "size": 128, "hidden": 4, "blocks": 2, "rate": 5e-3},
}
MEMBERS = sorted(KNOBS)
NEEDS = pytest.mark.skipif(
    importlib.util.find_spec("anomalib") is None,
    reason="anomalib is not installed: pip install 'fedad[anomalib]'",
)


def built(name, **more):
    return member_of(config_of(name, KNOBS[name], **more), name)


@pytest.fixture(params=MEMBERS, scope="module")
def member(request):
    return built(request.param)


@pytest.fixture(scope="module")
def turns(member):
    return turns_of(member, {"graz": SITES["graz"].take(range(4))})


@pytest.mark.parametrize("name", MEMBERS)
def test_where_anomalib_is_missing_one_line_names_the_extra(name, monkeypatch):
    monkeypatch.setattr(_borrowed, "find_spec", lambda package: None)
    with pytest.raises(ConfigError, match=rf"'{name}'.*pip install 'fedad\[anomalib\]'$") as told:
        built(name)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("name", MEMBERS)
@pytest.mark.parametrize("weights", ["hub", "package", ""])
def test_weights_that_would_be_downloaded_are_refused(name, weights, monkeypatch):
    monkeypatch.setattr(_borrowed, "find_spec", lambda package: package)
    with pytest.raises(ConfigError, match=rf"{name}\.weights = '{weights}'.*nothing is downloaded"):
        built(name, weights=weights)


@pytest.mark.parametrize(("name", "size"), [("revdist", 100), ("csflow", 200)])
def test_a_size_that_cannot_be_halved_is_refused(name, size, monkeypatch):
    monkeypatch.setattr(_borrowed, "find_spec", lambda package: package)
    with pytest.raises(ConfigError, match=rf"{name}\.size = {size}: expected a multiple"):
        built(name, size=size)


def statistics(site, images, values):
    """An upload of a network with one norm of one channel, which has seen these values."""
    rows = np.zeros((1, 1, 4), np.float32)
    return _borrowed.EncodedWeights(
        rows=rows,
        means=np.full_like(rows, np.mean(values)),
        spreads=np.full_like(rows, np.std(values)),
        images=np.array([images], np.int64),
        categories=("bolt",),
        sites=(site,),
        fingerprint=MARK_64,
        encoder=7,
    )


def test_statistics_of_norms_become_those_of_all_values():
    rng = np.random.default_rng(0)
    values = rng.normal(100, 1, 30), rng.normal(104, 3, 60)
    uploads = [statistics("graz", 1, values[0]), statistics("lyon", 2, values[1])]
    config = config_of("revdist", {})
    whole, every = merged(uploads, None, config, "mean"), np.concatenate(values)
    np.testing.assert_allclose(whole.means, every.mean(), rtol=1e-6)
    np.testing.assert_allclose(whole.spreads, every.std(), rtol=1e-5)
    alone = merged(uploads[:1], None, config, "mean")
    far = [one.replace(spreads=one.spreads * 0 + np.float32(SEEN)) for one in uploads]
    assert np.isfinite(merged(far, None, config, "mean").spreads).all()
    with pytest.raises(UploadError, match="spreads holds values") as refused:
        _borrowed.EncodedWeights.unpack(*uploads[0].replace(spreads=far[0].spreads * 2).pack())
    assert refused.value.reason == "range"
    np.testing.assert_array_equal(alone.spreads, uploads[0].spreads)
    later = merged(uploads[:1], whole.replace(categories=("hose",)), config, "mean")
    np.testing.assert_allclose(later.spreads[1], whole.spreads[0], rtol=1e-6)


def without_download(monkeypatch):
    """anomalib's own CS-Flow, whose encoder is not downloaded."""
    from anomalib.models.image.csflow import torch_model

    plain = torch_model.efficientnet_b5
    monkeypatch.setattr(torch_model, "efficientnet_b5", lambda weights: plain(weights=None))
    return torch_model.CsFlowModel


def theirs(member, network, monkeypatch):
    """anomalib's network as it makes it itself, with the weights of ours, and its transform."""
    size = (member.knobs.size, member.knobs.size)
    if member.NAME == "revdist":
        from anomalib.models.image.reverse_distillation import lightning_model, torch_model

        found = torch_model.ReverseDistillationModel(
            member.knobs.backbone, size, ("layer1", "layer2", "layer3"), "add", pre_trained=False
        )
        found.load_state_dict(network.state_dict())
        kind = lightning_model.ReverseDistillation
    else:
        from anomalib.models.image.csflow import lightning_model

        model = without_download(monkeypatch)
        found = model(size, member.knobs.hidden, member.knobs.blocks, 3)
        found.graph.load_state_dict(network.graph.state_dict())
        (encoder,) = network._encoders
        found.feature_extractor.feature_extractor.feature_extractor.load_state_dict(
            encoder.state_dict()
        )
        kind = lightning_model.Csflow
    return found.eval(), kind.configure_pre_processor(size).transform


@NEEDS
def test_maps_are_those_of_anomalibs_own_prediction(member, turns, tmp_path, monkeypatch):
    """On the same files and with the same weights, after rounds of one site."""
    from anomalib.data import PredictDataset

    model = turns[-1].model
    network = member.filled(member.known("bolt", model)).eval()
    other, transform = theirs(member, network, monkeypatch)
    files = [tmp_path / f"{k}.png" for k in range(3)]
    for k, file in enumerate(files):
        larger = np.kron(part(40 + k, defect=k > 0), np.ones((3, 4, 1), np.uint8))
        Image.fromarray(larger).save(file)
    pictures = [np.asarray(Image.open(file)) for file in files]
    tap = member.tap(model, seen_as(pictures))
    for k, item in enumerate(PredictDataset(tmp_path)):
        with torch.inference_mode():
            expected = other(transform(item.image)[None]).anomaly_map[0, 0].numpy()
        _, whole = member.tapped(network, pictures[k])
        scale = float(np.abs(expected).max())  # the product of three scales may be small
        assert np.abs(whole - expected).max() <= 1e-5 * scale
        cells = _borrowed.averaged(expected, tap.anomaly.shape[1])
        np.testing.assert_allclose(tap.anomaly[k], cells, rtol=0, atol=1e-5 * scale)
        assert expected.std() > 1e-2 * scale


def seen_as(pictures):
    features = seen([part(0)] * len(pictures))
    object.__setattr__(features.pixels, "pictures", tuple(pictures))
    return features


@NEEDS
def test_training_lowers_the_loss_and_moves_no_weight_of_the_encoder(member, turns):
    from fedad.members import csflow, revdist
    from fedad.members._anomalib import prepared

    network, mark = member.seeing()
    pictures = torch.cat([prepared(part(seed), member.knobs.size, "cpu") for seed in range(4)])
    found = []
    for model in (None, turns[-1].model):
        network = member.filled(member.known("bolt", model)).train()
        with torch.no_grad():
            if member.NAME == "revdist":
                found.append(revdist._loss(*network(pictures)).item())
            else:
                found.append(csflow._loss(network, network.scales(pictures)).item())
    assert found[1] < found[0]
    assert turns[-1].model.encoder == mark


@NEEDS
def test_one_sites_model_is_what_it_sent(member, turns):
    upload = member.fit(SITES["graz"].take([0, 1]), Turn(), rng=np.random.default_rng(0))
    upload = upload.sealed("graz", "float32")
    model = member.merge([upload], Turn(), rng=None)
    for name in member.HOLDS.FIELDS:
        np.testing.assert_array_equal(getattr(model, name), getattr(upload, name))
    assert member.admit(upload, enrolled("graz"), Turn())[1] == []


def moved(rows):
    rows = rows.copy()
    rows[0, 0, 0] += 5
    return rows


@NEEDS
def test_what_no_site_can_have_trained_is_refused(member, turns):
    upload = turns[-1].model.replace(sites=("graz",))
    changes = {
        "shape": [{"rows": upload.rows[:, :-1]}, {"means": upload.means[:, :0, :5]}],
        "norm": [{"rows": moved(upload.rows)}],
        "fingerprint": [{"encoder": upload.encoder + 1}],
        "counts": [{"images": upload.images + 100}],
    }
    for word, wrong in changes.items():
        for one in wrong:
            with pytest.raises(UploadError) as refused:
                member.admit(upload.replace(**one), enrolled("graz"), turns[-1])
            assert refused.value.reason == word


@NEEDS
def test_another_encoder_is_named(member, turns):
    other = turns[-1].model.replace(encoder=7)
    with pytest.raises(MismatchError, match=rf"{member.NAME}\.weights = 'random': another encoder"):
        member.tap(other, SITES["lyon"])
    both = [turns[-1].model.replace(sites=("graz",)), other.replace(sites=("lyon",))]
    with pytest.raises(MismatchError, match="graz and lyon do not mix"):
        member.merge(both, Turn(), rng=None)


@NEEDS
def test_an_encoders_weights_come_from_a_file(tmp_path):
    from safetensors.torch import save_file

    from fedad.members.revdist import _seeing

    network, random = _seeing("resnet18", 64, "random")
    state = {k: v + 0.01 for k, v in network.encoder.feature_extractor.state_dict().items()}
    save_file({k: v.contiguous() for k, v in state.items()}, tmp_path / "weights.safetensors")
    path = str(tmp_path / "weights.safetensors")
    member = built("revdist", weights=path)
    assert member.facts()["encoder"] != random
    again, _ = member.seeing()
    torch.testing.assert_close(
        again.encoder.feature_extractor.conv1.weight, state["conv1.weight"], rtol=0, atol=0
    )
    with pytest.raises(DataError, match=r"revdist\.weights = .*there is no such file"):
        built("revdist", weights=str(tmp_path / "nothing.pth")).seeing()
    with pytest.raises(DataError, match=r"revdist\.weights = .* does not fit resnet34"):
        built("revdist", weights=path, backbone="resnet34").seeing()
