"""LR504 on torch models that diverge, and on those that do not."""

from __future__ import annotations

import math

import pytest

from lrdoctor import synth

torch = pytest.importorskip("torch")
schedulers = torch.optim.lr_scheduler
STEPS = 400


@pytest.fixture
def descend(script):
    """Noisy gradient descent in quartic bowls, the sharpest of curvature 10: it diverges above lr = 0.2."""

    def run(build, steps=STEPS):
        torch.manual_seed(0)
        curvature = torch.tensor([10.0, 1.0, 0.1])
        weight = torch.nn.Parameter(torch.ones(3))
        opt = torch.optim.SGD([weight], lr=1.0)
        sched, losses = build(opt), []
        for _ in range(steps):
            script.lrs.append(opt.param_groups[0]["lr"])
            loss = (curvature * (weight + 0.01 * torch.randn(3)) ** 2 / 2 + 0.1 * weight**4).sum() + 1.0
            losses.append(loss.item())
            opt.zero_grad()
            loss.backward()
            opt.step()
            sched.step()
        return script.executed, losses

    return run


def warm_cosine(peak, warmup=100):
    def build(opt):
        opt.param_groups[0]["lr"] = peak
        ramp = schedulers.LinearLR(opt, 0.01, total_iters=warmup)
        return schedulers.SequentialLR(
            opt, [ramp, schedulers.CosineAnnealingLR(opt, STEPS - warmup)], milestones=[warmup]
        )

    return build


def one_cycle(peak):
    return lambda opt: schedulers.OneCycleLR(opt, peak, total_steps=STEPS, cycle_momentum=False)


def codes(findings):
    return [(found.code, found.severity) for found in findings]


@pytest.mark.parametrize("build", [warm_cosine(0.3), one_cycle(0.3)], ids=["warmup and cosine", "OneCycleLR"])
def test_a_peak_above_what_the_curvature_allows_fires(descend, diagnose, build):
    executed, losses = descend(build)
    (finding,) = [found for found in diagnose(executed, losses=losses, complete=True) if found.code == "LR504"]
    assert finding.severity == "error"
    assert 0.2 <= finding.evidence["lr_at_breakdown"] <= 0.3
    assert finding.evidence["suggested_peak_lr"] < 0.2  # 2 / curvature
    assert finding.remedy.schedule.peak_lr == pytest.approx(finding.evidence["suggested_peak_lr"], rel=1e-6)


@pytest.mark.parametrize("build", [warm_cosine(0.15), one_cycle(0.15)], ids=["warmup and cosine", "OneCycleLR"])
def test_a_peak_below_it_is_silent(descend, diagnose, build):
    executed, losses = descend(build)
    assert diagnose(executed, losses=losses, complete=True) == []


def test_a_training_stopped_at_the_breakdown_is_enough(descend, diagnose):
    executed, losses = descend(warm_cosine(0.3), steps=95)
    assert codes(diagnose(executed, losses=losses, declared={"max_steps": STEPS})) == [("LR504", "error")]


def test_a_range_test_breaks_down_on_purpose(descend, diagnose):
    def build(opt):
        opt.param_groups[0]["lr"] = 1e-4
        return schedulers.ExponentialLR(opt, 1.025)

    executed, losses = descend(build)
    assert not math.isfinite(losses[-1])
    assert "LR504" not in [found.code for found in diagnose(executed, losses=losses)]


QUIET = {
    "a bump that recovers": {"spikes": (synth.Spike(95, 9.0, lasts=30),)},
    "outliers": {"spikes": (synth.Spike(100, 90.0, lasts=1), synth.Spike(398, 90.0, lasts=2))},
    "noise": {"loss": synth.Loss(noise=1.0)},
    "a sawtooth": {"loss": synth.Loss(sawtooth=3.0), "steps_per_epoch": 40},
    "a breakdown far from the peak": {"loss": synth.Loss(breaks_at=300)},
    "a breakdown at the very beginning": {"loss": synth.Loss(breaks_at=10)},
    "no loss": {"loss": None},
}


@pytest.fixture
def healthy(script):
    opt = script.optimizer("SGD", lr=0.1)
    sched = warm_cosine(0.1)(opt)
    for _ in range(STEPS):
        script.update(opt)
        sched.step()
    return script.executed


@pytest.mark.parametrize("settings", QUIET.values(), ids=QUIET)
def test_look_alikes_are_silent(healthy, diagnose, settings):
    assert "LR504" not in [found.code for found in diagnose(healthy, complete=True, **settings)]


def test_a_loss_that_rises_slowly_is_silent(healthy, diagnose):
    losses = [1.0 + max(0.0, step - 100) / 100 for step in range(STEPS)]
    assert "LR504" not in [found.code for found in diagnose(healthy, losses=losses, complete=True)]


def test_the_moment_of_the_breakdown_is_named(healthy, diagnose):
    (finding,) = diagnose(healthy, loss=synth.Loss(breaks_at=90), complete=True)
    assert (finding.first_step, finding.evidence["loss_after"]) == (90, None)
    assert finding.evidence["lr_at_breakdown"] == pytest.approx(healthy.lrs[90])
