"""Runs made to order are runs as the readers give them, and their states are those torch would save."""

from __future__ import annotations

import numpy as np
import pytest

from lrdoctor import synth
from lrdoctor.readers.optimizer_state import optimizer_state
from lrdoctor.readers.plain import mapping
from lrdoctor.readers.scheduler_state import scheduler_state, with_optimizer
from lrdoctor.reconstruct import reconstruct
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
    Unknown,
    Warmup,
)

COSINE = CosineAnnealingLR(0.1, T_max=100)


def lrs(spec):
    (series,) = (one for one in spec.build().series if one.tag == "train/lr")
    return series


def test_the_logged_learning_rate_is_the_schedules():
    assert np.array_equal(lrs(synth.run(COSINE, steps=100)).values, COSINE.lr_at(np.arange(100)))


def test_per_epoch_holds_each_value_for_an_epoch():
    values = lrs(synth.run(COSINE, steps=100, per_epoch=20)).values
    assert np.array_equal(values, np.repeat(COSINE.lr_at(np.arange(5)), 20))


def test_thinning_and_cutting_the_head_keep_step_and_value_together():
    series = lrs(synth.run(COSINE, steps=100, log_every=10, first_step=30))
    assert series.axes["step"].tolist() == list(range(30, 100, 10))
    assert np.array_equal(series.values, COSINE.lr_at(series.axes["step"]))


def test_an_unlogged_learning_rate_leaves_the_loss():
    assert [one.tag for one in synth.run(COSINE, steps=10, log_lr=False).build().series] == ["train/loss"]
    assert [one.tag for one in synth.run(COSINE, steps=10, loss=None).build().series] == ["train/lr"]


def test_sessions_arrive_in_the_trajectory():
    trajectory = reconstruct(synth.run(COSINE, steps=100, resume_at=(40, 70)).build())
    assert [part.first_step for part in trajectory.segments] == [0.0, 40.0, 70.0]
    assert [part.resumed for part in trajectory.segments] == [False, True, True]


@pytest.mark.parametrize("complete", [True, False, None])
def test_completeness_arrives_in_the_trajectory(complete):
    assert reconstruct(synth.run(COSINE, steps=100, complete=complete).build()).complete is complete


def test_declared_facts_arrive_in_the_trajectory():
    spec = synth.run(COSINE, steps=100, steps_per_epoch=20, batch_size=64, optimizer="SGD", declared={"model": "net"})
    run, trajectory = spec.build(), reconstruct(spec.build())
    assert (trajectory.batch_size, trajectory.steps_per_epoch) == (64, 20)
    assert (run.declared("optimizer"), run.declared("model")) == ("SGD", "net")


def test_two_builds_are_the_same():
    first, second = (synth.run(COSINE, steps=50).build().series[-1].values for _ in range(2))
    assert np.array_equal(first, second)


def losses(**settings):
    return synth.run(COSINE, **{"steps": 200, "loss": synth.Loss(noise=0.0), **settings}).build().series[-1].values


def test_a_spike_raises_the_loss_for_as_long_as_it_lasts():
    lifted = losses(spikes=(synth.Spike(50, 2.0, lasts=10),)) - losses()
    assert np.flatnonzero(lifted).tolist() == list(range(50, 60))
    assert lifted.max() == pytest.approx(2.0)


def test_a_sawtooth_starts_over_each_epoch():
    teeth = losses(steps_per_epoch=20, loss=synth.Loss(noise=0.0, sawtooth=1.0)) - losses(steps_per_epoch=20)
    assert teeth.reshape(10, 20)[:, 0] == pytest.approx(np.ones(10))
    assert (np.diff(teeth.reshape(10, 20), axis=1) < 0).all()


def test_a_loss_breaks_from_a_step_on():
    assert np.flatnonzero(~np.isfinite(losses(loss=synth.Loss(breaks_at=150)))).tolist() == list(range(150, 200))


def test_parts_left_out_of_a_checkpoint_are_not_there():
    spec = synth.run(
        COSINE, steps=100, checkpoints=(synth.Saved(50, scheduler=False), synth.Saved(100, optimizer=False))
    )
    first, second = spec.build().checkpoints
    assert (first.scheduler, first.optimizer is None) == (None, False)
    assert (second.scheduler is None, second.optimizer) == (False, None)
    assert first.optimizer.param_groups[0]["initial_lr"] == pytest.approx(0.1)


@pytest.mark.parametrize("schedule", [Constant(0.1), Unknown((0.0, 1.0), (0.1, 0.2))])
def test_no_scheduler_leaves_no_state_and_no_mark(schedule):
    (point,) = synth.run(schedule, steps=100, checkpoints=(50,)).build().checkpoints
    assert point.scheduler is None
    assert "initial_lr" not in point.optimizer.param_groups[0]


def test_a_clock_that_started_over_counts_from_there():
    spec = synth.run(Sequence((COSINE, COSINE), (40,)), steps=100, checkpoints=(40, 100))
    assert [(point.global_step, point.scheduler.last_epoch) for point in spec.build().checkpoints] == [
        (40, 40),
        (100, 60),
    ]


def test_a_scheduler_stepped_per_epoch_counts_epochs():
    (point,) = synth.run(COSINE, steps=100, per_epoch=20, checkpoints=(100,), optimizer="Adam").build().checkpoints
    assert (point.scheduler.last_epoch, point.optimizer.step, point.epoch) == (5, 100, 5)


TORCH = {
    "CosineAnnealingLR": (COSINE, lambda L, o: L.CosineAnnealingLR(o, 100)),
    "CosineAnnealingWarmRestarts": (
        CosineAnnealingWarmRestarts(0.1, 20, 2), lambda L, o: L.CosineAnnealingWarmRestarts(o, 20, 2),
    ),
    "ExponentialLR": (ExponentialLR(0.1, 0.99), lambda L, o: L.ExponentialLR(o, 0.99)),
    "LinearLR": (LinearLR(0.1, 100), lambda L, o: L.LinearLR(o, 1.0, 0.0, 100)),
    "MultiStepLR": (MultiStepLR(0.1, (20, 60)), lambda L, o: L.MultiStepLR(o, [20, 60])),
    "OneCycleLR": (OneCycleLR(0.1, 100), lambda L, o: L.OneCycleLR(o, 0.1, total_steps=100)),
    "PolynomialLR": (PolynomialLR(0.1, 100, 2.0), lambda L, o: L.PolynomialLR(o, 100, 2.0)),
    "StepLR": (StepLR(0.1, 30), lambda L, o: L.StepLR(o, 30)),
    "Warmup": (
        Warmup(CosineAnnealingLR(0.1, 80), 20, 0.1),
        lambda L, o: L.SequentialLR(o, [L.LinearLR(o, 0.1, 1.0, 20), L.CosineAnnealingLR(o, 80)], [20]),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("schedule", "build"), TORCH.values(), ids=TORCH)
def test_states_are_those_torch_saves(schedule, build):
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1, momentum=0.9)
    scheduler = build(torch.optim.lr_scheduler, optimizer)
    for _ in range(50):
        optimizer.step()
        scheduler.step()
    groups = optimizer_state(mapping(optimizer.state_dict()), float)
    real = with_optimizer(scheduler_state(scheduler.state_dict(), float), groups)
    (point,) = synth.run(schedule, steps=100, checkpoints=(50,), optimizer="SGD").build().checkpoints
    made = point.scheduler
    assert (made.family, made.last_epoch, made.step_count) == (real.family, real.last_epoch, real.step_count)
    assert made.last_lr == pytest.approx(real.last_lr)
    assert made.base_lrs == pytest.approx(real.base_lrs or made.base_lrs)
    shared = [key for key, value in real.params.items() if key in made.params and not isinstance(value, str | bool)]
    assert shared or (real.family == "SequentialLR" and made.params["milestones"] == real.params["milestones"])
    for key in shared:
        assert made.params[key] == pytest.approx(real.params[key]), key
    assert [child.family for child in made.children] == [child.family for child in real.children]
