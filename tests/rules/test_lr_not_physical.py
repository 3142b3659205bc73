"""LR403 on learning rates that torch's schedulers executed."""

from __future__ import annotations

import numpy as np
import pytest


def by(factor):
    return lambda torch, optimizer: torch.LambdaLR(optimizer, factor)


def cosine(horizon, eta_min):
    return lambda torch, optimizer: torch.CosineAnnealingLR(optimizer, horizon, eta_min)


def found(findings):
    return [finding for finding in findings if finding.code == "LR403"]


def test_torch_takes_a_negative_learning_rate_without_a_word(train, recwarn):
    lrs = train(by(lambda step: 1 - step / 50), 100).lrs
    assert min(lrs) < -0.09
    assert not [warning for warning in recwarn if "negative" in str(warning.message)]


@pytest.mark.parametrize("factor", [lambda step: 1 - step / 80, lambda step: (1 - step / 80) ** 3])
def test_it_fires_on_a_negative_learning_rate(train, diagnose, factor):
    (finding,) = found(diagnose(train(by(factor), 100), float32=True, complete=True))
    assert finding.severity == "error"
    assert finding.first_step == 81.0
    assert finding.evidence["lowest_lr"] == pytest.approx(0.1 * factor(99))


def test_it_fires_on_nan_at_the_end(train, diagnose):
    executed = train(by(lambda step: float("nan") if step >= 60 else 1.0), 100)
    (finding,) = found(diagnose(executed, loss=None))
    assert finding.first_step == 60.0


def test_a_floor_above_the_learning_rate_is_told_by_the_checkpoint(train, diagnose):
    executed = train(cosine(100, 1e-4), 100, lr=1e-5, optimizer="Adam", save_at=(100,))
    assert executed.lrs[-1] > 9e-5
    (finding,) = found(diagnose(executed))
    assert finding.evidence["eta_min"] == 1e-4
    assert finding.evidence["base_lr"] == 1e-5


def test_a_cosine_of_one_step_alternates(train, diagnose):
    executed = train(cosine(1, 1e-4), 60, lr=1e-5)
    (finding,) = found(diagnose(executed))
    assert finding.evidence["low_lr"] == pytest.approx(1e-5)
    assert finding.evidence["high_lr"] == pytest.approx(1e-4)


def test_its_remedy_is_never_below_zero(train, diagnose):
    (finding,) = found(diagnose(train(by(lambda step: 1 - step / 80), 100), complete=True))
    lrs = finding.remedy.schedule.lr_at(np.arange(100))
    assert lrs[0] == pytest.approx(0.1)
    assert lrs.min() > 0.0


SILENT = {
    "a line to zero": (by(lambda step: max(0.0, 1 - step / 80)), 100),
    "a rounding below zero": (by(lambda step: 1 - step / 100 if step < 100 else -1e-17), 101),
    "a floor below": (cosine(100, 1e-3), 100),
    "warm restarts every two": (lambda torch, opt: torch.CosineAnnealingWarmRestarts(opt, 3), 100),
    "constant": (by(lambda step: 1.0), 100),
}


@pytest.mark.parametrize(("build", "steps"), SILENT.values(), ids=SILENT)
def test_healthy_look_alikes_are_silent(train, diagnose, build, steps):
    assert found(diagnose(train(build, steps, optimizer="Adam", save_at=(steps,)), complete=True)) == []


def test_gaps_that_read_nan_are_silent(train, diagnose):
    lrs = np.array(train(by(lambda step: max(0.0, 1 - step / 80)), 100).lrs)
    lrs[1::3] = np.nan
    lrs[95:] = np.nan
    assert found(diagnose(lrs.tolist())) == []
