"""The code people copy: evaluated, it must give the schedule it was printed for."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from lrdoctor.schedules import (
    Constant,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    ExponentialLR,
    LinearLR,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    Sequence,
    StepLR,
    Warmup,
)

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
]


@pytest.mark.parametrize("schedule", FAMILIES, ids=str)
def test_printed_code_gives_the_closed_form(schedule):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=schedule.peak_lr, momentum=0.9)
    scheduler = eval(schedule.torch_code("optimizer"), {"torch": torch, "optimizer": optimizer})
    lr = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SequentialLR calls a deprecated step(0) of its parts
        for _ in range(TICKS):
            lr.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
    np.testing.assert_allclose(lr, schedule.lr_at(np.arange(TICKS)), rtol=0, atol=2e-8 * schedule.peak_lr)
