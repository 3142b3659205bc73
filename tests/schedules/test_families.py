"""The closed forms against the schedulers of torch and Transformers, stepped."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from lrdoctor.schedules import (
    CosineAnnealingLR,
    CyclicLR,
    InverseSqrt,
    PolynomialLR,
    RangeTest,
    ReduceLROnPlateau,
    Warmup,
    WarmupStableDecay,
)
from lrdoctor.schedules.ramps import KINDS, ramp
from lrdoctor.schedules.scaled import scaled

torch = pytest.importorskip("torch")

UPDATES = 300
PEAK = 0.1


def stepped(make, metrics=None):
    """(UPDATES,) the LR in force at each update."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=PEAK, momentum=0.9)
    scheduler = make(optimizer)
    lr = []
    for update in range(UPDATES):
        lr.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scheduler.step(*([] if metrics is None else [metrics[update]]))
    return np.array(lr)


def assert_same(schedule, lr):
    np.testing.assert_allclose(schedule.lr_at(np.arange(UPDATES)), lr, rtol=0, atol=1e-14)


@pytest.mark.parametrize(("up", "down"), [(20, None), (20, 20), (15, 40), (40, 7)])
@pytest.mark.parametrize(("mode", "gamma"), [("triangular", 1.0), ("triangular2", 1.0), ("exp_range", 0.99)])
def test_cycles_are_torchs(up, down, mode, gamma):
    lr = stepped(lambda o: torch.optim.lr_scheduler.CyclicLR(o, 0.01, 0.2, up, down, mode, gamma, cycle_momentum=False))
    assert_same(CyclicLR(0.01, 0.2, up, down, mode, gamma), lr)


def test_cuts_are_those_of_torchs_plateau():
    """The loss stands still after update 10: patience 6 cuts at every seventh tick, down to the floor."""
    metrics = [max(10.0 - update, 0.0) for update in range(UPDATES)]
    lr = stepped(lambda o: torch.optim.lr_scheduler.ReduceLROnPlateau(o, factor=0.3, patience=6, min_lr=1e-4), metrics)
    cuts = (np.flatnonzero(np.diff(lr)) + 1).tolist()
    assert np.diff(cuts).tolist() == [7] * (len(cuts) - 1)
    assert_same(ReduceLROnPlateau(PEAK, tuple(cuts), 0.3, 1e-4, patience=6), lr)


def transformers_scheduler(name, warmup, total=UPDATES, **given):
    optimization = pytest.importorskip("transformers.optimization")
    return lambda o: optimization.get_scheduler(
        name, o, num_warmup_steps=warmup, num_training_steps=total, scheduler_specific_kwargs=given
    )


@pytest.mark.parametrize(("timescale", "told"), [(50, {}), (200, {"timescale": 200})])
def test_the_inverse_square_root_is_transformers(timescale, told):
    assert_same(Warmup(InverseSqrt(PEAK, timescale), 50), stepped(transformers_scheduler("inverse_sqrt", 50, **told)))


@pytest.mark.parametrize("decay", ["linear", "cosine", "1-sqrt"])
@pytest.mark.parametrize("kind", ["linear", "cosine", "1-sqrt"])
@pytest.mark.parametrize("low", [0.0, 0.1])
def test_warmup_stable_decay_is_transformers(decay, kind, low):
    lr = stepped(
        transformers_scheduler(
            "warmup_stable_decay", 40, 250, num_decay_steps=80, warmup_type=kind, decay_type=decay, min_lr_ratio=low
        )
    )
    assert_same(Warmup(WarmupStableDecay(PEAK, 130, 80, decay, low), 40, low, kind), lr)


def test_a_polynomial_to_a_floor_is_transformers():
    lr = stepped(transformers_scheduler("polynomial", 40, 250, lr_end=1e-3, power=2.0))
    assert_same(Warmup(PolynomialLR(PEAK, 210, 2.0, 1e-3), 40), lr)


def test_a_range_test_multiplies_by_one_factor_or_adds_one_amount():
    lr = RangeTest(1e-6, 1.0, 60).lr_at(np.arange(61))
    np.testing.assert_allclose(lr[1:] / lr[:-1], 10**0.1)
    assert (lr[0], lr[60]) == (1e-6, pytest.approx(1.0))
    lr = RangeTest(0.01, 1.0, 99, "linear").lr_at(np.arange(100))
    np.testing.assert_allclose(np.diff(lr), 0.01)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "constant"])
@pytest.mark.parametrize("start", [0.01, 0.5])
def test_every_warmup_rises_from_its_start_factor_to_the_peak(kind, start):
    lr = Warmup(CosineAnnealingLR(PEAK, 100), 20, start, kind).lr_at(np.arange(21))
    assert lr[0] == pytest.approx(start * PEAK)
    assert lr[20] == PEAK
    assert (np.diff(lr[:20]) > 0).all()


def test_the_log_shaped_warmup_is_deepspeeds():
    """deepspeed/runtime/lr_schedules.py, WarmupLR: min + (max - min) * ln(k + 1) / ln(W) while k < W."""
    k = np.arange(1000.0)
    expected = 1e-5 + (1e-3 - 1e-5) * np.log(k + 1) / np.log(1000)
    np.testing.assert_allclose(1e-3 * ramp("log", k, 1000, 0.01), expected, rtol=1e-14)


@pytest.mark.parametrize(
    "schedule",
    [
        CyclicLR(0.01, 0.1, 20),
        InverseSqrt(0.1, 30),
        WarmupStableDecay(0.1, 50, 20, "linear", 0.1),
        ReduceLROnPlateau(0.1, (20, 31, 42), 0.1, 3e-4),
        RangeTest(1e-6, 0.1, 60),
        PolynomialLR(0.1, 50, 0.9, 1e-3),
    ],
    ids=lambda schedule: schedule.family,
)
def test_scaling_scales_every_rate(schedule):
    ticks = np.arange(60)
    np.testing.assert_allclose(scaled(schedule, 3.0).lr_at(ticks), 3.0 * schedule.lr_at(ticks), rtol=1e-14)
    assert type(schedule)(**{name: getattr(schedule, name) for name in schedule.__slots__}) == schedule


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: CyclicLR(0.01, 0.1, 0), "step_size_up"),
        (lambda: CyclicLR(0.01, 0.1, 5, mode="square"), "modes"),
        (lambda: InverseSqrt(0.1, 0), "timescale"),
        (lambda: WarmupStableDecay(0.1, 10, 0), "num_decay_steps"),
        (lambda: WarmupStableDecay(0.1, 10, 5, "sudden"), "decays"),
        (lambda: ReduceLROnPlateau(0.1, (5, 3)), "sorted"),
        (lambda: ReduceLROnPlateau(0.1, (5,), 1.5), "factor"),
        (lambda: RangeTest(0.1, 0.01, 100), "end_lr"),
        (lambda: RangeTest(0.0, 0.01, 100), "start_lr"),
        (lambda: Warmup(InverseSqrt(0.1, 10), 10, 0.0, "exponential"), "start_factor"),
        (lambda: Warmup(InverseSqrt(0.1, 10), 1, 0.0, "log"), "steps"),
        (lambda: Warmup(InverseSqrt(0.1, 10), 10, 0.0, "sudden"), "Warmup is one of"),
    ],
)
def test_bad_arguments_raise_and_say_which(make, said):
    with pytest.raises(ValueError, match=said):
        make()
