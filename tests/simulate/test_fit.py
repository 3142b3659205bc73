"""Fitting the law: planted parameters come back, and the prior fills what a run does not show."""

from __future__ import annotations

import numpy as np
import pytest

from lrdoctor.simulate.f7 import loss, loss_and_jacobian
from lrdoctor.simulate.fit import LOWER, POINTS, SIGMA, UPPER, Observed, fit, thin
from lrdoctor.simulate.grid import compress
from lrdoctor.simulate.library import dump, load_library
from lrdoctor.simulate.prior import FORMS, Prior, features, vague

T = 20_000
_t = np.arange(T)
_ramp = np.minimum((_t + 1) / 300, 1.0)
CONSTANT = _ramp
COSINE = _ramp * 0.5 * (1.0 + np.cos(np.pi * _t / T))
DROP = _ramp * np.where(_t < 10_000, 1.0, 0.2)


@pytest.fixture
def observe(theta):
    def make(u, noise=0.0, seed=0):
        at = np.linspace(900, T, POINTS).astype(np.int64)
        grid = compress(u, at)
        wobble = np.random.default_rng(seed).normal(0.0, noise, len(at)) if noise else 0.0
        return Observed(grid, loss(theta, grid) * np.exp(wobble), np.full(len(at), SIGMA))

    return make


def _flat():
    prior = vague()
    return Prior(prior.features, prior.mean, prior.covariance * 1e4)


def test_planted_parameters_come_back_from_three_schedules(observe, theta):
    posterior = fit([observe(CONSTANT), observe(COSINE), observe(DROP)], _flat())
    np.testing.assert_allclose(posterior.mode, theta, atol=0.02)
    assert posterior.residual_rms < 0.05


@pytest.mark.parametrize("form", FORMS)
def test_one_schedule_and_a_prior_around_the_truth_predict_another(observe, theta, form):
    library = load_library()
    posterior = fit([observe(CONSTANT, 0.002)], library.prior(1e-3, form))
    grid = compress(COSINE, [T])
    spread = loss(posterior.draws(200), grid)[:, 0].std()
    assert abs(loss(posterior.mode, grid)[0] - loss(theta, grid)[0]) < min(3 * spread, 0.05)


def test_noise_of_the_stated_size_gives_residuals_of_that_size(observe):
    posterior = fit([observe(COSINE, SIGMA, seed) for seed in range(3)], vague())
    assert 0.7 < posterior.residual_rms < 1.3


def test_a_few_outliers_do_not_move_the_fit(observe, theta):
    clean = observe(COSINE)
    spoilt = clean.loss.copy()
    spoilt[[5, 20]] *= 1.5
    grid = compress(DROP, [T])
    one = fit([clean], vague())
    two = fit([Observed(clean.grid, spoilt, clean.sigma)], vague())
    assert loss(two.mode, grid)[0] == pytest.approx(loss(one.mode, grid)[0], abs=0.01)


def test_the_prior_is_all_there_is_where_the_run_shows_nothing(observe):
    one = observe(CONSTANT)
    blind = fit([Observed(one.grid, one.loss, one.sigma * 1e4)], vague())
    seeing = fit([observe(CONSTANT), observe(COSINE), observe(DROP)], _flat())
    gradient = features("ln B")[3]  # delta alone
    assert blind.prior_share(gradient) > 0.99
    assert seeing.prior_share(gradient) < 0.01


def test_draws_are_the_same_for_the_same_seed_and_inside_the_bounds(observe):
    posterior = fit([observe(CONSTANT)], vague())
    draws = posterior.draws(500, 1)
    np.testing.assert_array_equal(draws, posterior.draws(500, 1))
    assert not np.array_equal(draws, posterior.draws(500, 2))
    assert (draws >= LOWER).all()
    assert (draws <= UPPER).all()


def test_the_covariance_is_the_inverse_curvature_of_data_and_prior(observe):
    one, prior = observe(COSINE), vague()
    posterior = fit([one], prior)
    fitted, slopes = loss_and_jacobian(posterior.mode, one.grid)
    scaled = slopes / (fitted * one.sigma)[:, None]
    curvature = scaled.T @ scaled + prior.precision
    np.testing.assert_allclose(np.diag(np.linalg.inv(posterior.covariance)), np.diag(curvature), rtol=1e-2)


def test_thinning_is_even_in_the_square_root_and_keeps_both_ends():
    n = np.arange(100.0, 40_000.0, 10.0)
    chosen = thin(n)
    assert len(chosen) <= POINTS
    assert (chosen[0], chosen[-1]) == (0, len(n) - 1)
    assert np.ptp(np.diff(np.sqrt(n[chosen]))) < 1.0
    np.testing.assert_array_equal(thin(n[:7]), np.arange(7))


def test_a_library_survives_its_own_file(tmp_path):
    library = load_library()
    path = tmp_path / "library.json"
    path.write_text(dump(library.entries, "note"), encoding="utf-8")
    again = load_library(path)
    assert [entry.model for entry in again.entries] == [entry.model for entry in library.entries]
    np.testing.assert_array_equal(again.entries[0].theta, library.entries[0].theta)
    assert dump(again.entries, "note") == path.read_text(encoding="utf-8")


def test_every_shipped_entry_names_its_source_and_commit():
    for entry in load_library().entries:
        assert entry.source.startswith("github.com/")
        assert len(entry.commit) == 40
        assert np.linalg.eigvalsh(entry.covariance).min() > 0.0
        assert (entry.theta > LOWER).all()
        assert (entry.theta < UPPER).all()


def test_leaving_a_model_out_removes_all_its_entries():
    library = load_library()
    model = library.entries[-1].model
    assert model not in {entry.model for entry in library.without(model).entries}
    assert len(library.without(model).entries) < len(library.entries)


def test_the_prior_is_wider_away_from_the_library():
    library = load_library()
    inside, outside = (library.prior(peak).covariance for peak in (8e-4, 5e-2))
    assert (np.diag(outside) > np.diag(inside)).all()
