"""The search for a better schedule: what it finds is what the law says, and peaks must earn their uncertainty."""

from __future__ import annotations

import numpy as np
import pytest

from lrdoctor.schedules import Constant, Warmup
from lrdoctor.simulate.answers import Question, answer
from lrdoctor.simulate.f7 import loss
from lrdoctor.simulate.fitted import Read, fit_run
from lrdoctor.simulate.grid import compress, scaled
from lrdoctor.simulate.library import load_library
from lrdoctor.simulate.search import FAMILIES, search


@pytest.fixture(scope="module")
def fitted(case):
    one = case(Warmup(Constant(1e-3), 300, 0.01))
    return fit_run(Read(one.run, one.trajectory, one.identification), load_library())


@pytest.fixture(scope="module")
def found(fitted):
    return search(fitted, draws=200)


def test_hundreds_of_schedules_are_tried_and_the_best_decay_to_zero(found):
    assert found.tried > 300
    assert found.draws == 200
    best = found.ranked[0]
    assert best.schedule.lr_at([11_900])[0] < 0.01 * best.schedule.peak_lr
    assert best.gain_90[0] < best.gain < best.gain_90[1]
    assert best.gain > 0.05


def test_a_candidates_loss_is_the_laws(fitted, found):
    theta = fitted.pool.draws(200)
    for candidate in (found.ranked[0], found.ranked[-1]):
        u = candidate.schedule.lr_at(np.arange(fitted.usable.steps)) / fitted.usable.peak
        wanted = loss(theta, compress(u, [fitted.usable.steps])).mean()
        assert candidate.loss == pytest.approx(wanted, abs=5e-4)


def test_a_run_of_which_no_number_may_be_told_is_not_searched(case):
    one = case(Warmup(Constant(4e-3), 300, 0.01))
    found = answer(one, Question((), optimize=True, device="cpu"))
    assert found.search is None
    assert "the run's peak lr 0.004 is outside" in found.refused


def test_the_probabilities_of_being_best_add_up_and_the_best_is_regretted_least(found):
    assert sum(one.best_probability for one in found.ranked) == pytest.approx(1.0)
    assert all(one.regret >= 0.0 for one in found.ranked)
    assert found.ranked[0].regret < np.median([one.regret for one in found.ranked])


def test_the_same_run_gives_the_same_ranking(fitted, found):
    assert [one.name for one in search(fitted, draws=200).ranked] == [one.name for one in found.ranked]


def test_no_candidate_leaves_the_gate_or_goes_without_warmup(fitted, found):
    for one in found.ranked:
        assert 0.4 <= one.schedule.peak_lr / fitted.usable.peak <= 2.5
        assert isinstance(one.schedule, Warmup)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_single_family_at_the_runs_own_peak(fitted, family):
    result = search(fitted, (family,), keep_peak=True, draws=50)
    assert all(one.name.startswith(family) for one in result.ranked)
    assert {round(one.schedule.peak_lr, 9) for one in result.ranked} == {1e-3}


def test_a_scaled_grid_is_the_grid_of_the_scaled_schedule(theta):
    u = np.minimum((np.arange(9_000) + 1) / 300, 1.0) * np.linspace(1.0, 0.1, 9_000)
    one, two = compress(u * 1.7, [5_000, 9_000]), scaled(compress(u, [5_000, 9_000]), 1.7)
    np.testing.assert_allclose(loss(theta, two), loss(theta, one), atol=1e-10)
