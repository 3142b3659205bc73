"""LR901, the gate: too little was logged to say."""

from __future__ import annotations

import math

import pytest


def cosine(torch, optimizer):
    return torch.CosineAnnealingLR(optimizer, 1000)


def codes(findings):
    return [finding.code for finding in findings]


def test_nothing_logged_is_a_remark(train, diagnose):
    (finding,) = diagnose(train(cosine, 100), log_lr=False)
    assert (finding.code, finding.severity) == ("LR901", "info")
    assert finding.evidence["lr_points"] == 0


def test_checkpoints_alone_are_not_enough(train, diagnose):
    (finding,) = diagnose(train(cosine, 100, save_at=(50, 100)), log_lr=False, loss=None)
    assert finding.code == "LR901"
    assert "2 checkpoints" in finding.message


@pytest.mark.parametrize("log_every", [600, 999])
def test_two_points_are_too_few(train, diagnose, log_every):
    (finding,) = diagnose(train(cosine, 1000), log_every=log_every)
    assert (finding.code, finding.evidence["lr_points"]) == ("LR901", 2)


def test_points_that_are_not_numbers_do_not_count(diagnose):
    assert codes(diagnose([math.nan] * 998 + [0.1, 0.1])) == ["LR901"]


@pytest.mark.parametrize(("framework", "advice"), [
    ("lightning", "LearningRateMonitor"), ("transformers", "logging_steps"), (None, "add_scalar"),
])  # fmt: skip
def test_the_advice_speaks_the_frameworks_language(train, diagnose, framework, advice):
    (finding,) = diagnose(train(cosine, 100), log_lr=False, framework=framework)
    assert advice in finding.remedy.code


@pytest.mark.parametrize("settings", [{}, {"log_every": 10}, {"log_every": 100}, {"log_every": 200}], ids=str)
def test_points_that_lie_on_one_schedule_are_enough(train, diagnose, settings):
    assert diagnose(train(cosine, 1000), **settings) == []


def test_one_point_an_epoch_is_enough_for_a_schedule_of_epochs(train, diagnose):
    executed = train(lambda torch, opt: torch.StepLR(opt, 10), 800, per=20)
    assert diagnose(executed, steps_per_epoch=20, log_every=20) == []


def test_a_constant_learning_rate_is_enough(diagnose):
    assert diagnose([0.1] * 1000, log_every=100) == []


def test_a_short_run_logged_in_full_is_enough(train, diagnose):
    assert diagnose(train(lambda torch, opt: torch.CosineAnnealingLR(opt, 12), 12)) == []
