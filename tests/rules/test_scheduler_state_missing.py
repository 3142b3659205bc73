"""LR201 on sessions of torch's schedulers that were resumed with and without their state."""

from __future__ import annotations

import math

import numpy as np
import pytest


def warm_linear(step):
    return min(step / 50, 1.0) * (1.0 - max(step - 50, 0) / 550)


SMOOTH = {
    "CosineAnnealingLR": ("silent", lambda torch, opt: torch.CosineAnnealingLR(opt, 600)),
    "CosineAnnealingLR to a floor": ("silent", lambda torch, opt: torch.CosineAnnealingLR(opt, 600, eta_min=0.01)),
    "LinearLR": ("silent", lambda torch, opt: torch.LinearLR(opt, 1.0, 0.0, 600)),
    "PolynomialLR": ("silent", lambda torch, opt: torch.PolynomialLR(opt, 600, 2.0)),
    "LambdaLR, linear": ("jump", lambda torch, opt: torch.LambdaLR(opt, lambda step: 1 - step / 600)),
    "LambdaLR, warmup": ("jump", lambda torch, opt: torch.LambdaLR(opt, warm_linear)),
    "OneCycleLR": ("jump", lambda torch, opt: torch.OneCycleLR(opt, 0.1, total_steps=700)),
    "CosineAnnealingWarmRestarts": ("jump", lambda torch, opt: torch.CosineAnnealingWarmRestarts(opt, 100)),
}
STEPWISE = {
    "StepLR": lambda torch, opt: torch.StepLR(opt, 100, 0.5),
    "MultiStepLR": lambda torch, opt: torch.MultiStepLR(opt, [50, 150, 200], 0.5),
}
ALL = {**{name: build for name, (_, build) in SMOOTH.items()}, **STEPWISE}


def codes(findings):
    return [finding.code for finding in findings]


@pytest.mark.parametrize("log_every", [1, 10])
@pytest.mark.parametrize("float32", [False, True])
@pytest.mark.parametrize(("form", "build"), SMOOTH.values(), ids=SMOOTH)
def test_a_lost_clock_is_found_in_the_log(train, diagnose, form, build, float32, log_every):
    executed = train(build, 600, lost_at=(250,))
    (finding,) = diagnose(executed, float32=float32, resume_at=(250,), log_every=log_every)
    assert (finding.code, finding.severity, finding.evidence["form"]) == ("LR201", "error", form)
    assert finding.first_step == 250


@pytest.mark.parametrize(("form", "build"), SMOOTH.values(), ids=SMOOTH)
def test_the_remedy_is_what_torch_would_have_executed(train, diagnose, form, build):
    (finding,) = diagnose(train(build, 600, lost_at=(250,)), resume_at=(250,))
    wanted = np.array(train(build, 600).lrs)
    assert finding.remedy.schedule.lr_at(np.arange(600)) == pytest.approx(wanted, abs=2e-4)


@pytest.mark.parametrize("build", STEPWISE.values(), ids=STEPWISE)
def test_drops_that_come_too_late_are_found(train, diagnose, build):
    (finding,) = diagnose(train(build, 600, lost_at=(250,)), resume_at=(250,))
    assert (finding.code, finding.severity, finding.evidence["form"]) == ("LR201", "error", "silent")


def test_steps_planned_anew_continue_as_step_lr(train, diagnose):
    (finding,) = diagnose(train(STEPWISE["StepLR"], 600, lost_at=(250,)), resume_at=(250,))
    wanted = np.array(train(STEPWISE["StepLR"], 600).lrs)
    assert finding.remedy.schedule.lr_at(np.arange(600)) == pytest.approx(wanted)


def test_one_late_drop_is_found_where_the_checkpoint_lacks_the_scheduler(train, diagnose):
    lost = train(lambda torch, opt: torch.StepLR(opt, 200), 600, lost_at=(250,), save_at=(250,), unsaved=True)
    (finding,) = diagnose(lost, resume_at=(250,))
    assert (finding.code, finding.severity) == ("LR201", "error")
    assert lost.checkpoints[0] in finding.message


def test_each_lost_resume_is_one_finding(train, diagnose):
    executed = train(ALL["CosineAnnealingLR"], 600, lost_at=(200, 430))
    assert [finding.first_step for finding in diagnose(executed, resume_at=(200, 430))] == [200, 430]


def test_a_checkpoint_marks_the_resume_where_the_log_does_not(train, diagnose):
    executed = train(ALL["LambdaLR, warmup"], 600, lost_at=(240,), save_at=(240,))
    (finding,) = diagnose(executed)
    assert (finding.code, finding.severity) == ("LR201", "error")
    assert "was not loaded" in finding.message


def test_without_any_mark_of_a_resume_the_loss_makes_it_a_warning(train, diagnose):
    executed = train(ALL["OneCycleLR"], 600, lost_at=(250,))
    assert [(found.code, found.severity) for found in diagnose(executed)] == [("LR201", "warning")]
    assert diagnose(executed, loss=None) == []


@pytest.mark.parametrize("build", ALL.values(), ids=ALL)
def test_a_complete_resume_is_silent(train, diagnose, build):
    executed = train(build, 600, kept_at=(250,), save_at=(250, 600))
    assert [found for found in diagnose(executed, resume_at=(250,)) if found.severity != "info"] == []


def test_an_exponential_decay_does_not_care(train, diagnose):
    executed = train(lambda torch, opt: torch.ExponentialLR(opt, 0.99), 600, lost_at=(250,))
    assert diagnose(executed, resume_at=(250,)) == []


def test_a_restart_with_the_loss_back_at_its_start_is_a_new_training(train, diagnose):
    from lrdoctor import synth

    executed = train(ALL["OneCycleLR"], 600, lost_at=(250,))
    afresh = (synth.Spike(250, 2.3),)
    assert [one for one in diagnose(executed, resume_at=(250,), spikes=afresh) if one.code == "LR201"] == []


def cosine(step, length, peak=0.1):
    return peak * 0.5 * (1 + math.cos(math.pi * min(step, length) / length))


def stages(first, second, at=250):
    return [first(step) if step < at else second(step - at) for step in range(600)]


LOOK_ALIKES = {
    "the horizon was extended": [cosine(step, 600 if step < 250 else 1200) for step in range(600)],
    "a cosine from here to the end": stages(lambda t: cosine(t, 600), lambda t: cosine(t, 350, cosine(250, 600))),
    "a lower stage of the same length": stages(lambda t: cosine(t, 600), lambda t: cosine(t, 600, 0.01)),
    "a stage with the same peak": stages(lambda t: cosine(t, 600), lambda t: cosine(t, 350)),
    "a constant stage": stages(lambda t: cosine(t, 600), lambda t: 0.01),
    "a cut by hand": [cosine(step, 600) * (1.0 if step < 250 else 0.3) for step in range(600)],
    "a second cycle after the first": stages(lambda t: cosine(t, 300), lambda t: cosine(t, 300), at=300),
    "constant": [0.1] * 600,
    "constant, then a decay": [0.1 if step < 400 else 0.1 * (1 - (step - 400) / 200) for step in range(600)],
    "milestones of a recipe": [0.1 * 0.1 ** sum(step >= mark for mark in (150, 300, 450)) for step in range(600)],
    "odd milestones": [0.1 * 0.2 ** sum(step >= mark for mark in (180, 360, 480)) for step in range(600)],
}


@pytest.mark.parametrize("resume_at", [(), (250,), (150,), (300,)], ids=str)
@pytest.mark.parametrize("lrs", LOOK_ALIKES.values(), ids=LOOK_ALIKES)
def test_healthy_look_alikes_are_silent(diagnose, lrs, resume_at):
    found = diagnose(lrs, resume_at=resume_at)
    assert [one for one in found if one.code == "LR201" and one.severity != "info"] == []


def test_warm_restarts_resumed_on_their_period_are_silent(train, diagnose):
    executed = train(ALL["CosineAnnealingWarmRestarts"], 600, lost_at=(300,))
    assert diagnose(executed, resume_at=(300,)) == []


def test_a_checkpoint_without_its_scheduler_is_an_error_in_an_unfinished_run(train, diagnose):
    executed = train(ALL["CosineAnnealingLR"], 300, save_at=(280,), unsaved=True)
    (finding,) = diagnose(executed, complete=False)
    assert (finding.code, finding.severity) == ("LR201", "error")


def test_alone_it_is_a_warning(train, diagnose):
    executed = train(ALL["CosineAnnealingLR"], 300, save_at=(280,), unsaved=True)
    assert [(found.code, found.severity) for found in diagnose(executed, log_lr=False)] == [
        ("LR201", "warning"),
        ("LR901", "info"),
    ]


def test_in_a_finished_run_it_is_a_remark(train, diagnose):
    executed = train(ALL["CosineAnnealingLR"], 600, save_at=(280, 600), unsaved=True)
    assert [(found.code, found.severity) for found in diagnose(executed)] == [("LR201", "info")]


def test_it_is_silent_where_a_resume_went_well_without_it(train, diagnose):
    executed = train(ALL["CosineAnnealingLR"], 600, kept_at=(280,), save_at=(280,), unsaved=True)
    assert diagnose(executed, resume_at=(280,)) == []


@pytest.mark.parametrize("framework", ["timm", "ultralytics", "torchtune", "fairseq", "mmcv"])
def test_it_is_silent_where_the_framework_computes_the_schedule(train, diagnose, framework):
    executed = train(ALL["CosineAnnealingLR"], 300, save_at=(280,), unsaved=True)
    assert diagnose(executed, complete=False, framework=framework) == []


def test_it_is_silent_at_a_constant_learning_rate(train, diagnose):
    executed = train(lambda torch, opt: torch.ConstantLR(opt, 1.0), 300, save_at=(280,), unsaved=True)
    assert diagnose(executed, complete=False) == []


def test_counters_of_two_checkpoints_tell_a_lost_clock(train, diagnose):
    executed = train(ALL["CosineAnnealingLR"], 600, lost_at=(240,), save_at=(240, 600))
    (finding, gate) = diagnose(executed, log_lr=False)
    assert (finding.code, gate.code) == ("LR201", "LR901")
    assert (finding.evidence["scheduler_last_epoch"], finding.evidence["updates"]) == (360, 600)


@pytest.mark.parametrize("per", [1, 20])
def test_counters_that_agree_are_silent(train, diagnose, per):
    executed = train(ALL["CosineAnnealingLR"], 600, per=per, kept_at=(240,), save_at=(240, 600))
    assert codes(diagnose(executed, log_lr=False)) == ["LR901"]


@pytest.mark.parametrize(("form", "build"), SMOOTH.values(), ids=SMOOTH)
def test_the_message_names_the_values_on_both_sides_of_a_jump(train, diagnose, form, build):
    executed = train(build, 600, lost_at=(250,))
    (finding,) = diagnose(executed, resume_at=(250,))
    planned = train(build, 600).lrs
    at = 250 if form == "silent" else 251  # a scheduler built before the optimizer was loaded jumps one step later
    assert finding.evidence["lr_at_resume"] == pytest.approx(executed.lrs[at])
    assert finding.evidence["planned_lr_at_resume"] == pytest.approx(planned[at], rel=0.01)
