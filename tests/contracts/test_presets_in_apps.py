"""Presets of `patchcore` in the apps, where counts of a first round are few or a site missed it."""

import numpy as np
import pytest
from flwr.app import Error, Message

from client_app.app import app as client_app
from fedad.config import read
from fedad.datasets.base import open_dataset
from fedad.descriptors.settings import embedded, evidence_of
from fedad.embedders.embedder import Embedder
from fedad.partition import partition
from fedad.round import learn
from server_app.kept import Kept
from tests.contracts.test_apps import run
from tests.contracts.test_methods import same

pytestmark = pytest.mark.usefixtures("in_a_run")


def started(settings, tmp_path, app=client_app):
    settings = {**settings, "round.out": str(tmp_path / "plants"), "score.replicates": 2}
    return run(settings, Kept.begin(tmp_path / "server", read(settings)), app)


def test_where_no_site_has_enough_images_the_bank_is_as_in_process(knobs, tmp_path):
    """Products of which nobody counts anything are described as the network gives them."""
    settings = {**knobs, "patchcore.preset": "auto", "patchcore.least-images": 99}
    config = read(settings)
    sites = partition(open_dataset(config.data), config.data, seed=config.round.seed)
    embed = Embedder(config.embedder)
    strategy = started(settings, tmp_path)
    same(strategy.model, learn(config, sites, embed).model)
    assert strategy.model.fingerprint == embed.fingerprint
    assert set(strategy.findings) == {"graz", "lyon", "turin"}


def test_a_site_that_missed_the_counts_has_rows_in_the_bank(knobs, tmp_path):
    def late(message, context):
        first = message.content.config_records.get("run", {}).get("round") == 1
        lyon = context.node_config["partition-id"] == 1
        if lyon and first and message.metadata.message_type == "train":
            return Message(Error(code=1, reason="its machine was off"), reply_to=message)
        return client_app(message, context)

    settings = {
        **knobs,
        "patchcore.preset": "auto",
        "patchcore.least-images": 2,
        "round.min-sites": 2,
    }
    strategy = started(settings, tmp_path, late)
    assert strategy.attendance.absences == {"lyon": ["train"]}
    model = strategy.model
    assert model.sites == ("graz", "lyon", "turin")
    assert {*evidence_of(model.fingerprint)} == {"bolt", "hose"}
    assert embedded(model.fingerprint) != model.fingerprint
    assert np.isfinite(model.rows).all()
