"""What is said beside an estimate: the experiment that would settle it, the models behind it, sibling runs."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from lrdoctor.schedules import Constant, CosineAnnealingLR, LinearLR, Sequence, Warmup
from lrdoctor.simulate.estimate import estimate
from lrdoctor.simulate.fitted import Read
from lrdoctor.simulate.library import load_library

STEPS = 12_000
FLAT = Warmup(Constant(1e-3), 300, 0.01)
COSINE = Warmup(CosineAnnealingLR(1e-3, STEPS - 300), 300, 0.01)
DECAYED = Warmup(Sequence((Constant(1e-3), LinearLR(1e-3, 2_400)), (9_300,)), 300, 0.01)


def _read(one):
    return Read(one.run, one.trajectory, one.identification)


def _estimate(one, fix=COSINE, siblings=()):
    return estimate(one.run, one.trajectory, one.identification, fix, device="cpu", siblings=siblings)


def test_the_branch_that_is_advised_narrows_a_constant_runs_interval_as_said(case, law):
    one = case(FLAT)
    settle = _estimate(one).settle
    updates, before, after = re.search(r"of ([\d,]+) updates .* from ±([\d.]+) to about ±([\d.]+)", settle).groups()
    length = int(updates.replace(",", ""))
    branched = Warmup(Sequence((Constant(1e-3), LinearLR(1e-3, length)), (11_900 - 300,)), 300, 0.01)
    seen = _estimate(case(branched, steps=STEPS + length), Warmup(CosineAnnealingLR(1e-3, 11_700 + length), 300, 0.01))
    width = np.ptp(seen.interval_90) / 2.0
    assert float(after) < float(before)
    assert width == pytest.approx(float(after), rel=0.35)


def test_no_branch_is_advised_where_the_run_shows_its_decay(case):
    assert _estimate(case(DECAYED)).settle is None


def test_the_models_the_prior_leans_on_are_named(case):
    found = _estimate(case(FLAT)).leaned_on
    assert found
    assert set(found) <= {entry.model for entry in load_library().entries}
    low, high = (load_library().leaned_on(peak) for peak in (3e-4, 2e-3))
    assert low[0].startswith("llama2-")
    assert high[0].startswith("llama_norm-")


def test_a_decayed_sibling_narrows_the_interval_and_brings_the_estimate_to_its_model(case, law, theta):
    unusual = theta + np.array([0.0, 0.0, 0.0, 0.2, 0.0, 0.0, 0.0])

    def losses(schedule):
        return lambda done: law(schedule, STEPS, done, unusual)

    one, sibling = case(FLAT, losses=losses(FLAT)), case(DECAYED, losses=losses(DECAYED))
    alone, both = _estimate(one), _estimate(one, siblings=(_read(sibling),))
    truth = law(COSINE, STEPS, np.array([float(one.trajectory.steps)]), unusual)[0]
    assert np.ptp(both.interval_90) < 0.8 * np.ptp(alone.interval_90)
    assert abs(both.estimated_final_loss - truth) < abs(alone.estimated_final_loss - truth)
    assert both.prior_share < alone.prior_share
    assert both.notes == ("fitted jointly to 2 runs",)


def test_a_sibling_at_another_peak_is_not_mixed_in(case):
    other = case(Warmup(Constant(5e-4), 300, 0.01))
    assert "has peak lr 0.0005" in _estimate(case(FLAT), siblings=(_read(other),)).reason


def test_a_sibling_that_cannot_be_fitted_is_named(case):
    other = case(FLAT, model="resnet50")
    broken = replace(_read(other), run=replace(other.run, path="runs/b"))
    assert "the sibling runs/b cannot be fitted to" in _estimate(case(FLAT), siblings=(broken,)).reason
