"""LR303 on learning rates that torch's schedulers executed."""

from __future__ import annotations

import numpy as np
import pytest


def cosine(horizon, eta_min=0.0):
    return lambda torch, optimizer: torch.CosineAnnealingLR(optimizer, horizon, eta_min)


def line(total, end=0.0):
    return lambda torch, optimizer: torch.LinearLR(optimizer, 1.0, end, total)


def cycle(total):
    return lambda torch, optimizer: torch.OneCycleLR(optimizer, 0.1, total)


def warmed(horizon, warmup=50):
    def build(torch, optimizer):
        ramp = torch.LinearLR(optimizer, 0.01, total_iters=warmup)
        return torch.SequentialLR(optimizer, [ramp, torch.CosineAnnealingLR(optimizer, horizon)], [warmup])

    return build


def found(findings):
    return [finding for finding in findings if finding.code == "LR303"]


def test_built_for_updates_and_stepped_per_epoch_a_cosine_hardly_moves(train):
    """The claim of the page: a drop of (pi / 2N)^2 over the run."""
    lrs = np.array(train(cosine(100 * 20), 100 * 20, per=20).lrs)
    assert 1.0 - lrs[-1] / 0.1 == pytest.approx((np.pi / (2 * 20)) ** 2, rel=0.03)


@pytest.mark.parametrize(
    ("build", "steps", "per", "visited", "severity"),
    [(cosine(1000), 600, 1, 0.6, "warning"), (cosine(1000, 1e-3), 600, 1, 0.6, "warning"),
     (warmed(1000), 600, 1, 0.55, "warning"), (cosine(50), 600, 20, 0.6, "warning"),
     (cosine(600), 600, 20, 0.05, "error"), (cycle(1200), 600, 1, 0.5, "warning"),
     (lambda torch, opt: torch.PolynomialLR(opt, 1000, 2.0), 500, 1, 0.5, "warning")],
)  # fmt: skip
def test_it_fires_on_a_finished_run(train, diagnose, build, steps, per, visited, severity):
    (finding,) = diagnose(train(build, steps, per=per), float32=True, steps_per_epoch=20, complete=True)
    assert (finding.code, finding.severity) == ("LR303", severity)
    assert finding.evidence["visited_fraction"] == pytest.approx(visited, abs=2e-3)


def test_its_remedy_is_the_cosine_torch_executes_over_the_run(train, diagnose):
    (finding,) = diagnose(train(cosine(600), 600, per=20), steps_per_epoch=20, complete=True)
    wanted = np.array(train(cosine(30), 600, per=20).lrs)
    assert finding.remedy.schedule.lr_at(np.arange(600)) == pytest.approx(wanted, abs=1e-9)


def test_a_line_is_told_by_its_checkpoint(train, diagnose):
    executed = train(line(1000), 600, optimizer="Adam", save_at=(600,))
    assert found(diagnose(train(line(1000), 600), complete=True)) == []
    (finding,) = found(diagnose(executed, complete=True))
    assert finding.evidence["built_for_steps"] == 1000


@pytest.mark.parametrize("build", [cosine(1000), warmed(1000)])
def test_it_fires_on_the_counters_of_a_final_checkpoint(train, diagnose, build):
    executed = train(build, 600, optimizer="Adam", save_at=(600,))
    assert len(found(diagnose(executed, log_lr=False, complete=True))) == 1
    assert found(diagnose(executed, log_lr=False, complete=None)) == []


def test_a_learning_rate_that_seems_to_stand_still_is_told_by_its_checkpoint(train, diagnose):
    executed = train(cosine(4000), 240, per=40, optimizer="Adam", save_at=(240,), updates_per_epoch=40)
    (finding,) = found(diagnose(executed, float32=True, steps_per_epoch=40, complete=True))
    assert finding.evidence["visited_fraction"] == pytest.approx(6 / 4000)


SILENT = {
    "the length of the run": (cosine(600), 600, 1, True),
    "a fifth too long": (cosine(720), 600, 1, True),
    "far too long and stopped": (cosine(1200), 600, 1, False),
    "far too long and unknown": (cosine(1200), 600, 1, None),
    "per epoch": (cosine(30), 600, 20, True),
    "behind a warmup": (warmed(550), 600, 1, True),
    "one cycle": (cycle(600), 600, 1, True),
    "a line to a third": (line(600, 0.33), 600, 1, True),
    "past its end": (cosine(500), 600, 1, True),
    "warm restarts": (lambda torch, opt: torch.CosineAnnealingWarmRestarts(opt, 400), 600, 1, True),
    "no end": (lambda torch, opt: torch.ExponentialLR(opt, 0.999), 600, 1, True),
}


@pytest.mark.parametrize(("build", "steps", "per", "complete"), SILENT.values(), ids=SILENT)
def test_healthy_look_alikes_are_silent(train, diagnose, build, steps, per, complete):
    executed = train(build, steps, per=per, optimizer="Adam", save_at=(steps,))
    assert found(diagnose(executed, steps_per_epoch=20, complete=complete)) == []
    assert found(diagnose(executed, steps_per_epoch=20, log_lr=False, complete=complete)) == []
