"""LR402 on learning rates that torch's schedulers executed, beside settings that ask for others."""

from __future__ import annotations

import numpy as np
import pytest


def cosine(torch, optimizer):
    return torch.CosineAnnealingLR(optimizer, 300)


def cycle(max_lr):
    return lambda torch, optimizer: torch.OneCycleLR(optimizer, max_lr, 300)


def warmed(torch, optimizer):
    ramp = torch.LinearLR(optimizer, 0.01, total_iters=30)
    return torch.SequentialLR(optimizer, [ramp, torch.CosineAnnealingLR(optimizer, 270)], [30])


def asking(lr, **more):
    return {"declared": {"lr": lr}, "complete": True, **more}


def found(findings):
    return [finding for finding in findings if finding.code == "LR402"]


def test_one_cycle_overwrites_the_optimizers_learning_rate(train, diagnose):
    """The claim of the page: 0.1 was set, max_lr decides."""
    (finding,) = found(diagnose(train(cycle(0.023), 300, lr=0.1), **asking(0.1)))
    assert finding.severity == "warning"
    assert finding.evidence["executed_peak_lr"] == pytest.approx(0.023)
    assert finding.evidence["ratio"] == pytest.approx(0.23)


@pytest.mark.parametrize(("build", "asked"), [(cosine, 0.0417), (cosine, 0.103), (warmed, 2.34), (cosine, 1e-6)])
def test_it_fires_where_another_learning_rate_was_asked_for(train, diagnose, build, asked):
    (finding,) = found(diagnose(train(build, 300), float32=True, **asking(asked)))
    assert finding.evidence["ratio"] == pytest.approx(0.1 / asked, rel=1e-4)


def test_its_remedy_is_the_schedule_at_the_learning_rate_asked_for(train, diagnose):
    (finding,) = found(diagnose(train(warmed, 300), **asking(0.043)))
    wanted = np.array(train(warmed, 300, lr=0.043).lrs)
    assert finding.remedy.schedule.lr_at(np.arange(300)) == pytest.approx(wanted, abs=1e-9)


SILENT = {
    "as asked for": (cosine, asking(0.1)),
    "behind a warmup": (warmed, asking(0.1)),
    "one cycle up to it": (cycle(0.1), asking(0.1)),
    "one cycle up to ten times it": (cycle(0.1), asking(0.01)),
    "scaled by eight devices": (cosine, asking(0.0125)),
    "scaled by the root of them": (cosine, asking(0.1 / 8**0.5)),
    "scaled by the batch": (cosine, asking(0.1 * 256 / 1536, batch_size=1536)),
    "nothing was asked for": (cosine, {"complete": True}),
    "logged from the middle on": (cosine, asking(0.123, first_step=100)),
    "still in its warmup": (
        lambda torch, opt: torch.LinearLR(opt, 0.01, 1.0, 3000), {"declared": {"lr": 0.123}, "complete": False}),
    "of no known shape, near enough": (
        lambda torch, opt: torch.LambdaLR(opt, lambda t: 1.5 + np.sin(t / 20.0)), asking(0.2)),
}  # fmt: skip


@pytest.mark.parametrize(("build", "settings"), SILENT.values(), ids=SILENT)
def test_healthy_look_alikes_are_silent(train, diagnose, build, settings):
    assert found(diagnose(train(build, 300), **settings)) == []
