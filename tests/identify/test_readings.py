"""The finer points of a reading: unit, horizon, warmup, what was assumed, what a checkpoint states."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, MultiStepLR, OneCycleLR, ReduceLROnPlateau

from lrdoctor.identify import identify
from lrdoctor.model.arrays import FloatArray, floats, ints
from lrdoctor.model.identification import Fit
from lrdoctor.model.run import Checkpoint, SchedulerState
from lrdoctor.model.trajectory import Curve, Trajectory


def fit_of(trajectory: Trajectory, checkpoints: tuple[Checkpoint, ...] = ()) -> Fit:
    lead = identify(trajectory, checkpoints).lead
    assert lead is not None
    assert len(lead.fits) == 1
    return lead.fit


def test_a_cycle_built_for_updates_and_stepped_per_epoch(
    executed: Callable[..., FloatArray], logged: Callable[..., Any]
) -> None:
    """Ten of a thousand steps: the foot of the rise tells the cycle, given torch's default height."""
    lr = executed(lambda o: OneCycleLR(o, 0.1, total_steps=1000), 1000, per_tick=100)
    fit = fit_of(logged(lr, steps_per_epoch=100.0, planned_steps=1000))
    assert fit.family == "OneCycleLR"
    assert (fit.stepped, fit.steps_per_tick) == ("epoch", 100.0)
    assert fit.schedule.params()["total_steps"] == 1000
    assert fit.peak_lr == pytest.approx(0.1, rel=1e-4)
    assert fit.assumed == ("div_factor = 25",)


def test_plateaus_of_one_length_are_epochs_where_none_were_logged(
    executed: Callable[..., FloatArray], logged: Callable[..., Any]
) -> None:
    lr = executed(lambda o: CosineAnnealingLR(o, 30), 1200, per_tick=40)
    fit = fit_of(logged(lr))
    assert (fit.stepped, fit.steps_per_tick) == ("epoch", 40.0)
    assert fit.schedule.params()["T_max"] == 30
    assert any("40" in assumption for assumption in fit.assumed)


def test_one_point_an_epoch_leaves_the_unit_open(
    executed: Callable[..., FloatArray], logged: Callable[..., Any]
) -> None:
    """At the first update of each epoch, a cosine per update and one per epoch have the same values."""
    lr = executed(lambda o: CosineAnnealingLR(o, 1000), 1000)
    steps = np.arange(0.0, 1000.0, 50.0)
    fit = fit_of(logged(lr[::50], steps, steps_per_epoch=50.0, planned_steps=1000))
    assert fit.family == "CosineAnnealingLR"
    assert fit.stepped is None
    assert fit.horizon_steps == pytest.approx(1000)


def test_one_point_within_each_epoch_tells_the_unit(
    executed: Callable[..., FloatArray], logged: Callable[..., Any]
) -> None:
    lr = executed(lambda o: CosineAnnealingLR(o, 1000), 1000)
    steps = np.arange(23.0, 1000.0, 50.0)
    fit = fit_of(logged(lr[23::50], steps, steps_per_epoch=50.0))
    assert fit.stepped == "update"
    assert fit.schedule.params()["T_max"] == 1000


def test_a_warmup_that_fell_between_two_logged_points(logged: Callable[..., Any]) -> None:
    steps = np.arange(0.0, 2000.0, 50.0)
    lr = np.where(steps < 30, 1e-3 * steps / 30, 5e-4 * (1 + np.cos(np.pi * (steps - 30) / 1970)))
    fit = fit_of(logged(lr, steps))
    assert fit.warmup is not None
    assert fit.warmup.steps == pytest.approx(30)
    assert fit.schedule.params()["T_max"] == pytest.approx(1970)


def test_a_warmup_that_was_not_logged_at_all_is_said_to_be_assumed(logged: Callable[..., Any]) -> None:
    """A straight line behind it: only the round peak LR tells where it began."""
    steps = np.arange(49.0, 3000.0, 50.0)
    fit = fit_of(logged(2e-3 * (3000 - steps) / 2970, steps, planned_steps=3000))
    assert fit.peak_lr == pytest.approx(2e-3)
    assert fit.warmup is not None
    assert fit.warmup.steps == 30
    assert fit.assumed


def test_a_ramp_of_k_plus_one(logged: Callable[..., Any]) -> None:
    """lr * (k + 1) / (n + 1) during the warmup, as in nanoGPT."""
    k = np.arange(1000.0)
    decay = 1e-4 + 9e-4 * 0.5 * (1 + np.cos(np.pi * (k - 100) / 900))
    fit = fit_of(logged(np.where(k < 100, 1e-3 * (k + 1) / 101, decay)))
    assert fit.warmup is not None
    assert (fit.warmup.steps, fit.shift) == (100, 0)
    assert fit.schedule.params() == {"T_max": 900, "eta_min": pytest.approx(1e-4)}


def test_a_warmup_beside_the_schedules_own_clock(logged: Callable[..., Any]) -> None:
    """timm: the cosine counts from epoch 0, the ramp stands in for its first ten epochs."""
    epoch = np.arange(100.0)
    cosine = 1e-6 + (1e-4 - 1e-6) * 0.5 * (1 + np.cos(np.pi * epoch / 100))
    lr = np.where(epoch < 10, 2e-7 + epoch * (1e-4 - 2e-7) / 10, cosine)
    fit = fit_of(logged(lr, step_unit="epoch"))
    assert fit.family == "CosineAnnealingLR"
    assert fit.schedule.params()["T_max"] == 100
    assert fit.horizon_steps == pytest.approx(100)
    assert fit.warmup is not None
    assert fit.warmup.steps == 10


def test_a_rise_that_had_not_ended_is_a_line(logged: Callable[..., Any]) -> None:
    fit = fit_of(logged(1e-3 * np.arange(300) / 1000))
    assert fit.family == "LinearLR"
    assert fit.assumed == ("the rise had not ended when the log did",)


def test_a_constant_warmup(logged: Callable[..., Any]) -> None:
    fit = fit_of(logged(np.concatenate([np.full(50, 0.01), np.full(450, 0.1)])))
    assert fit.family == "Constant"
    assert fit.warmup is not None
    assert (fit.warmup.kind, fit.warmup.steps) == ("constant", 50)
    assert fit.warmup.start_factor == pytest.approx(0.1)


def test_five_decimals_are_enough_for_milestones(
    executed: Callable[..., FloatArray], logged: Callable[..., Any]
) -> None:
    """mmcv prints five decimals: the last level, 1e-6, is printed as zero."""
    lr = executed(lambda o: MultiStepLR(o, [500, 800]), 1000, lr=1e-4)
    fit = fit_of(logged(np.round(lr, 5), lr_quantum=1e-5))
    assert fit.family in ("MultiStepLR", "StepLR")
    assert fit.schedule.params()["milestones"] == [500, 800]


def test_a_linear_warmup_that_starts_high_is_not_a_cycle(logged: Callable[..., Any]) -> None:
    lr = np.concatenate([1e-3 * (0.1 + 0.9 * np.arange(100) / 100), 1e-3 * (1 - np.arange(900) / 900)])
    fit = fit_of(logged(lr, planned_steps=1000))
    assert fit.family == "LinearLR"
    assert fit.runner_up == "OneCycleLR"
    assert 0.5 <= fit.confidence <= 0.95


def test_a_checkpoints_statement_settles_what_the_log_leaves_open(
    executed: Callable[..., FloatArray], logged: Callable[..., Any]
) -> None:
    """Four points of a cycle of unusual height."""
    lr = executed(
        lambda o: OneCycleLR(o, 0.1, total_steps=5000, pct_start=0.17, div_factor=7.3, anneal_strategy="linear"),
        400,
        per_tick=100,
    )
    stated = {"total_steps": 5000, "max_lr": 0.1, "pct_start": 0.17, "anneal_strategy": "linear", "div_factor": 7.3}
    state = SchedulerState("OneCycleLR", 4, 5, (), (0.1 / 7.3,), stated)
    checkpoint = Checkpoint("last.ckpt", "torch", True, None, (state,))
    trajectory = logged(lr, steps_per_epoch=100.0)
    fit = fit_of(trajectory, (checkpoint,))
    assert fit.family == "OneCycleLR"
    assert fit.schedule.params()["total_steps"] == 5000
    assert fit.stepped == "epoch"
    assert not fit.assumed
    assert fit_of(trajectory).family != "OneCycleLR"


def test_cuts_that_a_logged_metric_foretells_followed_it(
    logged: Callable[..., Any], executed: Callable[..., FloatArray]
) -> None:
    """Milestones that no one would write, and a validation loss on which torch's rule gives exactly these."""
    rng = np.random.default_rng(4)
    loss = 1.0 / (1.0 + np.arange(80)) ** 0.5 + rng.normal(0, 0.02, 80)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    scheduler = ReduceLROnPlateau(optimizer, factor=0.5, patience=6)
    lr = np.empty(80)
    for epoch, value in enumerate(loss.tolist()):
        lr[epoch] = optimizer.param_groups[0]["lr"]
        scheduler.step(value)
    trajectory = logged(lr, step_unit="epoch")
    steps = floats(np.arange(80))
    curve = Curve("val_loss", "eval-loss", steps, floats(loss), ints(np.zeros(80)))
    fit = fit_of(replace(trajectory, curves=(curve,)))
    assert fit.family == "ReduceLROnPlateau"
    assert fit.schedule.params()["patience"] == 6
    assert fit.confidence >= 0.9
    shuffled = replace(curve, values=floats(rng.permutation(loss)))
    alone = fit_of(replace(trajectory, curves=(shuffled,)))
    assert alone.confidence <= 0.6  # two cuts at odd epochs: milestones explain them as well


def test_the_odds_over_the_runner_up_are_kept(logged: Callable[..., Any]) -> None:
    lr = np.concatenate([1e-3 * (0.1 + 0.9 * np.arange(100) / 100), 1e-3 * (1 - np.arange(900) / 900)])
    fit = fit_of(logged(lr, planned_steps=1000))
    assert fit.family == "LinearLR"
    assert fit.runner_up is not None
    assert fit.evidence is not None
    assert fit.evidence > 1.0


def test_a_checkpoint_that_contradicts_the_log_is_not_believed(
    executed: Callable[..., FloatArray], logged: Callable[..., Any]
) -> None:
    lr = executed(lambda o: CosineAnnealingLR(o, 400), 400)
    state = SchedulerState("StepLR", 400, 401, (), (0.1,), {"step_size": 30, "gamma": 0.1})
    fit = fit_of(logged(lr), (Checkpoint("last.ckpt", "torch", True, None, (state,)),))
    assert fit.family == "CosineAnnealingLR"


def test_schedules_known_only_nearly_are_not_called_exact(logged: Callable[..., Any]) -> None:
    """Epoch means of a per-update decay: near a line, but not one to the rounding of the log."""
    noise = np.random.default_rng(0).normal(0, 3e-7, 200)
    fit = fit_of(logged(3e-4 * (1 - np.arange(200) / 400) + noise, step_unit="env-step"))
    assert fit.family == "LinearLR"
    assert not fit.exact
    assert fit.stepped is None
    assert fit.confidence <= 0.8


def test_a_cosine_behind_a_warmup_counts_from_its_end(logged: Callable[..., Any], executed: Callable[..., Any]) -> None:
    def factor(k: int) -> float:
        return k / 50 if k < 50 else 0.5 * (1 + math.cos(math.pi * (k - 50) / 550))

    fit = fit_of(logged(executed(lambda o: LambdaLR(o, factor), 600)))
    assert fit.schedule.params()["T_max"] == 550
    assert fit.warmup is not None
    assert fit.warmup.steps == 50
    assert fit.horizon_steps == 600
