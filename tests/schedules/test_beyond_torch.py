"""One list of what torch has no class for: both that build on torch refuse what is on it, and neither the rest."""

from __future__ import annotations

import pytest

from lrdoctor.resume.torch_state import NoTorchStateError, torch_state
from lrdoctor.schedules import (
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    ExponentialLR,
    InverseSqrt,
    Overlaid,
    PolynomialLR,
    StepLR,
    Unknown,
    Warmup,
    WarmupStableDecay,
)
from lrdoctor.schedules.beyond_torch import beyond_torch

PLAIN = CosineAnnealingLR(0.1, 100)
REFUSED = {
    "no k_decay": CosineAnnealingLR(0.1, 100, k_decay=1.5),
    "begin at the same LR": CosineAnnealingWarmRestarts(0.1, 10, cycle_decay=0.5),
    "falls to 0": PolynomialLR(0.1, 80, 2.0, 0.001),
    "no warmup of the shape exponential": Warmup(PLAIN, 20, 0.1, "exponential"),
    "no decay of the shape 1-sqrt": WarmupStableDecay(0.1, 60, 40, "1-sqrt"),
    "no scheduler for InverseSqrt": InverseSqrt(0.1, 30),
    "no scheduler for Overlaid": Overlaid(PLAIN, 20),
    "no scheduler for Unknown": Unknown((0.0, 1.0), (0.1, 0.2)),
}
TAKEN = [
    PLAIN,
    CosineAnnealingLR(0.1, 100, clamped=True),
    CosineAnnealingWarmRestarts(0.1, 10, 2),
    PolynomialLR(0.1, 80, 2.0),
    Warmup(StepLR(0.1, 30), 20, 0.25, "constant"),
    Warmup(ExponentialLR(0.1, 0.9), 20, 0.1),
]


@pytest.mark.parametrize(("why", "schedule"), REFUSED.items(), ids=REFUSED)
def test_what_is_beyond_torch_is_refused_by_both_with_the_same_reason(why, schedule):
    torch = pytest.importorskip("torch")
    from lrdoctor.simulate.torch_schedulers import NoTorchClassError, build

    assert why in beyond_torch(schedule)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    with pytest.raises(NoTorchClassError, match=why):
        build(schedule, optimizer)
    with pytest.raises(NoTorchStateError, match=why):
        torch_state([schedule], 5)


@pytest.mark.parametrize("schedule", TAKEN, ids=str)
def test_what_is_not_is_built_and_has_a_state(schedule):
    torch = pytest.importorskip("torch")
    from lrdoctor.simulate.torch_schedulers import base_lr, build

    assert beyond_torch(schedule) is None
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=base_lr(schedule))
    assert build(schedule, optimizer) is not None
    assert torch_state([schedule], 5)["last_epoch"] == 5
