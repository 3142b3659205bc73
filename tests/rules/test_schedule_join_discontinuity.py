"""LR307 on learning rates that torch's SequentialLR executed."""

from __future__ import annotations

import numpy as np
import pytest


def joined(total, milestone, behind=None):
    def build(torch, optimizer):
        rest = behind(torch, optimizer) if behind else torch.CosineAnnealingLR(optimizer, 300 - milestone)
        return torch.SequentialLR(optimizer, [torch.LinearLR(optimizer, 0.01, total_iters=total), rest], [milestone])

    return build


def drops(*marks, gamma=0.05):
    return lambda torch, optimizer: torch.MultiStepLR(optimizer, list(marks), gamma)


def found(findings):
    return [finding for finding in findings if finding.code == "LR307"]


def test_torch_leaves_the_warmup_wherever_it_stands(train):
    """The claim of the page."""
    lrs = train(joined(100, 50), 60).lrs
    assert lrs[49] == pytest.approx(0.1 * (0.01 + 0.99 * 0.49))
    assert lrs[50] == pytest.approx(0.1)


@pytest.mark.parametrize("log_every", [1, 5])
@pytest.mark.parametrize("milestone", [20, 50, 70])
def test_it_fires_where_the_warmup_was_cut_off(train, diagnose, milestone, log_every):
    (finding,) = found(diagnose(train(joined(100, milestone), 300), float32=True, log_every=log_every))
    assert finding.severity == "warning"
    assert finding.evidence["join_step"] == milestone
    assert finding.evidence["lr_after"] == pytest.approx(0.1, rel=1e-2)


def test_it_fires_on_a_milestone_at_the_end_of_the_warmup(train, diagnose):
    (finding,) = found(diagnose(train(joined(150, 150, drops(1)), 300)))
    assert finding.evidence["ratio"] == pytest.approx(0.05)
    wanted = np.array(train(joined(150, 150, drops(100)), 300).lrs)
    off = np.abs(finding.remedy.schedule.lr_at(np.arange(300)) - wanted)
    assert (off > 2e-3).sum() <= 2


def test_its_remedy_is_a_warmup_that_reaches_the_peak(train, diagnose):
    (finding,) = found(diagnose(train(joined(100, 50), 300)))
    wanted = np.array(train(joined(50, 50), 300).lrs)
    assert finding.remedy.schedule.lr_at(np.arange(300)) == pytest.approx(wanted, abs=1e-9)


def test_a_checkpoint_says_it_before_it_happens(train, diagnose):
    executed = train(joined(100, 50), 30, optimizer="Adam", save_at=(30,))
    (finding,) = found(diagnose(executed))
    assert finding.evidence["observed_lr"] == pytest.approx(0.1 * 0.505)


SILENT = {
    "a warmup that reaches the peak": (joined(50, 50), 300, 1),
    "a warmup that waits there": (joined(50, 80), 300, 1),
    "a jump by a fifth": (joined(60, 50), 300, 1),
    "warmup of epochs": (joined(5, 5, lambda torch, opt: torch.CosineAnnealingLR(opt, 10)), 300, 20),
    "a milestone later": (joined(50, 50, drops(20)), 300, 1),
    "a constant factor": (lambda torch, opt: torch.ConstantLR(opt, 0.33, 50), 300, 1),
    "one cycle": (lambda torch, opt: torch.OneCycleLR(opt, 0.1, 301), 300, 1),
    "warm restarts": (joined(50, 50, lambda torch, opt: torch.CosineAnnealingWarmRestarts(opt, 60)), 300, 1),
    "triangles": (lambda torch, opt: torch.CyclicLR(opt, 0.01, 0.1, 60), 200, 1),
    "a fast decay": (joined(50, 50, lambda torch, opt: torch.ExponentialLR(opt, 0.9)), 150, 1),
}


@pytest.mark.parametrize(("build", "steps", "per"), SILENT.values(), ids=SILENT)
def test_healthy_look_alikes_are_silent(train, diagnose, build, steps, per):
    executed = train(build, steps, per=per, optimizer="Adam", save_at=(steps,))
    assert found(diagnose(executed, steps_per_epoch=20)) == []


def test_a_jump_at_a_resume_belongs_to_the_resume(train, diagnose):
    executed = train(lambda torch, opt: torch.LambdaLR(opt, lambda t: min(1.0, t / 100)), 60, lost_at=(50,))
    assert found(diagnose([*executed.lrs[:50], *([0.1] * 60)], resume_at=(50,))) == []
