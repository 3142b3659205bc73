"""A rule file may hold a check of runs and a check of configs; each is asked for what it is about."""

from __future__ import annotations

from pathlib import Path

import pytest

from lrdoctor import synth
from lrdoctor.engine import apply_rules, load_rules
from lrdoctor.engine.apply import options_of
from lrdoctor.errors import RuleFileError, SettingsError
from lrdoctor.schedules import Constant
from lrdoctor.testing import check_rule, examine, examine_config

BOTH = '''
"""Peaks of one.

## What it does
Looks at the peak.
"""
from lrdoctor import Case, Constant, Finding, Plan, Remedy, Trajectory, config_finding, rule, synth

CONFIG = "learning_rate: {}\\nper_device_train_batch_size: 8\\nmax_steps: 10"
CASES = (
    Case("a run", synth.run(Constant(1.0), steps=10), fires=True, cured=synth.run(Constant(0.1), steps=10)),
    Case("another run", synth.run(Constant(0.1), steps=10)),
    Case("a config", synth.config(CONFIG.format(1.0)), fires=True, cured=synth.config(CONFIG.format(0.1))),
    Case("another config", synth.config(CONFIG.format(0.1))),
)

@rule("XX001", name="peak-of-one")
def of_runs(trajectory: Trajectory, *, peak: float = 1.0):
    if trajectory.peak_lr == peak:
        yield Finding("The peak is 1.", "Less.", "Bad.", 0, 1, {"peak": peak}, Remedy("Less."))

@rule("XX001", name="peak-of-one")
def of_configs(config: Plan, *, peak: float = 1.0, unit: str = "update"):
    if config.lr is not None and config.lr.value == peak and config.unit == unit:
        yield config_finding(config, config.lr, "The peak is 1.", "Less.", "Bad.", "Less.")
'''
CONFIG = "learning_rate: {}\nper_device_train_batch_size: 8\nmax_steps: 10"


@pytest.fixture
def both(tmp_path: Path):
    (tmp_path / "peak_of_one.py").write_text(BOTH, encoding="utf-8")
    (rule,) = load_rules([tmp_path])
    return rule


def test_two_checks_with_one_code_are_one_rule(both):
    assert [check.checks_configs for check in both.checks] == [False, True]
    assert dict(both.all_options) == {"peak": 1.0, "unit": "update"}
    assert check_rule(both) == []


def test_each_check_is_asked_for_its_own_kind(both):
    of_run = apply_rules([both], examine(synth.run(Constant(1.0), steps=10))).findings
    of_config = apply_rules([both], examine_config(synth.config(CONFIG.format(1.0)))).findings
    assert [found.place is None for found in (*of_run, *of_config)] == [True, False]
    assert [found.code for found in (*of_run, *of_config)] == ["XX001", "XX001"]


def test_options_reach_the_check_that_has_them(both):
    evidence = examine_config(synth.config(CONFIG.format(0.5)))
    assert len(apply_rules([both], evidence, {"XX001": {"peak": 0.5}}).findings) == 1
    assert apply_rules([both], evidence, {"XX001": {"peak": 0.5, "unit": "epoch"}}).findings == ()
    with pytest.raises(SettingsError, match="no option `units`"):
        options_of(both, {"units": "epoch"})


def test_a_case_of_each_kind_is_wanted(both, tmp_path: Path):
    lines = [line for line in BOTH.splitlines() if "another config" not in line]
    (tmp_path / "peak_of_one.py").write_text("\n".join(lines), encoding="utf-8")
    (rule,) = load_rules([tmp_path])
    assert check_rule(rule) == ["XX001: no case of a config in which it stays silent"]


def test_two_checks_of_one_kind_are_two_rules_of_one_name(tmp_path: Path):
    (tmp_path / "a.py").write_text(BOTH.replace("trajectory: Trajectory", "config: Plan"), encoding="utf-8")
    with pytest.raises(RuleFileError, match="Two rules"):
        load_rules([tmp_path])
