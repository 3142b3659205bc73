"""Schedules as a person writes them, filled in from the run."""

from __future__ import annotations

import json

import numpy as np
import pytest

from lrdoctor.errors import UsageError
from lrdoctor.schedules import CosineAnnealingLR, OneCycleLR, StepLR, Stepped, Warmup
from lrdoctor.simulate.spec import Frame, schedule_of

FRAME = Frame(10_000, 1e-3, 500, steps_per_epoch=100.0)


def lr(spec, *at):
    return schedule_of(spec, FRAME).lr_at(at)


def test_what_is_left_out_is_the_runs_own():
    found = schedule_of("cosine", FRAME)
    assert found == Warmup(CosineAnnealingLR(1e-3, 9_500, 0.0, clamped=True), 500.0)


def test_every_number_can_be_said():
    found = schedule_of("cosine:T_max=9000,warmup=1000,lr=3e-4,eta_min=3e-5", FRAME)
    assert found == Warmup(CosineAnnealingLR(3e-4, 9_000, 3e-5, clamped=True), 1_000.0)


@pytest.mark.parametrize(
    ("spec", "at", "wanted"),
    [
        ("constant:warmup=0", 9_999, 1e-3),
        ("linear:warmup=0", 5_000, 5e-4),
        ("linear:warmup=0,end=0.5", 10_000, 5e-4),
        ("wsd:decay=0.2,warmup=0", 8_000, 1e-3),
        ("wsd:decay=0.2,warmup=0", 9_000, 5e-4),
        ("wsd:decay=1000,warmup=0", 9_500, 5e-4),
        ("wsd:decay=0.2,warmup=0,shape=sqrt", 8_500, 5e-4),
        ("wsd:decay=0.2,warmup=0,shape=cosine", 9_000, 5e-4),
        ("step:step_size=4000,gamma=0.5,warmup=0", 8_500, 2.5e-4),
        ("polynomial:power=2,warmup=0", 5_000, 2.5e-4),
        ("exponential:gamma=0.999,warmup=0", 1_000, 1e-3 * 0.999**1000),
        ("restarts:T_0=1000,warmup=0", 3_000, 1e-3),
    ],
)
def test_each_family_is_where_it_should_be(spec, at, wanted):
    assert lr(spec, at)[0] == pytest.approx(wanted, rel=2e-3)


def test_onecycle_brings_its_own_warmup():
    assert schedule_of("onecycle:pct_start=0.1", FRAME) == OneCycleLR(1e-3, 10_000, pct_start=0.1)


@pytest.mark.parametrize("suffix", ["yaml", "json"])
def test_a_file_in_the_shape_of_the_audits_json(tmp_path, suffix):
    document = {
        "family": "CosineAnnealingLR",
        "stepped": "update",
        "params": {"T_max": 9_500, "eta_min": 0.0},
        "warmup": {"kind": "linear", "steps": 500, "start_factor": 0.01},
        "peak_lr": 2e-3,
    }
    file = tmp_path / f"fixed.{suffix}"
    file.write_text(json.dumps(document), encoding="utf-8")
    assert schedule_of(str(file), FRAME) == Warmup(CosineAnnealingLR(2e-3, 9_500, 0.0, clamped=True), 500.0, 0.01)


def test_a_file_stepped_per_epoch_is_put_on_that_clock(tmp_path):
    file = tmp_path / "epochs.yaml"
    file.write_text("family: StepLR\nstepped: epoch\nparams: {step_size: 30, gamma: 0.1}\n", encoding="utf-8")
    assert schedule_of(str(file), FRAME) == Stepped(StepLR(1e-3, 30, 0.1), 100.0, "epoch")


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("cosin", "did you mean `cosine`?"),
        ("cosine:T_mx=100", "did you mean `T_max`?"),
        ("cosine:100", "no KEY=VALUE"),
        ("cosine:lr=fast", "lr must be a number"),
        ("cosine:lr=-1", "lr must be positive"),
        ("cosine:warmup=20000", "shorter than the run's 10000 updates"),
        ("wsd:decay=0", "cannot be built"),
        ("wsd:shape=round", "shape is linear, cosine or sqrt"),
        ("cosine:T_max=-5", "cannot be built"),
        ("no/such/file.yaml", "could not be read"),
    ],
)
def test_a_mistake_is_named(spec, said):
    with pytest.raises(UsageError) as caught:
        schedule_of(spec, FRAME)
    assert said in str(caught.value)


def test_a_file_that_holds_something_else_is_refused_and_not_run(tmp_path):
    file = tmp_path / "evil.yaml"
    file.write_text("!!python/object/apply:os.system ['touch hacked']", encoding="utf-8")
    with pytest.raises(UsageError, match="could not be read"):
        schedule_of(str(file), FRAME)
    file.write_text("[1, 2]", encoding="utf-8")
    with pytest.raises(UsageError, match="holds no schedule"):
        schedule_of(str(file), FRAME)
    assert np.isfinite(lr("cosine", 1)).all()
