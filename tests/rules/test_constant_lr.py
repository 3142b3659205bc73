"""LR308 on learning rates that torch executed."""

from __future__ import annotations

import numpy as np
import pytest


def constant(torch, optimizer):
    return torch.ConstantLR(optimizer, 1.0, 1)


def warmed(torch, optimizer):
    return torch.LinearLR(optimizer, 0.01, 1.0, 100)


def found(findings):
    return [finding for finding in findings if finding.code == "LR308"]


@pytest.mark.parametrize("complete", [True, None])
@pytest.mark.parametrize(("build", "warmup"), [(constant, 0), (warmed, 100)])
def test_it_notes_a_constant_learning_rate(train, diagnose, build, warmup, complete):
    executed = train(build, 1200)
    (finding,) = diagnose(executed, float32=True, log_every=10, complete=complete)
    assert (finding.code, finding.severity) == ("LR308", "info")
    assert finding.evidence["warmup_steps"] == warmup


def test_its_remedy_is_the_cooldown_torch_executes(train, diagnose):
    def cooled(torch, optimizer):
        parts = [torch.ConstantLR(optimizer, 1.0, 1), torch.LinearLR(optimizer, 1.0, 0.0, 200)]
        return torch.SequentialLR(optimizer, parts, [800])

    (finding,) = found(diagnose(train(constant, 1000), complete=True))
    wanted = np.array(train(cooled, 1000).lrs)
    assert finding.remedy.schedule.lr_at(np.arange(1000)) == pytest.approx(wanted, abs=1e-9)
    assert found(diagnose(train(cooled, 1000), complete=True)) == []


SILENT = {
    "a short run": (constant, 900, {}),
    "not finished": (constant, 1200, {"complete": False}),
    "resumed": (constant, 1200, {"first_step": 400}),
    "fine-tuning": (constant, 1200, {"declared": {"finetune": True}}),
    "asked for": (constant, 1200, {"declared": {"scheduler": "constant_with_warmup"}}),
    "a schedule-free optimizer": (constant, 1200, {"optimizer": "AdamWScheduleFree"}),
    "a cosine": (lambda torch, opt: torch.CosineAnnealingLR(opt, 1200), 1200, {}),
}


@pytest.mark.parametrize(("build", "steps", "settings"), SILENT.values(), ids=SILENT)
def test_healthy_look_alikes_are_silent(train, diagnose, build, steps, settings):
    assert found(diagnose(train(build, steps), **{"log_every": 10, "complete": True, **settings})) == []
