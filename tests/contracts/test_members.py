"""Every member of an ensemble, found by its file name, obeys the laws of `members/base.py`."""

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest

from fedad.config import every_knob, read
from fedad.errors import ConfigError, FedadError
from fedad.members.base import member_of
from fedad.methods.base import Turn
from fedad.plugins import names
from fedad.seeding import stream
from tests.contracts.drawn_sites import MARK_16, QUICK, embed, site
from tests.contracts.test_methods import same

SITES = [site("graz"), site("lyon")]
SIDE = 32
# What makes a member quick to test; one that is not here is tested with its defaults.
QUICK_MEMBERS: dict[str, dict[str, object]] = {
    "discriminator": {**QUICK["discriminator"], "rounds": 1},
    "gaussian": QUICK["gaussian"],
    "subspace": QUICK["subspace"],
    "ast": {"teacher-rounds": 1, "student-rounds": 1, "epochs": 1, "hidden": 4},
    "csflow": {"rounds": 1, "epochs": 1, "size": 128, "hidden": 4, "blocks": 1},
    "draem": {"rounds": 2, "epochs": 1, "size": 32, "reconstruction": 2, "discrimination": 2},
    "revdist": {"rounds": 1, "epochs": 1, "size": 64},
}


@dataclass(frozen=True)
class Drawn:
    """Images of noise by their features' names, and features of any images."""

    images: tuple[str, ...]

    def __len__(self):
        return len(self.images)

    def __getitem__(self, image):
        rng = np.random.default_rng([*self.images[image].encode()])
        return rng.integers(90, 160, (SIDE, SIDE, 3)).astype(np.uint8)

    def embed(self, images):
        return np.zeros((len(images), 4, 4, 6), np.float32)


def seen(samples):
    features = embed(samples)
    return replace(features, pixels=Drawn(features.images))


def member_named(name):
    knobs = {f"{name}.{knob}": value for knob, value in QUICK_MEMBERS.get(name, {}).items()}
    known = every_knob()
    knobs = {key: value for key, value in knobs.items() if key in known}
    return member_of(read({"coreset.local-ratio": 0.5, "embedder.threads": 1, **knobs}), name)


def learned(member):
    """The frozen member, and what was uploaded in each round."""
    model, sent, own = None, [], {}
    for number, kinds in enumerate(member.rounds, start=1):
        turn, uploads = Turn(number, model), []
        for plant in SITES:
            rng = stream(0, plant.name, str(number))
            features = seen(plant.train)
            made = member.fit(features, turn, own=own.get(plant.name), rng=rng)
            sealed = made.sealed(plant.name, "float32")
            own[plant.name] = made.with_own(sealed)
            assert type(sealed) is kinds.upload
            uploads.append(kinds.upload.unpack(*sealed.pack()))
        model = member.merge(uploads, turn, rng=stream(0, "merge", str(number)))
        assert type(model) is kinds.model
        model = kinds.model.unpack(*model.pack())
        sent.append(uploads)
    return model, sent


@pytest.fixture(params=names("members"), scope="module")
def known(request):
    try:
        member = member_named(request.param)
    except ConfigError as error:
        if "not installed" not in str(error):
            raise
        pytest.skip(str(error))
    return member, *learned(member)


def test_the_tap_of_an_image_is_the_same_alone_and_among_others(known):
    member, model, _ = known
    features = seen(SITES[0].test)
    tap = member.tap(model, features)
    assert tap.channels.dtype == tap.anomaly.dtype == np.float32
    assert tap.channels.shape[:3] == tap.anomaly.shape
    assert len(tap.anomaly) == len(features.grid)
    assert np.isfinite(tap.channels).all()
    assert np.isfinite(tap.anomaly).all()
    scores = member.image_scores(tap.anomaly)
    assert scores.shape == (len(tap.anomaly),)
    for k in (0, 5):
        one = member.tap(model, features.take([k]))
        np.testing.assert_array_equal(one.channels[0], tap.channels[k])
        np.testing.assert_array_equal(one.anomaly[0], tap.anomaly[k])
        assert member.image_scores(one.anomaly)[0] == scores[k]


def test_the_same_seed_learns_the_same_bytes(known):
    member, model, sent = known
    again, too = learned(member)
    same(again, model)
    for uploads, others in zip(sent, too, strict=True):
        for one, other in zip(uploads, others, strict=True):
            same(one, other)


def test_it_knows_its_products_and_no_other_network(known):
    member, model, _ = known
    assert member.judges(model, "bolt")
    assert not member.judges(model, "gear")
    assert model.fingerprint.differences(MARK_16) == []
    foreign = replace(seen(SITES[0].test), fingerprint=replace(MARK_16, backbone="other"))
    with pytest.raises(FedadError, match="backbone: tiny and other"):
        member.tap(model, foreign)
    told = member.describe(model)
    assert json.loads(json.dumps(told)) == told


def test_arrays_have_as_many_dimensions_as_travel(known):
    _, model, sent = known
    for payload in (model, *(one for uploads in sent for one in uploads)):
        assert max(array.ndim for array in payload.pack()[0].values()) <= 3
