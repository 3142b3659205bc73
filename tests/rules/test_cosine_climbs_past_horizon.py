"""LR302 on learning rates that torch's schedulers executed."""

from __future__ import annotations

import numpy as np
import pytest

from lrdoctor.schedules import CosineAnnealingLR


def cosine(horizon, eta_min=0.0):
    return lambda torch, optimizer: torch.CosineAnnealingLR(optimizer, horizon, eta_min)


def warmed(horizon, warmup=50):
    def build(torch, optimizer):
        ramp = torch.LinearLR(optimizer, 0.01, total_iters=warmup)
        return torch.SequentialLR(optimizer, [ramp, torch.CosineAnnealingLR(optimizer, horizon)], [warmup])

    return build


def found(findings):
    return [finding for finding in findings if finding.code == "LR302"]


def test_past_t_max_torch_climbs_to_the_peak_and_down_again(train):
    """The claim of the page."""
    lrs = np.array(train(cosine(100), 401).lrs)
    assert lrs[[0, 100, 200, 300, 400]] == pytest.approx([0.1, 0.0, 0.1, 0.0, 0.1], abs=1e-12)
    assert lrs[:400].mean() == pytest.approx(0.05, rel=1e-3)


@pytest.mark.parametrize(
    ("build", "steps", "per", "waves"),
    [(cosine(600), 1000, 1, 5 / 3), (cosine(600, 1e-3), 1000, 1, 5 / 3), (warmed(600), 1000, 1, 950 / 600),
     (cosine(10), 320, 20, 1.6), (cosine(300), 1230, 1, 4.1)],
)  # fmt: skip
def test_it_fires_on_a_rise_after_the_minimum(train, diagnose, build, steps, per, waves):
    (finding,) = found(diagnose(train(build, steps, per=per), float32=True, steps_per_epoch=20, complete=True))
    assert (finding.code, finding.severity) == ("LR302", "error")
    assert finding.evidence["half_waves"] == pytest.approx(waves, abs=1e-3)


@pytest.mark.parametrize("log_every", [1, 7])
@pytest.mark.parametrize("per_epoch", [50, 51])
def test_t_max_in_epochs_stepped_per_update_is_told_from_waves_that_are_too_fast_to_follow(
    train, diagnose, per_epoch, log_every
):
    executed = train(cosine(24), 24 * per_epoch)
    (finding,) = found(diagnose(executed, steps_per_epoch=per_epoch, log_every=log_every, complete=True))
    assert finding.severity == "error"
    assert finding.evidence["t_max_counts_epochs"] is True
    assert finding.evidence["T_max"] == 24


def test_its_remedy_is_the_cosine_torch_executes_over_the_run(train, diagnose):
    (finding,) = diagnose(train(warmed(600), 1000), complete=True)
    wanted = np.array(train(warmed(950), 1000).lrs)
    assert finding.remedy.schedule.lr_at(np.arange(1000)) == pytest.approx(wanted, abs=1e-9)
    assert "T_max=950" in finding.remedy.code


def test_it_says_where_the_run_leaves_the_healthy_reading(train, diagnose):
    (finding,) = diagnose(train(cosine(600), 1000), complete=True)
    seen, healthy = finding.evidence, CosineAnnealingLR(0.1, 1000)
    at = seen["worst_step"]
    assert seen["expected_lr"] == pytest.approx(healthy.lr_at([at])[0])
    assert seen["observed_lr"] == pytest.approx(CosineAnnealingLR(0.1, 600).lr_at([at])[0])
    steps = np.arange(1000)
    apart = np.abs(CosineAnnealingLR(0.1, 600).lr_at(steps) - healthy.lr_at(steps)) > 1e-3
    assert seen["differs_from_step"] == steps[apart][0]


def test_it_fires_on_a_checkpoint_alone(train, diagnose):
    executed = train(cosine(300), 500, optimizer="Adam", save_at=(500,))
    (finding,) = found(diagnose(executed, log_lr=False))
    assert finding.severity == "error"
    assert finding.evidence["scheduler_steps"] == 500


def test_a_warmed_checkpoint_is_judged_by_the_cosine_in_force(train, diagnose):
    assert found(diagnose(train(warmed(400), 450, optimizer="Adam", save_at=(450,)), log_lr=False)) == []
    assert len(found(diagnose(train(warmed(300), 450, optimizer="Adam", save_at=(450,)), log_lr=False))) == 1


SILENT = {
    "T_max is the run": (cosine(1000), 1000, 1),
    "two steps past it": (cosine(1000), 1002, 1),
    "per epoch": (cosine(20), 400, 20),
    "per epoch, one epoch more": (cosine(20), 420, 20),
    "behind a warmup": (warmed(950), 1000, 1),
    "cut short": (cosine(1000), 400, 1),
    "warm restarts": (lambda torch, opt: torch.CosineAnnealingWarmRestarts(opt, 130), 1000, 1),
    "five half waves": (cosine(200), 1000, 1),
    "a version that holds the floor": (
        lambda torch, opt: torch.LambdaLR(opt, lambda t: 0.5 * (1 + np.cos(np.pi * min(t, 500) / 500))), 1000, 1),
    "triangles": (lambda torch, opt: torch.CyclicLR(opt, 0.01, 0.1, step_size_up=50), 220, 1),
    "line": (lambda torch, opt: torch.LinearLR(opt, 1.0, 0.0, 1000), 1000, 1),
    "one cycle": (lambda torch, opt: torch.OneCycleLR(opt, 0.1, 1000), 1000, 1),
}  # fmt: skip


@pytest.mark.parametrize(("build", "steps", "per"), SILENT.values(), ids=SILENT)
def test_healthy_look_alikes_are_silent(train, diagnose, build, steps, per):
    executed = train(build, steps, per=per, optimizer="Adam", save_at=(steps,))
    assert found(diagnose(executed, steps_per_epoch=20, complete=True)) == []
