"""What many fits say about another model: planted populations come back, and poor fits weigh little."""

from __future__ import annotations

import numpy as np
import pytest

from lrdoctor.simulate.library import load_library
from lrdoctor.simulate.population import BELIEF, EXPECTED_SCATTER, Measured, learn, of_features, without_prior
from lrdoctor.simulate.prior import FORMS, features, vague

LEVEL = np.array([0.5, -1.6, 3.5, 0.7, 0.55])
SLOPE = np.array([0.05, 0.2, 0.1, -0.05, -0.08])


def population(count, precision, seed=0):
    generator = np.random.default_rng(seed)
    peaks = np.geomspace(3e-4, 3e-3, count)
    truth = LEVEL + np.log(peaks / 1e-3)[:, None] * SLOPE + generator.normal(0.0, EXPECTED_SCATTER, (count, 5))
    seen = truth + generator.normal(0.0, 1.0, (count, 5)) / np.sqrt(np.diag(precision))
    return Measured(peaks, np.repeat(precision[None], count, 0), seen @ precision, np.ones(count))


def test_a_planted_line_and_scatter_come_back():
    found = learn(population(150, np.diag(1.0 / (0.3 * EXPECTED_SCATTER) ** 2)), "ln B")
    np.testing.assert_allclose(found.prior(1e-3).mean, LEVEL, atol=0.06)
    np.testing.assert_allclose(found.prior(2e-3).mean, LEVEL + np.log(2.0) * SLOPE, atol=0.08)
    np.testing.assert_allclose(np.sqrt(np.diag(found.scatter)), EXPECTED_SCATTER, rtol=0.2)


def test_the_error_of_the_fits_is_not_taken_for_scatter_between_models():
    found = learn(population(150, np.diag(1.0 / (2.0 * EXPECTED_SCATTER) ** 2)), "ln B")
    assert (np.sqrt(np.diag(found.scatter)) < 1.6 * EXPECTED_SCATTER).all()  # with the fits' error it would be 2.2


def test_a_model_that_shows_nothing_moves_nothing():
    some = population(6, np.diag(1.0 / (0.3 * EXPECTED_SCATTER) ** 2))
    with_blind = Measured(
        np.append(some.peak_lr, 1e-3),
        np.concatenate([some.precision, np.zeros((1, 5, 5))]),
        np.concatenate([some.pull, np.zeros((1, 5))]),
        np.ones(7),
    )
    one, two = (learn(fits, "ln B").prior(1e-3).mean for fits in (some, with_blind))
    np.testing.assert_allclose(two, one, atol=0.02)


@pytest.mark.parametrize("form", FORMS)
def test_what_the_prior_of_a_fit_said_is_taken_out_again(theta, form):
    generator = np.random.default_rng(1)
    root = generator.normal(0.0, 1.0, (7, 12))
    likelihood = root @ root.T * 50.0
    used = vague()
    covariance = np.linalg.inv(likelihood + used.precision)
    pulled = likelihood @ theta + used.pull
    precision, pull = of_features(*without_prior(covariance @ pulled, covariance, used), form)
    np.testing.assert_allclose(np.linalg.solve(precision, pull), features(form) @ theta, atol=1e-8)
    alone = np.linalg.inv(features(form) @ np.linalg.inv(likelihood) @ features(form).T)
    np.testing.assert_allclose(precision, alone, rtol=1e-6, atol=1e-6)


def test_few_models_leave_a_prior_wider_than_their_own_scatter():
    library = load_library()
    found = library.population()
    assert (np.diag(found.prior(1e-3).covariance) > np.diag(found.scatter)).all()
    assert found.freedom == pytest.approx(len({entry.model for entry in library.entries}) - 2 + BELIEF)
