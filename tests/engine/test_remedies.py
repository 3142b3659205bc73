"""Schedules over more ticks keep their shape; another main schedule keeps what stands around it."""

from __future__ import annotations

import numpy as np
import pytest

from lrdoctor.engine.remedies import over_run, stretched, with_main
from lrdoctor.model.identification import Fit
from lrdoctor.schedules import (
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    ExponentialLR,
    InverseSqrt,
    LinearLR,
    MultiStepLR,
    PolynomialLR,
    ReduceLROnPlateau,
    Sequence,
    StepLR,
    Stepped,
    Unknown,
    Warmup,
    WarmupStableDecay,
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
        CyclicLR(0.01, 0.1, 20, 30),
        InverseSqrt(0.1, 40.0),
        WarmupStableDecay(0.1, 60, 30),
        ReduceLROnPlateau(0.1, (30.0, 60.0)),
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


def test_another_main_schedule_keeps_what_stands_before_it_and_the_clock():
    shorter = CosineAnnealingLR(0.1, T_max=50)
    ramp = LinearLR(0.1, total_iters=10, start_factor=0.1, end_factor=1.0)
    for whole in (
        Warmup(CosineAnnealingLR(0.1, T_max=90), 10, 0.1),
        Stepped(Warmup(CosineAnnealingLR(0.1, T_max=90), 10, 0.1), 20, "epoch"),
        Sequence((ramp, CosineAnnealingLR(0.1, T_max=90)), (10.0,)),
    ):
        changed = with_main(whole, shorter)
        per_tick = whole.updates_per_tick if isinstance(whole, Stepped) else 1.0
        steps = np.arange(61.0) * per_tick
        assert changed.lr_at(steps[:11]) == pytest.approx(whole.lr_at(steps[:11]))
        assert changed.lr_at(steps[10:]) == pytest.approx(shorter.lr_at(np.arange(51.0)))


def test_earlier_readings_stay_in_force_until_the_last_takes_over():
    def fit(schedule, first, last):
        return Fit(schedule, schedule, first, last, "update", 1.0, 0.0, 0.99, True)

    first, second = CosineAnnealingLR(0.1, T_max=400), LinearLR(0.05, total_iters=300)
    whole = over_run((fit(first, 3.0, 99.0),), 100.0, second)
    steps = np.arange(200.0)
    assert whole.lr_at(steps[:100]) == pytest.approx(first.lr_at(steps[:100]))
    assert whole.lr_at(steps[100:]) == pytest.approx(second.lr_at(steps[100:]))
