"""LR106 on torch schedulers that are built anew in every epoch, and on their look-alikes."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")
schedulers = torch.optim.lr_scheduler

N, EPOCHS = 60, 4


def warmup_and_cosine(opt):
    ramp = schedulers.LinearLR(opt, 0.01, total_iters=20)
    return schedulers.SequentialLR(opt, [ramp, schedulers.CosineAnnealingLR(opt, N * EPOCHS - 20)], milestones=[20])


FAULTY = {
    "a cosine for the run": lambda opt: schedulers.CosineAnnealingLR(opt, N * EPOCHS),
    "one cycle of an epoch": lambda opt: schedulers.OneCycleLR(opt, 0.1, total_steps=N + 1),
    "a linear decay": lambda opt: schedulers.LinearLR(opt, 1.0, 0.0, total_iters=N * EPOCHS),
    "a warmup": warmup_and_cosine,
}
ALIKE = {
    "a cosine": lambda opt: schedulers.CosineAnnealingLR(opt, N * EPOCHS),
    "triangular cycles of an epoch": lambda opt: schedulers.CyclicLR(
        opt, 0.001, 0.1, step_size_up=N // 2, cycle_momentum=False
    ),
    "falling triangles": lambda opt: schedulers.CyclicLR(
        opt, 0.001, 0.1, step_size_up=N // 2, mode="triangular2", cycle_momentum=False
    ),
    "warm restarts of three epochs": lambda opt: schedulers.CosineAnnealingWarmRestarts(opt, 3 * N),
    "growing warm restarts": lambda opt: schedulers.CosineAnnealingWarmRestarts(opt, N, T_mult=2),
    "steps": lambda opt: schedulers.StepLR(opt, N, 0.5),
    "a constant": lambda opt: schedulers.ConstantLR(opt, 1.0),
}


def train(script, build, anew, save_at=(), optimizer="Adam"):
    """`anew` builds the scheduler in every epoch, which starts from the learning rate the optimizer was built with."""
    opt = script.optimizer(optimizer)
    sched = build(opt)
    for epoch in range(EPOCHS):
        if anew and epoch:
            opt.param_groups[0].pop("initial_lr")
            opt.param_groups[0]["lr"] = 0.1
            sched = build(opt)
        for _ in range(N):
            script.update(opt)
            sched.step()
            if len(script.lrs) in save_at:
                script.save(opt, sched, epoch=epoch)
    return script.executed


def active(findings):
    return [(found.code, found.severity) for found in findings]


@pytest.mark.parametrize("build", FAULTY.values(), ids=FAULTY)
def test_a_scheduler_built_in_every_epoch_fires(script, diagnose, build):
    findings = diagnose(
        train(script, build, anew=True), steps_per_epoch=N, complete=True, float32=True, identified=False
    )
    assert active(findings) == [("LR106", "error")]
    (finding,) = findings
    assert finding.evidence["updates_per_epoch"] == N
    assert finding.evidence["lr_at_epoch_start"] == pytest.approx(script.lrs[N], rel=1e-6)
    assert finding.evidence["lr_at_epoch_end"] == pytest.approx(script.lrs[N - 1], abs=1e-8)


def test_values_of_both_readings_are_named_where_they_part(script, diagnose):
    (finding,) = diagnose(
        train(script, FAULTY["a cosine for the run"], anew=True), steps_per_epoch=N, complete=True, identified=False
    )
    assert (finding.code, finding.severity) == ("LR106", "error")
    assert finding.first_step == N
    assert finding.evidence["observed_lr"] == pytest.approx(0.1)
    assert finding.evidence["expected_lr"] == pytest.approx(0.05 * (1 + math.cos(math.pi / EPOCHS)))


@pytest.mark.parametrize("build", ALIKE.values(), ids=ALIKE)
def test_schedules_built_once_are_silent(script, diagnose, build):
    executed = train(script, build, anew=False, optimizer="SGD")
    findings = diagnose(executed, steps_per_epoch=N, complete=True, identified=False)
    assert "LR106" not in [found.code for found in findings]


def test_a_scheduler_stepped_per_epoch_is_silent(train_per_epoch, diagnose):
    findings = diagnose(train_per_epoch, steps_per_epoch=N, identified=False)
    assert "LR106" not in [found.code for found in findings]


@pytest.fixture
def train_per_epoch(train):
    return train(lambda torch, opt: torch.StepLR(opt, 2), N * EPOCHS, per=N)


def restarts(opt):
    return schedulers.CosineAnnealingWarmRestarts(opt, N)


def test_warm_restarts_of_an_epoch_are_a_remark(script, diagnose):
    assert ("LR106", "info") in active(diagnose(train(script, restarts, anew=False), steps_per_epoch=N))


def test_a_checkpoint_says_that_they_are_on_purpose(script, diagnose):
    executed = train(script, restarts, anew=False, save_at=(150, 240))
    assert "LR106" not in [found.code for found in diagnose(executed, steps_per_epoch=N)]


def test_a_checkpoint_says_that_cosines_of_an_epoch_are_no_restarts(script, diagnose):
    executed = train(script, lambda opt: schedulers.CosineAnnealingLR(opt, N), anew=True, save_at=(140, 200, 230))
    assert ("LR106", "error") in active(diagnose(executed, steps_per_epoch=N))


@pytest.mark.parametrize("anew", [True, False])
def test_counts_within_the_epoch_are_enough(script, diagnose, anew):
    executed = train(script, FAULTY["a warmup"], anew, save_at=(140, 200, 230))
    found = active(diagnose(executed, steps_per_epoch=N, log_lr=False))
    assert (("LR106", "error") in found) is anew
