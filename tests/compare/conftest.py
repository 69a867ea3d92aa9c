"""One small comparison over striped parts, run once for all tests that look at it."""

from __future__ import annotations

from pathlib import Path

import pytest

from fedad.compare.compare import compare
from fedad.compare.plan import Plan, read_plan
from fedad.plumbing.progress import Silent

MATRIX = """
# Whether a third of the rows does, on striped parts.
#
#   fedad compare matrix.yaml
#
# Expect: nothing of note.
name: small
set: {bank.size: 96, score.false-rejects: 0.4, score.replicates: 20}
axes:
  wire.dtype: [float32, float16]
seeds: 2
figures: [image_auroc, auc_spro_0.05]
replicates: 50
recommend:
  at most 1 kB up a site: {at-most: {mb_up_a_site: 0.001}}
"""


@pytest.fixture(scope="session")
def small(tmp_path_factory, knobs) -> Plan:
    path = tmp_path_factory.mktemp("plan") / "matrix.yaml"
    path.write_text(MATRIX.lstrip())
    return read_plan(path, [f"{key}={value}" for key, value in knobs.items()])


@pytest.fixture(scope="session")
def compared(small, tmp_path_factory) -> Path:
    """The folder of the finished comparison."""
    root = tmp_path_factory.mktemp("comparison")
    ran, cells = compare(small, root, via="local", jobs=1, sink=Silent())
    assert ran == cells == 4 + 4 + 4
    return root
