"""LR306 on learning rates that torch's schedulers executed."""

from __future__ import annotations

import numpy as np
import pytest


def line(total, end):
    return lambda torch, optimizer: torch.LinearLR(optimizer, 1.0, end, total)


def cosine(horizon, eta_min=0.0):
    return lambda torch, optimizer: torch.CosineAnnealingLR(optimizer, horizon, eta_min)


def found(findings):
    return [finding for finding in findings if finding.code == "LR306"]


@pytest.mark.parametrize(
    ("build", "per", "final", "severity"),
    [(line(600, 0.6), 1, 0.6, "warning"), (line(30, 0.3), 20, 0.3, "info"), (cosine(600, 0.02), 1, 0.2, "info"),
     (lambda torch, opt: torch.ExponentialLR(opt, 0.999), 1, 0.549, "warning"),
     (lambda torch, opt: torch.StepLR(opt, 150, 0.6), 1, 0.1296, "info")],
)  # fmt: skip
def test_it_fires_on_a_finished_run(train, diagnose, build, per, final, severity):
    (finding,) = diagnose(train(build, 600, per=per), float32=True, steps_per_epoch=20, complete=True)
    assert (finding.code, finding.severity) == ("LR306", severity)
    assert finding.evidence["final_fraction"] == pytest.approx(final, abs=2e-3)


def test_its_remedy_is_the_same_decay_to_zero_as_torch_executes_it(train, diagnose):
    (finding,) = found(diagnose(train(line(600, 0.6), 600), complete=True))
    wanted = np.array(train(line(600, 0.0), 600).lrs)
    assert finding.remedy.schedule.lr_at(np.arange(600)) == pytest.approx(wanted, abs=1e-9)


SILENT = {
    "a cosine to zero": (cosine(600), 600, 1, True),
    "a cosine to a tenth": (cosine(600, 0.01), 600, 1, True),
    "a line to a tenth": (line(600, 0.1), 600, 1, True),
    "a line to a tenth per epoch": (line(30, 0.1), 600, 20, True),
    "a line to a half, not finished": (line(600, 0.5), 600, 1, False),
    "a line to a half, perhaps": (line(600, 0.5), 600, 1, None),
    "constant": (line(600, 1.0), 600, 1, True),
    "cycles": (lambda torch, opt: torch.CyclicLR(opt, 0.05, 0.1, 100), 600, 1, True),
    "warm restarts": (lambda torch, opt: torch.CosineAnnealingWarmRestarts(opt, 250), 600, 1, True),
    "weight averaging": (
        lambda torch, opt: __import__("torch").optim.swa_utils.SWALR(opt, 0.05, anneal_epochs=200), 600, 1, True),
}  # fmt: skip


@pytest.mark.parametrize(("build", "steps", "per", "complete"), SILENT.values(), ids=SILENT)
def test_healthy_look_alikes_are_silent(train, diagnose, build, steps, per, complete):
    executed = train(build, steps, per=per, optimizer="Adam", save_at=(steps,))
    assert found(diagnose(executed, steps_per_epoch=20, complete=complete)) == []


def test_one_drop_may_be_a_plateaus_unless_a_checkpoint_says_whose_it_is(train, diagnose):
    build = lambda torch, opt: torch.MultiStepLR(opt, [300], 0.5)  # noqa: E731
    assert found(diagnose(train(build, 600), complete=True)) == []
    assert len(found(diagnose(train(build, 600, optimizer="Adam", save_at=(600,)), complete=True))) == 1


def test_a_schedule_that_was_cut_short_is_the_fault_and_this_its_sign(train, diagnose):
    (finding,) = diagnose(train(cosine(1200), 600), complete=True)
    assert finding.code == "LR303"
