"""The code people copy: evaluated, it must give the schedule it was printed for."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

from lrdoctor.schedules import (
    Constant,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    ExponentialLR,
    InverseSqrt,
    LinearLR,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    RangeTest,
    ReduceLROnPlateau,
    Sequence,
    StepLR,
    Warmup,
    WarmupStableDecay,
)
from lrdoctor.schedules.ramps import KINDS
from lrdoctor.schedules.stable_decay import DECAYS

torch = pytest.importorskip("torch")

TICKS = 120
FAMILIES = [
    Constant(0.1),
    StepLR(0.1, 30, 0.5),
    MultiStepLR(0.1, (20, 50), 0.3),
    ExponentialLR(0.1, 0.9712345678),
    LinearLR(0.1, 80, 1.0, 0.1),
    PolynomialLR(0.1, 80, 2.0),
    CosineAnnealingLR(0.1, 100, 0.001),
    CosineAnnealingWarmRestarts(0.1, 10, 2, 0.001),
    OneCycleLR(0.1, 120),
    OneCycleLR(0.1, 120, pct_start=0.2, anneal_strategy="linear", three_phase=True),
    Warmup(CosineAnnealingLR(0.1, 100), 20, 0.1),
    Warmup(CosineAnnealingLR(0.1, 100), 20),
    Warmup(StepLR(0.1, 30), 20, 0.25, "constant"),
    Warmup(OneCycleLR(0.1, 100), 20, 0.1),
    Sequence((Constant(0.1), LinearLR(0.1, 20)), (100,)),
    CosineAnnealingLR(0.1, 100, 0.001, k_decay=1.5),
    PolynomialLR(0.1, 80, 2.0, 0.001),
    CyclicLR(0.01, 0.1, 10, 25, "triangular2"),
    InverseSqrt(0.1, 30),
    *(WarmupStableDecay(0.1, 60, 40, decay, 0.05) for decay in DECAYS),
    WarmupStableDecay(0.1, 60, 40),
    RangeTest(1e-5, 1.0, 200),
    RangeTest(0.01, 1.0, 200, "linear"),
    *(Warmup(CosineAnnealingLR(0.1, 100), 20, 0.1, kind) for kind in KINDS),
    *(Warmup(CosineAnnealingLR(0.1, 100), 20, kind=kind) for kind in KINDS if kind != "exponential"),
]


def an_optimizer(lr):
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr, momentum=0.9)


@pytest.mark.parametrize("schedule", FAMILIES, ids=str)
def test_printed_code_gives_the_closed_form(schedule):
    optimizer = an_optimizer(schedule.peak_lr)
    scheduler = eval(schedule.torch_code("optimizer"), {"torch": torch, "math": math, "optimizer": optimizer})
    lr = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SequentialLR calls a deprecated step(0) of its parts
        for _ in range(TICKS):
            lr.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
    np.testing.assert_allclose(lr, schedule.lr_at(np.arange(TICKS)), rtol=0, atol=2e-8 * schedule.peak_lr)


def test_printed_code_of_a_plateau_holds_what_is_known_of_it():
    optimizer = an_optimizer(0.1)
    schedule = ReduceLROnPlateau(0.1, (7, 14), 0.5, 1e-3, patience=6)
    scheduler = eval(schedule.torch_code(), {"torch": torch, "optimizer": optimizer})
    assert (scheduler.factor, scheduler.patience, scheduler.min_lrs) == (0.5, 6, [1e-3])
    assert "patience" not in ReduceLROnPlateau(0.1, (7, 14), 0.5, 1e-3).torch_code()
