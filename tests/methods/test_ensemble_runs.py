"""Whole runs of `fedad run` by each combiner that learns, and with members that are networks."""

import json

import pytest

from fedad.config import every_knob
from fedad.ensembles.combining import Coefficients, Trees
from fedad.ensembles.composite import Composite
from fedad.messages.file import load
from fedad.reporting.run_folder import MODEL, read_record
from tests.contracts.test_members import QUICK_MEMBERS

BASE = {
    "round.method": "ensemble",
    "score.replicates": 2,
    "ensemble.least-images": 1,
    "ensemble.draws": 2,
    "ensemble.rounds": 2,
    "ensemble.trees": 4,
    "ensemble.dimensions": 4,
}


def knobs_of(members, **more):
    """The quick settings of these members, and what is asked for beside."""
    known = every_knob()
    quick = {
        f"{name}.{knob}": value
        for name in members.split(",")
        for knob, value in QUICK_MEMBERS.get(name, {}).items()
        if f"{name}.{knob}" in known
    }
    own = {f"ensemble.{name}": value for name, value in more.items()}
    one = {"subspace.least-images": 1} if "subspace" in members else {}  # of two, less one held out
    return {**BASE, **quick, **one, "ensemble.members": members, **own}


@pytest.mark.parametrize(
    ("members", "more"),
    [
        ("patchcore,subspace", {"combine": "logistic"}),
        ("patchcore,subspace", {"combine": "forest", "calibration": "p"}),
        ("ast,draem", {"combine": "weighted", "head": "nearest"}),
    ],
    ids=lambda value: value if isinstance(value, str) else value["combine"],
)
def test_a_run_ends_well_and_its_record_says_what_it_is_made_of(
    fedad, overlay, tmp_path, members, more
):
    asked = knobs_of(members, **more)
    sets = [word for key, value in asked.items() for word in ("-c", f"{key}={json.dumps(value)}")]
    code, said, _ = fedad("run", overlay, "--via", "local", "--runs", tmp_path / "runs", *sets)
    assert code == 0, said
    (folder,) = [path for path in (tmp_path / "runs").iterdir() if not path.is_symlink()]
    record = read_record(folder)
    model = load(folder / MODEL, Composite)
    parts = {f"member {name}" for name in members.split(",")}
    assert parts <= {*record["model"]["bytes_by_part"]} == {*model.sizes()}
    mean = record["figures"]["federated"]["together"]["mean"]
    for figure in ("image_auroc", "pixel_auroc", "auc_spro_0.05"):
        assert 0 <= mean[figure]["value"] <= 1
    kind = {"logistic": Coefficients, "forest": Trees}.get(more["combine"])
    if kind is not None:
        assert model.part("combiner", kind).categories == ("bolt", "hose")
    weights = record["model"].get("weights_by_category", {})
    assert bool(weights) == (more["combine"] in ("weighted", "logistic"))
