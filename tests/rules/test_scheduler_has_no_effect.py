"""LR105 on torch schedulers that were built and never stepped."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
schedulers = torch.optim.lr_scheduler

ALL = {
    "CosineAnnealingLR": lambda opt: schedulers.CosineAnnealingLR(opt, 400),
    "CosineAnnealingWarmRestarts": lambda opt: schedulers.CosineAnnealingWarmRestarts(opt, 40),
    "OneCycleLR": lambda opt: schedulers.OneCycleLR(opt, 0.1, total_steps=400),
    "StepLR": lambda opt: schedulers.StepLR(opt, 100),
    "LambdaLR": lambda opt: schedulers.LambdaLR(opt, lambda step: 1 - step / 400),
    "SequentialLR": lambda opt: schedulers.SequentialLR(
        opt,
        [schedulers.LinearLR(opt, 0.01, total_iters=40), schedulers.CosineAnnealingLR(opt, 360)],
        milestones=[40],
    ),
}


def train(script, build, updates=400, stop=0, save_at=(400,), per=1, optimizer="Adam", epoch=20):
    """The scheduler is stepped up to update `stop`, every `per` updates, and no more."""
    opt = script.optimizer(optimizer)
    sched = build(opt)
    for update in range(updates):
        script.update(opt)
        if update < stop and (update + 1) % per == 0:
            sched.step()
        if update + 1 in save_at:
            script.save(opt, sched, epoch=(update + 1) // epoch)
    return script.executed


def active(findings):
    return [(found.code, found.severity) for found in findings]


@pytest.mark.parametrize("build", ALL.values(), ids=ALL)
@pytest.mark.parametrize("settings", [{"steps_per_epoch": 20}, {"log_lr": False, "steps_per_epoch": 20}], ids=str)
def test_a_scheduler_that_was_never_stepped_fires(script, diagnose, build, settings):
    findings = [found for found in diagnose(train(script, build), complete=True, **settings) if found.code != "LR901"]
    assert active(findings) == [("LR105", "error")]
    assert findings[0].evidence["updates"] == 400


def test_both_values_and_the_step_where_they_part_are_named(script, diagnose):
    (finding,) = diagnose(train(script, ALL["CosineAnnealingLR"]), steps_per_epoch=20)
    assert finding.first_step == finding.evidence["first_apart_step"] == 26  # cos(pi 26 / 400): 1.04 % down
    assert finding.evidence["observed_lr"] == pytest.approx(0.1)
    assert finding.evidence["expected_lr"] < 1e-5
    assert finding.remedy.schedule.params()["T_max"] == 400


def test_a_schedule_of_epochs_is_repaired_per_epoch(script, diagnose):
    executed = train(script, lambda opt: schedulers.CosineAnnealingLR(opt, 20))
    (finding,) = diagnose(executed, steps_per_epoch=20)
    assert finding.remedy.schedule.lr_at([0.0, 19.0, 20.0]).tolist() == pytest.approx([0.1, 0.1, 0.0993844])


def test_without_epochs_the_count_alone_is_a_warning(script, diagnose):
    opt = script.optimizer()
    sched = ALL["LambdaLR"](opt)
    for _ in range(400):
        script.update(opt)
    script.save(opt, sched)
    assert active(diagnose(script.executed)) == [("LR105", "warning")]


def test_a_scheduler_that_stopped_half_way_is_a_warning(script, diagnose):
    executed = train(script, ALL["CosineAnnealingLR"], stop=100, save_at=(200, 400))
    assert ("LR105", "warning") in active(diagnose(executed, steps_per_epoch=20))


def test_the_settings_against_a_constant_log(diagnose):
    (finding,) = diagnose([0.1] * 400, complete=True, declared={"scheduler": "linear"})
    assert (finding.code, finding.severity) == ("LR105", "warning")
    assert finding.evidence["scheduler_steps"] is None


@pytest.mark.parametrize("name", ["constant", "constant_with_warmup", "StepLR", "ReduceLROnPlateau", "wsd", None])
def test_settings_that_allow_a_constant_are_silent(diagnose, name):
    declared = {"scheduler": name} if name else {}
    assert "LR105" not in [found.code for found in diagnose([0.1] * 400, complete=True, declared=declared)]


@pytest.mark.parametrize("build", ALL.values(), ids=ALL)
def test_stepped_at_every_update_is_silent(script, diagnose, build):
    executed = train(script, build, stop=400, save_at=(200, 400))
    assert "LR105" not in [found.code for found in diagnose(executed, steps_per_epoch=20, complete=True)]


def test_stepped_per_epoch_is_silent_even_within_the_second_epoch(script, diagnose):
    def build(opt):
        return schedulers.StepLR(opt, 5)

    executed = train(script, build, updates=399, stop=0, per=200, save_at=(399,), epoch=200)
    assert diagnose(executed, steps_per_epoch=200) == []


def test_a_plateau_scheduler_that_was_not_called_yet_is_silent(script, diagnose):
    executed = train(script, lambda opt: schedulers.ReduceLROnPlateau(opt))
    assert "LR105" not in [found.code for found in diagnose(executed, steps_per_epoch=20)]


def test_a_schedule_at_its_end_stands_still_by_right(script, diagnose):
    executed = train(script, lambda opt: schedulers.LinearLR(opt, 0.1, total_iters=100), stop=100, save_at=(200, 400))
    assert "LR105" not in [found.code for found in diagnose(executed, steps_per_epoch=20)]


def test_a_learning_rate_set_by_hand_beside_an_idle_scheduler_is_silent(script, diagnose):
    opt = script.optimizer()
    sched = ALL["CosineAnnealingLR"](opt)
    for update in range(400):
        opt.param_groups[0]["lr"] = 0.1 * (1 - update / 400)
        script.update(opt)
    script.save(opt, sched, epoch=20)
    assert "LR105" not in [found.code for found in diagnose(script.executed, steps_per_epoch=20)]
