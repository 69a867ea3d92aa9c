"""How much is computed and how much is held, counted: seconds would depend on the machine."""

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from fedad.config import ScoreKnobs, read
from fedad.coresets.kcenter import kcenter
from fedad.datasets.base import open_dataset
from fedad.embedders.embedder import Embedder
from fedad.round import merge
from fedad.scoring.nearest import nearest
from fedad.search import nearest_rows
from tests.conftest import bank_of


class Watched(TorchDispatchMode):
    """Counts matrix products, and keeps the size of the largest tensor that was made."""

    def __init__(self):
        super().__init__()
        self.products, self.largest = 0, 0

    def __torch_dispatch__(self, op, types, args=(), kwargs=None):
        made = op(*args, **(kwargs or {}))
        self.products += op.overloadpacket in (torch.ops.aten.mm, torch.ops.aten.addmm)
        sizes = [x.nbytes for x in tree_leaves(made) if isinstance(x, torch.Tensor)]
        self.largest = max(self.largest, *sizes, 0)
        return made


def drawn(count, features=24, seed=0):
    """Points in clumps, as patches are."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(40, features))
    near = centres[rng.integers(40, size=count)] + 0.3 * rng.normal(size=(count, features))
    return near.astype(np.float32)


def flops(work):
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


def select(points, size, **knobs):
    return kcenter(points, size, rng=np.random.default_rng(0), **knobs)


def test_kcenter_multiplies_little_more_than_the_loop_and_in_few_large_products():
    points, size = drawn(20_000), 1000
    loop = 2 * len(points) * size * points.shape[1]
    assert flops(lambda: select(points, size)) < 1.5 * loop
    with Watched() as watched:
        select(points, size)
    assert watched.products < size / 5  # the loop has one a pick


@pytest.mark.parametrize("workspace", [2**20, 2**23])
def test_no_tensor_of_kcenter_is_larger_than_the_points_or_the_workspace(workspace):
    points = drawn(6000)
    with Watched() as watched:
        rows = select(points, 600, workspace=workspace)
    assert watched.largest <= max(points.nbytes, workspace)
    assert watched.largest < len(points) ** 2 / 4
    np.testing.assert_array_equal(rows, select(points, 600))


def test_nearest_multiplies_once_and_holds_one_block():
    points, rows = drawn(3000), drawn(2500, seed=1)
    bank = bank_of(rows)
    once = 2 * len(points) * len(rows) * points.shape[1]
    assert flops(lambda: nearest(bank, points)) == once
    with Watched() as watched:
        nearest(bank, points)
    block = 4 * max(
        nearest_rows.SUB * nearest_rows.ROWS, nearest_rows.PATCHES * points.shape[1], rows.size
    )
    assert watched.largest <= block < 4 * len(points) * len(rows)


def test_a_short_list_is_short_and_spares_the_float32_products():
    points, rows = drawn(3000), drawn(2500, seed=1)
    knobs, at_most = (
        ScoreKnobs(search="bfloat16"),
        0.2 * 2 * len(points) * len(rows) * points.shape[1],
    )
    counted = FlopCounterMode(display=False)
    with counted:
        nearest(bank_of(rows), points, knobs=knobs)
    by_operator = counted.get_flop_counts()["Global"]
    single = sum(count for op, count in by_operator.items() if op is not torch.ops.aten.mm)
    assert by_operator[torch.ops.aten.mm] >= 2 * points.shape[1] * len(points) * len(rows)
    assert single < at_most


def test_ten_times_the_sites_cost_a_merge_less_than_twelve_times():
    config = read({"bank.size": 300})

    def work(sites):
        uploads = [bank_of(drawn(200, seed=k), f"site-{k:03d}") for k in range(sites)]
        return flops(lambda: merge(config, uploads))

    assert 0 < work(60) < 12 * work(6)


def test_features_that_are_cached_take_no_arithmetic(knobs, tmp_path):
    config = read({**knobs, "embedder.cache": str(tmp_path)})
    samples = open_dataset(config.data).samples[:4]
    assert flops(lambda: Embedder(config.embedder)(samples)) > 0
    assert flops(lambda: Embedder(config.embedder)(samples)) == 0
