"""LR104 on torch schedulers that are stepped at the beginning of the epoch."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
schedulers = torch.optim.lr_scheduler
N, EPOCHS = 20, 12

ALL = {
    "StepLR": lambda opt: schedulers.StepLR(opt, 3),
    "CosineAnnealingLR": lambda opt: schedulers.CosineAnnealingLR(opt, EPOCHS),
    "LinearLR": lambda opt: schedulers.LinearLR(opt, 1.0, 0.0, total_iters=EPOCHS),
    "PolynomialLR": lambda opt: schedulers.PolynomialLR(opt, EPOCHS, 2.0),
    "OneCycleLR": lambda opt: schedulers.OneCycleLR(opt, 0.1, total_steps=EPOCHS),
}


def milestones(opt):
    return schedulers.MultiStepLR(opt, [6, 9])


@pytest.fixture
def executed(script):
    def run(build, first, epochs=EPOCHS, per=N):
        opt = script.optimizer("SGD")
        sched = build(opt)
        for _ in range(epochs * N // per):
            if first:
                sched.step()
            for _ in range(per):
                script.update(opt)
            if not first:
                sched.step()
        script.save(opt, sched, epoch=epochs)
        return script

    return run


def codes(findings):
    return [(found.code, found.severity) for found in findings]


def test_torch_itself_warns_once(executed):
    with pytest.warns(UserWarning, match="Detected call of"):
        executed(ALL["StepLR"], first=True)


@pytest.mark.filterwarnings("ignore:Detected call of")
@pytest.mark.parametrize("name", sorted(ALL.keys() - {"OneCycleLR"}))  # a shorter cycle from a higher start fits it too
def test_stepped_first_fires_on_the_log_alone(executed, diagnose, name):
    found = diagnose(executed(ALL[name], first=True).lrs, steps_per_epoch=N)
    assert ("LR104", "warning") in codes(found)
    (finding,) = [one for one in found if one.code == "LR104"]
    assert finding.evidence["expected_first_lr"] == pytest.approx(0.1)


@pytest.mark.filterwarnings("ignore:Detected call of")
def test_where_the_start_shows_nothing_a_checkpoint_states_the_schedule(executed, diagnose):
    script = executed(milestones, first=True)
    assert diagnose(script.lrs, steps_per_epoch=N) == []
    assert codes(diagnose(script.executed, steps_per_epoch=N)) == [("LR104", "warning")]


@pytest.mark.parametrize("build", [*ALL.values(), milestones], ids=[*ALL, "MultiStepLR"])
def test_stepped_after_the_epoch_is_silent(executed, diagnose, build):
    assert "LR104" not in [found.code for found in diagnose(executed(build, first=False).executed, steps_per_epoch=N)]


@pytest.mark.filterwarnings("ignore:Detected call of")
def test_stepped_first_at_every_update_does_no_harm(executed, diagnose):
    script = executed(lambda opt: schedulers.CosineAnnealingLR(opt, EPOCHS * N), first=True, per=1)
    assert diagnose(script.executed, steps_per_epoch=N) == []


@pytest.mark.filterwarnings("ignore:Detected call of")
def test_one_epoch_of_very_many_is_a_remark(executed, diagnose):
    script = executed(lambda opt: schedulers.StepLR(opt, 30), first=True, epochs=120)
    assert ("LR104", "info") in codes(diagnose(script.lrs, steps_per_epoch=N))


def test_a_milestone_one_epoch_short_of_a_round_one_is_a_milestone(executed, diagnose):
    script = executed(lambda opt: schedulers.MultiStepLR(opt, [19], 0.1), first=False, epochs=30)
    assert "LR104" not in [found.code for found in diagnose(script.lrs, steps_per_epoch=N)]
