"""Schedules over more ticks keep their shape."""

from __future__ import annotations

import numpy as np
import pytest

from lrdoctor.engine.remedies import stretched
from lrdoctor.schedules import (
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    ExponentialLR,
    LinearLR,
    MultiStepLR,
    PolynomialLR,
    Sequence,
    StepLR,
    Stepped,
    Unknown,
    Warmup,
)


@pytest.mark.parametrize(
    "schedule",
    [
        CosineAnnealingLR(0.1, T_max=100),
        CosineAnnealingWarmRestarts(0.1, T_0=10, T_mult=2),
        ExponentialLR(0.1, 0.9),
        LinearLR(0.1, total_iters=50),
        MultiStepLR(0.1, (30, 60)),
        PolynomialLR(0.1, total_iters=80, power=2.0),
        StepLR(0.1, 20),
        Warmup(CosineAnnealingLR(0.1, T_max=90), 10),
        Stepped(StepLR(0.1, 2), 10, "epoch"),
        Sequence((LinearLR(0.1, 20), CosineAnnealingLR(0.1, T_max=30)), (20,)),
        Unknown((0.0, 50.0), (0.1, 0.2)),
    ],
    ids=lambda schedule: type(schedule).__name__,
)
def test_a_stretched_schedule_is_the_same_at_as_many_times_the_step(schedule):
    ticks = np.arange(100.0)
    np.testing.assert_allclose(stretched(schedule, 3.0).lr_at(3.0 * ticks), schedule.lr_at(ticks), rtol=1e-9)
