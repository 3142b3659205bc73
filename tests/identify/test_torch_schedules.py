"""Schedules that torch itself executed are recognised, their parameters to 1e-4, however they were logged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from torch.optim import Optimizer
from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    ExponentialLR,
    LinearLR,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    SequentialLR,
    StepLR,
)

from lrdoctor.identify import identify
from lrdoctor.model.arrays import FloatArray
from lrdoctor.model.identification import Fit
from lrdoctor.model.trajectory import Trajectory

TOLERANCE = 1e-4


def warm(main: Callable[[Optimizer], Any], steps: int, factor: float) -> Callable[[Optimizer], Any]:
    """A linear warmup in front, the way torch's documentation composes it."""

    def make(optimizer: Optimizer) -> SequentialLR:
        ramp = LinearLR(optimizer, start_factor=factor, total_iters=steps)
        return SequentialLR(optimizer, [ramp, main(optimizer)], milestones=[steps])

    return make


@dataclass(frozen=True)
class Public:
    """A schedule as people write it, and how it should be read."""

    name: str
    make: Callable[[Optimizer], Any]
    updates: int
    family: str
    params: dict[str, Any]
    lr: float = 0.1
    per_tick: int = 1
    warmup: tuple[float, float] | None = None
    known: dict[str, Any] = field(default_factory=dict)


SCHEDULES = [
    Public("constant", lambda o: ConstantLR(o, factor=1.0), 400, "Constant", {}, lr=3e-4),
    Public(
        "imagenet steps",
        lambda o: StepLR(o, 30),
        1800,
        "StepLR",
        {"step_size": 30, "gamma": 0.1},
        per_tick=20,
        known={"steps_per_epoch": 20.0},
    ),
    Public(
        "cifar milestones",
        lambda o: MultiStepLR(o, [60, 120, 160], 0.2),
        2000,
        "MultiStepLR",
        {"milestones": [60, 120, 160], "gamma": 0.2},
        per_tick=10,
        known={"steps_per_epoch": 10.0},
    ),
    Public("one milestone", lambda o: MultiStepLR(o, [700]), 1000, "MultiStepLR", {"milestones": [700], "gamma": 0.1}),
    Public(
        "milestones behind a warmup",
        warm(lambda o: MultiStepLR(o, [400, 700]), 100, 0.001),
        1000,
        "MultiStepLR",
        {"milestones": [400, 700], "gamma": 0.1},
        warmup=(100, 0.001),
    ),
    Public("exponential per update", lambda o: ExponentialLR(o, 0.997), 900, "ExponentialLR", {"gamma": 0.997}),
    Public(
        "exponential per epoch",
        lambda o: ExponentialLR(o, 0.95),
        1000,
        "ExponentialLR",
        {"gamma": 0.95},
        lr=2e-3,
        per_tick=25,
        known={"steps_per_epoch": 25.0},
    ),
    Public(
        "straight to zero",
        lambda o: LinearLR(o, 1.0, 0.0, 1000),
        1000,
        "LinearLR",
        {"start_factor": 1.0, "end_factor": 0.0, "total_iters": 1000},
    ),
    Public(
        "straight to a floor",
        lambda o: LinearLR(o, 1.0, 0.1, 600),
        1000,
        "LinearLR",
        {"start_factor": 1.0, "end_factor": 0.1, "total_iters": 600},
    ),
    Public(
        "fine-tuning: warmup, then straight to zero",
        warm(lambda o: LinearLR(o, 1.0, 0.0, 900), 100, 1e-3),
        1000,
        "LinearLR",
        {"start_factor": 1.0, "end_factor": 0.0, "total_iters": 900},
        lr=5e-5,
        warmup=(100, 1e-3),
    ),
    Public(
        "segmentation's poly",
        lambda o: PolynomialLR(o, 800, 0.9),
        800,
        "PolynomialLR",
        {"total_iters": 800, "power": 0.9},
    ),
    Public("squared", lambda o: PolynomialLR(o, 500, 2.0), 600, "PolynomialLR", {"total_iters": 500, "power": 2.0}),
    Public("cosine", lambda o: CosineAnnealingLR(o, 1000), 1000, "CosineAnnealingLR", {"T_max": 1000, "eta_min": 0.0}),
    Public(
        "cosine to a floor per epoch",
        lambda o: CosineAnnealingLR(o, 50, eta_min=1e-4),
        1500,
        "CosineAnnealingLR",
        {"T_max": 50, "eta_min": 1e-4},
        per_tick=30,
        known={"steps_per_epoch": 30.0},
    ),
    Public(
        "cosine behind a warmup",
        warm(lambda o: CosineAnnealingLR(o, 950, eta_min=1e-5), 50, 0.01),
        1000,
        "CosineAnnealingLR",
        {"T_max": 950, "eta_min": 1e-5},
        lr=1e-3,
        warmup=(50, 0.01),
    ),
    Public(
        "cosine that climbs back",
        lambda o: CosineAnnealingLR(o, 300),
        500,
        "CosineAnnealingLR",
        {"T_max": 300, "eta_min": 0.0},
    ),
    Public(
        "equal warm restarts",
        lambda o: CosineAnnealingWarmRestarts(o, 200),
        900,
        "CosineAnnealingWarmRestarts",
        {"T_0": 200, "T_mult": 1, "eta_min": 0.0},
    ),
    Public(
        "growing warm restarts",
        lambda o: CosineAnnealingWarmRestarts(o, 100, 2, eta_min=1e-3),
        1000,
        "CosineAnnealingWarmRestarts",
        {"T_0": 100, "T_mult": 2, "eta_min": 1e-3},
    ),
    Public(
        "one cycle",
        lambda o: OneCycleLR(o, 0.2, total_steps=1000),
        1000,
        "OneCycleLR",
        {"max_lr": 0.2, "total_steps": 1000, "pct_start": 0.3, "anneal_strategy": "cos", "div_factor": 25.0},
    ),
    Public(
        "one linear cycle",
        lambda o: OneCycleLR(o, 0.2, total_steps=1000, pct_start=0.25, anneal_strategy="linear", div_factor=10),
        1000,
        "OneCycleLR",
        {"max_lr": 0.2, "total_steps": 1000, "pct_start": 0.25, "anneal_strategy": "linear", "div_factor": 10.0},
    ),
    Public(
        "three phases",
        lambda o: OneCycleLR(o, 0.2, total_steps=1000, three_phase=True),
        1000,
        "OneCycleLR",
        {"max_lr": 0.2, "total_steps": 1000, "pct_start": 0.3, "three_phase": True},
    ),
    Public(
        "three linear phases",
        lambda o: OneCycleLR(o, 0.2, total_steps=1000, pct_start=0.4, anneal_strategy="linear", three_phase=True),
        1000,
        "OneCycleLR",
        {"max_lr": 0.2, "total_steps": 1000, "pct_start": 0.4, "anneal_strategy": "linear", "three_phase": True},
    ),
]
NAMES = [public.name for public in SCHEDULES]
SMOOTH = [public for public in SCHEDULES if public.per_tick == 1 and public.family not in ("Constant",)]


def read_as(trajectory: Trajectory) -> Fit:
    lead = identify(trajectory).lead
    assert lead is not None
    assert len(lead.fits) == 1, [fit.family for fit in lead.fits]
    return lead.fit


def assert_recovered(fit: Fit, public: Public) -> None:
    assert fit.family == public.family
    found = fit.schedule.params()
    for name, value in public.params.items():
        if isinstance(value, str | bool):
            assert found[name] == value, name
        else:
            assert found[name] == pytest.approx(value, rel=TOLERANCE, abs=TOLERANCE * 1e-3), name
    peak = public.params.get("max_lr", public.lr)
    assert fit.peak_lr == pytest.approx(peak, rel=TOLERANCE)
    if public.warmup is None:
        assert fit.warmup is None
    else:
        assert fit.warmup is not None
        assert fit.warmup.steps == pytest.approx(public.warmup[0], rel=TOLERANCE)


@pytest.mark.parametrize("public", SCHEDULES, ids=NAMES)
def test_every_update_logged(public: Public, executed: Callable[..., FloatArray], logged: Callable[..., Any]) -> None:
    lr = executed(public.make, public.updates, lr=public.lr, per_tick=public.per_tick)
    fit = read_as(logged(lr, **public.known))
    assert_recovered(fit, public)
    assert fit.exact
    assert fit.fit_error < 1e-8
    assert fit.stepped == ("epoch" if public.per_tick > 1 else "update")
    assert fit.steps_per_tick == public.per_tick
    if public.warmup is not None:
        assert fit.warmup is not None
        assert fit.warmup.start_factor == pytest.approx(public.warmup[1], rel=1e-3)


@pytest.mark.parametrize("public", SCHEDULES, ids=NAMES)
def test_rounded_to_float32(public: Public, executed: Callable[..., FloatArray], logged: Callable[..., Any]) -> None:
    lr = executed(public.make, public.updates, lr=public.lr, per_tick=public.per_tick)
    rounded = lr.astype(np.float32).astype(np.float64)
    fit = read_as(logged(rounded, lr_resolution=6e-8, **public.known))
    assert_recovered(fit, public)
    assert fit.fit_error < 1e-6


@pytest.mark.parametrize("public", SMOOTH, ids=[public.name for public in SMOOTH])
@pytest.mark.parametrize("last", [False, True], ids=["from the first", "at the end of every fifty"])
def test_every_fiftieth_update_logged(
    public: Public, last: bool, executed: Callable[..., FloatArray], logged: Callable[..., Any]
) -> None:
    lr = executed(public.make, public.updates, lr=public.lr)
    steps = np.arange(49 if last else 0, public.updates, 50)
    fit = read_as(logged(lr[steps], steps, planned_steps=public.updates))
    assert fit.family == public.family
    tail = fit.whole.lr_at(np.arange(steps[0], public.updates))
    if public.family in ("MultiStepLR", "StepLR", "CosineAnnealingWarmRestarts"):
        off = np.abs(tail - lr[steps[0] :]) > 1e-6 * lr.max()
        assert off.sum() <= 100  # a drop between two logged points may be placed anywhere between them
    else:
        assert np.abs(tail - lr[steps[0] :]).max() < 1e-3 * lr.max()


@pytest.mark.parametrize("public", SMOOTH, ids=[public.name for public in SMOOTH])
def test_logged_after_the_schedulers_step(
    public: Public, executed: Callable[..., FloatArray], logged: Callable[..., Any]
) -> None:
    """Many loops log after `scheduler.step()`: the log leads by one update."""
    lr = executed(public.make, public.updates, lr=public.lr)
    fit = read_as(logged(lr[1:], planned_steps=public.updates))
    assert fit.family == public.family
    assert fit.fit_error < 1e-6
    horizon = public.params.get("T_max") or public.params.get("total_iters") or public.params.get("total_steps")
    if horizon is not None:
        assert fit.schedule.horizon == pytest.approx(horizon, rel=2e-3)


@pytest.mark.parametrize(
    "public",
    [
        one
        for one in SCHEDULES
        if one.family in ("CosineAnnealingLR", "OneCycleLR", "PolynomialLR") and one.per_tick == 1
    ],
    ids=lambda public: public.name,
)
def test_cut_short_keeps_its_planned_parameters(
    public: Public, executed: Callable[..., FloatArray], logged: Callable[..., Any]
) -> None:
    lr = executed(public.make, public.updates, lr=public.lr)
    fit = read_as(logged(lr[: int(0.55 * public.updates)]))
    if public.params.get("three_phase"):
        pytest.skip("the first two of three phases look like those of two")
    assert_recovered(fit, public)
    assert fit.horizon_steps is not None
