"""LR304 on learning rates that torch's schedulers executed."""

from __future__ import annotations

import numpy as np
import pytest


def exponential(gamma):
    return lambda torch, optimizer: torch.ExponentialLR(optimizer, gamma)


def stepped(size, gamma=0.1):
    return lambda torch, optimizer: torch.StepLR(optimizer, size, gamma)


def milestones(*marks, gamma=0.1):
    return lambda torch, optimizer: torch.MultiStepLR(optimizer, list(marks), gamma)


def found(findings):
    return [finding for finding in findings if finding.code == "LR304"]


def test_the_claims_of_the_page(train):
    lrs = np.array(train(exponential(0.95), 400).lrs) / 0.1
    assert np.argmax(lrs < 1e-3) == 135
    assert np.argmax(lrs < 1e-8) in (359, 360)
    drops = np.array(train(stepped(30), 392).lrs)
    assert drops[391] == pytest.approx(0.1 * 0.1**13)


@pytest.mark.parametrize(
    ("build", "per_epoch"),
    [(exponential(0.95), True), (exponential(0.9), False), (stepped(30), False), (stepped(10), True),
     (milestones(8, 16, 20, 24), True)],
)  # fmt: skip
def test_it_fires_on_a_decay_per_epoch_at_every_update(train, diagnose, build, per_epoch):
    executed = train(build, 600)
    (finding,) = diagnose(executed, float32=True, steps_per_epoch=20, complete=True)
    assert (finding.code, finding.severity) == ("LR304", "error")
    assert finding.evidence["collapsed_fraction"] > 0.6


def test_its_remedy_is_the_same_decay_at_each_epoch(train, diagnose):
    (finding,) = diagnose(train(exponential(0.95), 600), steps_per_epoch=20, complete=True)
    per_epoch = np.array(train(exponential(0.95), 600, per=20).lrs)
    assert finding.evidence["meant_per_epoch"] is True
    assert finding.remedy.schedule.lr_at(np.arange(0, 600, 20)) == pytest.approx(per_epoch[::20], rel=1e-9)


@pytest.mark.parametrize("build", [exponential(0.95), stepped(30), stepped(200, 0.0)])
def test_it_fires_on_the_counters_of_a_checkpoint(train, diagnose, build):
    executed = train(build, 600, optimizer="Adam", save_at=(600,))
    assert len(found(diagnose(executed, log_lr=False))) == 1


SILENT = {
    "gamma of 0.95 an epoch": (exponential(0.95), 600, 20),
    "StepLR(10) an epoch": (stepped(10), 600, 20),
    "three drops": (milestones(100, 200, 300), 600, 1),
    "four drops, late": (milestones(200, 400, 550, 580), 600, 1),
    "a slow decay": (exponential(0.99), 600, 1),
    "a line": (lambda torch, opt: torch.LinearLR(opt, 1.0, 0.0, 600), 600, 1),
    "one cycle": (lambda torch, opt: torch.OneCycleLR(opt, 0.1, 601), 600, 1),
    "one cycle of low beginnings": (lambda torch, opt: torch.OneCycleLR(opt, 0.1, 601, div_factor=1e4), 600, 1),
}


@pytest.mark.parametrize(("build", "steps", "per"), SILENT.values(), ids=SILENT)
def test_healthy_look_alikes_are_silent(train, diagnose, build, steps, per):
    executed = train(build, steps, per=per, optimizer="Adam", save_at=(steps,))
    assert found(diagnose(executed, steps_per_epoch=20, complete=True)) == []
    assert found(diagnose(executed, steps_per_epoch=20, log_lr=False)) == []


def test_a_learning_rate_of_zero_from_the_middle_on_is_reported(train, diagnose):
    (finding,) = diagnose(train(stepped(300, 0.0), 600), complete=True)
    assert finding.code in ("LR301", "LR304")
