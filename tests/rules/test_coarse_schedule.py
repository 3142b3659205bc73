"""LR109 on torch schedulers that are stepped once an epoch."""

from __future__ import annotations

from itertools import pairwise

import pytest

N = 20


def codes(findings):
    return [(found.code, found.severity) for found in findings]


def one_cycle(length):
    return lambda torch, opt: torch.OneCycleLR(opt, 0.1, total_steps=length)


def cosine(length):
    return lambda torch, opt: torch.CosineAnnealingLR(opt, length)


@pytest.mark.parametrize("build", [one_cycle, cosine])
def test_a_schedule_of_few_epochs_is_a_remark_and_the_remedy_its_curve_in_updates(train, diagnose, build):
    (finding,) = diagnose(train(build(12), 12 * N, per=N), steps_per_epoch=N)
    assert (finding.code, finding.severity) == ("LR109", "info")
    in_updates = train(build(12 * N), 12 * N).lrs
    assert finding.remedy.schedule.lr_at(range(12 * N)).tolist() == pytest.approx(in_updates, rel=1e-6)


def test_the_largest_step_is_named(train, diagnose):
    executed = train(one_cycle(12), 12 * N, per=N)
    (finding,) = diagnose(executed, steps_per_epoch=N)
    plateaus = executed.lrs[::N]
    largest = max(abs(after - before) for before, after in pairwise(plateaus))
    assert finding.evidence["largest_change"] == pytest.approx(largest / 0.1)


def test_a_checkpoint_is_enough(train, diagnose):
    executed = train(one_cycle(12), 12 * N, per=N, save_at=(12 * N,), optimizer="Adam")
    assert ("LR109", "info") in codes(diagnose(executed, log_lr=False))


SILENT = {
    "the cycle in updates": (one_cycle(12 * N), 1, 12),
    "a cosine of many epochs": (cosine(40), N, 40),
    "milestones": (lambda torch, opt: torch.MultiStepLR(opt, [5, 9]), N, 12),
    "warm restarts": (lambda torch, opt: torch.CosineAnnealingWarmRestarts(opt, 20), N, 40),
    "a cycle for updates, stepped per epoch": (one_cycle(12 * N), N, 12),
}


@pytest.mark.parametrize(("build", "per", "epochs"), SILENT.values(), ids=SILENT)
def test_fine_schedules_and_stairs_on_purpose_are_silent(train, diagnose, build, per, epochs):
    found = diagnose(train(build, epochs * N, per=per), steps_per_epoch=N)
    assert "LR109" not in [finding.code for finding in found]


def test_one_point_an_epoch_says_nothing_of_the_steps_between(train, diagnose):
    assert diagnose(train(one_cycle(12 * N), 12 * N), steps_per_epoch=N, log_every=N) == []
