"""torch's own schedulers against the closed forms."""

from __future__ import annotations

import builtins
import warnings

import numpy as np
import pytest

from lrdoctor.errors import MissingExtraError
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
    Stepped,
    Unknown,
    Warmup,
    WarmupStableDecay,
)
from lrdoctor.schedules.ramps import KINDS
from lrdoctor.simulate import replay
from lrdoctor.simulate.replay import step_through_torch

torch = pytest.importorskip("torch")

UPDATES = 120
PLAIN = [
    Constant(0.1),
    StepLR(0.1, 30, 0.5),
    MultiStepLR(0.1, (20, 50, 50), 0.3),
    ExponentialLR(0.1, 0.97),
    LinearLR(0.1, 80, 1.0, 0.1),
    LinearLR(0.1, 80, 0.2, 1.0),
    LinearLR(1e-3, 80, 1.0, 10.0),
    PolynomialLR(0.1, 80, 2.0),
    CosineAnnealingLR(0.1, 100, 0.001),
    CosineAnnealingLR(0.1, 40, 0.001),
    CosineAnnealingWarmRestarts(0.1, 10, 2, 0.001),
    OneCycleLR(0.1, 120),
    OneCycleLR(0.1, 120, pct_start=0.2, anneal_strategy="linear", three_phase=True),
    CyclicLR(0.01, 0.1, 20),
    CyclicLR(0.01, 0.1, 10, 25, "triangular2"),
    CyclicLR(0.01, 0.1, 20, mode="exp_range", gamma=0.99),
    WarmupStableDecay(0.1, 60, 40, "linear", 0.05),
    WarmupStableDecay(0.1, 60, 40, "cosine", 0.05),
    ReduceLROnPlateau(0.1, (20, 31, 42, 90), 0.3, 0.002),
    RangeTest(1e-5, 1.0, 100),
    RangeTest(0.01, 1.0, 130, "linear"),
]


def _joins(main):
    """Whether torch's SequentialLR can put a warmup in front: it aims at the base lr, and needs no metric."""
    return isinstance(main, OneCycleLR) or (
        main.lr_at([0.0])[0] == main.peak_lr and not isinstance(main, ReduceLROnPlateau)
    )


COMPOSED = [
    CosineAnnealingLR(0.1, 40, 0.001, clamped=True),
    CosineAnnealingLR(0.1, 40, clamped=True),
    *(Warmup(main, 12, 0.1) for main in PLAIN if _joins(main)),
    Warmup(CosineAnnealingLR(0.1, 100), 20, 0.25, "constant"),
    Warmup(CosineAnnealingLR(0.1, 60, clamped=True), 20, 0.25),
    Stepped(CosineAnnealingLR(0.1, 12), 10, "epoch"),
    Stepped(StepLR(0.1, 3), 7.5, "epoch"),
    Stepped(CosineAnnealingLR(0.1, 8 * UPDATES), 1 / 8, "micro-batch"),
    Stepped(Warmup(CosineAnnealingLR(0.1, 10), 2, 0.1), 10, "epoch"),
    Stepped(CosineAnnealingLR(0.1, 200), first_tick=50),
    Warmup(Stepped(CosineAnnealingLR(0.1, 9), 10, "epoch"), 10, 0.1),
    Sequence((CosineAnnealingLR(0.1, 50), CosineAnnealingLR(0.1, 70)), (50,)),
    Sequence((CosineAnnealingLR(0.1, 50), CosineAnnealingLR(0.05, 70)), (50,)),
    Sequence((Stepped(StepLR(0.1, 3), 10), Stepped(StepLR(0.1, 3), 10)), (45,)),
    Sequence((Warmup(Constant(0.1), 10, 0.1), Constant(0.1), LinearLR(0.1, 20)), (20, 80)),
    Sequence((StepLR(0.1, 20, 0.5), Warmup(CosineAnnealingLR(0.1, 40), 10, 0.1)), (50,)),
]


@pytest.mark.parametrize("optimizer", ["sgd", "adamw_torch_fused"])
@pytest.mark.parametrize("schedule", [*PLAIN, *COMPOSED], ids=str)
def test_torch_agrees_with_the_closed_form_at_every_update(schedule, optimizer):
    result = step_through_torch(schedule, UPDATES, optimizer=optimizer)
    assert result.closed_form_error < 1e-12
    assert result.optimizer == {"sgd": "SGD"}.get(optimizer, "AdamW")
    np.testing.assert_array_equal(result.steps, np.arange(UPDATES))
    np.testing.assert_allclose(result.lr, schedule.lr_at(result.steps), rtol=0, atol=1e-12 * schedule.peak_lr)


def test_a_warmup_from_zero_starts_at_the_least_factor_torch_takes():
    result = step_through_torch(Warmup(CosineAnnealingLR(0.1, 100), 20), UPDATES)
    assert 0.0 < result.closed_form_error <= 1.001e-8


def test_the_error_is_that_of_the_whole_record_in_units_of_the_peak():
    off = Stepped(CosineAnnealingLR(0.1, 20), 5, "epoch", first_update=12)  # torch's tick is 0 before update 12
    result = step_through_torch(off, UPDATES)
    assert result.closed_form_error == pytest.approx(np.max(np.abs(off.lr_at(result.steps) - result.lr)) / 0.1)
    assert result.closed_form_error > 0.01


def test_a_warmup_of_a_broken_number_of_updates_turns_at_the_next_whole_one():
    result = step_through_torch(Warmup(CosineAnnealingLR(0.1, 10_000), 10.5, 0.1), 100)
    assert int(np.argmax(result.lr)) == 11
    assert result.closed_form_error < 1e-5


@pytest.mark.parametrize("optimizer", ["SGD", "AdamW", "rmsprop"])
def test_one_cycle_moves_the_momentum_against_the_learning_rate(optimizer):
    result = step_through_torch(OneCycleLR(0.1, UPDATES), UPDATES, optimizer=optimizer)
    assert result.momentum is not None
    assert result.momentum[0] == pytest.approx(0.95)
    assert int(np.argmin(result.momentum)) == int(np.argmax(result.lr))
    assert result.momentum.min() == pytest.approx(0.85)


def test_an_optimizer_without_momentum_is_stepped_without_cycling_it():
    result = step_through_torch(OneCycleLR(0.1, UPDATES), UPDATES, optimizer="Adagrad")
    assert result.optimizer == "Adagrad"
    assert result.momentum is None
    assert result.closed_form_error < 1e-12


def test_momentum_is_not_reported_where_the_schedule_leaves_it_alone():
    assert step_through_torch(StepLR(0.1, 30), UPDATES, optimizer="SGD").momentum is None


def test_one_cycle_ends_where_torch_refuses_to_go_on():
    result = step_through_torch(OneCycleLR(0.1, 60), UPDATES)
    assert len(result.steps) == 61
    assert "the first 61 of 120 updates" in result.optimizer


@pytest.mark.parametrize(
    "schedule",
    [
        Unknown((0.0, 50.0, 100.0), (0.1, 0.2, 0.05)),
        Warmup(LinearLR(0.1, 80, 0.0, 1.0), 10),
        Stepped(Stepped(StepLR(0.1, 3), 2), 5),
        InverseSqrt(0.1, 30),
        Warmup(InverseSqrt(0.1, 30), 30),
        WarmupStableDecay(0.1, 60, 40, "1-sqrt"),
        Warmup(ReduceLROnPlateau(0.1, (20, 31)), 10),
        *(Warmup(CosineAnnealingLR(0.1, 90), 30, 0.01, kind) for kind in KINDS[2:]),
        CosineAnnealingLR(0.1, 100, 0.001, k_decay=1.5),
        PolynomialLR(0.1, 80, 2.0, 0.001),
    ],
    ids=str,
)
def test_a_shape_torch_has_no_class_for_says_that_a_lambda_stood_in(schedule):
    result = step_through_torch(schedule, UPDATES)
    assert "LambdaLR" in result.optimizer
    assert result.closed_form_error < 1e-12


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (None, "SGD"),
        ("adamw_bnb_8bit", "AdamW"),
        ("torch.optim.Adam", "Adam"),
        ("NAdam", "NAdam"),
        ("momentum", "SGD"),
        ("lamb", "AdamW"),
        ("Muon", "SGD"),
    ],
)
def test_the_optimizer_is_found_by_any_of_its_names(name, expected):
    assert step_through_torch(Constant(0.1), 3, optimizer=name).optimizer == expected


def test_a_long_replay_is_thinned_and_keeps_both_sides_of_its_jumps():
    schedule = MultiStepLR(0.1, (3_333, 7_777))
    result = step_through_torch(schedule, 10_000)
    assert len(result.steps) < replay.MAX_RECORDED + 2 * 200 + 1
    assert {0.0, 3_332.0, 3_333.0, 7_776.0, 7_777.0, 9_999.0} <= set(result.steps.tolist())
    np.testing.assert_allclose(result.lr, schedule.lr_at(result.steps))


def test_the_error_of_a_thinned_replay_counts_the_updates_left_out(monkeypatch):
    monkeypatch.setattr(replay, "MAX_RECORDED", 3)
    monkeypatch.setattr(replay, "_JUMPS", 1)
    result = step_through_torch(Stepped(CosineAnnealingLR(0.1, 20), 5, "epoch", first_update=12), UPDATES)
    assert len(result.steps) <= 5
    assert result.closed_form_error > 0.01


def test_a_run_longer_than_the_bound_goes_on_in_the_closed_form_torch_has_proven(monkeypatch):
    schedule = Stepped(Warmup(CosineAnnealingLR(0.1, 400), 20, 0.01), 2)
    whole = step_through_torch(schedule, 1_000)
    monkeypatch.setattr(replay, "MAX_STEPPED", 50)
    result = step_through_torch(schedule, 1_000)
    np.testing.assert_allclose(result.lr, whole.lr, rtol=0, atol=1e-12)
    assert "the first 50 of 1000 updates, then its closed form, equal to torch so far" in result.optimizer


@pytest.mark.parametrize(
    "schedule", [OneCycleLR(0.1, 1_000), Unknown((0.0, 1_000.0), (0.1, 0.2))], ids=["momentum", "lambda"]
)
def test_where_the_closed_form_is_not_proven_a_long_replay_ends_at_the_bound(monkeypatch, schedule):
    monkeypatch.setattr(replay, "MAX_STEPPED", 50)
    result = step_through_torch(schedule, 1_000)
    assert result.steps[-1] == 49
    assert "the first 50 of 1000 updates (a replay stops at 50)" in result.optimizer


def test_a_million_updates_take_no_longer_than_the_bound(monkeypatch):
    monkeypatch.setattr(replay, "MAX_STEPPED", 200)
    result = step_through_torch(CosineAnnealingLR(0.1, 1_000_000), 1_000_000)
    assert result.steps[-1] == 999_999
    assert len(result.steps) < 3_000


def _loop(updates, groups=(0.1,), accumulate=1, per_micro_batch=False, resume_at=None, with_state=True):
    """LRs (groups, updates) of a training loop as people write it: StepLR, gradient accumulation, a resume."""

    def build():
        parameters = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in groups]
        optimizer = torch.optim.SGD(parameters, lr=0.1)
        return optimizer, torch.optim.lr_scheduler.StepLR(optimizer, 10, 0.5)

    optimizer, scheduler = build()
    lrs = []
    for update in range(updates):
        if update == resume_at:
            kept = scheduler.state_dict(), optimizer.state_dict()
            optimizer, scheduler = build()
            if with_state:
                scheduler.load_state_dict(kept[0])
                optimizer.load_state_dict(kept[1])
        lrs.append([group["lr"] for group in optimizer.param_groups])
        for micro_batch in range(accumulate):
            if micro_batch == accumulate - 1:
                optimizer.step()
            if per_micro_batch or micro_batch == accumulate - 1:
                scheduler.step()
    return np.array(lrs).T


STEP = StepLR(0.1, 10, 0.5)


@pytest.mark.parametrize(
    ("schedule", "loop"),
    [
        (STEP, {}),
        (STEP, {"accumulate": 4}),
        (Stepped(STEP, 0.25), {"accumulate": 4, "per_micro_batch": True}),
        (STEP, {"resume_at": 17}),
        (Sequence((STEP, STEP), (17.0,)), {"resume_at": 17, "with_state": False}),
    ],
    ids=["plain", "accumulation", "a tick a micro-batch", "resumed with its state", "resumed without"],
)
def test_what_a_training_loop_executes_is_the_schedule_that_stands_for_it(schedule, loop):
    result = step_through_torch(schedule, 40)
    np.testing.assert_allclose(result.lr, _loop(40, **loop)[0], rtol=0, atol=1e-12)
    assert result.closed_form_error < 1e-9


def test_a_group_with_an_lr_of_its_own_follows_in_proportion():
    first, second = _loop(40, groups=(0.1, 0.003))
    np.testing.assert_allclose(first, step_through_torch(STEP, 40).lr, rtol=0, atol=1e-12)
    np.testing.assert_allclose(second, 0.03 * first, rtol=1e-12)


def test_torch_is_not_heard_to_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        step_through_torch(Stepped(Warmup(CosineAnnealingLR(0.1, 200), 5), first_tick=50), 20)


def test_without_torch_the_error_says_how_to_get_it(monkeypatch):
    real = builtins.__import__

    def missing(name, *rest, **more):
        if name == "torch":
            raise ImportError("No module named 'torch'")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(MissingExtraError) as caught:
        step_through_torch(Constant(0.1), 3)
    assert "lrdoctor[sim]" in str(caught.value.hint)


def test_no_updates_are_no_replay():
    with pytest.raises(ValueError, match="at least one update"):
        step_through_torch(Constant(0.1), 0)
