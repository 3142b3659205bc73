"""LR101 on learning rates that torch's OneCycleLR executed."""

from __future__ import annotations

import numpy as np
import pytest

from lrdoctor.schedules import OneCycleLR


def cycle(total, **settings):
    return lambda torch, optimizer: torch.OneCycleLR(optimizer, max_lr=0.1, total_steps=total, **settings)


def codes(findings):
    return [finding.code for finding in findings]


def test_stepped_per_epoch_it_never_leaves_the_foot(train):
    """The claim of the page: it does not race through the cycle, it stays at 4 % of the peak."""
    lrs = np.array(train(cycle(1000), 1000, per=100).lrs)
    assert lrs[0] == pytest.approx(0.1 / 25)
    assert lrs.max() / 0.1 == pytest.approx(0.0421, abs=1e-4)
    assert (np.diff(lrs) >= 0).all()


def test_stepped_per_epoch_it_rises_with_the_square_of_the_epoch(train):
    rise = np.array(train(cycle(1000), 1000, per=100).lrs)[::100] - 0.1 / 25
    epochs = np.arange(1, 10)
    assert np.polyfit(np.log(epochs), np.log(rise[1:]), 1)[0] == pytest.approx(2.0, abs=0.01)


@pytest.mark.parametrize("float32", [False, True])
@pytest.mark.parametrize(("per_epoch", "epochs"), [(20, 12), (50, 10), (100, 10), (400, 6)])
def test_it_fires_on_a_finished_run(train, diagnose, per_epoch, epochs, float32):
    executed = train(cycle(per_epoch * epochs), per_epoch * epochs, per=per_epoch)
    (finding,) = diagnose(executed, float32=float32, steps_per_epoch=per_epoch)
    assert (finding.code, finding.severity) == ("LR101", "error")
    assert finding.evidence["scheduler_steps"] == epochs
    assert finding.evidence["visited_fraction"] == pytest.approx(1 / per_epoch, rel=0.01)
    assert finding.evidence["max_lr"] == pytest.approx(0.1, rel=1e-3)


def test_its_remedy_is_the_cycle_torch_executes_per_update(train, diagnose):
    (finding,) = diagnose(train(cycle(400), 400, per=20), steps_per_epoch=20, complete=True)
    wanted = train(cycle(400), 400).lrs
    assert isinstance(finding.remedy.schedule, OneCycleLR)
    assert finding.remedy.schedule.lr_at(np.arange(400)) == pytest.approx(np.array(wanted), rel=1e-6)
    assert "interval" in finding.remedy.code


def test_it_fires_on_a_run_cut_short_whose_length_was_declared(train, diagnose):
    assert codes(diagnose(train(cycle(1000), 500, per=100), steps_per_epoch=100, complete=False)) == ["LR101"]


def test_it_fires_where_the_rise_has_another_length(train, diagnose):
    executed = train(cycle(1000, pct_start=0.1), 1000, per=100)
    assert codes(diagnose(executed, steps_per_epoch=100, complete=True)) == ["LR101"]


def test_it_fires_where_the_log_has_one_point_an_epoch(train, diagnose):
    executed = train(cycle(1200), 1200, per=100)
    assert codes(diagnose(executed, steps_per_epoch=100, log_every=100)) == ["LR101"]


@pytest.mark.parametrize("optimizer", ["Adam", "SGD"])
def test_it_fires_on_a_checkpoint_alone(train, diagnose, optimizer):
    executed = train(cycle(240), 240, per=20, optimizer=optimizer, save_at=(120, 240))
    (finding, gate) = diagnose(executed, log_lr=False)
    assert (finding.code, finding.severity, gate.code) == ("LR101", "error", "LR901")
    assert finding.evidence["assumed"] is None


def test_an_early_checkpoint_of_a_long_cycle_is_a_warning(train, diagnose):
    executed = train(cycle(4000), 200, per=20, optimizer="Adam", save_at=(200,))
    (finding, _) = diagnose(executed, log_lr=False)
    assert (finding.code, finding.severity) == ("LR101", "warning")


SILENT = {
    "per update": (cycle(400), 400, 1, {}),
    "per update, logged once an epoch": (cycle(400), 400, 1, {"log_every": 20}),
    "per update, cut short": (cycle(400), 100, 1, {}),
    "per update, cut short, logged once an epoch": (cycle(1000), 100, 1, {"log_every": 20}),
    "a cycle of epochs": (cycle(40), 800, 20, {}),
    "a cycle of epochs, cut at 5 of 40": (cycle(40), 100, 20, {}),
    "a cycle of epochs, cut at 10 of 40": (cycle(40), 200, 20, {}),
    "a cycle of epochs, cut where total_steps = updates": (cycle(100), 100, 5, {"steps_per_epoch": 5}),
    "a linear cycle of epochs": (cycle(40, anneal_strategy="linear"), 800, 20, {}),
}


@pytest.mark.parametrize("float32", [False, True])
@pytest.mark.parametrize(("build", "steps", "per", "settings"), SILENT.values(), ids=SILENT)
def test_healthy_look_alikes_are_silent(train, diagnose, build, steps, per, settings, float32):
    findings = diagnose(train(build, steps, per=per), float32=float32, **{"steps_per_epoch": 20, **settings})
    assert [finding for finding in findings if finding.severity != "info"] == []


SILENT_CHECKPOINTS = {
    "per update": (cycle(240), 240, 1),
    "per update, cut short": (cycle(2400), 240, 1),
    "a cycle of epochs": (cycle(12), 240, 20),
    "a cycle of epochs, cut short": (cycle(100), 240, 20),
    "a cycle of epochs, cut early": (cycle(100), 60, 20),
}


@pytest.mark.parametrize(("build", "steps", "per"), SILENT_CHECKPOINTS.values(), ids=SILENT_CHECKPOINTS)
def test_checkpoints_of_healthy_cycles_are_silent(train, diagnose, build, steps, per):
    executed = train(build, steps, per=per, optimizer="Adam", save_at=(steps,))
    found = codes(diagnose(executed, log_lr=False))
    assert [code for code in found if code != "LR109"] == ["LR901"]  # a cycle of 12 epochs is coarse, which is a remark
