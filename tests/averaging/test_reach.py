"""Adam stays within its bound, whatever the gradients are, and what is beyond it is refused."""

import numpy as np
import pytest
import torch

from fedad.averaging.reach import ADAM, check_reach
from fedad.errors import UploadError


@pytest.mark.parametrize("quiet", [0, 50])
def test_no_weight_moves_farther_than_adam_can(quiet):
    """The farthest are those whose gradients are 0 but for a few."""
    weight = torch.zeros(2, requires_grad=True)
    adam = torch.optim.Adam([weight], lr=0.01)
    for step in range(quiet + 3):
        weight.grad = torch.tensor([float(step >= quiet), -1e6 * (step >= quiet)])
        adam.step()
    moved = weight.detach().numpy()
    assert np.abs(moved).max() > 0.01
    assert np.abs(moved).max() < ADAM * 0.01 * (quiet + 3)
    check_reach({"f": moved}, {"f": np.zeros(2)}, rate=0.01, steps=quiet + 3)
    with pytest.raises(UploadError, match=r"a weight of f is .* off what was sent") as refused:
        check_reach({"f": moved}, {"f": np.zeros(2)}, rate=0.0001, steps=3)
    assert refused.value.reason == "norm"


def test_weights_of_other_units_may_go_as_much_farther():
    start, sent = {"f": np.zeros((2, 2))}, {"f": np.array([[0.0, 5.0], [0.0, 5.0]])}
    widths = {"f": np.array([1.0, 100.0])}
    check_reach(sent, start, rate=0.01, steps=3, widths=widths)
    with pytest.raises(UploadError, match="is 5 off what was sent to the site"):
        check_reach(sent, start, rate=0.01, steps=3)
    with pytest.raises(UploadError, match=r"is 0\.5 off what was sent to the site"):
        check_reach({"f": sent["f"] / 10 + [0.5, 0]}, start, rate=0.01, steps=3, widths=widths)
