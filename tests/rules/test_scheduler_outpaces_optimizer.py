"""LR102 on torch schedulers that are stepped several times per update."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
schedulers = torch.optim.lr_scheduler


def cosine(optimizer, length=400):
    return schedulers.CosineAnnealingLR(optimizer, length)


def linear(optimizer, length=400):
    """The schedule of transformers.get_linear_schedule_with_warmup: 40 steps of warmup, clamped at zero."""
    return schedulers.LambdaLR(
        optimizer, lambda step: step / 40 if step < 40 else max(0.0, (length - step) / (length - 40))
    )


def train(script, build, times, updates=400, save_at=(200, 400), optimizer="Adam", **settings):
    opt = script.optimizer(optimizer, **settings)
    sched = build(opt)
    for update in range(updates):
        script.update(opt)
        for _ in range(times):
            sched.step()
        if update + 1 in save_at:
            script.save(opt, sched)
    return script.executed


def active(findings):
    return [(found.code, found.severity) for found in findings]


@pytest.mark.parametrize("build", [cosine, linear])
@pytest.mark.parametrize("times", [2, 4, 8])
def test_the_counters_of_checkpoints_tell_it(script, diagnose, build, times):
    findings = diagnose(train(script, build, times), complete=True)
    (finding,) = [found for found in findings if found.code == "LR102"]
    assert finding.severity == "error"
    assert finding.evidence["scheduler_steps_per_update"] == times
    assert finding.evidence["schedule_ends_at"] == pytest.approx(400 / times)
    assert finding.remedy.schedule.horizon == 400


def test_the_message_names_the_first_step_that_differs_and_both_values(script, diagnose):
    executed = train(script, linear, 4)
    (finding,) = [found for found in diagnose(executed, complete=True) if found.code == "LR102"]
    assert finding.first_step == 1
    assert (finding.evidence["observed_lr"], finding.evidence["expected_lr"]) == (
        pytest.approx(0.01),
        pytest.approx(0.0025),
    )


def test_the_counters_are_enough_without_a_log(script, diagnose):
    found = diagnose(train(script, cosine, 2), complete=True, log_lr=False)
    assert ("LR102", "error") in active(found)


@pytest.mark.parametrize(("declared", "times"), [({"world_size": 4}, 4), ({"grad_accum": 2}, 2),
                                                 ({"world_size": 2, "grad_accum": 4}, 8)], ids=str)  # fmt: skip
def test_the_log_and_the_settings_tell_it_without_checkpoints(script, diagnose, declared, times):
    executed = train(script, linear, times, save_at=())
    (finding,) = [
        found for found in diagnose(executed, complete=True, declared={"warmup_steps": 40, **declared})
        if found.code == "LR102"
    ]  # fmt: skip
    assert (finding.severity, finding.evidence["scheduler_steps_per_update"]) == ("error", times)
    assert "micro-batches" in finding.message or "processes" in finding.message


def test_a_warmup_shorter_by_the_same_factor_needs_no_reason(script, diagnose):
    executed = train(script, linear, 2, save_at=())
    assert ("LR102", "error") in active(diagnose(executed, complete=True, declared={"warmup_steps": 40}))


def test_a_shorter_schedule_alone_is_no_reason(script, diagnose):
    executed = train(script, linear, 2, save_at=())
    assert "LR102" not in [found.code for found in diagnose(executed, complete=True)]


@pytest.mark.parametrize("times", [1, 2, 4])
@pytest.mark.parametrize("kind", ["Adam", "SGD"])
def test_a_schedule_built_for_its_pace_is_silent(script, diagnose, times, kind):
    executed = train(script, lambda opt: cosine(opt, 400 * times), times, optimizer=kind)
    settings = {"declared": {"grad_accum": times}}
    assert active(diagnose(executed, complete=True, **settings)) == []
    assert active(diagnose(executed, complete=None, **settings)) == []
    assert active(diagnose(executed, complete=True, log_lr=False, **settings)) == [("LR901", "info")]


def test_without_a_plan_a_schedule_still_running_is_a_remark(script, diagnose):
    executed = train(script, lambda opt: cosine(opt, 4000), 2)
    (finding,) = diagnose(executed, complete=None)
    assert (finding.code, finding.severity) == ("LR102", "info")


def test_per_epoch_stepping_is_silent(train_per_epoch, diagnose):
    assert active(diagnose(train_per_epoch, steps_per_epoch=20)) == []


@pytest.fixture
def train_per_epoch(train):
    return train(lambda torch, opt: torch.StepLR(opt, 10, 0.5), 400, per=20, save_at=(200, 400), optimizer="Adam")


@pytest.mark.filterwarnings("ignore:Detected call of")
def test_skipped_updates_are_another_matter(script, diagnose):
    """GradScaler drops an update now and then; the ratio is no whole number."""
    opt = script.optimizer()
    sched = cosine(opt)
    for update in range(400):
        script.lrs.append(opt.param_groups[0]["lr"])
        if update % 10:
            script.model(torch.ones(1, 2)).sum().backward()
            opt.step()
        sched.step()
    script.save(opt, sched)
    assert "LR102" not in [found.code for found in diagnose(script.executed, complete=True)]


def test_an_optimizer_that_lost_its_count_is_another_matter(script, diagnose):
    """Half way the optimizer starts anew: at the end it counts 200 of 400 updates, as if stepped half as often."""
    opt = script.optimizer()
    sched = cosine(opt)
    for update in range(400):
        if update == 200:
            sched.optimizer = opt = script.optimizer()
            opt.param_groups[0].update(lr=sched.get_last_lr()[0], initial_lr=0.1)
        script.update(opt)
        sched.step()
    script.save(opt, sched)
    assert "LR102" not in [found.code for found in diagnose(script.executed, complete=True)]
