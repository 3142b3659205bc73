"""Logs with a point every so many updates: what lies between two points is told by what stands around it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    CyclicLR,
    LinearLR,
    OneCycleLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
)

from lrdoctor.identify import identify
from lrdoctor.model.arrays import FloatArray, floats, ints
from lrdoctor.model.identification import Fit
from lrdoctor.model.trajectory import Curve, LossCurve, Trajectory

Executed = Callable[..., FloatArray]
Logged = Callable[..., Trajectory]


def read(lr: FloatArray, every: int, logged: Logged, **known: Any) -> Fit:
    """The reading of every `every`-th value."""
    fits = identify(logged(lr[::every], np.arange(len(lr))[::every], **known)).groups[0].fits
    assert len(fits) == 1
    return fits[0]


def loss_of(values: FloatArray) -> LossCurve:
    return LossCurve("loss", "train-loss", floats(np.arange(len(values))), floats(values), ints(np.zeros(len(values))))


@pytest.mark.parametrize("decay", ["linear", "cosine", "1-sqrt"])
@pytest.mark.parametrize("every", [6, 10, 50])
def test_a_stable_part_between_a_ramp_and_a_decay(decay: str, every: int, executed: Executed, logged: Logged) -> None:
    lr = executed(
        lambda o: transformers.get_wsd_schedule(o, 137, 409, num_training_steps=2003, decay_type=decay, min_lr_ratio=0),
        2003,
        lr=0.02,
    )
    fit = read(lr, every, logged)
    assert fit.family == "WarmupStableDecay"
    assert fit.exact
    assert fit.warmup is not None
    assert fit.warmup.steps == 137
    assert fit.schedule.params()["num_decay_steps"] == 409
    assert fit.schedule.params()["decay_type"] == decay


@pytest.mark.parametrize("warmup", [61, 171])
def test_an_inverse_root_whose_peak_was_not_logged(warmup: int, executed: Executed, logged: Logged) -> None:
    lr = executed(lambda o: transformers.get_inverse_sqrt_schedule(o, warmup), 1711, lr=0.006)
    for every in (5, 10, 50):
        fit = read(lr, every, logged)
        assert fit.family == "InverseSqrt"
        assert fit.warmup is not None
        assert (fit.warmup.steps, fit.peak_lr) == (warmup, pytest.approx(0.006))


@pytest.mark.parametrize(("total", "end"), [(784, 0.1), (750, 0.01), (1550, 0.0)])
def test_a_line_ends_at_a_floor_that_people_write(total: int, end: float, executed: Executed, logged: Logged) -> None:
    """Any part of a line is one: of all pairs of a length and a floor the plain one is read, also where it was cut."""
    lr = executed(lambda o: LinearLR(o, 1.0, end, total), int(0.72 * total) if end == 0.0 else total, lr=0.02)
    params = read(lr, 12, logged).schedule.params()
    assert (params["total_iters"], params["end_factor"]) == (total, pytest.approx(end))


def test_cycles_that_shrink_by_a_factor_a_tick(executed: Executed, logged: Logged) -> None:
    lr = executed(
        lambda o: CyclicLR(o, 6.8e-6, 6.8e-5, 140, mode="exp_range", gamma=0.9995, cycle_momentum=False), 1544
    )
    fit = read(lr, 25, logged)
    assert fit.family == "CyclicLR"
    given = fit.schedule.params()
    assert (given["step_size_up"], given["gamma"]) == (140, pytest.approx(0.9995))


def test_steps_by_epoch_where_none_were_logged(executed: Executed, logged: Logged) -> None:
    """Three epochs of a ramp tell the epoch; the drops, five of them apart, fall on whole ones."""

    def make(o: torch.optim.Optimizer) -> SequentialLR:
        return SequentialLR(o, [LinearLR(o, 0.01, total_iters=3), StepLR(o, 5, 0.3)], [3])

    lr = executed(make, 2924, per_tick=86, lr=3e-4)
    for every in (1, 50):
        fit = read(lr, every, logged)
        assert (fit.family, fit.stepped, fit.steps_per_tick) == ("StepLR", "epoch", 86.0)
        assert fit.schedule.params()["step_size"] == 5


def test_a_cosine_by_epoch_where_none_were_logged(executed: Executed, logged: Logged) -> None:
    lr = executed(lambda o: CosineAnnealingLR(o, 26), 338, per_tick=13, lr=2e-5)
    fit = read(lr, 5, logged)
    assert (fit.family, fit.steps_per_tick, fit.schedule.params()["T_max"]) == ("CosineAnnealingLR", 13.0, 26)


def test_a_constant_behind_a_ramp_is_no_cycle(executed: Executed, logged: Logged) -> None:
    def make(o: torch.optim.Optimizer) -> SequentialLR:
        return SequentialLR(o, [LinearLR(o, 0.1, total_iters=11), ConstantLR(o, 1.0)], [11])

    fit = read(executed(make, 1106, lr=0.04), 1, logged, lr_resolution=5e-6)
    assert fit.family == "Constant"
    assert fit.warmup is not None
    assert fit.warmup.steps == 11


def test_a_straight_cycle_whose_end_was_not_logged(executed: Executed, logged: Logged) -> None:
    lr = executed(
        lambda o: OneCycleLR(o, 0.0091, 3690, pct_start=0.3, anneal_strategy="linear", final_div_factor=100), 3690
    )
    params = read(lr, 5, logged).schedule.params()
    assert (params["total_steps"], params["pct_start"], params["final_div_factor"]) == (3690, 0.3, 100.0)


def test_cuts_between_sparse_points_that_a_metric_foretells(logged: Logged) -> None:
    """The metric was logged once an epoch of 45 updates, the LR every 50 updates, and no epoch."""
    rng = np.random.default_rng(3)
    metric = 0.9 - 0.6 * np.exp(-np.arange(60) / 9.0) + rng.normal(0.0, 0.006, 60)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    scheduler = ReduceLROnPlateau(optimizer, mode="max", factor=0.5, patience=4)
    used = []
    for value in metric.tolist():
        used += [float(optimizer.param_groups[0]["lr"])] * 45
        scheduler.step(value)
    curve = Curve("val_accuracy", "metric", floats(np.arange(60) * 45 + 44), floats(metric), ints(np.zeros(60)))
    fit = read(floats(used), 50, logged, curves=(curve,))
    assert fit.family == "ReduceLROnPlateau"
    assert fit.schedule.params()["patience"] == 4


@pytest.mark.parametrize("start", [1e-6, 1e-5])
def test_a_straight_sweep_past_any_sane_lr_is_a_range_test(start: float, logged: Logged) -> None:
    """Its loss is lowest after a few updates, and explodes from there on."""
    lr = start + (10.0 - start) * np.arange(352) / 351
    loss = 2.3 - 1.2 / (1 + (0.05 / lr) ** 1.5) + 2.0 * np.maximum(np.log10(lr / 0.2), 0.0) ** 2
    curve = loss_of(loss)
    fit = read(floats(lr), 1, logged, curves=(curve,))
    assert (fit.family, fit.schedule.params()["step_mode"]) == ("RangeTest", "linear")
    assert math.isclose(float(str(fit.schedule.params()["start_lr"])), start, rel_tol=1e-2)
    still = loss_of(2.3 - np.arange(352) / 400)
    assert read(floats(lr), 1, logged, curves=(still,)).family != "RangeTest"


def test_a_sweep_that_was_logged_now_and_then(logged: Logged) -> None:
    lr = 1e-6 * 1e6 ** (np.arange(251) / 250)
    params = read(floats(lr), 6, logged).schedule.params()
    assert (params["start_lr"], params["end_lr"], params["num_iter"]) == (1e-6, 1.0, 250)
