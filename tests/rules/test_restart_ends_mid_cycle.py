"""LR305 on learning rates that torch's CosineAnnealingWarmRestarts executed."""

from __future__ import annotations

import numpy as np
import pytest


def restarts(first, growth=1, eta_min=0.0):
    return lambda torch, optimizer: torch.CosineAnnealingWarmRestarts(optimizer, first, growth, eta_min)


def warmed(first, warmup=40):
    def build(torch, optimizer):
        ramp = torch.LinearLR(optimizer, 0.01, total_iters=warmup)
        return torch.SequentialLR(optimizer, [ramp, torch.CosineAnnealingWarmRestarts(optimizer, first)], [warmup])

    return build


def found(findings):
    return [finding for finding in findings if finding.code == "LR305"]


def test_the_example_of_the_page(train):
    lrs = np.array(train(restarts(10, 2), 1000).lrs)
    assert (np.flatnonzero(np.diff(lrs) > 0.05) + 1).tolist() == [10, 30, 70, 150, 310, 630]
    assert lrs[-1] / 0.1 == pytest.approx(0.381, abs=1e-3)


@pytest.mark.parametrize(
    ("build", "per", "cycle", "position"),
    [(restarts(10, 2), 1, 6, 290 / 320), (restarts(180), 1, 4, 1 / 3), (restarts(9, 1, 1e-3), 20, 4, 1 / 3),
     (warmed(200), 1, 3, 0.8)],
)  # fmt: skip
def test_where_a_finished_run_ended(train, diagnose, build, per, cycle, position):
    findings = found(diagnose(train(build, 600, per=per), float32=True, steps_per_epoch=20, complete=True))
    if position >= 0.8:
        assert findings == []
        return
    (finding,) = findings
    assert finding.severity == "warning"
    assert finding.evidence["cycle"] == cycle
    assert finding.evidence["position"] == pytest.approx(position, abs=1e-3)


def test_its_remedy_is_what_torch_executes_and_comes_down_with_the_run(train, diagnose):
    (finding,) = found(diagnose(train(restarts(10, 2), 1000), complete=True))
    first = finding.evidence["proposed_T_0"]
    wanted = np.array(train(restarts(first, 2), 1000).lrs)
    assert finding.remedy.schedule.lr_at(np.arange(1000)) == pytest.approx(wanted, abs=1e-9)
    assert wanted[-1] < 0.01 * wanted[0]


def test_it_fires_on_the_counters_of_a_checkpoint(train, diagnose):
    executed = train(restarts(180), 600, optimizer="Adam", save_at=(600,))
    (finding,) = found(diagnose(executed, log_lr=False, complete=True))
    assert (finding.evidence["T_cur"], finding.evidence["T_i"]) == (60, 180)


def test_a_checkpoint_from_the_end_of_a_cycle_makes_it_a_note(train, diagnose):
    executed = train(restarts(180), 600, optimizer="Adam", save_at=(540, 600))
    (finding,) = found(diagnose(executed, complete=True))
    assert finding.severity == "info"
    assert finding.evidence["checkpoint_at_a_cycle_end"].endswith("step_540.pt")


SILENT = {
    "a whole number of cycles": (restarts(200), 600, 1, True),
    "one update into the next": (restarts(200), 601, 1, True),
    "growing cycles": (restarts(40, 2), 600, 1, True),
    "in the last fifth": (restarts(240), 680, 1, True),
    "per epoch": (restarts(10), 600, 20, True),
    "not finished": (restarts(180), 600, 1, False),
    "unknown": (restarts(180), 600, 1, None),
}


@pytest.mark.parametrize(("build", "steps", "per", "complete"), SILENT.values(), ids=SILENT)
def test_healthy_look_alikes_are_silent(train, diagnose, build, steps, per, complete):
    executed = train(build, steps, per=per, optimizer="Adam", save_at=(steps,))
    assert found(diagnose(executed, steps_per_epoch=20, complete=complete)) == []
    assert found(diagnose(executed, steps_per_epoch=20, log_lr=False, complete=complete)) == []
