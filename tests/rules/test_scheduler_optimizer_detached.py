"""LR108 on torch optimizers that were built anew beside their scheduler."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
schedulers = torch.optim.lr_scheduler

ALL = {
    "CosineAnnealingLR": lambda opt: schedulers.CosineAnnealingLR(opt, 200),
    "StepLR": lambda opt: schedulers.StepLR(opt, 30, 0.5),
    "LambdaLR": lambda opt: schedulers.LambdaLR(opt, lambda step: 1 - step / 200),
    "OneCycleLR": lambda opt: schedulers.OneCycleLR(opt, 0.1, total_steps=200),
    "ReduceLROnPlateau": lambda opt: schedulers.ReduceLROnPlateau(opt, patience=20),
    "SequentialLR": lambda opt: schedulers.SequentialLR(
        opt, [schedulers.LinearLR(opt, 0.1, total_iters=20), schedulers.ExponentialLR(opt, 0.99)], milestones=[20]
    ),
}


def loop(script, build, updates=150, rebuilt_at=None, save_at=(100, 150), kind="Adam", marked=False):
    """At update `rebuilt_at` the optimizer is built anew (`.to(device)`); the scheduler keeps the old one."""
    opt = script.optimizer(kind)
    sched = build(opt)
    for update in range(updates):
        if update == rebuilt_at:
            opt = script.optimizer(kind)
            if marked:
                opt.param_groups[0]["initial_lr"] = 0.1
        script.update(opt)
        sched.step(1.0) if isinstance(sched, schedulers.ReduceLROnPlateau) else sched.step()
        if update + 1 in save_at:
            script.save(opt, sched)
    return script.executed


def active(findings):
    return [(found.code, found.severity) for found in findings]


@pytest.mark.filterwarnings("ignore:Detected call of")
@pytest.mark.parametrize("build", ALL.values(), ids=ALL)
@pytest.mark.parametrize("kind", ["Adam", "SGD"])
def test_an_optimizer_built_anew_fires(script, diagnose, build, kind):
    executed = loop(script, build, rebuilt_at=0, kind=kind)
    (finding,) = [found for found in diagnose(executed) if found.code == "LR108"]
    assert finding.severity == "error"
    assert finding.evidence["optimizer_lr"] == 0.1
    assert finding.evidence["scheduler_lr"] == torch.load(executed.checkpoints[-1])["scheduler"]["_last_lr"][0]


@pytest.mark.filterwarnings("ignore:Detected call of")
def test_the_planned_learning_rate_and_the_step_where_they_part_are_named(script, diagnose):
    (finding,) = diagnose(loop(script, ALL["CosineAnnealingLR"], rebuilt_at=0))
    assert finding.first_step == 13  # cos(13 pi / 200): 1.04 % down
    assert finding.evidence["observed_lr"] == 0.1
    assert finding.remedy.schedule.params()["T_max"] == 200


@pytest.mark.filterwarnings("ignore:Detected call of")
def test_without_a_log_the_checkpoint_is_enough(script, diagnose):
    found = diagnose(loop(script, ALL["CosineAnnealingLR"], rebuilt_at=0, save_at=(150,)), log_lr=False)
    assert ("LR108", "error") in active(found)


@pytest.mark.filterwarnings("ignore:Detected call of")
def test_one_checkpoint_with_a_marked_optimizer_is_a_warning(script, diagnose):
    """The mark shows that a scheduler was attached; then the script may have set the learning rate itself."""
    executed = loop(script, ALL["StepLR"], rebuilt_at=0, save_at=(150,), marked=True)
    assert ("LR108", "warning") in active(diagnose(executed))


@pytest.mark.parametrize("build", ALL.values(), ids=ALL)
@pytest.mark.parametrize("kind", ["Adam", "SGD"])
def test_one_optimizer_is_silent(script, diagnose, build, kind):
    executed = loop(script, build, kind=kind)
    assert "LR108" not in [found.code for found in diagnose(executed, identified=False)]


def test_several_groups_are_silent(script, diagnose):
    weight, bias = script.model.parameters()
    opt = torch.optim.AdamW([{"params": [weight], "lr": 0.01}, {"params": [bias], "lr": 0.1}])
    sched = schedulers.CosineAnnealingLR(opt, 200)
    for _ in range(100):
        script.update(opt)
        sched.step()
    script.save(opt, sched)
    assert diagnose(script.executed) == []


def test_a_second_scheduler_that_is_behind_is_silent(script, diagnose):
    """A warmup per update and a decay per epoch act on one optimizer; the decay's last value is older."""
    opt = script.optimizer()
    warmup, decay = schedulers.LinearLR(opt, 0.1, total_iters=50), schedulers.StepLR(opt, 2, 0.5)
    for update in range(130):
        script.update(opt)
        warmup.step()
        if (update + 1) % 40 == 0:
            decay.step()
    script.save(opt, None, lr_schedulers=[decay.state_dict(), warmup.state_dict()])
    assert "LR108" not in [found.code for found in diagnose(script.executed)]


def test_a_full_resume_is_silent(train, diagnose):
    executed = train(lambda torch, opt: torch.CosineAnnealingLR(opt, 300), 300, kept_at=(100,), save_at=(100, 300))
    assert diagnose(executed, resume_at=(100,)) == []
